//! Checks during a fault.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::env::{Case, ELSEWHERE, ROTATED, STALE_AFTER};
use super::runner::{Metrics, Runner, of_case};
use super::scenario::{Impact, Injection, Metric, Outcome};
use crate::support::atlas::{PRIVATE_KEY, SECRET};
use crate::support::scrape::Scrape;

/// Maximum mean time between polls of healthy clusters, in seconds; the interval is two seconds.
const MAX_POLL_INTERVAL: f64 = 10.0;

const MAX_LINE_LENGTH: usize = 2048;

impl Runner {
    pub(super) fn fail(&self, case: &Case, column: &str, why: impl Into<String>) {
        let cell = format!("{}/{column}", case.fault.name);
        self.failed.lock().unwrap().entry(cell).or_insert_with(|| why.into());
    }

    pub(super) fn check(&self, is_met: bool, case: &Case, column: &str, why: impl FnOnce() -> String) {
        if !is_met {
            self.fail(case, column, why());
        }
    }

    /// Returns the metrics of the last successful poll of a cluster.
    pub(super) fn metrics(&self, scrape: &Scrape, cluster: &str) -> Metrics {
        let label = format!("cluster_name=\"{cluster}\"");
        let is_one = |series: &str| {
            let family = series.split('{').next().unwrap_or_default();
            series.contains(&label) && self.families.contains(family.trim_end_matches("_info"))
        };
        let of_cluster = scrape.0.iter().filter(|(series, _)| is_one(series));
        of_cluster.map(|(series, value)| (without_place(series), *value)).collect()
    }

    pub(super) fn check_others(&self, case: &Case, scrape: &Scrape) {
        let failed = |cluster: &str| scrape.up(cluster) == Some(0.0);
        let message = |cluster: &str| format!("{cluster} is affected: {:?}", reason(scrape, cluster));
        match case.fault.impact {
            Impact::Cluster => {
                self.check(!failed(&case.healthy), case, "others", || message(&case.healthy));
                self.check(!failed(ELSEWHERE), case, "others", || message(ELSEWHERE));
                let metrics = self.metrics(scrape, &case.healthy);
                let right = metrics.is_empty() && scrape.up(&case.healthy).is_none()
                    || metrics == self.metrics(scrape, ELSEWHERE)
                    || scrape.up(ELSEWHERE).is_none();
                self.check(right, case, "others", || format!("metrics of {} are {metrics:?}", case.healthy));
            }
            Impact::ProjectWaits | Impact::ProjectGone => {
                self.check(!failed(ELSEWHERE), case, "others", || message(ELSEWHERE));
                let alike = match (case.fault.outcome, reason(scrape, &case.healthy)) {
                    (Outcome::Fails(expected), Some(reason)) => reason == expected,
                    _ => true,
                };
                self.check(alike, case, "others", || message(&case.healthy));
            }
            Impact::AllClusters => {}
        }
    }

    pub(super) fn check_failed(&self, case: &Case, scrape: &Scrape, expected: &str) {
        let (up, reason) = (scrape.up(&case.faulty), reason(scrape, &case.faulty));
        let right = up == Some(0.0) && reason.as_deref() == Some(expected);
        self.check(right, case, "reason", || format!("up is {up:?}, for {reason:?} instead of {expected}"));
        let counted = scrape.value("poll_failures_total", &case.faulty, &format!("reason=\"{expected}\""));
        self.check(counted.is_some(), case, "reason", || format!("no failure is counted as {expected}"));
    }

    /// Checks that a cluster without a successful poll has no metrics.
    pub(super) fn check_failed_without_metrics(&self, case: &Case, scrape: &Scrape, expected: &str) {
        self.check_failed(case, scrape, expected);
        let metrics = self.metrics(scrape, &case.faulty);
        self.check(metrics.is_empty(), case, "metrics", || format!("from the start: {metrics:?}"));
        let success = scrape.value("last_poll_success_timestamp_seconds", &case.faulty, "");
        self.check(success.is_none(), case, "metrics", || "a successful poll is exposed".to_owned());
    }

    pub(super) fn check_good(&self, case: &Case, scrape: &Scrape, expected: &[Metric]) {
        let (up, reason) = (scrape.up(&case.faulty), reason(scrape, &case.faulty));
        self.check(up == Some(1.0) && reason.is_none(), case, "reason", || {
            format!("up is {up:?}, for {reason:?} instead of a successful poll")
        });
        let metrics = self.metrics(scrape, &case.faulty);
        if expected.is_empty() {
            let healthy = self.metrics(scrape, &case.healthy);
            self.check(metrics == healthy, case, "metrics", || differences(&metrics, &healthy));
        }
        for (name, label, value) in expected {
            let actual = scrape.value(name, &case.faulty, label);
            self.check(actual == *value, case, "metrics", || format!("{name} {label} is {actual:?}"));
        }
    }

    /// Checks that the clock of the exporter has been changed.
    pub(super) fn check_clock(&self, case: &Case, scrape: &Scrape) {
        let Injection::Clock(seconds) = case.fault.injection else { return };
        let polled = scrape.value("last_poll_timestamp_seconds", &case.faulty, "").unwrap_or_default();
        let ahead = polled - Timestamp::now().as_second() as f64;
        self.check((ahead - seconds as f64).abs() < 10.0, case, "reason", || {
            format!("the clock is {ahead} s ahead instead of {seconds}")
        });
    }

    pub(super) fn check_unchanged(&self, case: &Case, metrics: &Metrics, before: &Metrics) {
        self.check(metrics == before, case, "metrics", || differences(metrics, before));
    }

