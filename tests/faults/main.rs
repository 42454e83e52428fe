//! The matrix of faults: whatever Atlas, or what stands between, may do, and what must hold of it. The faults are data; `runner` plays them.
//! The table is in `tests/README.md`.

// A test that cannot go on should panic, and values are compared to the bit.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod accounts;
mod bodies;
mod clock;
mod env;
mod hosts;
mod jobs;
mod listings;
mod network;
mod newer;
mod odd;
mod pages;
mod readme;
mod runner;
mod scenario;
mod statuses;
// Each test binary uses a part of it.
mod assertions;
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

use futures_util::future::join_all;
use scenario::Fault;

/// Every fault, in the order of the table, by what it is about.
fn all() -> Vec<(&'static str, Vec<Fault>)> {
    vec![
        ("Statuses", [statuses::refusals(), statuses::limits(), statuses::outages()].concat_all()),
        (
            "Bodies",
            [
                bodies::no_listings(),
                bodies::encodings(),
                bodies::excesses(),
                [odd::broken_jobs(), odd::odd_jobs(), odd::odd_listings()].concat_all(),
                pages::faults(),
            ]
            .concat_all(),
        ),
        ("Other listings", listings::faults()),
        ("A newer schema", newer::schema()),
        ("Connections", network::faults()),
        ("The way to Atlas", [hosts::tls(), hosts::network(), hosts::proxies()].concat_all()),
        (
            "Who asks",
            [accounts::sessions(), accounts::secrets(), accounts::mint(), accounts::budgets()].concat_all(),
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

/// Every cell that does not hold, one a line.
#[track_caller]
fn judge(failed: &[String]) {
    assert!(failed.is_empty(), "{} cells do not hold:\n{}", failed.len(), failed.join("\n"));
}

/// All in one exporter, each in a project of its own.
async fn together(faults: Vec<Fault>) {
    judge(&runner::play(faults).await);
}

/// An exporter and an Atlas for each, since it is a fault of everyone.
async fn each(faults: Vec<Fault>) {
    let failed = join_all(faults.into_iter().map(|fault| runner::play(vec![fault]))).await;
    judge(&failed.concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals() {
    together(statuses::refusals()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits() {
    together(statuses::limits()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages() {
    together(statuses::outages()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_no_listing() {
    together(bodies::no_listings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encodings_of_bodies() {
    together(bodies::encodings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excessive_bodies() {
    together(bodies::excesses()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_jobs() {
    together([odd::broken_jobs(), odd::odd_jobs(), odd::odd_listings()].concat_all()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_between_which_something_happens() {
    together(pages::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_listings() {
    together(listings::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_schema() {
    together(newer::schema()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections() {
    together(network::faults()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_handshakes() {
    each(hosts::tls()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks() {
    each(hosts::network()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies() {
    each(hosts::proxies()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions() {
    each(accounts::sessions()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets() {
    each(accounts::secrets()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mint() {
    each(accounts::mint()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn budgets() {
    each(accounts::budgets()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's libfaketime; tests/run starts it"]
async fn clocks() {
    each(clock::faults()).await;
}
