//! A Prometheus exporter for the snapshot export jobs of MongoDB Atlas backups.
//!
//! The modules in the order in which data flows through them; nothing flows back.
//! `ARCHITECTURE.md` describes them.

// The library is for the binary, tests and benchmarks: nothing else depends on it.
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
