//! A Prometheus exporter for the snapshot export jobs of MongoDB Atlas backups.
//!
//! The modules in the order in which data flows through them; nothing flows back. `ARCHITECTURE.md` describes them.

pub mod config;

pub mod clients;
mod detail;
mod discovery;
mod fleet;
mod plan;
pub mod settings;

pub mod collect;
pub mod poll;

pub mod board;
pub mod model;

pub mod exposition;
pub mod http;
pub mod process;
pub mod self_metrics;
pub mod status;

pub mod check;
pub mod demo;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
#[path = "../tests/support/cpu_time.rs"]
mod cpu_time;
mod reload;
mod run;
mod telling;

pub use reload::{ReloadHandle, Reloads};
pub use run::{Error, Options, once, run};

#[cfg(test)]
#[path = "../tests/support/golden.rs"]
mod golden;
