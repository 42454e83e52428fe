//! What is to be said of a cluster in one word: what `dashboards/overview.json` says of it, too, by the same rules.

use std::time::Duration;

use atlas_client::JobState;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use crate::board::ClusterView;
use crate::model::ClusterReport;

/// A success may be this many times the expected interval old.
pub const OVERDUE: f64 = 1.25;

/// A snapshot may wait for its export for a quarter of the expected interval, and never longer than this.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// A job may stand still for this long, or for three times as long as the last successful one took; one in the queue for this long.
const LONGEST_STILL: Duration = Duration::from_hours(2);
const STILL_DURATIONS: u32 = 3;

/// A cluster may go without a good poll for three intervals, and always for this long.
const SHORTEST_BLIND: Duration = Duration::from_mins(10);
const BLIND_INTERVALS: u32 = 3;

/// An event and the end of a failed job that are no further apart are about the same export.
const SAME_EXPORT: SignedDuration = SignedDuration::from_mins(15);

/// The one word, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// A failed export was not made good.
    Failed,
    /// A snapshot waits for an export that nobody began, or an event tells of a failure that no job shows.
    NotBegun,
    /// The last success is older than what is expected, by a quarter.
    Overdue,
    /// There never was a success, and there should be by now.
    NeverExported,
    /// The bucket of the export policy is none of the project's.
    BucketGone,
    /// Nobody can see it.
    Blind,
    /// An export does not move.
    Stalled,
    /// An export is not begun for two hours.
    QueuedTooLong,
    /// Atlas does not export by itself where it should.
    AutoExportOff,
    /// The first poll is still to come, or a detail that is on was neither read nor refused.
    NotPolledYet,
    /// The cluster is paused.
    Paused,
    /// Nobody knows what to expect.
    NothingExpected,
    /// There never was a success, and there need not be yet.
    FirstNotDue,
    /// None of these.
    Well,
}

/// What a verdict asks of whoever reads it, in the colours of the dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Red: a backup is missing.
    Missing,
    /// Purple: nobody can see.
    Unseen,
    /// Orange: worth a look.
    Look,
    /// Grey: nothing to hold it against.
    Quiet,
    /// Green.
    Well,
}

impl Kind {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Missing, Self::Unseen, Self::Look, Self::Quiet, Self::Well];

    /// The word for an address or a class.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "critical",
            Self::Unseen => "unknown",
            Self::Look => "warning",
            Self::Quiet => "none",
            Self::Well => "ok",
        }
    }
}

/// Every verdict in the order of the enum, with its kind and its words.
const TABLE: [(Verdict, Kind, &str); 14] = [
    (Verdict::Failed, Kind::Missing, "Failed"),
    (Verdict::NotBegun, Kind::Missing, "Not started"),
    (Verdict::Overdue, Kind::Missing, "Overdue"),
    (Verdict::NeverExported, Kind::Missing, "Never succeeded"),
    (Verdict::BucketGone, Kind::Missing, "Bucket missing"),
    (Verdict::Blind, Kind::Unseen, "Polls failing"),
    (Verdict::Stalled, Kind::Look, "Stalled"),
    (Verdict::QueuedTooLong, Kind::Look, "Queued too long"),
    (Verdict::AutoExportOff, Kind::Look, "Auto export disabled"),
    (Verdict::NotPolledYet, Kind::Quiet, "Not read yet"),
    (Verdict::Paused, Kind::Quiet, "Paused"),
    (Verdict::NothingExpected, Kind::Quiet, "No exports expected"),
    (Verdict::FirstNotDue, Kind::Quiet, "First export not due"),
    (Verdict::Well, Kind::Well, "Healthy"),
];

