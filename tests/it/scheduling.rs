//! Who is polled when, and who holds up whom.

use std::time::{Duration, Instant};

use atlas_backup_exporter::simulator::{Cluster, Fault, Misbehaviour};

use crate::harness::{Exporter, Setup, simulator, world};

/// How many polls of a cluster finish in a while.
async fn polls_within(exporter: &Exporter, cluster: &str, time: Duration) -> f64 {
    let before = exporter.scrape().await.value("polls_total", cluster, "").unwrap();
    tokio::time::sleep(time).await;
    exporter.scrape().await.value("polls_total", cluster, "").unwrap() - before
}

#[tokio::test]
async fn clusters_that_hang_do_not_starve_the_rest() {
    let hanging = ["h1", "h2", "h3", "h4"];
    let mut world = world(
        hanging.map(|name| (name, Cluster::default())).into_iter().chain([("good", Cluster::default())]),
    );
    world.faults = hanging.map(|name| Fault::lasting(&format!("/{name}/"), Misbehaviour::Hang)).into();
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"500ms\"\ntimeout = \"30s\"\nconcurrency = 1\n".to_owned();
    let exporter = setup.start().await;
    // With one slot and no mercy, the good one would wait for two minutes.
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
async fn a_crowd_that_hangs_has_a_lane_of_its_own() {
    let hanging: Vec<&'static str> = (0..30).map(|i| &*format!("h{i}").leak()).collect();
    let mut world =
        world(hanging.iter().map(|name| (*name, Cluster::default())).chain([("good", Cluster::default())]));
    world.faults =
        hanging.iter().map(|name| Fault::lasting(&format!("/{name}/"), Misbehaviour::Hang)).collect();
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"1s\"\ntimeout = \"2s\"\nconcurrency = 4\n".to_owned();
    let exporter = setup.start().await;
    // Each has hung once by then, and is known for it.
    exporter.polled().await;
    let polls = polls_within(&exporter, "good", Duration::from_secs(6)).await;
    assert!(polls >= 3.0, "{polls}");
}

#[tokio::test]
async fn a_poll_that_outlasts_its_interval_is_followed_by_one_and_not_by_many() {
    let mut world = world([("slow", Cluster::default())]);
    world.faults = vec![Fault::lasting("/slow/", Misbehaviour::Slow(Duration::from_millis(1500)))];
    let simulator = simulator(world).await;
    let exporter = Setup::new(&simulator).start().await;
    let start = Instant::now();
    let scrape = exporter.until(|scrape| scrape.value("polls_total", "slow", "") >= Some(3.0)).await;
    assert!(start.elapsed() >= Duration::from_millis(4400), "{:?}", start.elapsed());
    assert_eq!(scrape.up("slow"), Some(1.0));
    assert!(scrape.value("last_poll_duration_seconds", "slow", "").unwrap() >= 1.5);
}

#[tokio::test]
async fn polls_keep_their_interval() {
    let mut world = world([("a", Cluster::default()), ("b", Cluster::default())]);
    // An interval runs from the beginning of a poll, not from its end.
    world.faults = vec![Fault::lasting("/a/", Misbehaviour::Slow(Duration::from_millis(600)))];
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"1s\"\n".to_owned();
    let exporter = setup.start().await;
    exporter.polled().await;
    let polls = polls_within(&exporter, "a", Duration::from_secs(10)).await;
    assert!((8.0..=12.0).contains(&polls), "{polls}");
}
