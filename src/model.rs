//! What follows from what Atlas said: summaries of export jobs, recovery points, expectations.
//!
//! Nothing here does I/O or reads a clock: the time is an argument.

mod detail;
mod exclusion;
mod expectation;
mod fold;
mod movement;
mod poll_error;
mod report;
mod shard;
mod snapshot;
mod tail;

use atlas_client::JobState;

pub use detail::{Detail, Unread};
pub use exclusion::ExclusionReason;
pub use expectation::Expected;
pub use fold::{Fold, Sighting};
pub use movement::Movements;
pub use poll_error::PollError;
pub use report::{ActiveJob, ClusterReport, FailedJob, JobId, JobKey, LatestJob};
pub use shard::Shard;
pub use snapshot::{Awaiting, Exported, Exports, NewestExport, Recovery, SnapshotSet, Snapshots};
pub use tail::{HEAD_PAGE, Head, Tail};

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
