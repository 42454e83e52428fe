//! The status of all clusters, for the status page and `/api/v1/clusters` (see `docs/api.md`).
//!
//! Computed from a view and the time. Unknown values are `None`, and `null` in JSON.

mod health;

use std::time::Duration;

use atlas_client::{JobState, Schedule};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::model::{ByState, ReadError};
use crate::store::{ClusterView, StoreView};
pub use health::{ClusterStatus, Health, OVERDUE_FACTOR, Severity};

#[derive(Debug, Serialize)]
pub struct Status<'a> {
    pub as_of: Timestamp,
    pub version: &'static str,
    /// Error of the last configuration reload; `None` if it succeeded.
    pub configuration_error: Option<String>,
    pub poll_interval_seconds: f64,
    pub clusters_watched: usize,
    /// Number of clusters whose project name is known. Only these are in `clusters`.
    pub clusters_named: usize,
    pub problems: Vec<Problem<'a>>,
    pub clusters: Vec<Cluster<'a>>,
}

/// A failed reading of an organization or a project.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Problem<'a> {
    pub organization_id: Option<&'a str>,
    pub project_id: Option<&'a str>,
    pub project: Option<&'a str>,
    /// `projects`, `clusters` (includes the project's name and schedules), or a collector.
    pub what: &'static str,
    pub reason: &'static str,
    pub error: &'a str,
}

/// The status of a cluster.
///
/// Fields are named like the metrics, with `_at` instead of `_timestamp_seconds`.
#[derive(Debug, Serialize)]
pub struct Cluster<'a> {
    pub project_id: &'a str,
    /// The project's name, or its id if the name could not be read.
    pub project: &'a str,
    pub cluster_name: &'a str,
    pub status: ClusterStatus,
    /// See [`Health`]. The JSON has the same facts in other fields.
    #[serde(skip)]
    pub since: Option<(&'static str, Timestamp)>,
    #[serde(skip)]
    pub snapshot_is_late: bool,
    pub paused: Option<bool>,
    pub jobs: Option<Jobs<'a>>,
    pub newest_job: Option<NewestJob>,
    /// Time of the last change of the active job without progress for longest.
    pub last_progress_at: Option<Timestamp>,
    pub last_success_finished_at: Option<Timestamp>,
    pub last_success_created_at: Option<Timestamp>,
    /// From creation to end, including the queue.
    pub last_success_duration_seconds: Option<u64>,
    pub expected_interval_seconds: Option<f64>,
    pub auto_export_enabled: Option<bool>,
    pub failures_since_last_success: Option<u64>,
    pub oldest_unresolved_failure_created_at: Option<Timestamp>,
    /// Reason of the newest unresolved failure.
    pub latest_failure: Option<Failure<'a>>,
    pub newest_exported_snapshot_at: Option<Timestamp>,
    /// Number of newer snapshots of the export policy without a successful or active job.
    pub snapshots_awaiting_export: Option<u64>,
    pub oldest_snapshot_awaiting_export_at: Option<Timestamp>,
    pub last_auto_export_failure_event_at: Option<Timestamp>,
    /// The bucket of the export policy.
    pub export_bucket_id: Option<&'a str>,
    pub bucket_missing: Option<bool>,
    /// True if no item of the backup policy has the export frequency, so nothing is exported.
    pub policy_item_missing: Option<bool>,
    /// Enabled collectors that were neither read recently nor refused.
    pub unread_collectors: Vec<&'static str>,
    pub up: Option<bool>,
    pub last_poll_error: Option<Error<'a>>,
    pub last_poll_at: Option<Timestamp>,
    pub last_poll_duration_seconds: Option<f64>,
    pub last_poll_success_at: Option<Timestamp>,
    /// Due time of the next poll. If it is past, the poll waits for a permit or is in progress.
    pub next_poll_at: Option<Timestamp>,
}

#[derive(Debug)]
pub struct Jobs<'a>(pub &'a ByState<u64>);

impl Serialize for Jobs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(state, count)| (state.as_str(), count)))
    }
}

#[derive(Debug, Serialize)]
pub struct NewestJob {
    #[serde(serialize_with = "state")]
    pub state: JobState,
    pub created_at: Timestamp,
    /// `None` if Atlas reports no counts, as for sharded clusters.
    pub exported_collections: Option<u64>,
    pub collections: Option<u64>,
    /// Exported by all collections; `None` if that is not a valid ratio.
    pub progress_ratio: Option<f64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn state<S: Serializer>(state: &JobState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

#[derive(Debug, Serialize)]
pub struct Failure<'a> {
    pub error_code: Option<&'a str>,
    pub message: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub struct Error<'a> {
    pub reason: &'static str,
    pub error: &'a str,
}

impl<'a> Status<'a> {
    /// Returns the status of a view at `now`.
    #[must_use]
    pub fn of(
        view: &'a StoreView,
        configuration_error: Option<String>,
        poll_interval: Duration,
        now: Timestamp,
    ) -> Self {
        Self {
            as_of: to_millisecond(now),
            version: env!("CARGO_PKG_VERSION"),
            configuration_error,
            poll_interval_seconds: poll_interval.as_secs_f64(),
            clusters_watched: view.targets,
            clusters_named: view.clusters.len(),
            problems: problems(view),
            clusters: view
                .clusters
                .iter()
                .map(|cluster| Cluster::of(cluster, view.at, poll_interval, now))
                .collect(),
        }
    }