    /// Checks that metrics are exposed until they are stale. The scrape started at `requested`.
    pub(super) fn check_staleness(
        &self,
        case: &Case,
        scrape: &Scrape,
        requested: Timestamp,
        withdrawn: bool,
    ) {
        let Some(success) = scrape.value("last_poll_success_timestamp_seconds", &case.faulty, "") else {
            self.fail(case, "metrics", "the last successful poll is not exposed");
            return;
        };
        let at = if withdrawn { Timestamp::now() } else { requested };
        let age = at.as_millisecond() as f64 / 1000.0 - success;
        // Metrics are a little older than the end of the poll.
        let right = if withdrawn { age > STALE_AFTER } else { age < STALE_AFTER + 1.0 };
        self.check(right, case, "metrics", || {
            format!("withdrawn: {withdrawn}, {age} s after the last successful poll")
        });
    }

    pub(super) async fn check_others_at_end(&self) {
        let log = self.logged_read_failures();
        for case in self.cases.iter().filter(|case| matches!(case.fault.injection, Injection::Listing(..))) {
            let lines: Vec<_> = of_case(&log, case).collect();
            self.check(lines.is_empty() == case.fault.logged.is_none(), case, "reason", || {
                format!("the log has {lines:?}")
            });
            self.check(lines.iter().all(|line| line.len() < MAX_LINE_LENGTH), case, "others", || {
                format!("a line of {:?} bytes", lines.iter().map(|line| line.len()).max())
            });
        }
        let scrape = self.exporter.scrape().await;
        let seconds = self.began.elapsed().as_secs_f64();
        for case in &self.cases {
            for cluster in [&*case.healthy, ELSEWHERE] {
                let many = polls(&scrape, cluster);
                let failures = failures(&scrape, cluster);
                let all = case.fault.impact == Impact::AllClusters;
                let waits = matches!(case.fault.impact, Impact::ProjectWaits | Impact::ProjectGone)
                    && cluster != ELSEWHERE;
                self.check(all || many >= seconds / MAX_POLL_INTERVAL, case, "others", || {
                    format!("{cluster} was polled {many} times in {seconds} s")
                });
                self.check(all || waits || failures == 0.0, case, "others", || {
                    format!("{failures} polls of {cluster} have failed")
                });
                let gone = case.fault.impact == Impact::ProjectGone && cluster != ELSEWHERE;
                self.check(!gone || failures > 0.0, case, "others", || {
                    format!("no poll of {cluster} failed, unlike its project")
                });
            }
            let failures = failures(&scrape, &case.faulty);
            self.check(
                matches!(case.fault.outcome, Outcome::Fails(_)) || failures == 0.0,
                case,
                "reason",
                || format!("{failures} polls have failed"),
            );
            let healthy = self.exporter.get("/-/healthy").await.status();
            self.check(healthy == 200, case, "others", || format!("/-/healthy is {healthy}"));
        }
    }

    /// Checks that no secret is in the log or on a page.
    pub(super) async fn check_secrets(&self) {
        let mut output = self.exporter.log();
        for path in ["/", "/metrics", "/-/ready"] {
            output += &self.exporter.get(path).await.text().await.unwrap();
        }
        let tokens = self.env.simulator.state().sessions.issued_tokens.clone();
        let secrets = [SECRET, PRIVATE_KEY, ROTATED, "eyJ", "response="].map(str::to_owned);
        for secret in secrets.iter().chain(&tokens) {
            for line in output.lines().filter(|line| line.contains(secret.as_str())) {
                let named: Vec<_> = self
                    .cases
                    .iter()
                    .filter(|case| {
                        line.contains(&format!("{}\"", case.faulty))
                            || line.contains(&format!("{} ", case.faulty))
                    })
                    .collect();
                let all: Vec<_> = self.cases.iter().collect();
                for case in if named.is_empty() { all } else { named } {
                    self.fail(case, "secrets", format!("{secret:?} is in: {line}"));
                }
            }
        }
    }
}

/// Returns the differences between metrics and the expected ones.
fn differences(metrics: &Metrics, right: &Metrics) -> String {
    let series: BTreeSet<_> = metrics.keys().chain(right.keys()).collect();
    let differs = series.into_iter().filter(|series| metrics.get(*series) != right.get(*series));
    let differences = differs
        .map(|series| format!("{series} is {:?} instead of {:?}", metrics.get(series), right.get(series)));
    differences.collect::<Vec<_>>().join(", ")
}

pub(super) fn polls(scrape: &Scrape, cluster: &str) -> f64 {
    scrape.value("polls_total", cluster, "").unwrap_or_default()
}

fn failures(scrape: &Scrape, cluster: &str) -> f64 {
    let label = format!("cluster_name=\"{cluster}\"");
    let failures = scrape.of("mongodbatlas_backup_export_poll_failures_total");
    failures.into_iter().filter(|(labels, _)| labels.contains(&label)).map(|(_, count)| count).sum()
}

/// Returns a series without the labels of its cluster.
fn without_place(series: &str) -> String {
    let place =
        |label: &&str| ["project_id=", "project=", "cluster_name="].iter().any(|name| label.contains(name));
    series.split(',').filter(|label| !place(label)).collect::<Vec<_>>().join(",")
        + series.split('{').next().unwrap_or_default()
}

pub(super) fn reason(scrape: &Scrape, cluster: &str) -> Option<String> {
    let label = format!("cluster_name=\"{cluster}\"");
    let reasons = scrape.of("mongodbatlas_backup_export_last_poll_error_info");
    let (labels, _) = reasons.into_iter().find(|(labels, _)| labels.contains(&label))?;
    Some(labels.split("reason=\"").nth(1)?.split('"').next()?.to_owned())
}
