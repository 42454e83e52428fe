//! Counts the requests for a project, with and without collectors. See `benches/README.md`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod process;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlas_simulator::{Account, AtlasState, Cluster, Project, Scheme, Simulator, Snapshot};
use tokio::net::TcpListener;

const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
const CLUSTERS: u32 = 10;
const DAY: Duration = Duration::from_hours(24);

/// All intervals are divided by this number, so that an hour takes one minute.
const SPEEDUP: u32 = 60;
const HOUR: Duration = Duration::from_mins(1);
const INTERVALS: &str =
    "[poll]\ninterval = \"1s\"\n[discovery]\ninterval = \"10s\"\n[collectors]\ninterval = \"10s\"\n";

#[tokio::main]
async fn main() {
    let off = "snapshots = false\nevents = false\nbuckets = false\n";
    let (with, without) = tokio::join!(hour(""), hour(off));
    println!(
        "requests per hour, one project with {CLUSTERS} clusters, one page of jobs and snapshots each:\n"
    );
    println!("| Endpoint | without collectors | with collectors |\n|---|---|---|");
    for (endpoint, count) in &with {
        println!("| {endpoint} | {} | {count} |", without.get(endpoint).unwrap_or(&0));
    }
    let sum = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
    println!("| **total** | {} | {} |", sum(&without), sum(&with));
}

/// Returns the number of requests in an hour by endpoint.
async fn hour(more: &str) -> BTreeMap<&'static str, usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, atlas_state()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tables = format!("{INTERVALS}{more}[[projects]]\nid = \"{PROJECT}\"\n");
    let _running = process::start(folder.path(), simulator.url(), &tables);
    let began = Instant::now();
    while simulator.state().requests.len() < 4 * CLUSTERS as usize {
        assert!(began.elapsed() < Duration::from_secs(30), "the exporter does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The startup is not counted.
    tokio::time::sleep(HOUR / 4).await;
    simulator.state().requests.clear();
    tokio::time::sleep(HOUR).await;
    let mut counts = BTreeMap::new();
    for seen in &simulator.state().requests {
        assert_eq!(seen.status, 200, "{seen:?}");
        *counts.entry(endpoint(&seen.line)).or_default() += 1;
    }
    counts
}

fn endpoint(line: &str) -> &'static str {
    let path = line.split('?').next().unwrap();
    [
        ("/exports", "exports"),
        ("/schedule", "schedule"),
        ("/snapshots", "snapshots"),
        ("/shardedClusters", "snapshots"),
        ("/exportBuckets", "export_buckets"),
        ("/events", "events"),
        ("/clusters", "clusters"),
        (PROJECT, "project"),
    ]
    .into_iter()
    .find(|(end, _)| path.ends_with(end))
    .map_or("token", |(_, name)| name)
}

/// Returns clusters with daily snapshots and exports of a month, one of them sharded.
fn atlas_state() -> AtlasState {
    let mut project = Project::new("payments");
    for number in 0..CLUSTERS {
        let snapshots = (0..30).map(|day| Snapshot::taken(DAY * day, "daily"));
        let shards = if number == 0 { 3 } else { 0 };
        let cluster = Cluster { shards, ..Cluster::exported(snapshots) };
        project = project.with(&format!("cluster-{number}"), cluster);
    }
    AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "bench", "bench")],
        projects: [(PROJECT.to_owned(), project.with_faster_refill(SPEEDUP))].into(),
        ..AtlasState::default()
    }
}
