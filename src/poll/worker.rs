//! When each cluster is polled.
//!
//! Every cluster has a task of its own. A poll begins an interval after the previous one began,
//! give or take a tenth; later while the quota of the project is scarce; at once if the previous
//! one took longer than an interval.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{AtlasClient, Error, FailureReason, MAX_ID, ProjectId, Target, redact};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use crate::metrics::self_metrics::SelfMetrics;
use crate::model::{FailedJob, JobId, JobSummary, ProgressTracker, ReadError};
use crate::poll::job_listing::JobListing;
use crate::poll::timing::sleep_until_due;
use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};
use crate::store::{Store, SuccessfulPoll};

/// Failures that are older when the exporter starts were logged before, or are no news.
const LOGGED_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Longest time from the failure of a job to the event that reports it.
const EVENT_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// Maximum number of logged job ids that are remembered. A forgotten job may be logged again.
const MAX_LOGGED: usize = 200;

#[derive(Debug)]
pub(crate) struct PollWorker {
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<SelfMetrics>,
    pub(crate) receiver: ConfigReceiver,
}

impl PollWorker {
    /// Polls a cluster for ever, the first time after `delay`.
    pub(crate) async fn watch(self: Arc<Self>, target: Target, delay: Duration) {
        sleep(delay).await;
        let mut receiver = self.receiver.clone();
        let mut state = PollState::default();
        loop {
            let began = Instant::now();
            let config = receiver.borrow_and_update().clone();
            let client = |config: &ReloadableConfig| config.project_clients.get(&target.project_id).cloned();
            let atlas = client(&config);
            if let Some(atlas) = &atlas
                && self.poll(&target, &config, atlas, &mut state).await.is_none()
            {
                continue;
            }
            let pause = |config: &ReloadableConfig| pause(config, &target.project_id);
            let tell = |next| self.store.record_next_poll(&target, next);
            sleep_until_due(&mut receiver, began, atlas.as_ref(), client, pause, tell).await;
        }
    }

    /// Polls once; `None` where the limiter cancelled the poll.
    async fn poll(
        &self,
        target: &Target,
        config: &ReloadableConfig,
        atlas: &AtlasClient,
        state: &mut PollState,
    ) -> Option<()> {
        let atlas = &if state.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
        let listing = &mut state.listing;
        let timed = async move || {
            let began = Instant::now();
            let deadline = began + config.poll.timeout;
            (listing.read(atlas, &self.metrics, target, &config.poll, deadline).await, began.elapsed())
        };
        let (outcome, duration) = config.poll_limiter.run(&mut state.slow, timed).await?;
        let (now, finished) = (Timestamp::now(), Instant::now());
        let outcome = match outcome {
            Ok(mut summary) => {
                let project = self.store.project_name(&target.project_id);
                let event = self.store.last_failure_event(target);
                state.log_failures(target, project.as_deref(), event, &summary, now);
                summary.keep_newest_failure();
                if state.failing.take().is_some() {
                    tracing::info!(project_id = %target.project_id, cluster_name = target.cluster_name, "the cluster can be polled again");
                }
                let last_progress = state.tracker.observe(&summary.active, now);
                Ok(SuccessfulPoll { summary, last_progress, finished_at: now, finished })
            }
            Err(error) => Err(state.fail(target, &error)),
        };
        self.store.record_poll(target, now, duration, outcome);
        self.store.record_quota(&target.project_id, atlas.quota(&target.project_id));
        Some(())
    }
}

/// The time from one poll to the next: the interval, stretched while the quota of the project is
/// nearly used up, but not so far that figures go stale.
fn pause(config: &ReloadableConfig, project: &ProjectId) -> Duration {
    let stretch = config.project_clients.get(project).map_or(1.0, |atlas| atlas.interval_multiplier(project));
    // The configuration sees to it that this is an interval at least.
    let most = config.poll.stale_after / 2;
    config.poll.interval.mul_f64(stretch).min(most)
}

/// What a cluster's next poll must know of its last ones.
#[derive(Debug, Default)]
struct PollState {
    listing: JobListing,
    tracker: ProgressTracker,
    /// Failed jobs that are logged, or were resolved or old at the first good poll; `None` before
    /// it.
    logged: Option<HashSet<JobId>>,
    event: Option<Timestamp>,
    /// Why the last poll failed, if it did.
    failing: Option<FailureReason>,
    slow: bool,
}

