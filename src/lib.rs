//! A Prometheus exporter for the snapshot export jobs of MongoDB Atlas backups.
//!
//! The modules in the order in which data flows through them; nothing flows back. `ARCHITECTURE.md` describes them.

mod collectors;
pub mod config;
pub mod discovery;
pub mod http;
pub mod metrics;
pub mod model;
pub mod poll;
pub mod status;
pub mod store;

pub mod app;
pub mod demo;
pub mod preflight;
pub mod reload;
pub mod reloadable_config;
mod util;

#[cfg(test)]
#[path = "../tests/support/cpu_time.rs"]
mod cpu_time;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
#[path = "../tests/support/golden.rs"]
mod golden;
