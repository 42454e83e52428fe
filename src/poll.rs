//! When each cluster is polled.
//!
//! Every cluster has its own task, so none waits for another. The first poll comes at once, spread over a few seconds;
//! each later one an interval after the previous one *began*, give or take a tenth. A poll that outlasts its interval is
//! followed by the next at once: ticks missed meanwhile are dropped, never made up for.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::atlas::{Atlas, Error};
use crate::board::{Board, GoodPoll, PollError};
use crate::collect;
use crate::config::PollConfig;
use crate::model::{ClusterReport, FailedJob, FailureReason, Movements, Target};

/// First polls are spread over this time, or over an interval where that is shorter.
const FIRST_SPREAD: Duration = Duration::from_secs(3);

/// Later polls come this part of the interval early or late, so that clusters do not fall into step.
const JITTER: f64 = 0.1;

/// A poll that takes longer gives its slot to the next and goes on without: `poll.concurrency` bounds how many begin at
/// once, and clusters that hang do not hold up the rest. A cluster whose last poll took that long begins its next one in a
/// lane of its own kind, so that it takes not even this second from the quick ones.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// What every poll needs.
#[derive(Debug)]
pub struct Poller {
    atlas: Arc<Atlas>,
    board: Arc<Board>,
    config: PollConfig,
    quick: Semaphore,
    slow: Semaphore,
}

impl Poller {
    /// Prepares to poll; nothing is sent yet.
    #[must_use]
    pub fn new(atlas: Arc<Atlas>, board: Arc<Board>, config: PollConfig) -> Self {
        let lane = || Semaphore::new(config.concurrency);
        Self { atlas, board, quick: lane(), slow: lane(), config }
    }

    /// Polls the cluster that is number `index` of `count` for ever.
    pub async fn watch(self: Arc<Self>, target: Target, index: usize, count: usize) {
        sleep(first_delay(index, count, self.config.interval)).await;
        let mut memory = Memory::default();
        loop {
            let began = Instant::now();
            self.poll(&target, &mut memory).await;
            sleep_until(began + jittered(self.config.interval, fastrand::f64())).await;
        }
    }

    async fn poll(&self, target: &Target, memory: &mut Memory) {
        let slot = if memory.slow { &self.slow } else { &self.quick }.acquire().await;
        let began = Instant::now();
        let mut listing = pin!(collect::cluster(&self.atlas, target, began + self.config.timeout));
        let outcome = if let Ok(outcome) = timeout(SLOT_PATIENCE, &mut listing).await {
            outcome
        } else {
            drop(slot);
            listing.await
        };
        let (now, finished) = (Timestamp::now(), Instant::now());
        memory.slow = finished - began > SLOT_PATIENCE;
        let outcome = match outcome {
            Ok(report) => Ok(memory.take_in(target, report, now, finished)),
            Err(error) => Err(memory.fail(target, &error)),
        };
        self.board.publish(target, now, finished - began, outcome);
    }
}

/// What a cluster's next poll must know of its last ones.
#[derive(Debug, Default)]
struct Memory {
    movements: Movements,
    /// Failed jobs whose reason is in the log already, or was made good before we came; `None` before the first good poll. It
    /// grows with the failures of a cluster, not with its history.
    logged: Option<HashSet<Box<str>>>,
    /// Why the last poll failed, if it did.
    failing: Option<FailureReason>,
    /// Whether the last poll outlasted [`SLOT_PATIENCE`].
    slow: bool,
}

impl Memory {
    fn take_in(
        &mut self,
        target: &Target,
        report: ClusterReport,
        now: Timestamp,
        finished: Instant,
    ) -> GoodPoll {
        let logged = self.logged.get_or_insert_with(|| {
            let unresolved = report.unresolved().count();
            report.failed.iter().skip(unresolved).map(|job| job.key.id.clone()).collect()
        });
        for job in report.failed.iter().rev() {
            if logged.insert(job.key.id.clone()) {
                log_failed_job(target, job);
            }
        }
        if self.failing.take().is_some() {
            tracing::info!(project_id = %target.project_id, cluster_name = target.cluster_name, "the cluster can be polled again");
        }
        let last_progress = self.movements.observe(&report.active, now);
        GoodPoll { report, last_progress, finished_at: now, finished }
    }

    fn fail(&mut self, target: &Target, error: &Error) -> PollError {
        let (reason, text) = (error.reason(), error.to_string());
        // The counter has every failure; the log has every change, so that an outage does not bury it.
        if self.failing.replace(reason) == Some(reason) {
            tracing::debug!(project_id = %target.project_id, cluster_name = target.cluster_name, reason = reason.as_str(), error = text, "the poll failed again");
        } else {
            tracing::warn!(project_id = %target.project_id, cluster_name = target.cluster_name, reason = reason.as_str(), error = text, "the poll failed");
        }
        PollError { reason, text }
    }
}

fn log_failed_job(target: &Target, job: &FailedJob) {
    tracing::error!(
        project_id = %target.project_id,
        cluster_name = target.cluster_name,
        job_id = &*job.key.id,
        snapshot_id = job.snapshot_id.as_deref().unwrap_or(""),
        created_at = %job.key.created_at,
        error_code = printable(job.reason.error_code.as_deref()),
        reason = printable(job.reason.message.as_deref()),
        "an export job failed; Atlas does not retry it",
    );
}

/// Atlas's text without what a terminal would obey. The log's formats escape the other control characters themselves.
fn printable(text: Option<&str>) -> String {
    let obeyed = |c: char| ('\u{7f}'..='\u{9f}').contains(&c) || matches!(c, '\u{2028}' | '\u{2029}');
    text.unwrap_or_default().replace(obeyed, "\u{fffd}")
}

fn first_delay(index: usize, count: usize, interval: Duration) -> Duration {
    #[allow(clippy::cast_precision_loss)] // clusters, far below 2^52
    let part = index as f64 / count.max(1) as f64;
    FIRST_SPREAD.min(interval).mul_f64(part)
}

/// `interval`, moved by up to [`JITTER`] of it as `random` (0 to 1) says.
fn jittered(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_polls_are_spread_and_the_very_first_is_at_once() {
        let minute = Duration::from_mins(1);
        assert_eq!(first_delay(0, 30, minute), Duration::ZERO);
        assert_eq!(first_delay(15, 30, minute), FIRST_SPREAD / 2);
        assert!(first_delay(29, 30, minute) < FIRST_SPREAD);
        assert!(first_delay(29, 30, Duration::from_millis(100)) < Duration::from_millis(100));
    }

    #[test]
    fn later_polls_come_up_to_a_tenth_early_or_late() {
        let check = |random, seconds| {
            assert_eq!(jittered(Duration::from_mins(1), random), Duration::from_secs(seconds));
        };
        check(0.0, 54);
        check(0.5, 60);
        check(1.0, 66);
    }
}
