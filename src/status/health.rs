//! Rules for the status of a cluster, the same as in `dashboards/overview.json`.

use std::time::Duration;

use atlas_client::JobState;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::JobSummary;
use crate::store::ClusterView;

/// Maximum age of the last success, in expected intervals.
pub const OVERDUE_FACTOR: f64 = 1.25;

/// Maximum time that a snapshot awaits export. A quarter of the expected interval, if shorter.
const MAX_AWAITING: Duration = Duration::from_hours(12);

/// Minimum age of the last progress of a stalled job, and of a job that is queued too long.
const MIN_STALLED: Duration = Duration::from_hours(2);

/// A job is not stalled before this multiple of the last successful duration.
const STALLED_DURATIONS: u32 = 3;

/// Minimum age of the last successful poll of a cluster whose polls are failing.
const MIN_POLLS_FAILING: Duration = Duration::from_mins(10);

/// Polls are not failing before this multiple of the poll interval.
const POLLS_FAILING_INTERVALS: u32 = 3;

/// Maximum time between a failure event and the end of a failed job of the same export.
const MAX_EVENT_DISTANCE: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterStatus {
    Failed,
    /// A snapshot awaits export for too long, or a failure event has no job.
    NotStarted,
    /// The last success is older than [`OVERDUE_FACTOR`] expected intervals.
    Overdue,
    /// No export has succeeded, although the first one is due.
    NeverSucceeded,
    BucketMissing,
    PollsFailing,
    Stalled,
    QueuedTooLong,
    AutoExportDisabled,
    /// The cluster was not polled yet, or an enabled collector was neither read nor refused.
    NotReadYet,
    Paused,
    /// The expected interval is unknown.
    NoExportsExpected,
    /// No export has succeeded, and the first one is not due.
    FirstExportNotDue,
    Healthy,
}

/// The severity of a status, and its color in the dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Red: an export is missing.
    Critical,
    /// Purple: the state is unknown.
    Unknown,
    /// Orange: an export may be missing soon.
    Warning,
    /// Grey: there is nothing to do.
    None,
    Ok,
}

impl Severity {
    pub const ALL: [Self; 5] = [Self::Critical, Self::Unknown, Self::Warning, Self::None, Self::Ok];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::None => "none",
            Self::Ok => "ok",
        }
    }
}

/// All statuses in the order of the enum, worst first, with severity and display name.
const TABLE: [(ClusterStatus, Severity, &str); 14] = [
    (ClusterStatus::Failed, Severity::Critical, "Failed"),
    (ClusterStatus::NotStarted, Severity::Critical, "Not started"),
    (ClusterStatus::Overdue, Severity::Critical, "Overdue"),
    (ClusterStatus::NeverSucceeded, Severity::Critical, "Never succeeded"),
    (ClusterStatus::BucketMissing, Severity::Critical, "Bucket missing"),
    (ClusterStatus::PollsFailing, Severity::Unknown, "Polls failing"),
    (ClusterStatus::Stalled, Severity::Warning, "Stalled"),
    (ClusterStatus::QueuedTooLong, Severity::Warning, "Queued too long"),
    (ClusterStatus::AutoExportDisabled, Severity::Warning, "Auto export disabled"),
    (ClusterStatus::NotReadYet, Severity::None, "Not read yet"),
    (ClusterStatus::Paused, Severity::None, "Paused"),
    (ClusterStatus::NoExportsExpected, Severity::None, "No exports expected"),
    (ClusterStatus::FirstExportNotDue, Severity::None, "First export not due"),
    (ClusterStatus::Healthy, Severity::Ok, "Healthy"),
];

