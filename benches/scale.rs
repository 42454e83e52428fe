//! Measures rounds of polls of many clusters in many projects, and detects missed polls.
//!
//! See `benches/README.md`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small counts and durations

mod process;

use std::time::{Duration, Instant};

use atlas_simulator::{
    Account, AtlasState, Cluster, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project, Scheme, Simulator,
};
use clap::Parser;
use process::{cpu, failed_polls, fewest_polls, get_ready, median, of, peer_cpu, scrape};
use tokio::net::TcpListener;

const SCRAPE_INTERVAL: Duration = Duration::from_secs(30);

/// Concurrent requests of the bare client.
const CONCURRENCY: u32 = 8;

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 2000)]
    clusters: u32,
    #[arg(long, default_value_t = 100)]
    projects: u32,
    /// Number of export jobs of each cluster
    #[arg(long, default_value_t = 60)]
    jobs: u32,
    /// Interval between polls of a cluster, in seconds
    #[arg(long, default_value_t = 60)]
    interval: u64,
    /// Number of measured rounds, after one that is not measured
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Response time of Atlas in milliseconds
    #[arg(long, default_value_t = 100)]
    latency: u64,
    /// Passed by cargo to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
    /// Run as the bare client, which requests all listings of this simulator
    #[arg(long, hide = true)]
    peer: Option<String>,
}

fn main() {
    let arguments = Arguments::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.peer.clone() {
        Some(url) => runtime.block_on(peer(&arguments, &url)),
        None => runtime.block_on(measure(&arguments)),
    }
}

async fn measure(arguments: &Arguments) {
    let Arguments { clusters, projects, interval, rounds, .. } = *arguments;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, atlas_state(arguments)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tables = format!("[poll]\ninterval = \"{interval}s\"\n[[organizations]]\nid = \"{ORGANIZATION}\"\n");
    let (exporter, url) = process::start(folder.path(), simulator.url(), &tables);
    let ready_after = get_ready(&url).await;
    println!(
        "{clusters} clusters in {projects} projects, {} jobs each, poll interval {interval} s, latency {} ms",
        arguments.jobs, arguments.latency
    );
    println!("ready after            {:8.1} s", ready_after.as_secs_f64());

    // The first round includes discovery and is not measured.
    tokio::time::sleep(Duration::from_secs(interval)).await;
    let (before, cpu, requests) = (scrape(&url).await, exporter.cpu(), simulator.state().request_count);
    let (start, window) = (Instant::now(), Duration::from_secs(interval * rounds));
    let mut oldest: f64 = 0.0;
    while start.elapsed() < window {
        tokio::time::sleep(SCRAPE_INTERVAL.min(window.saturating_sub(start.elapsed()))).await;
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let scrape = scrape(&url).await;
        let ages =
            of(&scrape, "mongodbatlas_backup_export_last_poll_timestamp_seconds").map(|(_, at)| now - at);
        oldest = oldest.max(ages.fold(0.0, f64::max));
    }
    let after = scrape(&url).await;
    let cpu = (exporter.cpu() - cpu) / rounds as f64;
    let requests = (simulator.state().request_count - requests) / rounds;
    let (fewest, failed) = (fewest_polls(&before, &after), failed_polls(&after));
    // The jitter of an interval is at most 10%.
    let due = (rounds as f64 / 1.1).floor();
    let missed = if fewest >= due { "none missed" } else { "SOME MISSED" };
    println!("polls per cluster, min {fewest:8.0}   in {rounds} rounds: {missed}; {failed} failed");
    println!("age of oldest poll, max{oldest:8.1} s  (interval with jitter: {:.1} s)", interval as f64 * 1.1);
    println!("requests per round     {requests:8}  including discovery, which runs every ten minutes");
    println!(
        "CPU per round          {cpu:8.2} s  ({:.2} ms per cluster), including a scrape every 30 s",
        cpu * 1000.0 / f64::from(clusters)
    );
    println!("peak memory            {:8.1} MiB", exporter.peak_mebibytes());

    let per_request = |total: f64, requests: f64| total * 1_000_000.0 / requests;
    let (clusters_flag, projects_flag) = (format!("--clusters={clusters}"), format!("--projects={projects}"));
    let peer = ["--peer", simulator.url(), "--latency=0", &clusters_flag, &projects_flag];
    let bare = median((0..5).map(|_| peer_cpu(&peer)).collect());
    let (ours, theirs) = (per_request(cpu, requests as f64), per_request(bare, f64::from(clusters)));
    println!(
        "CPU per request        {ours:8.0} µs, {:.2} times a bare client ({theirs:.0} µs, median of five)",
        ours / theirs
    );
}

/// Requests each listing once and discards the responses. Prints the CPU seconds.
async fn peer(arguments: &Arguments, url: &str) {
    let client = reqwest::Client::new();
    let request = client.post(format!("{url}/api/oauth/token")).basic_auth("bench", Some("bench"));
    let response = request.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    let json: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let token = json["access_token"].as_str().unwrap().to_owned();
    let before = cpu(std::process::id());
    let (client, token) = (&client, &token);
    let worker = |worker: u32| async move {
        for number in (worker..arguments.clusters).step_by(CONCURRENCY as usize) {
            let (project, cluster) = cluster_path(arguments, number);
            let path = format!("api/atlas/v2/groups/{project}/clusters/{cluster}/backup/exports");
            let request = client.get(format!("{url}/{path}?itemsPerPage=500&pageNum=1"));
            let request =
                request.bearer_auth(token).header("accept", "application/vnd.atlas.2024-05-30+json");
            let response = request.send().await.unwrap();
            assert!(response.status().is_success(), "{response:?}");
            response.bytes().await.unwrap();
        }
    };
    futures_util::future::join_all((0..CONCURRENCY).map(worker)).await;
    println!("{}", cpu(std::process::id()) - before);
}

/// Returns the project id and the name of a cluster.
fn cluster_path(arguments: &Arguments, number: u32) -> (String, String) {
    (format!("65f1c0ffee5eed{:010x}", number % arguments.projects), format!("cluster-{number}"))
}

fn atlas_state(arguments: &Arguments) -> AtlasState {
    let mut state = AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "bench", "bench")],
        faults: vec![Fault::lasting("", FaultKind::Slow(Duration::from_millis(arguments.latency)))],
        ..AtlasState::default()
    };
    for number in 0..arguments.clusters {
        let (id, name) = cluster_path(arguments, number);
        let jobs = (1..=arguments.jobs)
            .map(|days| Job::ended(Duration::from_hours(24) * days, JobOutcome::Successful));
        let project =
            state.projects.entry(id).or_insert_with_key(|id| Project::new(&format!("project {id}")));
        project.clusters.insert(name, Cluster::with(jobs));
    }
    state
}
