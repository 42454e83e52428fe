//! Discovery of projects and clusters, and supervision of the tasks that poll them.

pub mod clients;
pub(crate) mod supervisor;
pub(crate) mod targets;
mod worker;