impl Verdict {
    /// All of them, the worst first.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(verdict, ..)| verdict)
    }

    /// The worst that holds of a cluster at `now`, with `poll_interval` from one poll to the next.
    #[must_use]
    pub fn of(cluster: &ClusterView, poll_interval: Duration, now: Timestamp) -> Self {
        let facts = Facts { cluster, report: cluster.current().map(|good| &good.report), poll_interval, now };
        let holds = |verdict: &Self| match verdict {
            Self::Failed => facts.report.is_some_and(|report| report.failures_since_success > 0),
            Self::NotBegun => facts.waits() || facts.only_an_event_tells(),
            Self::Overdue => !facts.paused() && facts.overdue(facts.finished(JobState::Successful)),
            Self::NeverExported => {
                !facts.paused() && facts.never_exported() && facts.overdue(cluster.state.created_at)
            }
            Self::BucketGone => cluster.bucket_missing == Some(true),
            Self::Blind => facts.blind(),
            Self::Stalled => facts.stalled(),
            Self::QueuedTooLong => facts.older_than(facts.oldest_queued(), LONGEST_STILL),
            Self::AutoExportOff => facts.auto_export_off(),
            Self::NotPolledYet => cluster.state.last.is_none() || !cluster.unread.is_empty(),
            Self::Paused => facts.paused(),
            Self::NothingExpected => cluster.expected_interval().is_none(),
            Self::FirstNotDue => facts.never_exported(),
            Self::Well => true,
        };
        Self::all().find(holds).unwrap_or(Self::Well)
    }

    /// Returns its row of the table.
    fn row(self) -> (Self, Kind, &'static str) {
        TABLE[self as usize]
    }

    /// What it asks for.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.row().1
    }

    /// The words for a person, those of the dashboards.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.row().2
    }

    /// The word for a program: the same in lower case, with underscores.
    #[must_use]
    pub fn name(self) -> String {
        self.words().to_lowercase().replace(' ', "_")
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

/// What verdicts are made of.
struct Facts<'a> {
    cluster: &'a ClusterView,
    /// That of the last good poll, unless it is stale.
    report: Option<&'a ClusterReport>,
    poll_interval: Duration,
    now: Timestamp,
}

impl Facts<'_> {
    fn older_than(&self, at: Option<Timestamp>, age: Duration) -> bool {
        at.is_some_and(|at| self.now.duration_since(at).as_secs_f64() > age.as_secs_f64())
    }

    /// Whether what was at `at` is further back than anything should be that is expected.
    fn overdue(&self, at: Option<Timestamp>) -> bool {
        let most = self.cluster.expected_interval().map(|interval| interval.mul_f64(OVERDUE));
        most.is_some_and(|most| self.older_than(at, most))
    }

    fn paused(&self) -> bool {
        self.cluster.state.paused == Some(true)
    }

    fn finished(&self, state: JobState) -> Option<Timestamp> {
        self.report?.last_finished(state)
    }

    fn jobs(&self, state: JobState) -> u64 {
        self.report.map_or(0, |report| report.jobs[state])
    }

    fn never_exported(&self) -> bool {
        self.report.is_some() && self.jobs(JobState::Successful) == 0
    }

    fn is_active(&self) -> bool {
        self.jobs(JobState::Queued) > 0 || self.jobs(JobState::InProgress) > 0
    }

    fn oldest_queued(&self) -> Option<Timestamp> {
        self.report?.oldest_active_created(JobState::Queued)
    }

    /// Whether a snapshot waits for too long, and nothing is under way.
    fn waits(&self) -> bool {
        let oldest = self.cluster.recovery.and_then(|recovery| recovery.awaiting?.oldest);
        let quarter = self.cluster.expected_interval().map(|interval| interval / 4);
        let longest = quarter.map_or(LONGEST_WAIT, |quarter| quarter.min(LONGEST_WAIT));
        self.older_than(oldest, longest) && !self.never_exported() && !self.paused() && !self.is_active()
    }

    /// Whether an event tells of a failure that was not made good, and no job shows it.
    fn only_an_event_tells(&self) -> bool {
        let (Some(event), Some(report)) = (self.cluster.failed_event, self.report) else { return false };
        let not_made_good =
            report.last_success_created.map_or_else(|| self.never_exported(), |success| event > success);
        let newer_is_active =
            self.is_active() && report.latest.as_ref().is_some_and(|latest| latest.key.created_at > event);
        let same_export =
            |failed| report.failures_since_success == 0 && event.duration_since(failed).abs() < SAME_EXPORT;
        not_made_good && !newer_is_active && !self.finished(JobState::Failed).is_some_and(same_export)
    }

    fn blind(&self) -> bool {
        let longest = (self.poll_interval * BLIND_INTERVALS).max(SHORTEST_BLIND);
        let last_success = self.cluster.state.good.as_ref().map(|good| good.finished_at);
        // What was polled and has no figures was not read, or so long ago that they were withdrawn.
        self.older_than(last_success, longest) || self.cluster.state.last.is_some() && self.report.is_none()
    }

    fn stalled(&self) -> bool {
        let Some(good) = self.cluster.current() else { return false };
        let usual = Duration::from_secs(good.report.last_success_seconds.unwrap_or_default());
        self.older_than(good.last_progress, LONGEST_STILL.max(usual.saturating_mul(STILL_DURATIONS)))
            && self.jobs(JobState::InProgress) > 0
            // What stands still is one that waits.
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
        assert!(Verdict::all().enumerate().all(|(place, verdict)| verdict as usize == place));
        assert!(TABLE.is_sorted_by_key(|(_, kind, _)| *kind));
    }
}