impl PollState {
    /// Logs each failed export once: those with a job, and those that only an event reports.
    /// `project` is a name, and `event` the time of the newest event.
    fn log_failures(
        &mut self,
        target: &Target,
        project: Option<&str>,
        event: Option<Timestamp>,
        summary: &JobSummary,
        now: Timestamp,
    ) {
        let is_old = |at: Timestamp| now.duration_since(at) > LOGGED_AGE;
        let logged = self.logged.get_or_insert_with(|| {
            let unresolved = summary.unresolved().count();
            let known = summary.failed.iter().enumerate();
            let known = known.filter(|(index, job)| *index >= unresolved || is_old(job.failed_at()));
            known.map(|(_, job)| job.key.id.clone()).collect()
        });
        // The name is read within seconds. Until then, failures wait for the next poll.
        let Some(project) = project else { return };
        for job in summary.failed.iter().rev() {
            if logged.insert(job.key.id.clone()) {
                log_failed_job(target, project, job);
            }
        }
        if logged.len() > MAX_LOGGED {
            logged.retain(|id| summary.failed.iter().any(|job| job.key.id == *id));
        }
        let Some(at) = event.filter(|at| self.event < Some(*at)) else { return };
        // The event may come before the job is seen to have failed.
        if summary.active.iter().any(|job| job.key.created_at <= at) {
            return;
        }
        self.event = Some(at);
        let is_resolved = summary.last_success_created.is_some_and(|success| at <= success);
        let is_told_by =
            |job: &FailedJob| job.key.created_at <= at && at.duration_since(job.failed_at()) <= EVENT_DELAY;
        if !is_resolved && !is_old(at) && !summary.failed.iter().any(is_told_by) {
            tracing::warn!(project_id = %target.project_id, project, cluster_name = target.cluster_name, at = %at, "an export failed before it had a job");
        }
    }

    fn fail(&mut self, target: &Target, error: &Error) -> ReadError {
        let error = ReadError::from(error);
        let ReadError { reason, text, .. } = &error;
        // The counter has every failure; the log has every change, so that an outage does not bury it.
        if self.failing.replace(*reason) == Some(*reason) {
            tracing::debug!(project_id = %target.project_id, cluster_name = target.cluster_name, reason = reason.as_str(), error = text, "the poll failed again");
        } else {
            tracing::warn!(project_id = %target.project_id, cluster_name = target.cluster_name, reason = reason.as_str(), error = text, "the poll failed");
        }
        error
    }
}

fn log_failed_job(target: &Target, project: &str, job: &FailedJob) {
    tracing::warn!(
        project_id = %target.project_id,
        project,
        cluster_name = target.cluster_name,
        job_id = redact::display(&job.key.id, MAX_ID),
        snapshot_id = job.snapshot_id.as_deref().unwrap_or(""),
        created_at = %job.key.created_at,
        error_code = job.reason.error_code.as_deref().unwrap_or_default(),
        reason = job.reason.message.as_deref().unwrap_or_default(),
        "an export job failed; Atlas does not retry it",
    );
}

#[cfg(test)]
mod tests {
    use atlas_client::{CollectionProgress, ExportJob, JobState, StateReason};

    use super::*;
    use crate::model::JobAccumulator;

    /// A listing of such failed jobs.
    fn failures(numbers: std::ops::Range<usize>) -> JobSummary {
        let mut accumulator = JobAccumulator::default();
        for number in numbers {
            accumulator.add(ExportJob {
                id: Some(format!("job-{number}").into()),
                snapshot_id: None,
                created_at: Timestamp::from_second(1000 + i64::try_from(number).unwrap()).ok(),
                finished_at: None,
                state: JobState::Failed,
                counts: CollectionProgress::default(),
                reason: StateReason::default(),
            });
        }
        accumulator.finish()
    }

    #[test]
    fn logged_jobs_that_come_no_more_are_forgotten() {
        let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
        let target = Target { project_id, cluster_name: "prod".to_owned() };
        let now = Timestamp::from_second(2000).unwrap();
        let mut state = PollState::default();
        let mut logged = |summary: &JobSummary| {
            state.log_failures(&target, Some("payments"), None, summary, now);
            state.logged.as_ref().map_or(0, HashSet::len)
        };
        for poll in 0..100 {
            let logged = logged(&failures(poll * 20..(poll + 1) * 20));
            assert!(logged <= MAX_LOGGED, "{logged}");
        }
        assert_eq!(logged(&failures(1980..2000)), logged(&failures(1980..2000)), "they are logged once");
    }
}
