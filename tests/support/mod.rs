//! Helpers of several test binaries.

pub(crate) mod atlas;
pub(crate) mod authority;
pub(crate) mod builder;
pub(crate) mod certificates;
pub(crate) mod exporter;
pub(crate) mod fault_proxy;
pub(crate) mod golden;
pub(crate) mod port;
pub(crate) mod scrape;
