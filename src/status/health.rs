//! The status of a cluster, by the same rules as in `dashboards/overview.json`.

use std::time::Duration;

use atlas_client::JobState;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::JobSummary;
use crate::store::ClusterView;

/// A success may be this many times the expected interval old.
pub const OVERDUE_FACTOR: f64 = 1.25;

/// Longest wait of a snapshot for its export, if a quarter of the expected interval is not shorter.
const MAX_AWAITING: Duration = Duration::from_hours(12);

/// Longest time without progress, unless three times the duration of the last success is longer;
/// and longest time in the queue.
const MIN_STALLED: Duration = Duration::from_hours(2);
const STALLED_DURATIONS: u32 = 3;

/// A cluster may go without a good poll for three intervals, and always for this long.
const MIN_POLLS_FAILING: Duration = Duration::from_mins(10);
const POLLS_FAILING_INTERVALS: u32 = 3;

/// An event and the end of a failed job that are no further apart are about the same export.
const SAME_EXPORT: SignedDuration = SignedDuration::from_mins(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterStatus {
    Failed,
    /// A snapshot waits for an export, or an event reports a failure that no job shows.
    NotStarted,
    /// The last success is older than what is expected, by a quarter.
    Overdue,
    /// There never was a success, and there should be by now.
    NeverSucceeded,
    BucketMissing,
    PollsFailing,
    Stalled,
    /// An export is not begun for two hours.
    QueuedTooLong,
    AutoExportDisabled,
    /// The first poll is still to come, or a collector that is on was neither read nor refused.
    NotReadYet,
    Paused,
    /// No interval is known or configured.
    NoExportsExpected,
    /// There never was a success, and there need not be yet.
    FirstExportNotDue,
    Healthy,
}

/// The severity of a status, with its color in the dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Red: a backup is missing.
    Critical,
    /// Purple: the state is unknown.
    Unknown,
    /// Orange: worth a look.
    Warning,
    /// Grey: no action needed.
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

/// Every status in the order of the enum, with its severity and its words.
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

    /// The worst that holds of a cluster at `now`, with `poll_interval` from one poll to the next.
    #[must_use]
    pub fn of(cluster: &ClusterView, poll_interval: Duration, now: Timestamp) -> Self {
        let facts =
            Facts { cluster, summary: cluster.current().map(|good| &good.summary), poll_interval, now };
        let holds = |status: &Self| match status {
            Self::Failed => facts.summary.is_some_and(|summary| summary.failures_since_success > 0),
            Self::NotStarted => facts.waits() || facts.only_an_event_tells(),
            Self::Overdue => !facts.paused() && facts.overdue(facts.finished(JobState::Successful)),
            Self::NeverSucceeded => {
                !facts.paused() && facts.never_exported() && facts.overdue(cluster.state.created_at)
            }
            Self::BucketMissing => cluster.bucket_missing == Some(true),
            Self::PollsFailing => facts.blind(),
            Self::Stalled => facts.stalled(),
            Self::QueuedTooLong => facts.older_than(facts.oldest_queued(), MIN_STALLED),
            Self::AutoExportDisabled => facts.auto_export_off(),
            Self::NotReadYet => cluster.state.last.is_none() || !cluster.unread.is_empty(),
            Self::Paused => facts.paused(),
            Self::NoExportsExpected => cluster.expected_interval().is_none(),
            Self::FirstExportNotDue => facts.never_exported(),
            Self::Healthy => true,
        };
        Self::all().find(holds).unwrap_or(Self::Healthy)
    }

    fn row(self) -> (Self, Severity, &'static str) {
        TABLE[self as usize]
    }

    #[must_use]
    pub fn severity(self) -> Severity {
        self.row().1
    }

    /// The words for a person, those of the dashboards.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.row().2
    }
}

struct Facts<'a> {
    cluster: &'a ClusterView,
    /// That of the last good poll, unless it is stale.
    summary: Option<&'a JobSummary>,
    poll_interval: Duration,
    now: Timestamp,
}

