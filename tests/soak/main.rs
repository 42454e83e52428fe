//! Soak test: random faults of Atlas, scrapes by two Prometheus servers and wrk, and reloads.
//!
//! It needs Debian's `prometheus` and `wrk`, which `tests/run` installs; a plain `cargo test` skips
//! it.
//!
//! `SOAK_MINUTES`, `SOAK_CLUSTERS` and `SOAK_SEED` set the duration, the number of clusters and the
//! random seed. `SOAK_EXPORTER` is another build of the exporter, such as the static binary of
//! `deploy/static`: musl returns memory that glibc keeps.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs
)]

mod chaos;
mod footprint;
mod options;
mod oracle;
mod runner;
mod scrapers;
// Each test binary uses a part of the helpers.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use footprint::Footprint;
use options::Options;
use runner::Runner;
use scrapers::Scrapers;

#[test]
#[ignore = "takes minutes, and needs Debian's prometheus and wrk; tests/run installs them"]
fn random_faults_keep_metrics_right_and_memory_flat() {
    let options = Options::from_env();
    println!("SOAK_SEED={} SOAK_CLUSTERS={}, {:?}", options.seed, options.clusters, options.length);
    // The simulator has its own threads, so that scrapes do not wait for it.
    let threads = || tokio::runtime::Runtime::new().unwrap();
    let (atlas, here) = (threads(), threads());
    let (simulator, clusters) = atlas.block_on(runner::atlas(options));
    here.block_on(soak(Runner::start(options, simulator, clusters)));
}

async fn soak(runner: impl Future<Output = Runner>) {
    let mut runner = runner.await;
    let end = Instant::now() + runner.options.length;
    let scrapers = Scrapers::start(&runner.exporter);
    println!("at the start {}", runner.recover().await);
    // glibc keeps the peak memory, so the peak comes first and is the reference for later phases.
    runner.hang_listings().await;
    let mut recovered = vec![runner.recover().await];
    println!("after hanging listings {}", recovered[0]);
    while Instant::now() < end || recovered.len() < 2 {
        runner.inject_faults().await;
        recovered.push(runner.recover().await);
        println!(
            "{:>5.1?} left, {}",
            end.saturating_duration_since(Instant::now()),
            recovered[recovered.len() - 1]
        );
    }
    scrapers.end(&runner.exporter).await;
    assert_flat(&recovered);
    runner.exporter.assert_no_secret().await;
    println!("{}", runner.summary());
}

/// Asserts that memory and descriptors do not grow from earlier to later phases.
fn assert_flat(recovered: &[Footprint]) {
    let (early, late) = recovered.split_at(recovered.len() / 2);
    let least = |phases: &[Footprint], what: fn(&Footprint) -> u64| phases.iter().map(what).min().unwrap();
    let (before, after) = (least(early, |phase| phase.resident_kib), least(late, |phase| phase.resident_kib));
    assert!(after <= before * 5 / 4 + 8 * 1024, "memory: {recovered:#?}");
    let (before, after) = (least(early, |phase| phase.descriptors), least(late, |phase| phase.descriptors));
    // Idle connections stay open for 90 s; their number depends on the requests that hung at once.
    assert!(after <= before * 3 / 2 + 128, "descriptors: {recovered:#?}");
}

/// Duration of a phase with faults.
const FAULTS_DURATION: Duration = Duration::from_secs(20);
