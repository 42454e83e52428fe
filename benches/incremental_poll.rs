//! Measures incremental polls of long listings over TLS.
//!
//! Compares an incremental poll with a full listing, and a page with that of a bare client; then
//! polls many clusters for some minutes. See `benches/README.md`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "incremental_poll/atlas.rs"]
mod atlas;
mod page;
mod process;

use std::path::Path;
use std::time::{Duration, Instant};

use atlas::Atlas;
use clap::Parser;
use process::{Running, cpu, failed_polls, fewest_polls, get_ready, median, peer_cpu, polls, scrape};

/// Jobs of the cluster with a long listing.
const LONG_LISTING: usize = 50_000;

/// Jobs of each of the many clusters.
const JOBS: usize = 1000;

const WINDOWS: usize = 5;

#[derive(Debug, Parser)]
struct Arguments {
    /// Number of clusters in the rounds
    #[arg(long, default_value_t = 10_000)]
    clusters: usize,
    /// Number of measured rounds of one minute, after one that is not measured
    #[arg(long, default_value_t = 10)]
    minutes: u32,
    /// Skip the comparison with full listings, and run the rounds only
    #[arg(long)]
    rounds_only: bool,
    /// Passed by cargo to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    /// Run as the bare client, which requests the page of this URL repeatedly
    #[arg(long, hide = true)]
    peer: Option<String>,
}

fn main() {
    let arguments = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(url) = &arguments.peer {
            return peer(url).await;
        }
        if !arguments.rounds_only {
            steady().await;
        }
        rounds(arguments.clusters, arguments.minutes).await;
    });
}

/// Starts the exporter for all clusters of `atlas`.
fn exporter(atlas: &Atlas, folder: &Path, poll: &str) -> (Running, String) {
    let tables = format!(
        "[poll]\n{poll}\n[collectors]\nevents = false\nbuckets = false\n[[projects]]\nid = \"{}\"\n",
        atlas::PROJECT
    );
    std::fs::write(folder.join("ca.pem"), &atlas.authority).unwrap();
    process::start(folder, &atlas.url, &tables)
}

/// A measurement of CPU seconds, pages and polls, which are in `before` at its start.
struct Window<'a> {
    exporter: &'a Running,
    url: &'a str,
    before: (f64, f64, f64),
}

impl<'a> Window<'a> {
    async fn begin(exporter: &'a Running, url: &'a str) -> Self {
        let mut window = Self { exporter, url, before: (0.0, 0.0, 0.0) };
        window.before = window.now().await;
        window
    }

    async fn now(&self) -> (f64, f64, f64) {
        let scrape = scrape(self.url).await;
        let polls = polls(&scrape).values().sum();
        (self.exporter.cpu(), scrape["mongodbatlas_backup_exporter_listing_pages_read_total"], polls)
    }

    /// Returns the CPU seconds per poll and per page, and the pages per poll.
    async fn end(self) -> (f64, f64, f64) {
        let (cpu, pages, polls) = self.now().await;
        let (cpu, pages) = (cpu - self.before.0, pages - self.before.1);
        let polls = polls - self.before.2;
        (cpu / polls, cpu / pages, pages / polls)
    }
}

