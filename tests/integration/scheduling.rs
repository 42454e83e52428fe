//! Scheduling of polls.

use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Fault, FaultKind, ORGANIZATION, Project};

use crate::support::atlas::{PROJECT, add_cluster, atlas_state, requests, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;

/// Counts the polls of a cluster within `time`.
async fn polls_within(exporter: &Exporter, cluster: &str, time: Duration) -> f64 {
    let before = exporter.scrape().await.value("polls_total", cluster, "").unwrap();
    tokio::time::sleep(time).await;
    exporter.scrape().await.value("polls_total", cluster, "").unwrap() - before
}

#[tokio::test]
async fn hanging_cluster_does_not_delay_others() {
    let hanging = ["h1", "h2", "h3", "h4"];
    let mut state = atlas_state(
        hanging.map(|name| (name, Cluster::default())).into_iter().chain([("good", Cluster::default())]),
    );
    state.faults = hanging.map(|name| Fault::lasting(&format!("/{name}/"), FaultKind::HANG)).into();
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .set("poll.interval", "500ms")
        .set("poll.timeout", "30s")
        .set("poll.concurrency", 1)
        .start()
        .await;
    // With one permit held until the end of a poll, the good one would wait for two minutes.
    let start = Instant::now();
    let scrape = exporter
        .until(|scrape| scrape.value("polls_total", "good", "").is_some_and(|polls| polls >= 4.0))
        .await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    for name in hanging {
        assert_eq!(scrape.up(name), None, "{name} has no first poll yet");
    }
    assert_eq!(exporter.get("/-/ready").await.status(), 503);
}

#[tokio::test]
async fn many_hanging_clusters_do_not_delay_others() {
    let hanging: Vec<&'static str> = (0..30).map(|i| &*format!("h{i}").leak()).collect();
    let mut state = atlas_state(
        hanging.iter().map(|name| (*name, Cluster::default())).chain([("good", Cluster::default())]),
    );
    state.faults = hanging.iter().map(|name| Fault::lasting(&format!("/{name}/"), FaultKind::HANG)).collect();
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .set("poll.interval", "1s")
        .set("poll.timeout", "2s")
        .set("poll.concurrency", 4)
        .start()
        .await;
    // Each has hung once by then, and counts as slow.
    exporter.polled().await;
    let polls = polls_within(&exporter, "good", Duration::from_secs(6)).await;
    assert!(polls >= 3.0, "{polls}");
}

#[tokio::test]
async fn polls_longer_than_the_interval_do_not_overlap() {
    let mut state = atlas_state([("slow", Cluster::default())]);
    state.faults = vec![Fault::lasting("/slow/", FaultKind::Slow(Duration::from_millis(1500)))];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let start = Instant::now();
    let scrape = exporter.until(|scrape| scrape.value("polls_total", "slow", "") >= Some(3.0)).await;
    assert!(start.elapsed() >= Duration::from_millis(4400), "{:?}", start.elapsed());
    assert_eq!(scrape.up("slow"), Some(1.0));
    assert!(scrape.value("last_poll_duration_seconds", "slow", "").unwrap() >= 1.5);
}

#[tokio::test]
async fn polls_keep_their_interval() {
    let mut state = atlas_state([("a", Cluster::default()), ("b", Cluster::default())]);
    // An interval starts at the start of a poll.
    state.faults = vec![Fault::lasting("/a/", FaultKind::Slow(Duration::from_millis(600)))];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator).poll_interval("1s").start().await;
    exporter.polled().await;
    let polls = polls_within(&exporter, "a", Duration::from_secs(10)).await;
    assert!((8.0..=12.0).contains(&polls), "{polls}");
}

#[tokio::test]
async fn concurrency_limits_simultaneous_starts() {
    let names: Vec<&'static str> = (0..60).map(|i| &*format!("c{i}").leak()).collect();
    let mut state = atlas_state(names.iter().map(|name| (*name, Cluster::default())));
    state.faults = vec![
        Fault::lasting("/exports", FaultKind::Slow(Duration::from_secs(2))),
        Fault::lasting("/schedule", FaultKind::Slow(Duration::from_secs(2))),
    ];
    let simulator = simulator(state).await;
    let builder = ExporterBuilder::new(&simulator)
        .poll_interval("100ms")
        .set("poll.stale_after", "10s")
        .set("poll.concurrency", 2)
        .set("discovery.interval", "100ms");
    let start = Instant::now();
    let exporter = builder.start().await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    let most = simulator.state().max_in_flight;
    // Two polls and two readings start in 125 ms. Without a limit, there would be 120 requests.
    let allowed = 4 * (start.elapsed().as_millis() / 125 + 1);
    assert!(most > 4 && most as u128 <= allowed, "{most} of {allowed}");
    exporter.polled().await;
}

#[tokio::test]
async fn first_requests_are_distributed_over_time() {
    let names: Vec<&'static str> = (0..30).map(|i| &*format!("c{i:02}").leak()).collect();
    let simulator = simulator(atlas_state(names.iter().map(|name| (*name, Cluster::default())))).await;
    let exporter =
        ExporterBuilder::new(&simulator).poll_interval("10m").set("poll.stale_after", "1h").start().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for part in ["/exports", "/schedule"] {
        let early = requests(&simulator, part);
        assert!((5..=20).contains(&early), "{early} of 30 {part} in the first of three seconds");
    }
    exporter.ready().await;
    assert_eq!((requests(&simulator, "/exports"), requests(&simulator, "/schedule")), (30, 30));
}

#[tokio::test]
async fn hanging_schedules_do_not_delay_polls_or_discovery() {
    let names: Vec<&'static str> = (0..40).map(|i| &*format!("c{i}").leak()).collect();
    let mut state = atlas_state(names.iter().map(|name| (*name, Cluster::default())));
    state.faults = vec![Fault::lasting("/schedule", FaultKind::HANG)];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .project(PROJECT)
        .poll_interval("1s")
        .set("poll.concurrency", 1)
        .set("discovery.interval", "500ms")
        .start()
        .await;
    exporter.until(|scrape| scrape.up("c7") == Some(1.0)).await;
    add_cluster(&simulator, "new", Cluster::default());
    let start = Instant::now();
    exporter.until(|scrape| scrape.up("new") == Some(1.0)).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn many_hanging_projects_do_not_delay_others() {
    let mut state = atlas_state([("good", Cluster::default())]);
    for i in 0..150 {
        state.projects.insert(format!("65f1c0ffee5eed{i:010x}"), Project::new("hanging"));
    }
    state.faults = vec![Fault::lasting("/65f1c0ffee5eed", FaultKind::HANG)];
    let simulator = simulator(state).await;
    let mut builder = ExporterBuilder::new(&simulator);
    // The hanging projects come first in every order.
    builder = builder.organization(ORGANIZATION);
    let start = Instant::now();
    let exporter = builder.start().await;
    // With a second for each, eight at a time, it would be the nineteenth to be read.
    exporter.until(|scrape| scrape.up("good") == Some(1.0)).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