impl ClusterStatus {
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(status, ..)| status)
    }

    /// Returns the worst status whose condition is met.
    fn of(rules: &Rules<'_>) -> Self {
        let cluster = rules.cluster;
        let is_met = |status: &Self| match status {
            Self::Failed => rules.summary.is_some_and(|summary| summary.failures_since_success > 0),
            Self::NotStarted => rules.snapshot_awaits_too_long() || rules.failed_without_job(),
            Self::Overdue => !rules.is_paused() && rules.is_overdue(rules.finished(JobState::Successful)),
            Self::NeverSucceeded => {
                !rules.is_paused() && rules.never_succeeded() && rules.is_overdue(cluster.state.created_at)
            }
            Self::BucketMissing => cluster.bucket_missing == Some(true),
            Self::PollsFailing => rules.polls_failing(),
            Self::Stalled => rules.is_stalled(),
            Self::QueuedTooLong => rules.is_older_than(rules.oldest_queued(), MIN_STALLED),
            Self::AutoExportDisabled => rules.auto_export_disabled(),
            Self::NotReadYet => cluster.state.last.is_none() || !cluster.unread.is_empty(),
            Self::Paused => rules.is_paused(),
            Self::NoExportsExpected => cluster.expected_interval().is_none(),
            Self::FirstExportNotDue => rules.never_succeeded(),
            Self::Healthy => true,
        };
        Self::all().find(is_met).unwrap_or(Self::Healthy)
    }

    fn row(self) -> (Self, Severity, &'static str) {
        TABLE[self as usize]
    }

    /// Returns the condition of the status, as in `docs/api.md`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Failed => "An export failed, and no newer one succeeded",
            Self::NotStarted => {
                "A snapshot has awaited its export for more than a quarter of the expected interval (at most \
                 12 hours), and no job is active; or an event reports a failed export without a job"
            }
            Self::Overdue => "The last success is older than 1.25 times the expected interval",
            Self::NeverSucceeded => {
                "No export succeeded, and the cluster is older than 1.25 times the expected interval"
            }
            Self::BucketMissing => "The export bucket does not exist",
            Self::PollsFailing => {
                "The last successful poll is older than three intervals, and older than 10 minutes"
            }
            Self::Stalled => {
                "A running export made no progress for two hours, or for three times the duration of the last \
                 success if that is longer"
            }
            Self::QueuedTooLong => "An export has been queued for more than two hours",
            Self::AutoExportDisabled => "Auto export is off although exports are expected",
            Self::NotReadYet => "The cluster was not polled yet, or an enabled collector was not read yet",
            Self::Paused => "The cluster is paused",
            Self::NoExportsExpected => "No expected interval is known or configured",
            Self::FirstExportNotDue => "No export succeeded yet, and the first one is not due",
            Self::Healthy => "No other status applies",
        }
    }

    /// Returns the alert whose runbook fits.
    #[must_use]
    pub fn alert(self) -> Option<&'static str> {
        Some(match self {
            Self::Failed => "AtlasBackupExportFailed",
            Self::NotStarted => "AtlasBackupExportMissing",
            Self::Overdue => "AtlasBackupExportOverdue",
            Self::NeverSucceeded => "AtlasBackupExportNeverSucceeded",
            Self::BucketMissing => "AtlasBackupExportBucketMissing",
            Self::PollsFailing => "AtlasBackupExporterPollsFailing",
            Self::Stalled => "AtlasBackupExportStalled",
            Self::QueuedTooLong => "AtlasBackupExportQueuedTooLong",
            Self::AutoExportDisabled => "AtlasBackupAutoExportDisabled",
            _ => return None,
        })
    }

    #[must_use]
    pub fn severity(self) -> Severity {
        self.row().1
    }

    /// Returns the display name, the same as in the dashboards.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.row().2
    }
}

/// The status of a cluster, and what the status page says about its cause.
#[derive(Debug)]
pub struct Health {
    pub status: ClusterStatus,
    /// Cause of the status, with `{}` for the time since then; `None` if no time is known.
    pub since: Option<(&'static str, Timestamp)>,
    /// True if a snapshot awaits export for too long.
    pub snapshot_is_late: bool,
}

impl Health {
    #[must_use]
    pub fn of(cluster: &ClusterView, poll_interval: Duration, now: Timestamp) -> Self {
        let rules =
            Rules { cluster, summary: cluster.current().map(|poll| &poll.summary), poll_interval, now };
        let status = ClusterStatus::of(&rules);
        Self { status, since: rules.since(status), snapshot_is_late: rules.snapshot_awaits_too_long() }
    }
}

struct Rules<'a> {
    cluster: &'a ClusterView,
    /// The summary of the last successful poll; `None` if stale.
    summary: Option<&'a JobSummary>,
    poll_interval: Duration,
    now: Timestamp,
}

