//! What a reading of a cluster's listing says, and what of its jobs is kept.

use atlas_client::{Counts, JobState, StateReason};
use compact_str::CompactString;
use jiff::Timestamp;

use super::by_state::ByState;
use super::recovery_point::ExportedSnapshots;

/// Maximum number of failed jobs whose reasons are kept, the newest ones. All are counted.
pub(super) const MAX_FAILURES: usize = 20;

/// Maximum number of active jobs whose progress is tracked, the oldest ones. All are counted.
pub(super) const MAX_ACTIVE: usize = 1000;

/// The id of a job that is kept. Its 24 digits, as a rule, take no memory of their own.
pub type JobId = CompactString;

/// What makes a job "newer": creation time, then id. Never the time it finished.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    pub created_at: Timestamp,
    /// Its id, which settles a tie.
    pub id: JobId,
}

/// A job, with what would show that it moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    pub key: JobKey,
    pub state: JobState,
    pub counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedJob {
    pub key: JobKey,
    pub snapshot_id: Option<Box<str>>,
    pub reason: StateReason<'static>,
    /// The time of its failure, where Atlas says so.
    pub finished_at: Option<Timestamp>,
}

impl FailedJob {
    /// Returns the time of its failure; its creation where Atlas does not say.
    #[must_use]
    pub fn failed_at(&self) -> Timestamp {
        self.finished_at.unwrap_or(self.key.created_at)
    }
}

/// What one whole reading of a cluster's listing says. Where a field is `None`, nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobSummary {
    pub jobs: ByState<u64>,
    pub latest: Option<ListedJob>,
    /// The newest `finishedAt` of the jobs that ended in a state.
    pub last_finished: ByState<Option<Timestamp>>,
    /// Creation of the oldest job in a state that is active.
    pub oldest_active_created: ByState<Option<Timestamp>>,
    /// Seconds from creation to end of the newest successful job, the queue included.
    pub last_success_seconds: Option<u64>,
    pub last_success_created: Option<Timestamp>,
    /// Failed jobs newer than the newest successful one.
    pub failures_since_success: u64,
    pub oldest_failure_created: Option<Timestamp>,
    /// The newest failed jobs, resolved or not, newest first; at most twenty.
    pub failed: Vec<FailedJob>,
    /// The oldest active jobs that can be followed from poll to poll, oldest first; at most
    /// a thousand.
    pub active: Vec<ListedJob>,
    pub exports: ExportedSnapshots,
}

impl JobSummary {
    /// The newest failed jobs that no newer success has made good, newest first; no more than twenty.
    pub fn unresolved(&self) -> impl Iterator<Item = &FailedJob> {
        let count = usize::try_from(self.failures_since_success).unwrap_or(usize::MAX);
        self.failed.iter().take(count)
    }

    /// Keeps the reason of the newest failed job only, if it is unresolved: no other one is shown.
    pub fn keep_newest_failure(&mut self) {
        self.failed.truncate(usize::from(self.failures_since_success > 0));
        self.failed.shrink_to_fit();
    }
}
