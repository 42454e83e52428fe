//! Collectors of what the listing of export jobs lacks: snapshots that are not exported, exports
//! that failed before there was a job, buckets that are missing.
//!
//! Each collector is a task for a project or a cluster, with a longer interval than polls, which it
//! never affects. One that Atlas refuses twice is disabled and retried with growing pauses.

mod buckets;
mod events;
mod refusals;
mod runner;
mod snapshots;

pub(crate) use buckets::Buckets;
pub(crate) use events::Events;
pub(crate) use runner::CollectorRunner;
pub(crate) use snapshots::Snapshots;