impl Facts<'_> {
    fn older_than(&self, at: Option<Timestamp>, age: Duration) -> bool {
        at.is_some_and(|at| self.now.duration_since(at).as_secs_f64() > age.as_secs_f64())
    }

    /// Returns true if `at` is longer ago than the expected interval and a quarter.
    fn overdue(&self, at: Option<Timestamp>) -> bool {
        let most = self.cluster.expected_interval().map(|interval| interval.mul_f64(OVERDUE_FACTOR));
        most.is_some_and(|most| self.older_than(at, most))
    }

    fn paused(&self) -> bool {
        self.cluster.state.paused == Some(true)
    }

    fn finished(&self, state: JobState) -> Option<Timestamp> {
        self.summary?.last_finished[state]
    }

    fn jobs(&self, state: JobState) -> u64 {
        self.summary.map_or(0, |summary| summary.jobs[state])
    }

    fn never_exported(&self) -> bool {
        self.summary.is_some() && self.jobs(JobState::Successful) == 0
    }

    fn is_active(&self) -> bool {
        self.jobs(JobState::Queued) > 0 || self.jobs(JobState::InProgress) > 0
    }

    fn oldest_queued(&self) -> Option<Timestamp> {
        self.summary?.oldest_active_created[JobState::Queued]
    }

    /// Whether a snapshot waits for too long, and nothing is under way.
    fn waits(&self) -> bool {
        let oldest = self.cluster.recovery.and_then(|recovery| recovery.oldest_awaiting);
        let quarter = self.cluster.expected_interval().map(|interval| interval / 4);
        let longest = quarter.map_or(MAX_AWAITING, |quarter| quarter.min(MAX_AWAITING));
        self.older_than(oldest, longest) && !self.never_exported() && !self.paused() && !self.is_active()
    }

    /// Whether an event tells of a failure that was not made good, and no job shows it.
    fn only_an_event_tells(&self) -> bool {
        let (Some(event), Some(summary)) = (self.cluster.last_failure_event, self.summary) else {
            return false;
        };
        let not_made_good =
            summary.last_success_created.map_or_else(|| self.never_exported(), |success| event > success);
        let newer_is_active =
            self.is_active() && summary.latest.as_ref().is_some_and(|latest| latest.key.created_at > event);
        let same_export =
            |failed| summary.failures_since_success == 0 && event.duration_since(failed).abs() < SAME_EXPORT;
        not_made_good && !newer_is_active && !self.finished(JobState::Failed).is_some_and(same_export)
    }

    fn blind(&self) -> bool {
        let longest = (self.poll_interval * POLLS_FAILING_INTERVALS).max(MIN_POLLS_FAILING);
        let last_success = self.cluster.state.last_successful_poll.as_ref().map(|good| good.finished_at);
        // What was polled and has no figures was not read, or so long ago that they were withdrawn.
        self.older_than(last_success, longest) || self.cluster.state.last.is_some() && self.summary.is_none()
    }

    fn stalled(&self) -> bool {
        let Some(good) = self.cluster.current() else { return false };
        let usual = Duration::from_secs(good.summary.last_success_seconds.unwrap_or_default());
        self.older_than(good.last_progress, MIN_STALLED.max(usual.saturating_mul(STALLED_DURATIONS)))
            && self.jobs(JobState::InProgress) > 0
            // The job without progress is a queued one.
            && good.last_progress != self.oldest_queued()
    }

    fn auto_export_off(&self) -> bool {
        let schedule = self.cluster.state.schedule.as_ref();
        let off = schedule.and_then(|schedule| schedule.auto_export) == Some(false);
        let was_exported =
            || self.jobs(JobState::Successful) > 0 && self.cluster.expected_interval().is_none();
        off && self.cluster.state.expected.export.unwrap_or_else(was_exported)
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
