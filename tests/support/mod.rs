//! What several test binaries share.

pub(crate) mod authority;
pub(crate) mod certificates;
pub(crate) mod fault_proxy;
pub(crate) mod golden;
pub(crate) mod harness;
