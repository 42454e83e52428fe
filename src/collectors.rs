//! Collectors of snapshots, events and export buckets, which the listing of export jobs lacks.
//!
//! Each collector is a task for a project or a cluster. Its interval is longer than that of polls,
//! and it never affects them. After two refusals by Atlas, a collector is disabled and retried with
//! growing pauses.

mod buckets;
mod events;
mod refusals;
mod runner;
mod snapshots;

pub(crate) use buckets::Buckets;
pub(crate) use events::Events;
pub(crate) use runner::CollectorRunner;
pub(crate) use snapshots::Snapshots;
