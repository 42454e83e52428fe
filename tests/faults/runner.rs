//! How a fault is played: from the start, over, once more after good polls, and over again. What does not hold is noted by the name of its
//! cell, and told at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::assertions::{polls, reason};
use super::env::{Case, ELSEWHERE, Env, project};
use super::scenario::{Fault, How, Others, Outcome, Recovery};
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long anything may take to come true on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// Every family with its HELP.
const GOLDEN: &str = include_str!("../../src/metrics/golden.txt");

/// No page takes longer, however busy the machine.
const SLOWEST_PAGE: Duration = Duration::from_secs(5);

/// Many that start at once would be slow for that alone.
static STARTS: Semaphore = Semaphore::const_new(2);

/// Plays `faults` beside each other, and returns what did not hold.
pub(super) async fn play(faults: Vec<Fault>) -> Vec<String> {
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
    runner.lift_all().await;
    runner.second_round().await;
    runner.lift_all().await;
    runner.others_went_on().await;
    runner.no_secret_is_told().await;
    runner.failed.into_inner().unwrap().into_iter().map(|(cell, why)| format!("{cell}: {why}")).collect()
}

pub(super) struct Runner {
    pub(super) cases: Vec<Case>,
    pub(super) env: Env,
    pub(super) exporter: Exporter,
    pub(super) began: Instant,
    /// The families of figures that are as of the last good poll.
    pub(super) families: BTreeSet<String>,
    /// Cells, and the first thing that did not hold.
    pub(super) failed: Mutex<BTreeMap<String, String>>,
}

pub(super) type Figures = BTreeMap<String, f64>;

impl Runner {
    fn new(cases: Vec<Case>, env: Env, exporter: Exporter) -> Self {
        let families = GOLDEN.lines().filter_map(|line| {
            let help = line.strip_prefix("# HELP ")?;
            help.contains("as of the last good poll").then(|| help.split(' ').next().unwrap().to_owned())
        });
        let mut families: BTreeSet<_> = families.collect();
        if matches!(cases[0].fault.how, How::Listing(..)) {
            // They follow another listing, which is read again much later.
            families.retain(|family| !family.contains("snapshot"));
        }
        assert!(families.len() > 10, "the families of figures cannot be told: {families:?}");
        Self { cases, env, exporter, began: Instant::now(), families, failed: Mutex::default() }
    }

