//! What a project costs in requests, with collectors and without. See `README.md` beside this.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod process;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlas_simulator::{Account, AtlasState, Cluster, Project, Scheme, Simulator, Snapshot};
use tokio::net::TcpListener;

const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
const CLUSTERS: u32 = 10;
const DAY: Duration = Duration::from_hours(24);

/// Every interval is a sixtieth of its default, so that a minute is an hour.
const HOUR: Duration = Duration::from_mins(1);
const INTERVALS: &str =
    "[poll]\ninterval = \"1s\"\n[discovery]\ninterval = \"10s\"\n[collectors]\ninterval = \"10s\"\n";
const FASTER: u32 = 60;

#[tokio::main]
async fn main() {
    let off = "snapshots = false\nevents = false\nbuckets = false\n";
    let (with, without) = tokio::join!(hour(""), hour(off));
    println!(
        "requests in an hour, one project with {CLUSTERS} clusters, one page of jobs and snapshots each:\n"
    );
    println!("| Endpoint | without collectors | with collectors |\n|---|---|---|");
    for (endpoint, count) in &with {
        println!("| {endpoint} | {} | {count} |", without.get(endpoint).unwrap_or(&0));
    }
    let sum = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
    println!("| **in all** | {} | {} |", sum(&without), sum(&with));
}

/// The requests of an hour, by what they ask for.
async fn hour(more: &str) -> BTreeMap<&'static str, usize> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, world()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tables = format!("{INTERVALS}{more}[[projects]]\nid = \"{PROJECT}\"\n");
    let _running = process::start(folder.path(), simulator.url(), &tables);
    let began = Instant::now();
    while simulator.state().requests.len() < 4 * CLUSTERS as usize {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not begin");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The start is not a part of it.
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

/// Daily snapshots and exports of a month; one cluster is sharded. Budgets refill as much faster as time passes.
fn world() -> AtlasState {
    let mut project = Project::new("payments");
    for number in 0..CLUSTERS {
        let snapshots = (0..30).map(|day| Snapshot::taken(DAY * day, "daily"));
        let shards = if number == 0 { 3 } else { 0 };
        let cluster = Cluster { shards, ..Cluster::exported(snapshots) };
        project = project.with(&format!("cluster-{number}"), cluster);
    }
    AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "bench", "bench")],
        projects: [(PROJECT.to_owned(), project.with_faster_refill(FASTER))].into(),
        ..AtlasState::default()
    }
}