impl Rules<'_> {
    fn since(&self, status: ClusterStatus) -> Option<(&'static str, Timestamp)> {
        let state = &self.cluster.state;
        Some(match status {
            ClusterStatus::Failed => ("unresolved for {}", self.summary?.oldest_failure_created?),
            ClusterStatus::NotStarted if self.snapshot_awaits_too_long() => {
                ("snapshot not exported for {}", self.cluster.recovery?.oldest_awaiting?)
            }
            ClusterStatus::NotStarted => {
                ("export failed without a job {} ago", self.cluster.last_failure_event?)
            }
            ClusterStatus::Overdue => {
                ("overdue for {}", self.overdue_from(self.finished(JobState::Successful))?)
            }
            ClusterStatus::NeverSucceeded => {
                ("first success overdue for {}", self.overdue_from(state.created_at)?)
            }
            ClusterStatus::PollsFailing => {
                ("no successful poll for {}", state.last_successful_poll.as_ref()?.finished_at)
            }
            ClusterStatus::Stalled => ("no progress for {}", self.cluster.current()?.last_progress?),
            ClusterStatus::QueuedTooLong => ("queued for {}", self.oldest_queued()?),
            _ => return None,
        })
    }

    fn is_older_than(&self, at: Option<Timestamp>, age: Duration) -> bool {
        at.is_some_and(|at| self.now.duration_since(at).as_secs_f64() > age.as_secs_f64())
    }

    /// Returns the time [`OVERDUE_FACTOR`] expected intervals after `at`.
    fn overdue_from(&self, at: Option<Timestamp>) -> Option<Timestamp> {
        let interval = self.cluster.expected_interval()?.mul_f64(OVERDUE_FACTOR);
        at?.checked_add(interval).ok()
    }

    fn is_overdue(&self, at: Option<Timestamp>) -> bool {
        self.overdue_from(at).is_some_and(|time| self.now > time)
    }

    fn is_paused(&self) -> bool {
        self.cluster.state.paused == Some(true)
    }

    fn finished(&self, state: JobState) -> Option<Timestamp> {
        self.summary?.last_finished[state]
    }

    fn jobs(&self, state: JobState) -> u64 {
        self.summary.map_or(0, |summary| summary.jobs[state])
    }

    fn never_succeeded(&self) -> bool {
        self.summary.is_some() && self.jobs(JobState::Successful) == 0
    }

    fn is_active(&self) -> bool {
        self.jobs(JobState::Queued) > 0 || self.jobs(JobState::InProgress) > 0
    }

    fn oldest_queued(&self) -> Option<Timestamp> {
        self.summary?.oldest_active_created[JobState::Queued]
    }

    fn snapshot_awaits_too_long(&self) -> bool {
        let oldest = self.cluster.recovery.and_then(|recovery| recovery.oldest_awaiting);
        let quarter = self.cluster.expected_interval().map(|interval| interval / 4);
        let max = quarter.map_or(MAX_AWAITING, |quarter| quarter.min(MAX_AWAITING));
        self.is_older_than(oldest, max) && !self.never_succeeded() && !self.is_paused() && !self.is_active()
    }

    /// Returns true if an event reports an unresolved failure for which there is no failed job.
    fn failed_without_job(&self) -> bool {
        let (Some(event), Some(summary)) = (self.cluster.last_failure_event, self.summary) else {
            return false;
        };
        let is_unresolved =
            summary.last_success_created.map_or_else(|| self.never_succeeded(), |success| event > success);
        let newer_is_active =
            self.is_active() && summary.latest.as_ref().is_some_and(|latest| latest.key.created_at > event);
        let is_same_export = |failed| {
            summary.failures_since_success == 0 && event.duration_since(failed).abs() < MAX_EVENT_DISTANCE
        };
        is_unresolved && !newer_is_active && !self.finished(JobState::Failed).is_some_and(is_same_export)
    }

    fn polls_failing(&self) -> bool {
        let max = (self.poll_interval * POLLS_FAILING_INTERVALS).max(MIN_POLLS_FAILING);
        let last_success = self.cluster.state.last_successful_poll.as_ref().map(|poll| poll.finished_at);
        // A polled cluster without a summary had no successful poll, or a stale one.
        self.is_older_than(last_success, max) || self.cluster.state.last.is_some() && self.summary.is_none()
    }

    fn is_stalled(&self) -> bool {
        let Some(poll) = self.cluster.current() else { return false };
        let usual = Duration::from_secs(poll.summary.last_success_seconds.unwrap_or_default());
        self.is_older_than(poll.last_progress, MIN_STALLED.max(usual.saturating_mul(STALLED_DURATIONS)))
            && self.jobs(JobState::InProgress) > 0
            // Otherwise the job without progress is a queued one.
            && poll.last_progress != self.oldest_queued()
    }

    fn auto_export_disabled(&self) -> bool {
        let schedule = self.cluster.state.schedule.as_ref();
        let is_disabled = schedule.and_then(|schedule| schedule.auto_export) == Some(false);
        let was_exported =
            || self.jobs(JobState::Successful) > 0 && self.cluster.expected_interval().is_none();
        is_disabled && self.cluster.state.expected.export.unwrap_or_else(was_exported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_in_the_order_of_the_enum() {
        assert!(ClusterStatus::all().enumerate().all(|(place, status)| status as usize == place));
        assert!(TABLE.is_sorted_by_key(|(_, severity, _)| *severity));
    }
}