    /// Looks until `over` of every case, and at its neighbours each time. Where that does not come, `column` does not hold.
    async fn look(&self, column: &str, what: &str, mut over: impl FnMut(&Scrape, &Case, Timestamp) -> bool) {
        let start = Instant::now();
        loop {
            let (asked, asked_at) = (Instant::now(), Timestamp::now());
            let scrape = self.exporter.scrape().await;
            let took = asked.elapsed();
            for case in &self.cases {
                self.hold(took < SLOWEST_PAGE, case, "others", || format!("a scrape took {took:?}"));
                self.look_at_others(case, &scrape);
            }
            let mut waiting: Vec<_> = self.cases.iter().collect();
            waiting.retain(|case| !over(&scrape, case, asked_at));
            if waiting.is_empty() {
                return;
            }
            if start.elapsed() > PATIENCE {
                for case in waiting {
                    self.note(case, column, format!("{what} does not end"));
                }
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn first_round(&self) {
        self.look("reason", "the first round", |scrape, case, _| {
            let alone = case.fault.others == Others::Everyone && !case.fault.late;
            let polled = |cluster: &str| polls(scrape, cluster) >= 1.0;
            polled(&case.faulty) && (alone || polled(&case.healthy) && polled(ELSEWHERE))
        })
        .await;
        self.listings_are_logged().await;
        let scrape = &self.exporter.scrape().await;
        for case in &self.cases {
            match case.fault.outcome {
                _ if case.fault.late => self.is_good(case, scrape, &[]),
                Outcome::Fails(reason) => self.has_failed_without_figures(case, scrape, reason),
                Outcome::Good(figures) => {
                    self.is_good(case, scrape, figures);
                    self.clock_is_set(case, scrape);
                }
            }
        }
        self.no_secret_is_told().await;
    }

    /// Waits until every listing that cannot be read is logged. Nothing is logged of the others, then or later.
    async fn listings_are_logged(&self) {
        let start = Instant::now();
        loop {
            let mut waiting: Vec<_> = self.cases.iter().collect();
            let log = self.readings_logged();
            waiting.retain(|case| {
                case.fault.logged.is_some_and(|text| !of_case(&log, case).any(|line| line.contains(text)))
            });
            if waiting.is_empty() {
                return;
            }
            if start.elapsed() > PATIENCE {
                for case in waiting {
                    let lines: Vec<_> = of_case(&log, case).collect();
                    self.note(case, "reason", format!("not in the log: {lines:?}"));
                }
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The lines of the log about readings that are no polls.
    pub(super) fn readings_logged(&self) -> Vec<String> {
        let log = self.exporter.log();
        log.lines().filter(|line| line.contains("failed to refresh ")).map(str::to_owned).collect()
    }

    /// Ends every fault; the first poll that begins after that is good.
    async fn lift_all(&self) {
        for case in &self.cases {
            self.env.lift(case, &self.exporter).await;
        }
        let before = self.exporter.scrape().await;
        let asked = |case: &Case| {
            let state = self.env.simulator.state();
            state.requests.iter().filter(|seen| seen.line.contains(&case.path())).count()
        };
        let asked_before: BTreeMap<_, _> =
            self.cases.iter().map(|case| (case.faulty.clone(), asked(case))).collect();
        self.look("recovery", "the recovery", |scrape, case, _| {
            // One poll may have been under way.
            let next = polls(scrape, &case.faulty) - polls(&before, &case.faulty) >= 2.0;
            let good = scrape.up(&case.faulty) == Some(1.0);
            match case.fault.recovery {
                Recovery::NextPoll => {
                    self.hold(good || !next, case, "recovery", || {
                        format!("the next poll fails: {:?}", reason(scrape, &case.faulty))
                    });
                    // What was good all the time is looked at for longer, since other figures are to come.
                    next || good && matches!(case.fault.outcome, Outcome::Fails(_))
                }
                Recovery::Pause => good,
                Recovery::Kept => {
                    // It is late: before that all is well.
                    let kept = good || asked(case) == asked_before[&case.faulty];
                    self.hold(kept || !next, case, "recovery", || {
                        "Atlas was asked although it had asked to wait".to_owned()
                    });
                    good || next
                }
            }
        })
        .await;
    }

    async fn second_round(&self) {
        // Everything is good once more, with the figures of every cluster.
        let mut before = BTreeMap::new();
        self.look("figures", "the good polls", |scrape, case, _| {
            let ever = self.figures(scrape, ELSEWHERE);
            let figures = self.figures(scrape, &case.faulty);
            let good = !ever.is_empty() && figures == ever && self.figures(scrape, &case.healthy) == ever;
            before.insert(case.faulty.clone(), figures);
            good
        })
        .await;
        let good = self.exporter.scrape().await;
        for case in &self.cases {
            self.env.apply(case, Some(&self.exporter)).await;
        }
        let mut kept = BTreeSet::new();
        self.look("figures", "the second round", |scrape, case, asked| match case.fault.outcome {
            Outcome::Good(figures) => {
                let more = polls(scrape, &case.faulty) - polls(&good, &case.faulty);
                // One poll may have been under way.
                if more >= 2.0 {
                    self.is_good(case, scrape, figures);
                    self.clock_is_set(case, scrape);
                }
                more >= 3.0
            }
            Outcome::Fails(reason) => {
                let figures = self.figures(scrape, &case.faulty);
                let failed = scrape.up(&case.faulty) == Some(0.0);
                if failed {
                    self.has_failed(case, scrape, reason);
                }
                if !figures.is_empty() {
                    if failed {
                        kept.insert(case.faulty.clone());
                    }
                    self.stays(case, &figures, &before[&case.faulty]);
                }
                self.is_of_age(case, scrape, asked, figures.is_empty());
                figures.is_empty() && failed
            }
        })
        .await;
        for case in self.cases.iter().filter(|case| matches!(case.fault.outcome, Outcome::Fails(_))) {
            self.hold(kept.contains(&case.faulty), case, "figures", || {
                "no figure outlived the first failure".to_owned()
            });
        }
        self.no_secret_is_told().await;
    }
}

/// Lines about the project of a case, or about the organization if its fault is there.
pub(super) fn of_case<'a>(log: &'a [String], case: &'a Case) -> impl Iterator<Item = &'a String> {
    let place = match case.fault.how {
        How::Listing(path, _) if !path.contains('{') => "organization_id=",
        _ => &case.project,
    };
    log.iter().filter(move |line| line.contains(place))
}
