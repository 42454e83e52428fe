//! Which organizations, projects and clusters are watched, and the tasks that follow from it.

pub mod clients;
pub(crate) mod supervisor;
pub(crate) mod targets;
mod worker;
