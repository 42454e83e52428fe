//! Helpers that know nothing of the domain.

pub(crate) mod failure_log;
