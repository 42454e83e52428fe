//! The summary of a cluster's export jobs.

use atlas_client::{CollectionProgress, JobState, StateReason};
use compact_str::CompactString;
use jiff::Timestamp;

use super::by_state::ByState;
use super::recovery_point::ExportedSnapshots;

/// Maximum number of failed jobs that are kept with their reason: the newest ones. All are counted.
pub(super) const MAX_FAILURES: usize = 20;

/// Maximum number of active jobs that are tracked: the oldest ones. All are counted.
pub(super) const MAX_ACTIVE: usize = 1000;

/// The id of a job. Usual ids have 24 digits and need no allocation.
pub type JobId = CompactString;

/// The order of jobs: by creation time, then by id. The time of the end never counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    pub created_at: Timestamp,
    pub id: JobId,
}

/// A job with the fields that show its progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    pub key: JobKey,
    pub state: JobState,
    pub counts: CollectionProgress,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FailedJob {
    pub key: JobKey,
    pub snapshot_id: Option<Box<str>>,
    pub reason: StateReason<'static>,
    /// `None` if Atlas reports no time.
    pub finished_at: Option<Timestamp>,
}

impl FailedJob {
    /// Returns the time of the failure, or of the creation if Atlas reports none.
    #[must_use]
    pub fn failed_at(&self) -> Timestamp {
        self.finished_at.unwrap_or(self.key.created_at)
    }
}

/// The summary of all export jobs of a cluster. Unknown values are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobSummary {
    pub jobs: ByState<u64>,
    pub latest: Option<ListedJob>,
    /// The newest `finishedAt` of the jobs in each final state.
    pub last_finished: ByState<Option<Timestamp>>,
    /// Creation of the oldest job in each active state.
    pub oldest_active_created: ByState<Option<Timestamp>>,
    /// Seconds from creation to end of the newest successful job, including the queue.
    pub last_success_seconds: Option<u64>,
    pub last_success_created: Option<Timestamp>,
    /// Number of failed jobs newer than the newest successful one.
    pub failures_since_success: u64,
    /// Creation of the oldest failed job newer than the newest successful one.
    pub oldest_failure_created: Option<Timestamp>,
    /// The newest failed jobs, resolved or not, newest first; at most 20.
    pub failed: Vec<FailedJob>,
    /// The oldest active jobs with id and creation time, oldest first; at most 1000.
    pub active: Vec<ListedJob>,
    pub exports: ExportedSnapshots,
}

impl JobSummary {
    /// Returns the failed jobs newer than the newest successful one, newest first; at most 20.
    pub fn unresolved(&self) -> impl Iterator<Item = &FailedJob> {
        let count = usize::try_from(self.failures_since_success).unwrap_or(usize::MAX);
        self.failed.iter().take(count)
    }

    /// Removes all failed jobs but the newest one, if unresolved: no other reason is shown.
    pub fn keep_newest_failure(&mut self) {
        self.failed.truncate(usize::from(self.failures_since_success > 0));
        self.failed.shrink_to_fit();
    }
}
