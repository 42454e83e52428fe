//! Many clusters in many projects: what a round of polls costs, and whether any poll is missed. See `README.md` beside this.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts and seconds of a benchmark

mod process;

use std::time::{Duration, Instant};

use atlas_simulator::{
    Account, AtlasState, Cluster, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project, Scheme, Simulator,
};
use clap::Parser;
use process::{cpu, failed_polls, fewest_polls, get_ready, median, of, peer_cpu, scrape};
use tokio::net::TcpListener;

/// As Prometheus does.
const SCRAPE_EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 2000)]
    clusters: u32,
    #[arg(long, default_value_t = 100)]
    projects: u32,
    /// Export jobs that each cluster lists.
    #[arg(long, default_value_t = 60)]
    jobs: u32,
    /// Seconds from one poll of a cluster to its next.
    #[arg(long, default_value_t = 60)]
    interval: u64,
    /// Rounds that are measured, after one that is not.
    #[arg(long, default_value_t = 10)]
    rounds: u64,
    /// Milliseconds that Atlas takes to answer.
    #[arg(long, default_value_t = 100)]
    latency: u64,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// Runs as the peer: bare requests to the clusters of this simulator.
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
    let simulator = Simulator::start(listener, world(arguments)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tables = format!("[poll]\ninterval = \"{interval}s\"\n[[organizations]]\nid = \"{ORGANIZATION}\"\n");
    let (exporter, url) = process::start(folder.path(), simulator.url(), &tables);
    let ready_after = get_ready(&url).await;
    println!(
        "{clusters} clusters in {projects} projects, {} jobs each, polled every {interval} s; Atlas takes {} ms",
        arguments.jobs, arguments.latency
    );
    println!("ready after            {:8.1} s", ready_after.as_secs_f64());

    // The first round, discovery and all, is not measured.
    tokio::time::sleep(Duration::from_secs(interval)).await;
    let (before, cpu, answered) = (scrape(&url).await, exporter.cpu(), simulator.state().request_count);
    let (start, window) = (Instant::now(), Duration::from_secs(interval * rounds));
    let mut oldest: f64 = 0.0;
    while start.elapsed() < window {
        tokio::time::sleep(SCRAPE_EVERY.min(window.saturating_sub(start.elapsed()))).await;
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let scrape = scrape(&url).await;
        let ages =
            of(&scrape, "mongodbatlas_backup_export_last_poll_timestamp_seconds").map(|(_, at)| now - at);
        oldest = oldest.max(ages.fold(0.0, f64::max));
    }
    let after = scrape(&url).await;
    let cpu = (exporter.cpu() - cpu) / rounds as f64;
    let requests = (simulator.state().request_count - answered) / rounds;
    let (fewest, failed) = (fewest_polls(&before, &after), failed_polls(&after));
    // An interval may come a tenth late, so of so many rounds this many polls must be there.
    let due = (rounds as f64 / 1.1).floor();
    let missed = if fewest >= due { "none was missed" } else { "SOME WERE MISSED" };
    println!("polls a cluster, fewest{fewest:8.0}   in {rounds} rounds: {missed}; {failed} failed");
    println!(
        "age of the oldest poll {oldest:8.1} s  seen at any time; an interval and its jitter are {:.1} s",
        interval as f64 * 1.1
    );
    println!("requests a round       {requests:8}  discovery included, which comes once in ten minutes");
    println!(
        "CPU a round            {cpu:8.2} s  ({:.2} ms a cluster), a scrape every 30 s included",
        cpu * 1000.0 / f64::from(clusters)
    );
    println!("peak memory            {:8.1} MiB", exporter.peak_mebibytes());

    let per_request = |total: f64, requests: f64| total * 1_000_000.0 / requests;
    let (clusters_flag, projects_flag) = (format!("--clusters={clusters}"), format!("--projects={projects}"));
    let peer = ["--peer", simulator.url(), "--latency=0", &clusters_flag, &projects_flag];
    let bare = median((0..5).map(|_| peer_cpu(&peer)).collect());
    let (ours, theirs) = (per_request(cpu, requests as f64), per_request(bare, f64::from(clusters)));
    println!(
        "CPU a request          {ours:8.0} µs, {:.2} times that of a bare client ({theirs:.0} µs, median of five)",
        ours / theirs
    );
}

/// Asks for each listing once, eight at a time, and drops what comes; prints its CPU seconds.
async fn peer(arguments: &Arguments, url: &str) {
    let client = reqwest::Client::new();
    let minted = client.post(format!("{url}/api/oauth/token")).basic_auth("bench", Some("bench"));
    let minted = minted.form(&[("grant_type", "client_credentials")]).send().await.unwrap();
    let minted: serde_json::Value = serde_json::from_slice(&minted.bytes().await.unwrap()).unwrap();
    let token = minted["access_token"].as_str().unwrap().to_owned();
    let before = cpu(std::process::id());
    let (client, token) = (&client, &token);
    let lane = |lane: u32| async move {
        for i in (lane..arguments.clusters).step_by(8) {
            let (project, cluster) = place(arguments, i);
            let path = format!("api/atlas/v2/groups/{project}/clusters/{cluster}/backup/exports");
            let request = client.get(format!("{url}/{path}?itemsPerPage=500&pageNum=1"));
            let request =
                request.bearer_auth(token).header("accept", "application/vnd.atlas.2024-05-30+json");
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{answer:?}");
            answer.bytes().await.unwrap();
        }
    };
    futures_util::future::join_all((0..8).map(lane)).await;
    println!("{}", cpu(std::process::id()) - before);
}

/// The project id and the name of cluster number `i`.
fn place(arguments: &Arguments, i: u32) -> (String, String) {
    (format!("65f1c0ffee5eed{:010x}", i % arguments.projects), format!("cluster-{i}"))
}

fn world(arguments: &Arguments) -> AtlasState {
    let mut world = AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "bench", "bench")],
        faults: vec![Fault::lasting("", FaultKind::Slow(Duration::from_millis(arguments.latency)))],
        ..AtlasState::default()
    };
    for i in 0..arguments.clusters {
        let (id, name) = place(arguments, i);
        let jobs = (1..=arguments.jobs)
            .map(|days| Job::ended(Duration::from_hours(24) * days, JobOutcome::Successful));
        let project =
            world.projects.entry(id).or_insert_with_key(|id| Project::new(&format!("project {id}")));
        project.clusters.insert(name, Cluster::with(jobs));
    }
    world
}
