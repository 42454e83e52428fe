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

/// A poll that takes longer gives its slot to the next and goes on without: `poll.concurrency` bounds how many begin
/// at once, and clusters that hang do not hold up the rest.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

/// What every poll needs.
#[derive(Debug)]
pub struct Poller {
    atlas: Arc<Atlas>,
    board: Arc<Board>,
    config: PollConfig,
    slots: Semaphore,
}

impl Poller {
    /// Prepares to poll; nothing is sent yet.
    #[must_use]
    pub fn new(atlas: Arc<Atlas>, board: Arc<Board>, config: PollConfig) -> Self {
        Self { atlas, board, slots: Semaphore::new(config.concurrency), config }
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
        let slot = self.slots.acquire().await;
        let began = Instant::now();
        let mut listing = pin!(collect::cluster(&self.atlas, target, began + self.config.timeout));
        let outcome = if let Ok(outcome) = timeout(SLOT_PATIENCE, &mut listing).await {
            outcome
        } else {
            drop(slot);
            listing.await
        };
        let (now, finished) = (Timestamp::now(), Instant::now());
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
    /// Unresolved failures whose reason is in the log already.
    logged: HashSet<Box<str>>,
    /// Why the last poll failed, if it did.
    failing: Option<FailureReason>,
}

impl Memory {
    fn take_in(
        &mut self,
        target: &Target,
        report: ClusterReport,
        now: Timestamp,
        finished: Instant,
    ) -> GoodPoll {
        for job in report.newest_failures.iter().rev() {
            if !self.logged.contains(&job.key.id) {
                log_failed_job(target, job);
            }
        }
        self.logged = report.newest_failures.iter().map(|job| job.key.id.clone()).collect();
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
        error_code = job.reason.error_code.as_deref().unwrap_or(""),
        reason = job.reason.message.as_deref().unwrap_or(""),
        "an export job failed; Atlas does not retry it",
    );
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
