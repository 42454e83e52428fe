//! Incremental listing: only the first page is read while it suffices.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Job, JobOutcome, Order, Simulator};
use jiff::Timestamp;

use crate::support::atlas::{atlas_state, requests, simulator, update_cluster};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

const DAY: Duration = Duration::from_hours(24);

const FULL: &str = "/backup/exports?itemsPerPage=500";
const HEAD: &str = "/backup/exports?itemsPerPage=100&pageNum=1";

/// Returns daily jobs, of which one in ten failed.
fn history(days: u32) -> Cluster {
    let end = |day| {
        if day % 10 == 0 { JobOutcome::Failed("E".to_owned(), String::new()) } else { JobOutcome::Successful }
    };
    Cluster::with((1..=days).map(|day| Job::ended(DAY * day, end(day))))
}

fn own(scrape: &Scrape, name: &str) -> f64 {
    scrape.0[&format!("mongodbatlas_backup_exporter_{name}")]
}

fn jobs(scrape: &Scrape) -> (Option<f64>, Option<f64>) {
    (scrape.value("jobs", "prod", "Successful"), scrape.value("jobs", "prod", "Failed"))
}

async fn start(cluster: Cluster) -> (Simulator, Exporter) {
    start_with(cluster, |builder| builder).await
}

async fn start_with(
    cluster: Cluster,
    configure: impl Fn(ExporterBuilder) -> ExporterBuilder,
) -> (Simulator, Exporter) {
    let simulator = simulator(atlas_state([("prod", cluster)])).await;
    let exporter = configure(ExporterBuilder::new(&simulator).poll_interval("200ms")).start().await;
    exporter.polled().await;
    (simulator, exporter)
}

#[tokio::test]
async fn only_the_first_page_is_read_after_a_full_listing() {
    let (simulator, exporter) = start(history(1200)).await;
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!(jobs(&scrape), (Some(1080.0), Some(120.0)));
    assert_eq!(scrape.value("failures_since_last_success", "prod", ""), Some(0.0));
    assert_eq!((requests(&simulator, FULL), own(&scrape, "full_listings_total")), (3, 1.0));
    let heads = requests(&simulator, HEAD) as f64;
    let pages = own(&scrape, "listing_pages_read_total");
    assert!(heads >= 5.0 && (heads - 1.0..=heads).contains(&(pages - 3.0)), "{heads} {pages}");
    assert_eq!(requests(&simulator, "itemsPerPage=100&pageNum=2"), 0);
    let state = simulator.state();
    assert!(
        state.requests.iter().all(|seen| seen.gzip || !seen.line.contains("/exports")),
        "a page is compressed"
    );
}

#[tokio::test]
async fn changes_on_the_first_page_need_no_full_listing() {
    let (simulator, exporter) = start(history(1200)).await;
    let life = Duration::from_millis(800);
    update_cluster(&simulator, "prod", |cluster| {
        let end = JobOutcome::Failed("KMS".to_owned(), "no key".to_owned());
        let job = Job { created_at: Timestamp::now(), queued: life, running: life, ..Job::ended(DAY, end) };
        cluster.jobs.push(Entry::Job(job));
    });
    exporter.until(|scrape| scrape.latest_state("prod") == Some("InProgress")).await;
    let scrape = exporter.until(|scrape| scrape.latest_state("prod") == Some("Failed")).await;
    assert_eq!(jobs(&scrape), (Some(1080.0), Some(121.0)));
    assert_eq!(scrape.value("failures_since_last_success", "prod", ""), Some(1.0));
    assert_eq!(scrape.value("latest_failure_info", "prod", "error_code=\"KMS\""), Some(1.0));
    assert_eq!((requests(&simulator, FULL), own(&scrape, "full_listings_total")), (3, 1.0));
    let lines = exporter.log().lines().filter(|line| line.contains("an export job failed")).count();
    assert_eq!(lines, 1, "{}", exporter.log());
}

#[tokio::test]
async fn changes_after_the_checkpoint_cause_a_full_listing() {
    let (simulator, exporter) = start(history(1200)).await;
    exporter.polled_again(2.0).await;
    // Atlas deletes the oldest job, which failed.
    update_cluster(&simulator, "prod", |cluster| drop(cluster.jobs.pop()));
    let scrape = exporter.polled_again(2.0).await;
    assert_eq!(jobs(&scrape), (Some(1080.0), Some(119.0)));
    assert_eq!((requests(&simulator, FULL), own(&scrape, "full_listings_total")), (6, 2.0));
    // A changed order causes full listings.
    update_cluster(&simulator, "prod", |cluster| cluster.order = Order::OldestFirst);
    exporter.polled_again(4.0).await;
    let heads = requests(&simulator, HEAD);
    let scrape = exporter.polled_again(4.0).await;
    assert_eq!(jobs(&scrape), (Some(1080.0), Some(119.0)));
    assert_eq!(requests(&simulator, HEAD), heads, "every page is read");
    assert!(own(&scrape, "full_listings_total") >= 6.0);
}

#[tokio::test]
async fn unordered_listings_are_always_read_fully() {
    let mut shuffled = Cluster { order: Order::AsGiven, ..history(600) };
    fastrand::Rng::with_seed(7).shuffle(&mut shuffled.jobs);
    for cluster in [shuffled, Cluster { total_count: Some(599), ..history(600) }] {
        let (simulator, exporter) = start(cluster).await;
        let scrape = exporter.polled_again(4.0).await;
        assert_eq!(jobs(&scrape), (Some(540.0), Some(60.0)));
        assert_eq!(requests(&simulator, HEAD), 0);
        assert!(own(&scrape, "full_listings_total") >= 4.0);
    }
}

#[tokio::test]
async fn full_listings_are_repeated_at_their_interval() {
    let (_simulator, exporter) =
        start_with(history(600), |builder| builder.set("poll.full_listing_interval", "1s")).await;
    let unseen = |scrape: &Scrape| own(scrape, "full_listings_total") >= 3.0;
    let scrape = exporter.until(unseen).await;
    let polls = scrape.value("polls_total", "prod", "").unwrap();
    assert!(polls >= 6.0, "{polls} polls: a full listing is one in several");
}

#[tokio::test]
async fn incremental_listing_can_be_disabled() {
    let (simulator, exporter) =
        start_with(history(600), |builder| builder.set("poll.incremental", false)).await;
    let scrape = exporter.polled_again(4.0).await;
    assert_eq!(jobs(&scrape), (Some(540.0), Some(60.0)));
    assert_eq!(requests(&simulator, HEAD), 0);
}
