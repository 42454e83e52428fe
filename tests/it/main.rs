//! The real binary over real sockets, against the simulator.

mod auth;
mod cli;
mod demo;
mod faults;
mod harness;
mod listing;
mod logs;
mod scheduling;
mod serving;
mod shutdown;
