//! Fault injection: faults of Atlas, proxies and the network, and what must hold of the exporter.
//!
//! Faults are data that `runner` runs. The table is in `tests/README.md`.

// Tests may panic, and compare metrics exactly.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod accounts;
mod assertions;
mod bodies;
mod clock;
mod env;
mod hosts;
mod jobs;
mod listings;
mod network;
mod newer;
mod pages;
mod readme;
mod runner;
mod scenario;
mod statuses;
mod unusual;
// Each test binary uses a part of the helpers.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

use futures_util::future::join_all;
use scenario::Fault;

/// Returns every fault by section, in the order of the table.
fn all() -> Vec<(&'static str, Vec<Fault>)> {
    vec![
        ("Statuses", [statuses::refusals(), statuses::limits(), statuses::outages()].concat_all()),
        (
            "Bodies",
            [
                bodies::invalid_bodies(),
                bodies::encodings(),
                bodies::excesses(),
                [unusual::invalid_jobs(), unusual::unusual_jobs(), unusual::unusual_listings()].concat_all(),
                pages::faults(),
            ]
            .concat_all(),
        ),
        ("Other listings", listings::faults()),
        ("A newer schema", newer::schema()),
        ("Connections", network::faults()),
        ("TLS, networks and proxies", [hosts::tls(), hosts::network(), hosts::proxies()].concat_all()),
        (
            "Credentials and rate limits",
            [accounts::sessions(), accounts::secrets(), accounts::token_requests(), accounts::rate_limits()]
                .concat_all(),
        ),
        ("Clocks", clock::faults()),
    ]
}

trait ConcatAll {
    fn concat_all(self) -> Vec<Fault>;
}

impl<const N: usize> ConcatAll for [Vec<Fault>; N] {
    fn concat_all(self) -> Vec<Fault> {
        self.into_iter().flatten().collect()
    }
}

#[track_caller]
fn assert_all_met(failed: &[String]) {
    assert!(failed.is_empty(), "{} cells failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs faults in one exporter, each in its own project.
async fn run_together(faults: Vec<Fault>) {
    assert_all_met(&runner::run(faults).await);
}

/// Runs each fault in its own exporter, as it affects all clusters.
async fn run_separately(faults: Vec<Fault>) {
    let failed = join_all(faults.into_iter().map(|fault| runner::run(vec![fault]))).await;
    assert_all_met(&failed.concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals() {
    run_together(statuses::refusals()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits() {
    run_together(statuses::limits()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages() {
    run_together(statuses::outages()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_bodies() {
    run_together(bodies::invalid_bodies()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encodings_of_bodies() {
    run_together(bodies::encodings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excessive_bodies() {
    run_together(bodies::excesses()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusual_jobs() {
    run_together(
        [unusual::invalid_jobs(), unusual::unusual_jobs(), unusual::unusual_listings()].concat_all(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_between_pages() {
    run_together(pages::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_listings() {
    run_together(listings::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn newer_schema() {
    run_together(newer::schema()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections() {
    run_together(network::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_handshakes() {
    run_separately(hosts::tls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks() {
    run_separately(hosts::network()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies() {
    run_separately(hosts::proxies()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions() {
    run_separately(accounts::sessions()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets() {
    run_separately(accounts::secrets()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_requests() {
    run_separately(accounts::token_requests()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rate_limits() {
    run_separately(accounts::rate_limits()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's libfaketime; tests/run starts it"]
async fn clocks() {
    run_separately(clock::faults()).await;
}
