//! Collectors of what the listing of export jobs lacks: snapshots that are not exported, exports
//! that failed before there was a job, buckets that are missing.
//!
//! Each collector is a task of its own, for a project or a cluster, on an interval that is longer
//! than that of the polls, and never affects a poll. It may be switched off; one that Atlas refuses
//! twice is disabled and retried with growing pauses.

mod buckets;
mod events;
mod refusals;
mod runner;
mod snapshots;

pub(crate) use buckets::Buckets;
pub(crate) use events::Events;
pub(crate) use runner::CollectorRunner;
pub(crate) use snapshots::Snapshots;
