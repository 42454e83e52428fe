//! A Prometheus exporter for the snapshot export jobs of MongoDB Atlas backups.
//!
//! `ARCHITECTURE.md` describes the modules, which are listed in the order of the data flow.

// Only the binary, tests and benchmarks use the library.
#![allow(missing_docs)]

pub mod config;

pub mod discovery;

pub mod poll;

mod collectors;

pub mod model;

pub mod store;

pub mod metrics;

pub mod status;

pub mod http;

pub mod app;
pub mod demo;
pub mod preflight;
pub mod reload;
pub mod reloadable_config;
mod util;

#[cfg(test)]
#[path = "../tests/support/cpu_time.rs"]
mod cpu_time;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
#[path = "../tests/support/golden.rs"]
mod golden;
