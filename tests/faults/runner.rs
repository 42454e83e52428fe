//! Runs of faults: injected at the start, reverted, injected after successful polls, and reverted.
//!
//! Failed checks are collected by the name of their cell, `fault/column`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::assertions::{polls, reason};
use super::env::{Case, ELSEWHERE, Env, project};
use super::scenario::{Fault, Impact, Injection, Outcome, Recovery};
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

const SCRAPE_INTERVAL: Duration = Duration::from_millis(200);

/// Maximum time until an expected state is reached, on a busy machine.
const STATE_TIMEOUT: Duration = Duration::from_mins(1);

/// All metric families in the order of the exposition.
const GOLDEN: &str = include_str!("../../src/metrics/golden.txt");

/// The first family of export jobs, and the first one after them.
const FIRST_FAMILY: &str = "mongodbatlas_backup_export_jobs";
const FIRST_OTHER_FAMILY: &str = "mongodbatlas_backup_export_auto_export_enabled";

const MAX_SCRAPE_TIME: Duration = Duration::from_secs(5);

/// Limits concurrent starts, which would be slow otherwise.
static STARTS: Semaphore = Semaphore::const_new(2);

/// Runs faults in one exporter, and returns the checks that failed.
pub(super) async fn run(faults: Vec<Fault>) -> Vec<String> {
    let cases: Vec<_> = faults
        .into_iter()
        .enumerate()
        .map(|(index, fault)| Case {
            fault,
            project: project(index),
            faulty: format!("faulty-{index}"),
            healthy: format!("healthy-{index}"),
        })
        .collect();
    let start = STARTS.acquire().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let env = Env::new(&cases, &folder).await;
    let exporter = env.start(folder).await;
    exporter.scrape().await;
    drop(start);
    let runner = Runner::new(cases, env, exporter);
    runner.first_round().await;
    runner.revert_all().await;
    runner.second_round().await;
    runner.revert_all().await;
    runner.check_others_at_end().await;
    runner.check_secrets().await;
    runner.failed.into_inner().unwrap().into_iter().map(|(cell, why)| format!("{cell}: {why}")).collect()
}

pub(super) struct Runner {
    pub(super) cases: Vec<Case>,
    pub(super) env: Env,
    pub(super) exporter: Exporter,
    pub(super) began: Instant,
    /// Families whose values are of the last successful poll.
    pub(super) families: BTreeSet<String>,
    /// First failed check of each cell.
    pub(super) failed: Mutex<BTreeMap<String, String>>,
}

pub(super) type Metrics = BTreeMap<String, f64>;

