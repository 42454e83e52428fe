//! The binary over real sockets, against the simulator.

// Tests may panic, and compare metrics exactly.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod alert_rules;
mod auth;
mod bounds;
mod catalog;
mod chart;
mod cli;
mod client;
mod collectors;
mod connection_errors;
mod connections;
mod dashboards;
mod demo;
mod discovery;
mod documents;
mod exclusions;
mod exposed;
mod faults;
mod handshakes;
mod incremental_listing;
mod layering;
mod listing;
mod logs;
mod pipes;
mod preflight;
mod promql;
mod rate_limit;
mod reload;
mod scheduling;
mod secrets;
mod serving;
mod shutdown;
mod simulator;
mod size;
mod status;
mod supply;
// Each test binary uses a part of the helpers.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;
mod web;