async fn steady() {
    let atlas = Atlas::start(1, LONG_LISTING).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (full, full_url) = exporter(&atlas, folders[0].path(), "interval = \"1s\"\nincremental = false");
    let (newest, newest_url) = exporter(&atlas, folders[1].path(), "interval = \"100ms\"");
    get_ready(&full_url).await;
    get_ready(&newest_url).await;
    let (mut ratios, mut fulls, mut news, mut pages, mut requests) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
    let (mut scans, mut page_ratios) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let windows = (Window::begin(&full, &full_url).await, Window::begin(&newest, &newest_url).await);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let ((full, page, of_pages), (new, _, one)) = (windows.0.end().await, windows.1.end().await);
        assert!((90.0..110.0).contains(&of_pages), "{of_pages} pages per full listing");
        requests = requests.max(one);
        let scan = peer_cpu(&["--peer", &atlas.plain_url]);
        ratios.push(full / new);
        page_ratios.push(page / scan);
        fulls.push(full * 1e3);
        news.push(new * 1e6);
        pages.push(page * 1e6);
        scans.push(scan * 1e6);
    }
    println!("| over TLS, gzip, medians of {WINDOWS} | | |\n|---|---|---|");
    println!("| full listing of {LONG_LISTING} jobs | {:.1} ms | 100 requests |", median(fulls));
    println!("| incremental poll of the same | {:.0} µs | {requests:.2} requests |", median(news));
    println!("| full listing / incremental poll | **{:.0}** | |", median(ratios));
    println!("| page of 500, read, decompressed, decoded and accumulated | {:.0} µs | |", median(pages));
    println!(
        "| same page by a bare client, without gzip and TLS, only scanned | {:.0} µs | |",
        median(scans)
    );
    println!("| page / page by a bare client | **{:.1}** | |", median(page_ratios));
}

/// Prints the CPU seconds of a bare client per page.
async fn peer(url: &str) {
    const PAGES: u32 = 500;
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let mut before = 0.0;
    let mut quotes = 0;
    for number in 0..=PAGES {
        if number == 1 {
            // The first request includes the connection.
            before = cpu(std::process::id());
        }
        let page = client.get(url).send().await.unwrap().bytes().await.unwrap();
        quotes += memchr::memchr_iter(b'"', &page).count();
    }
    assert!(quotes > 1000);
    println!("{}", (cpu(std::process::id()) - before) / f64::from(PAGES));
}

async fn rounds(clusters: usize, minutes: u32) {
    let atlas = Atlas::start(clusters, JOBS).await;
    let folder = tempfile::tempdir().unwrap();
    let (exporter, url) = exporter(&atlas, folder.path(), "interval = \"1m\"");
    let ready = get_ready(&url).await;
    println!(
        "\n{clusters} clusters with {JOBS} jobs each, one poll per minute over TLS; ready after {:.1} s",
        ready.as_secs_f64()
    );
    // The first round has full listings.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let first = scrape(&url).await;
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let (began, cpu, requests) = (Instant::now(), exporter.cpu(), atlas.requests());
    let mut resident = vec![exporter.resident_mebibytes()];
    for minute in 1..=minutes {
        // Scrapes with gzip, as Prometheus does.
        for quarter in 1..=4 {
            let at = began + Duration::from_mins(u64::from(minute) - 1) + Duration::from_secs(15) * quarter;
            tokio::time::sleep_until(at.into()).await;
            let request = client.get(format!("{url}/metrics")).header("accept-encoding", "gzip");
            request.send().await.unwrap().bytes().await.unwrap();
        }
        resident.push(exporter.resident_mebibytes());
    }
    let cpu = exporter.cpu() - cpu;
    let requests = atlas.requests() - requests;
    let last = scrape(&url).await;
    let (fewest, failed) = (fewest_polls(&first, &last), failed_polls(&last));
    let all = polls(&last).values().sum::<f64>() - polls(&first).values().sum::<f64>();
    // The jitter of an interval is at most 10%.
    let due = (f64::from(minutes) / 1.1).floor();
    println!("| {minutes} minutes | |\n|---|---|");
    println!(
        "| polls | {all:.0}, {requests} requests; minimum per cluster {fewest:.0}, expected {due:.0}; \
         {failed:.0} failed |"
    );
    println!("| CPU per poll, including a gzip scrape every 15 s | **{:.0} µs** |", cpu * 1e6 / all);
    let of_minutes: Vec<_> = resident.iter().map(|mebibytes| format!("{mebibytes:.1}")).collect();
    println!("| resident memory after each minute in MiB | {} |", of_minutes.join(", "));
    println!("| peak resident memory | {:.1} MiB |", exporter.peak_mebibytes());
}
