//! Peak memory of the static binary while responses are too large.

mod attacks;
mod cgroup;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Fault, FaultKind, Job, JobOutcome, Project, Simulator, TokenBucket};

use self::attacks::Response::{Each, Same, Stalls};
use self::attacks::{ATTACKS, Attack, CLUSTERS, CROWDS, SNAPSHOTS};
use self::cgroup::Cgroup;
use crate::image::built;
use crate::support::atlas::{PROJECT, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::support::fault_proxy::{FOREVER, FaultProxy, ProxyMode, Script, Step, send};

/// Project and organization with hostile responses.
const BAD: &str = "65f1c0ffee5eed0000000bad";
const BAD_ORGANIZATION: &str = "65f1c0ffee5eed0000000d0d";

const HEALTHY: usize = 30;

/// Documented in SECURITY.md and docs/production.md.
const MAX_MIB: u64 = 64;

/// Starts a simulator with healthy clusters in one project, and `bad` ones in another.
async fn healthy_and(bad: usize) -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]);
    let mut state = atlas_state([]);
    let mut healthy = Project::new("healthy");
    for number in 0..HEALTHY {
        healthy = healthy.with(&format!("healthy-{number}"), cluster());
    }
    state.projects.insert(PROJECT.to_owned(), healthy);
    let mut hostile = Project::new("bad").with("bad", cluster());
    for number in 1..bad {
        hostile = hostile.with(&format!("bad-{number}"), cluster());
    }
    state.projects.insert(BAD.to_owned(), hostile);
    simulator(state).await
}

/// Starts the exporter, which the kernel kills if it exceeds the limit.
async fn run(binary: &str, builder: &ExporterBuilder, limit: Option<&Cgroup>) -> Exporter {
    let folder = tempfile::tempdir().unwrap();
    builder.write(&folder);
    let mut command = match limit {
        Some(cgroup) => cgroup.command(binary),
        None => command_of(binary),
    };
    command.current_dir(folder.path()).arg("--web.listen-address=127.0.0.1:0");
    Exporter::spawn(command, folder).await
}

