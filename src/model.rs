//! Summaries of export jobs, recovery points and export expectations, computed from Atlas's data.
//!
//! Nothing here does I/O or reads a clock: the time is an argument.

mod by_state;
mod checkpoint;
mod collector;
mod exclusion;
mod expectation;
mod job_accumulator;
mod job_summary;
mod progress;
mod read_error;
mod recovery_point;
mod shard;

pub use by_state::ByState;
pub use checkpoint::{IncrementalListing, ListingCheckpoint, NEWEST_PAGE_SIZE};
pub use collector::CollectorKind;
pub use exclusion::ExclusionReason;
pub use expectation::ExportExpectation;
pub use job_accumulator::JobAccumulator;
pub use job_summary::{FailedJob, JobId, JobKey, JobSummary, ListedJob};
pub use progress::ProgressTracker;
pub use read_error::ReadError;
pub use recovery_point::{ExportHistory, ExportedSnapshots, NewestExport, RecoveryPoint, Snapshots};
pub use shard::Shard;