    #[must_use]
    pub fn json(&self) -> String {
        // Serialization cannot fail: all keys are strings.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'a> Problem<'a> {
    fn new(what: &'static str, error: &'a ReadError) -> Self {
        let (reason, error) = (error.reason.as_str(), error.text.as_str());
        Self { organization_id: None, project_id: None, project: None, what, reason, error }
    }
}

fn problems(view: &StoreView) -> Vec<Problem<'_>> {
    let mut problems = Vec::new();
    for (id, discovery) in &view.organizations {
        let failed = discovery.error.iter().map(|error| Problem::new("projects", error));
        problems.extend(failed.map(|failed| Problem { organization_id: Some(id.as_str()), ..failed }));
    }
    for project in &view.projects {
        let discovery = project.error.iter().map(|error| ("clusters", error));
        let collectors = project
            .readings
            .iter()
            .filter_map(|(collector, outcome)| Some((collector.as_str(), outcome.as_ref().err()?)));
        problems.extend(discovery.chain(collectors).map(|(what, error)| Problem {
            project_id: Some(project.id.as_str()),
            project: project.name.as_deref(),
            ..Problem::new(what, error)
        }));
    }
    problems
}

/// Converts `next` to a timestamp. `at` and `now` are the same time on both clocks.
fn timestamp_of(next: Instant, at: Instant, now: Timestamp) -> Option<Timestamp> {
    let next = if next > at { now.checked_add(next - at) } else { now.checked_sub(at - next) };
    next.ok().map(to_millisecond)
}

/// Truncates a timestamp to milliseconds, the precision of Atlas.
fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

impl<'a> Cluster<'a> {
    /// `at` is `now` on the monotonic clock.
    fn of(cluster: &'a ClusterView, at: Instant, poll_interval: Duration, now: Timestamp) -> Self {
        let state = &cluster.state;
        let summary = cluster.current().map(|poll| &poll.summary);
        let schedule = state.schedule.as_ref();
        let recovery = cluster.recovery;
        let unresolved = summary.and_then(|summary| summary.unresolved().next());
        let Health { status, since, snapshot_is_late } = Health::of(cluster, poll_interval, now);
        Self {
            project_id: cluster.target.project_id.as_str(),
            project: &cluster.project,
            cluster_name: &cluster.target.cluster_name,
            status,
            since,
            snapshot_is_late,
            paused: state.paused,
            jobs: summary.map(|summary| Jobs(&summary.jobs)),
            newest_job: summary.and_then(|summary| summary.latest.as_ref()).map(|latest| NewestJob {
                state: latest.state,
                created_at: latest.key.created_at,
                exported_collections: latest.counts.exported,
                collections: latest.counts.total,
                progress_ratio: latest.counts.ratio(),
            }),
            last_progress_at: cluster.current().and_then(|poll| poll.last_progress).map(to_millisecond),
            last_success_finished_at: summary.and_then(|summary| summary.last_finished[JobState::Successful]),
            last_success_created_at: summary.and_then(|summary| summary.last_success_created),
            last_success_duration_seconds: summary.and_then(|summary| summary.last_success_seconds),
            expected_interval_seconds: cluster.expected_interval().map(|interval| interval.as_secs_f64()),
            auto_export_enabled: schedule.and_then(|schedule| schedule.auto_export),
            failures_since_last_success: summary.map(|summary| summary.failures_since_success),
            oldest_unresolved_failure_created_at: summary.and_then(|summary| summary.oldest_failure_created),
            latest_failure: unresolved.map(|job| Failure {
                error_code: job.reason.error_code.as_deref(),
                message: job.reason.message.as_deref(),
            }),
            newest_exported_snapshot_at: recovery.and_then(|recovery| recovery.newest_exported),
            snapshots_awaiting_export: recovery.and_then(|recovery| recovery.awaiting),
            oldest_snapshot_awaiting_export_at: recovery.and_then(|recovery| recovery.oldest_awaiting),
            last_auto_export_failure_event_at: cluster.last_failure_event,
            export_bucket_id: schedule.and_then(Schedule::bucket),
            bucket_missing: cluster.bucket_missing,
            policy_item_missing: schedule.and_then(Schedule::policy_item_missing),
            unread_collectors: cluster.unread.iter().map(|collector| collector.as_str()).collect(),
            up: state.last.as_ref().map(|last| last.error.is_none()),
            last_poll_error: cluster
                .error()
                .map(|error| Error { reason: error.reason.as_str(), error: &error.text }),
            last_poll_at: state.last.as_ref().map(|last| to_millisecond(last.finished_at)),
            last_poll_duration_seconds: state.last.as_ref().map(|last| last.duration.as_secs_f64()),
            last_poll_success_at: state
                .last_successful_poll
                .as_ref()
                .map(|poll| to_millisecond(poll.finished_at)),
            next_poll_at: state.next_poll.and_then(|next| timestamp_of(next, at, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_truncated_to_milliseconds() {
        let written =
            |nanosecond| to_millisecond(Timestamp::new(1_700_000_000, nanosecond).unwrap()).to_string();
        assert_eq!(written(0), "2023-11-14T22:13:20Z");
        assert_eq!(written(123_999_999), "2023-11-14T22:13:20.123Z");
    }
}
