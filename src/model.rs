//! What follows from what Atlas said: summaries of export jobs, recovery points, expectations.
//!
//! Nothing here does I/O or reads a clock: the time is an argument.

mod checkpoint;
mod collector;
mod exclusion;
mod expectation;
mod job_accumulator;
mod job_summary;
mod poll_error;
mod progress;
mod recovery_point;
mod shard;

use atlas_client::JobState;

pub use checkpoint::{IncrementalListing, ListingCheckpoint, NEWEST_PAGE_SIZE};
pub use collector::{CollectorKind, ReadingError};
pub use exclusion::ExclusionReason;
pub use expectation::ExportExpectation;
pub use job_accumulator::{JobAccumulator, Sighting};
pub use job_summary::{ActiveJob, FailedJob, JobId, JobKey, JobSummary, LatestJob};
pub use poll_error::PollError;
pub use progress::ProgressTracker;
pub use recovery_point::{
    AwaitingSnapshots, Exported, ExportedSnapshots, NewestExport, RecoveryPoint, SnapshotSet, Snapshots,
};
pub use shard::Shard;

/// One value for each [`JobState`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByState<T>([T; JobState::ALL.len()]);

impl<T> ByState<T> {
    /// Every state with its value, in the order of the exposition.
    pub fn iter(&self) -> impl Iterator<Item = (JobState, &T)> {
        JobState::ALL.into_iter().zip(&self.0)
    }
}

impl<T> std::ops::Index<JobState> for ByState<T> {
    type Output = T;
    fn index(&self, state: JobState) -> &T {
        &self.0[state as usize]
    }
}

impl<T> std::ops::IndexMut<JobState> for ByState<T> {
    fn index_mut(&mut self, state: JobState) -> &mut T {
        &mut self.0[state as usize]
    }
}
