//! JSON of the API.
//!
//! Atlas adds and removes fields within one version of the API. So fields that are not essential
//! can be missing or null, and unknown fields are skipped. A value of another type is an error,
//! because results would depend on it.

mod array;
mod error_body;
mod event;
mod ids;
mod job;
mod json;
mod page;
mod project;
mod schedule;
mod snapshot;
mod text;
mod token;

pub use array::MAX_PAGE_SIZE;
pub use event::{EventKind, ProjectEvent};
pub use ids::{ObjectId, OrganizationId, ProjectId, Target};
pub use job::{CollectionProgress, ExportJob, JobState, StateReason};
pub(crate) use json::decode;
pub(crate) use page::{ListEntry, MAX_UNPAGED, decode_page};
pub use page::{Page, decode_jobs};
pub(crate) use project::Project;
pub use project::{ListedCluster, Unexportable};
pub use schedule::{PolicyItems, Schedule};
pub use snapshot::{ExportBucket, Snapshot};
pub use text::MAX_ID;
pub(crate) use text::shorten;
pub(crate) use token::{AccessToken, decode_token};