/// Runs attacks; returns the peak memory in MiB, and the polls per second of the healthy cluster
/// with the fewest.
async fn attacked(
    binary: &str,
    attacks: &[&Attack],
    clusters: usize,
    time: Duration,
    limit: Option<&Cgroup>,
) -> (u64, f64) {
    let simulator = healthy_and(clusters).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Plain).await;
    let mut paths: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for attack in attacks {
        let steps: Box<dyn Fn(usize) -> Vec<Step> + Send + Sync> = match attack.response {
            Same(make) | Stalls(make) => {
                let mut steps = vec![send(make())];
                steps.extend(matches!(attack.response, Stalls(_)).then_some(FOREVER));
                Box::new(move |_| steps.clone())
            }
            Each(make) => Box::new(move |request| vec![send(make(request))]),
        };
        paths.entry(attack.path).or_default().push(steps);
    }
    let mut requested = BTreeMap::new();
    for (path, responses) in paths {
        let count = Arc::new(AtomicUsize::new(0));
        requested.insert(path, (responses.len(), count.clone()));
        // Attacks on the same path alternate.
        let script: Script = Arc::new(move |_| {
            let request = count.fetch_add(1, Ordering::Relaxed);
            responses[request % responses.len()](request)
        });
        proxy.respond(path, Some(script));
    }
    let builder = ExporterBuilder::new(&simulator)
        .base_url(&proxy.plain_url())
        .set("poll.interval", "1s")
        .set("poll.timeout", "3s")
        .set("poll.stale_after", "10m")
        .set("discovery.interval", "2s")
        .set("collectors.interval", "2s")
        .targets(format!(
            "[[projects]]\nid = \"{PROJECT}\"\n[[projects]]\nid = \"{BAD}\"\nclusters = [\"bad\", \"*\"]\n\
         [[organizations]]\nid = \"{BAD_ORGANIZATION}\"\n"
        ));
    let exporter = run(binary, &builder, limit).await;
    let start = Instant::now();
    let is_over = || requested.values().all(|(attacks, count)| count.load(Ordering::Relaxed) >= *attacks);
    while start.elapsed() < time || !is_over() {
        assert!(start.elapsed() < 8 * time, "missing requests: {requested:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        exporter.scrape().await;
    }
    let scrape = exporter.scrape().await;
    let polls =
        |number: usize| scrape.value("polls_total", &format!("healthy-{number}"), "").unwrap_or_default();
    let fewest = (0..HEALTHY).map(polls).fold(f64::MAX, f64::min);
    (exporter.peak_memory(), fewest / start.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints a table for the build of MEMORY_EXPORTER"]
#[allow(clippy::print_stdout)]
async fn table() {
    // Takes six minutes; the tests below assert the limits.
    let Ok(binary) = std::env::var("MEMORY_EXPORTER") else { return };
    let only = std::env::var("MEMORY_ATTACK").unwrap_or_default();
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&only)) {
        let (peak, polls) = attacked(&binary, &[attack], 1, Duration::from_secs(8), None).await;
        println!("| {} | {peak} MiB | {polls:.2} |", attack.name);
    }
    for (attack, clusters) in CROWDS {
        if attack.name.contains(&only) {
            let (peak, polls) = attacked(&binary, &[attack], *clusters, Duration::from_secs(40), None).await;
            println!("| {clusters} {} | {peak} MiB | {polls:.2} |", attack.name);
        }
    }
    if only.is_empty() || only == "hang" {
        let minute = Duration::from_mins(1);
        let (peak, took) = hang(&binary, minute, minute, None).await;
        println!(
            "| {MANY_CLUSTERS} clusters while nothing is answered for a minute | {peak} MiB | {took:.1?} |"
        );
    }
    if only.is_empty() || only == "valid" {
        let minute = Duration::from_mins(1);
        let (_simulator, exporter) = with_many(&binary, (10_000, 30), minute, None).await;
        all_polled(&exporter, 10_000, 0.0, 4 * minute).await;
        let first = exporter.peak_memory();
        let took = all_polled(&exporter, 10_000, now() + 60.0, 4 * minute).await;
        let resident = exporter.scrape().await.0["process_resident_memory_bytes"] / 1_048_576.0;
        println!("| 10,000 valid clusters | {first} MiB at first, {resident:.0} MiB after {took:.0?} |");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's musl-tools and Rust's musl target; tests/run installs them"]
async fn hostile_responses_stay_within_documented_memory() {
    let binary = built().await;
    let cgroup = Cgroup::new(MAX_MIB);
    // Schedules and snapshots are only read if clusters can be listed, and snapshots only if the
    // schedule can be read.
    let single = |attack: &Attack| !matches!(attack.response, Each(_));
    let alone = |attack: &Attack| [CLUSTERS, SNAPSHOTS].contains(&attack.path);
    let rounds: [&dyn Fn(&Attack) -> bool; 5] = [
        &|attack| single(attack) && !alone(attack),
        &|attack| !single(attack) && !alone(attack) || single(attack) && attack.path == SNAPSHOTS,
        &|attack| single(attack) && attack.path == CLUSTERS,
        &|attack| !single(attack) && attack.path == CLUSTERS,
        &|attack| !single(attack) && attack.path == SNAPSHOTS,
    ];
    for round in rounds {
        let mut attacks: Vec<_> = ATTACKS.iter().filter(|attack| round(attack)).collect();
        // All pages of a listing are of the same attack.
        attacks.dedup_by(|one, other| one.path == other.path && !single(one) && !single(other));
        let (peak, polls) = attacked(&binary, &attacks, 1, Duration::from_secs(6), cgroup.as_ref()).await;
        let names: Vec<_> = attacks.iter().map(|attack| attack.name).collect();
        assert!(peak <= MAX_MIB, "{peak} MiB: {names:?}");
        assert!(polls > 0.5, "{polls} polls a second of healthy clusters: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Debian's musl-tools and Rust's musl target; tests/run installs them"]
async fn hanging_requests_stay_within_documented_memory() {
    let interval = Duration::from_secs(15);
    let cgroup = Cgroup::new(MAX_MIB_OF_MANY);
    let (peak, took) = hang(&built().await, interval, 2 * interval, cgroup.as_ref()).await;
    assert!(peak <= MAX_MIB_OF_MANY, "{peak} MiB");
    assert!(took <= 2 * interval, "{took:?} until each cluster was polled again");
}

/// Clusters of the exporter while Atlas hangs.
const MANY_CLUSTERS: usize = 4_000;

/// Documented limit for them, in MiB.
const MAX_MIB_OF_MANY: u64 = 128;

/// Starts an exporter of many clusters with daily jobs, in projects of 400 clusters.
async fn with_many(
    binary: &str,
    (clusters, jobs): (usize, u32),
    interval: Duration,
    limit: Option<&Cgroup>,
) -> (Simulator, Exporter) {
    let mut state = atlas_state([]);
    for first in (0..clusters).step_by(400) {
        let mut project = Project::new("p");
        for number in first..clusters.min(first + 400) {
            let jobs =
                (1..=jobs).map(|day| Job::ended(Duration::from_hours(24) * day, JobOutcome::Successful));
            project = project.with(&format!("c{number}"), Cluster::with(jobs));
        }
        project.budget = TokenBucket::new(1_000_000, 1_000_000);
        state.projects.insert(format!("65f1c0ffee5eed00000{first:05}"), project);
    }
    let projects: Vec<_> = state.projects.keys().map(|id| format!("[[projects]]\nid = \"{id}\"\n")).collect();
    let simulator = simulator(state).await;
    let seconds = interval.as_secs();
    let builder = ExporterBuilder::at(simulator.url())
        .set("poll.interval", format!("{seconds}s"))
        .set("poll.timeout", format!("{}s", seconds / 2))
        .set("poll.stale_after", "1h")
        .targets(projects.concat());
    let exporter = run(binary, &builder, limit).await;
    (simulator, exporter)
}

/// Waits until every cluster has been polled successfully after `since`, a Unix timestamp; returns
/// the time.
async fn all_polled(exporter: &Exporter, clusters: usize, since: f64, patience: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let scrape = exporter.scrape().await;
        let successes = scrape.of("mongodbatlas_backup_export_last_poll_success_timestamp_seconds");
        let late = successes.iter().filter(|(_, at)| *at < since).count();
        if successes.len() == clusters && late == 0 {
            return start.elapsed();
        }
        let log = || exporter.log();
        assert!(start.elapsed() < patience, "{} clusters, {late} late: {}", successes.len(), log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

/// Hangs all requests for `time`; returns the peak memory in MiB, and the time until every cluster
/// was polled again.
async fn hang(binary: &str, interval: Duration, time: Duration, limit: Option<&Cgroup>) -> (u64, Duration) {
    let (simulator, exporter) = with_many(binary, (MANY_CLUSTERS, 1), interval, limit).await;
    all_polled(&exporter, MANY_CLUSTERS, 0.0, 4 * interval).await;
    simulator.state().faults = vec![Fault::lasting("", FaultKind::HANG)];
    tokio::time::sleep(time).await;
    simulator.state().faults.clear();
    let took = all_polled(&exporter, MANY_CLUSTERS, now(), 3 * interval).await;
    (exporter.peak_memory(), took)
}
