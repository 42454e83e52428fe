//! The real binary over real sockets, against the simulator.

// A test that cannot go on should panic, and figures are compared to the bit.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod alerts;
mod auth;
mod bounds;
mod budget;
mod certificates;
mod cli;
mod client;
mod connections;
mod dashboards;
mod demo;
mod details;
mod discovery;
mod documents;
mod exclusions;
mod exposed;
mod faults;
#[path = "../support/golden.rs"]
mod golden;
mod handshakes;
mod harness;
mod law;
mod listing;
mod logs;
mod matrix;
mod pipes;
mod preflight;
mod promql;
mod reload;
mod scheduling;
mod secrets;
mod serving;
mod shutdown;
mod simulator;
mod size;
mod status;
mod supply;
mod walk;
mod web;
