//! The real binary over a long time: an Atlas that misbehaves at random, two Prometheus servers and wrk that scrape, a reload every ten
//! seconds. It needs Debian's `prometheus` and `wrk`, which `tests/run` installs; a plain `cargo test` skips it.
//!
//! `SOAK_MINUTES`, `SOAK_CLUSTERS` and `SOAK_SEED` say how long, how many, and by which chance; a seed repeats the chance, not the clock.
//! `SOAK_EXPORTER` is another build of the exporter, such as the one that `deploy/static` prints: what is shipped gives memory back, glibc keeps it.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    missing_docs
)]

mod around;
mod chaos;
mod oracle;
mod plan;
mod stage;
// Each test binary uses a part of it.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use around::{Around, Footprint};
use plan::Plan;
use stage::Stage;

#[test]
#[ignore = "takes minutes, and needs Debian's prometheus and wrk; tests/run installs them"]
fn chaos_leaves_no_wrong_figure_and_nothing_behind() {
    let plan = Plan::from_environment();
    println!("SOAK_SEED={} SOAK_CLUSTERS={}, {:?}", plan.seed, plan.clusters, plan.length);
    // Threads of their own for Atlas: it is busy at times, and nobody who scrapes should wait for it.
    let threads = || tokio::runtime::Runtime::new().unwrap();
    let (atlas, here) = (threads(), threads());
    let (simulator, clusters) = atlas.block_on(stage::atlas(plan));
    here.block_on(soak(Stage::begin(plan, simulator, clusters)));
}

async fn soak(stage: impl Future<Output = Stage>) {
    let mut stage = stage.await;
    let end = Instant::now() + stage.plan.length;
    let around = Around::begin(&stage.exporter);
    println!("at first {}", stage.settle().await);
    // glibc keeps, in pieces, what the worst moment took. So that comes first, and what it leaves is what the last storm is held against.
    stage.silence().await;
    let mut settled = vec![stage.settle().await];
    println!("after a silence {}", settled[0]);
    while Instant::now() < end || settled.len() < 2 {
        stage.storm().await;
        settled.push(stage.settle().await);
        println!(
            "{:>5.1?} left, {}",
            end.saturating_duration_since(Instant::now()),
            settled[settled.len() - 1]
        );
    }
    around.end(&stage.exporter).await;
    is_flat(&settled);
    stage.exporter.assert_no_secret().await;
    println!("{}", stage.tally());
}

/// What the exporter takes has not grown: the least of the later phases is that of the earlier ones.
fn is_flat(settled: &[Footprint]) {
    let (early, late) = settled.split_at(settled.len() / 2);
    let least = |phases: &[Footprint], what: fn(&Footprint) -> u64| phases.iter().map(what).min().unwrap();
    let (before, after) = (least(early, |phase| phase.resident_kib), least(late, |phase| phase.resident_kib));
    assert!(after <= before * 5 / 4 + 8 * 1024, "memory: {settled:#?}");
    let (before, after) = (least(early, |phase| phase.descriptors), least(late, |phase| phase.descriptors));
    // Idle connections stay open for a minute and a half, and how many depends on how much hung at once.
    assert!(after <= before * 3 / 2 + 128, "descriptors: {settled:#?}");
}

/// How long a storm lasts.
const STORM: Duration = Duration::from_secs(20);
