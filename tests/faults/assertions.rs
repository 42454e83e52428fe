//! What must hold, looked at again and again while a fault is played.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::env::{Case, ELSEWHERE, ROTATED, STALE_AFTER};
use super::runner::{Figures, Runner, of_case};
use super::scenario::{Figure, How, Others, Outcome};
use crate::support::atlas::{PRIVATE_KEY, SECRET};
use crate::support::scrape::Scrape;

/// Whoever is not polled so often, in seconds for each poll, is held up. The interval is two seconds.
const SLOWEST: f64 = 10.0;

/// No line of the log is longer, whatever Atlas sends.
const LONGEST_LINE: usize = 2048;

impl Runner {
    pub(super) fn note(&self, case: &Case, column: &str, why: impl Into<String>) {
        let cell = format!("{}/{column}", case.fault.name);
        self.failed.lock().unwrap().entry(cell).or_insert_with(|| why.into());
    }

    pub(super) fn hold(&self, holds: bool, case: &Case, column: &str, why: impl FnOnce() -> String) {
        if !holds {
            self.note(case, column, why());
        }
    }

    /// The figures of a cluster that are as of its last good poll.
    pub(super) fn figures(&self, scrape: &Scrape, cluster: &str) -> Figures {
        let label = format!("cluster_name=\"{cluster}\"");
        let is_one = |series: &str| {
            let family = series.split('{').next().unwrap_or_default();
            series.contains(&label) && self.families.contains(family.trim_end_matches("_info"))
        };
        let of_cluster = scrape.0.iter().filter(|(series, _)| is_one(series));
        of_cluster.map(|(series, value)| (without_place(series), *value)).collect()
    }

    pub(super) fn look_at_others(&self, case: &Case, scrape: &Scrape) {
        let harmed = |cluster: &str| scrape.up(cluster) == Some(0.0);
        let told = |cluster: &str| format!("{cluster} is harmed: {:?}", reason(scrape, cluster));
        match case.fault.others {
            Others::Unharmed => {
                self.hold(!harmed(&case.healthy), case, "others", || told(&case.healthy));
                self.hold(!harmed(ELSEWHERE), case, "others", || told(ELSEWHERE));
                let figures = self.figures(scrape, &case.healthy);
                let right = figures.is_empty() && scrape.up(&case.healthy).is_none()
                    || figures == self.figures(scrape, ELSEWHERE)
                    || scrape.up(ELSEWHERE).is_none();
                self.hold(right, case, "others", || format!("figures of {} are {figures:?}", case.healthy));
            }
            Others::Wait | Others::Gone => {
                self.hold(!harmed(ELSEWHERE), case, "others", || told(ELSEWHERE));
                let alike = match (case.fault.outcome, reason(scrape, &case.healthy)) {
                    (Outcome::Fails(expected), Some(reason)) => reason == expected,
                    _ => true,
                };
                self.hold(alike, case, "others", || told(&case.healthy));
            }
            Others::Everyone => {}
        }
    }

    pub(super) fn has_failed(&self, case: &Case, scrape: &Scrape, expected: &str) {
        let (up, reason) = (scrape.up(&case.faulty), reason(scrape, &case.faulty));
        let right = up == Some(0.0) && reason.as_deref() == Some(expected);
        self.hold(right, case, "reason", || format!("up is {up:?}, for {reason:?} instead of {expected}"));
        let counted = scrape.value("poll_failures_total", &case.faulty, &format!("reason=\"{expected}\""));
        self.hold(counted.is_some(), case, "reason", || format!("no failure is counted as {expected}"));
    }

    /// Nothing is told of a cluster that never had a good poll.
    pub(super) fn has_failed_without_figures(&self, case: &Case, scrape: &Scrape, expected: &str) {
        self.has_failed(case, scrape, expected);
        let figures = self.figures(scrape, &case.faulty);
        self.hold(figures.is_empty(), case, "figures", || format!("from the start: {figures:?}"));
        let success = scrape.value("last_poll_success_timestamp_seconds", &case.faulty, "");
        self.hold(success.is_none(), case, "figures", || "a good poll is told of".to_owned());
    }

    pub(super) fn is_good(&self, case: &Case, scrape: &Scrape, expected: &[Figure]) {
        let (up, reason) = (scrape.up(&case.faulty), reason(scrape, &case.faulty));
        self.hold(up == Some(1.0) && reason.is_none(), case, "reason", || {
            format!("up is {up:?}, for {reason:?} instead of a good poll")
        });
        let figures = self.figures(scrape, &case.faulty);
        if expected.is_empty() {
            let ever = self.figures(scrape, &case.healthy);
            self.hold(figures == ever, case, "figures", || differences(&figures, &ever));
        }
        for (name, label, value) in expected {
            let told = scrape.value(name, &case.faulty, label);
            self.hold(told == *value, case, "figures", || format!("{name} {label} is {told:?}"));
        }
    }

    /// A clock that nobody has set would prove nothing.
    pub(super) fn clock_is_set(&self, case: &Case, scrape: &Scrape) {
        let How::Clock(seconds) = case.fault.how else { return };
        let polled = scrape.value("last_poll_timestamp_seconds", &case.faulty, "").unwrap_or_default();
        let ahead = polled - Timestamp::now().as_second() as f64;
        self.hold((ahead - seconds as f64).abs() < 10.0, case, "reason", || {
            format!("the clock is {ahead} s ahead instead of {seconds}")
        });
    }

