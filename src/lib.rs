//! A Prometheus exporter for the snapshot export jobs of MongoDB Atlas backups.
//!
//! The modules in the order in which data flows through them; nothing flows back. `ARCHITECTURE.md` has the law.

pub mod atlas;
pub mod board;
pub mod collect;
pub mod config;
pub mod discovery;
pub mod exposition;
pub mod http;
pub mod model;
pub mod poll;

pub mod demo;
pub mod simulator;

mod run;

pub use run::{Error, Options, run};
