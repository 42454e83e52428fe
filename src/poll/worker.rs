//! Polls clusters, each in its own task.
//!
//! A poll starts one interval after the start of the previous poll, with 10% jitter. It starts
//! later while the rate limit of the project is nearly used up. It starts immediately if the
//! previous poll took longer than the interval.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{AtlasClient, MAX_ID, ProjectId, Target, redact};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use crate::metrics::self_metrics::SelfMetrics;
use crate::model::{FailedJob, JobId, JobSummary, ProgressTracker, ReadError};
use crate::poll::job_listing::JobListing;
use crate::poll::timing::sleep_until_due;
use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};
use crate::store::{Store, SuccessfulPoll};

use crate::util::failure_log::{FailureLog, LogContext};

/// The object of "failed to refresh" in log messages.
const WHAT: &str = "the cluster's export jobs";

/// Maximum age of failures that are logged after a start. An earlier run has logged older ones.
const MAX_LOGGED_AGE: SignedDuration = SignedDuration::from_hours(24);

/// Maximum time from the failure of a job to the event about it.
const MAX_EVENT_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// Maximum number of ids of logged jobs that are kept. A job may be logged again after that.
const MAX_LOGGED: usize = 200;

#[derive(Debug)]
pub(crate) struct PollWorker {
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<SelfMetrics>,
    pub(crate) receiver: ConfigReceiver,
}

impl PollWorker {
    /// Polls a cluster forever, the first time after `delay`.
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
            let report = |next| self.store.record_next_poll(&target, next);
            sleep_until_due(&mut receiver, began, atlas.as_ref(), client, pause, report).await;
        }
    }

    /// Polls once. Returns `None` if the limiter cancelled the poll.
    async fn poll(
        &self,
        target: &Target,
        config: &ReloadableConfig,
        atlas: &AtlasClient,
        state: &mut PollState,
    ) -> Option<()> {
        let atlas = &if state.failures.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
        let listing = &mut state.listing;
        let timed = async move || {
            let began = Instant::now();
            let deadline = began + config.poll.timeout;
            (listing.read(atlas, &self.metrics, target, &config.poll, deadline).await, began.elapsed())
        };
        let (outcome, duration) = config.poll_limiter.run(&mut state.slow, timed).await?;
        let (now, finished) = (Timestamp::now(), Instant::now());
        let outcome = outcome.map_err(|error| ReadError::from(&error));
        state.failures.log(outcome.as_ref().err(), LogContext::cluster(target), WHAT);
        let outcome = match outcome {
            Ok(mut summary) => {
                let project = self.store.project_name(&target.project_id);
                let event = self.store.last_failure_event(target);
                state.log_failures(target, project.as_deref(), event, &summary, now);
                summary.keep_newest_failure();
                let last_progress = state.tracker.observe(&summary.active, now);
                Ok(SuccessfulPoll { summary, last_progress, finished_at: now, finished })
            }
            Err(error) => Err(error),
        };
        self.store.record_poll(target, now, duration, outcome);
        self.store.record_quota(&target.project_id, atlas.quota(&target.project_id));
        Some(())
    }
}

/// Returns the time from the start of one poll to the start of the next.
///
/// While the rate limit of the project is nearly used up, it is longer than the interval, but not
/// so long that metrics become stale.
fn pause(config: &ReloadableConfig, project: &ProjectId) -> Duration {
    let client = config.project_clients.get(project);
    let multiplier = client.map_or(1.0, |atlas| atlas.interval_multiplier(project));
    // Not less than the interval: the configuration is validated.
    let max = config.poll.stale_after / 2;
    config.poll.interval.mul_f64(multiplier).min(max)
}

/// State of a cluster that is kept from poll to poll.
#[derive(Debug, Default)]
struct PollState {
    listing: JobListing,
    tracker: ProgressTracker,
    /// Failed jobs that must not be logged: logged ones, and those that were resolved or old at the
    /// first successful poll. `None` before this poll.
    logged: Option<HashSet<JobId>>,
    /// Time of the newest event that was logged or has a job.
    event: Option<Timestamp>,
    failures: FailureLog,
    slow: bool,
}

impl PollState {
    /// Logs each failed export once: failed jobs, and failure events without a job.
    ///
    /// `project` is the project's name, and `event` the time of the newest failure event.
    fn log_failures(
        &mut self,
        target: &Target,
        project: Option<&str>,
        event: Option<Timestamp>,
        summary: &JobSummary,
        now: Timestamp,
    ) {
        let is_old = |at: Timestamp| now.duration_since(at) > MAX_LOGGED_AGE;
        let logged = self.logged.get_or_insert_with(|| {
            let unresolved = summary.unresolved().count();
            let known = summary.failed.iter().enumerate();
            let known = known.filter(|(index, job)| *index >= unresolved || is_old(job.failed_at()));
            known.map(|(_, job)| job.key.id.clone()).collect()
        });
        // The name is read within seconds. Until then, failures are not logged.
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
        // The event may be read before its job is listed as failed.
        if summary.active.iter().any(|job| job.key.created_at <= at) {
            return;
        }
        self.event = Some(at);
        let is_resolved = summary.last_success_created.is_some_and(|success| at <= success);
        let is_about = |job: &FailedJob| {
            job.key.created_at <= at && at.duration_since(job.failed_at()) <= MAX_EVENT_DELAY
        };
        if !is_resolved && !is_old(at) && !summary.failed.iter().any(is_about) {
            tracing::warn!(
                project_id = %target.project_id,
                project,
                cluster_name = target.cluster_name,
                at = %at,
                "an export failed before its job was created"
            );
        }
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

    /// Returns the summary of failed jobs with these numbers.
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
    fn number_of_logged_job_ids_is_bounded() {
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
        assert_eq!(logged(&failures(1980..2000)), logged(&failures(1980..2000)), "each job is logged once");
    }
}