    pub(super) fn stays(&self, case: &Case, figures: &Figures, before: &Figures) {
        self.hold(figures == before, case, "figures", || differences(figures, before));
    }

    /// Figures are there until they are stale, and not longer. The scrape was asked for at `asked`.
    pub(super) fn is_of_age(&self, case: &Case, scrape: &Scrape, asked: Timestamp, withdrawn: bool) {
        let Some(success) = scrape.value("last_poll_success_timestamp_seconds", &case.faulty, "") else {
            self.note(case, "figures", "the last good poll is forgotten");
            return;
        };
        let at = if withdrawn { Timestamp::now() } else { asked };
        let age = at.as_millisecond() as f64 / 1000.0 - success;
        // The figures are of a little before the poll was told to be over.
        let right = if withdrawn { age > STALE_AFTER } else { age < STALE_AFTER + 1.0 };
        self.hold(right, case, "figures", || {
            format!("withdrawn: {withdrawn}, {age} s after the last good poll")
        });
    }

    pub(super) async fn others_went_on(&self) {
        let log = self.readings_logged();
        for case in self.cases.iter().filter(|case| matches!(case.fault.how, How::Listing(..))) {
            let lines: Vec<_> = of_case(&log, case).collect();
            self.hold(lines.is_empty() == case.fault.logged.is_none(), case, "reason", || {
                format!("the log has {lines:?}")
            });
            self.hold(lines.iter().all(|line| line.len() < LONGEST_LINE), case, "others", || {
                format!("a line of {:?} bytes", lines.iter().map(|line| line.len()).max())
            });
        }
        let scrape = self.exporter.scrape().await;
        let seconds = self.began.elapsed().as_secs_f64();
        for case in &self.cases {
            for cluster in [&*case.healthy, ELSEWHERE] {
                let many = polls(&scrape, cluster);
                let failures = failures(&scrape, cluster);
                let everyone = case.fault.others == Others::Everyone;
                let waits = matches!(case.fault.others, Others::Wait | Others::Gone) && cluster != ELSEWHERE;
                self.hold(everyone || many >= seconds / SLOWEST, case, "others", || {
                    format!("{cluster} was polled {many} times in {seconds} s")
                });
                self.hold(everyone || waits || failures == 0.0, case, "others", || {
                    format!("{failures} polls of {cluster} have failed")
                });
                let gone = case.fault.others == Others::Gone && cluster != ELSEWHERE;
                self.hold(!gone || failures > 0.0, case, "others", || {
                    format!("{cluster} fared better than its project")
                });
            }
            let failures = failures(&scrape, &case.faulty);
            self.hold(
                matches!(case.fault.outcome, Outcome::Fails(_)) || failures == 0.0,
                case,
                "reason",
                || format!("{failures} polls have failed"),
            );
            let healthy = self.exporter.get("/-/healthy").await.status();
            self.hold(healthy == 200, case, "others", || format!("/-/healthy is {healthy}"));
        }
    }

    /// Whoever told it is in the same line, or it is everyone's.
    pub(super) async fn no_secret_is_told(&self) {
        let mut told = self.exporter.log();
        for path in ["/", "/metrics", "/-/ready"] {
            told += &self.exporter.get(path).await.text().await.unwrap();
        }
        let tokens = self.env.simulator.state().sessions.issued_tokens.clone();
        let secrets = [SECRET, PRIVATE_KEY, ROTATED, "eyJ", "response="].map(str::to_owned);
        for secret in secrets.iter().chain(&tokens) {
            for line in told.lines().filter(|line| line.contains(secret.as_str())) {
                let culprits: Vec<_> = self
                    .cases
                    .iter()
                    .filter(|case| {
                        line.contains(&format!("{}\"", case.faulty))
                            || line.contains(&format!("{} ", case.faulty))
                    })
                    .collect();
                let all: Vec<_> = self.cases.iter().collect();
                for case in if culprits.is_empty() { all } else { culprits } {
                    self.note(case, "secrets", format!("{secret:?} is in: {line}"));
                }
            }
        }
    }
}

/// What is there and what should be.
fn differences(figures: &Figures, right: &Figures) -> String {
    let series: BTreeSet<_> = figures.keys().chain(right.keys()).collect();
    let differs = series.into_iter().filter(|series| figures.get(*series) != right.get(*series));
    let told = differs
        .map(|series| format!("{series} is {:?} instead of {:?}", figures.get(series), right.get(series)));
    told.collect::<Vec<_>>().join(", ")
}

pub(super) fn polls(scrape: &Scrape, cluster: &str) -> f64 {
    scrape.value("polls_total", cluster, "").unwrap_or_default()
}

fn failures(scrape: &Scrape, cluster: &str) -> f64 {
    let label = format!("cluster_name=\"{cluster}\"");
    let failures = scrape.of("mongodbatlas_backup_export_poll_failures_total");
    failures.into_iter().filter(|(labels, _)| labels.contains(&label)).map(|(_, count)| count).sum()
}

/// A series without the labels that say which cluster it is about.
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
