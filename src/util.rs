//! Helpers of several modules.

pub(crate) mod failure_log;