impl Runner {
    fn new(cases: Vec<Case>, env: Env, exporter: Exporter) -> Self {
        let names = GOLDEN.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next());
        let of_jobs = names
            .clone()
            .skip_while(|name| *name != FIRST_FAMILY)
            .take_while(|name| *name != FIRST_OTHER_FAMILY);
        let of_snapshots =
            names.filter(|name| name.contains("exported_snapshot") || name.contains("awaiting_export"));
        let mut families: BTreeSet<_> = of_jobs.chain(of_snapshots).map(str::to_owned).collect();
        if matches!(cases[0].fault.injection, Injection::Listing(..)) {
            // Metrics of snapshots change with another listing, which is read much later.
            families.retain(|family| !family.contains("snapshot"));
        }
        assert!(families.len() > 10, "too few families: {families:?}");
        Self { cases, env, exporter, began: Instant::now(), families, failed: Mutex::default() }
    }

    /// Scrapes until `is_done` for every case, and checks other clusters each time.
    ///
    /// The check of `column` fails for cases that are not done in time.
    async fn observe(
        &self,
        column: &str,
        what: &str,
        mut is_done: impl FnMut(&Scrape, &Case, Timestamp) -> bool,
    ) {
        let start = Instant::now();
        loop {
            let (requested, asked_at) = (Instant::now(), Timestamp::now());
            let scrape = self.exporter.scrape().await;
            let took = requested.elapsed();
            for case in &self.cases {
                self.check(took < MAX_SCRAPE_TIME, case, "others", || format!("a scrape took {took:?}"));
                self.check_others(case, &scrape);
            }
            let mut waiting: Vec<_> = self.cases.iter().collect();
            waiting.retain(|case| !is_done(&scrape, case, asked_at));
            if waiting.is_empty() {
                return;
            }
            if start.elapsed() > STATE_TIMEOUT {
                for case in waiting {
                    self.fail(case, column, format!("{what}: not done in time"));
                }
                return;
            }
            tokio::time::sleep(SCRAPE_INTERVAL).await;
        }
    }

    async fn first_round(&self) {
        self.observe("reason", "the first round", |scrape, case, _| {
            let alone = case.fault.impact == Impact::AllClusters && !case.fault.after_successful_poll;
            let polled = |cluster: &str| polls(scrape, cluster) >= 1.0;
            polled(&case.faulty) && (alone || polled(&case.healthy) && polled(ELSEWHERE))
        })
        .await;
        self.check_listing_logs().await;
        let scrape = &self.exporter.scrape().await;
        for case in &self.cases {
            match case.fault.outcome {
                _ if case.fault.after_successful_poll => self.check_good(case, scrape, &[]),
                Outcome::Fails(reason) => self.check_failed_without_metrics(case, scrape, reason),
                Outcome::Succeeds(metrics) => {
                    self.check_good(case, scrape, metrics);
                    self.check_clock(case, scrape);
                }
            }
        }
        self.check_secrets().await;
    }

    /// Waits until every listing that cannot be read is logged.
    async fn check_listing_logs(&self) {
        let start = Instant::now();
        loop {
            let mut waiting: Vec<_> = self.cases.iter().collect();
            let log = self.logged_read_failures();
            waiting.retain(|case| {
                case.fault.logged.is_some_and(|text| !of_case(&log, case).any(|line| line.contains(text)))
            });
            if waiting.is_empty() {
                return;
            }
            if start.elapsed() > STATE_TIMEOUT {
                for case in waiting {
                    let lines: Vec<_> = of_case(&log, case).collect();
                    self.fail(case, "reason", format!("not in the log: {lines:?}"));
                }
                return;
            }
            tokio::time::sleep(SCRAPE_INTERVAL).await;
        }
    }

    /// Returns the lines of the log about failed readings other than polls.
    pub(super) fn logged_read_failures(&self) -> Vec<String> {
        let log = self.exporter.log();
        let is_one = |line: &&str| {
            ["failed to refresh ", "failed to read "].iter().any(|text| line.contains(text))
                && !line.contains("export jobs")
        };
        log.lines().filter(is_one).map(str::to_owned).collect()
    }

    /// Reverts every fault, and checks the recovery.
    async fn revert_all(&self) {
        for case in &self.cases {
            self.env.revert(case, &self.exporter).await;
        }
        let before = self.exporter.scrape().await;
        let requested = |case: &Case| {
            let state = self.env.simulator.state();
            state.requests.iter().filter(|seen| seen.line.contains(&case.path())).count()
        };
        let asked_before: BTreeMap<_, _> =
            self.cases.iter().map(|case| (case.faulty.clone(), requested(case))).collect();
        self.observe("recovery", "the recovery", |scrape, case, _| {
            // A poll may have been in progress.
            let next = polls(scrape, &case.faulty) - polls(&before, &case.faulty) >= 2.0;
            let good = scrape.up(&case.faulty) == Some(1.0);
            match case.fault.recovery {
                Recovery::NextPoll => {
                    self.check(good || !next, case, "recovery", || {
                        format!("the next poll fails: {:?}", reason(scrape, &case.faulty))
                    });
                    // A fault without failures is observed for one more poll, as metrics change.
                    next || good && matches!(case.fault.outcome, Outcome::Fails(_))
                }
                Recovery::AfterPause => good,
                Recovery::AfterWait => {
                    let kept = good || requested(case) == asked_before[&case.faulty];
                    self.check(kept || !next, case, "recovery", || {
                        "a request was sent during the wait that Atlas demanded".to_owned()
                    });
                    good || next
                }
            }
        })
        .await;
    }

    async fn second_round(&self) {
        // Waits until all clusters have the same metrics again.
        let mut before = BTreeMap::new();
        self.observe("metrics", "the successful polls", |scrape, case, _| {
            let expected = self.metrics(scrape, ELSEWHERE);
            let metrics = self.metrics(scrape, &case.faulty);
            let good = !expected.is_empty()
                && metrics == expected
                && self.metrics(scrape, &case.healthy) == expected;
            before.insert(case.faulty.clone(), metrics);
            good
        })
        .await;
        let good = self.exporter.scrape().await;
        for case in &self.cases {
            self.env.apply(case, Some(&self.exporter)).await;
        }
        let mut kept = BTreeSet::new();
        self.observe("metrics", "the second round", |scrape, case, requested| match case.fault.outcome {
            Outcome::Succeeds(metrics) => {
                let more = polls(scrape, &case.faulty) - polls(&good, &case.faulty);
                // A poll may have been in progress.
                if more >= 2.0 {
                    self.check_good(case, scrape, metrics);
                    self.check_clock(case, scrape);
                }
                more >= 3.0
            }
            Outcome::Fails(reason) => {
                let metrics = self.metrics(scrape, &case.faulty);
                let failed = scrape.up(&case.faulty) == Some(0.0);
                if failed {
                    self.check_failed(case, scrape, reason);
                }
                if !metrics.is_empty() {
                    if failed {
                        kept.insert(case.faulty.clone());
                    }
                    self.check_unchanged(case, &metrics, &before[&case.faulty]);
                }
                self.check_staleness(case, scrape, requested, metrics.is_empty());
                metrics.is_empty() && failed
            }
        })
        .await;
        for case in self.cases.iter().filter(|case| matches!(case.fault.outcome, Outcome::Fails(_))) {
            self.check(kept.contains(&case.faulty), case, "metrics", || {
                "no metric was kept after the first failure".to_owned()
            });
        }
        self.check_secrets().await;
    }
}

/// Returns the lines about the project of a case, or about the organization if the fault is there.
pub(super) fn of_case<'a>(log: &'a [String], case: &'a Case) -> impl Iterator<Item = &'a String> {
    let place = match case.fault.injection {
        Injection::Listing(path, _) if !path.contains('{') => "organization_id=",
        _ => &case.project,
    };
    log.iter().filter(move |line| line.contains(place))
}
