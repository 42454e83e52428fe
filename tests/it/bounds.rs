//! What the exporter takes of its machine while Atlas, or what stands between, gives too much and does not end.

use std::sync::Arc;
use std::time::Duration;

use atlas_backup_exporter::simulator::{Cluster, End, Job, Project, Simulator};

use crate::client::front::{FOR_EVER, Front, Step, Way};
use crate::harness::{Exporter, PROJECT, Setup, simulator, world};

const CLUSTERS: usize = 60;

/// As much as a body may have, or nearly so.
const NEARLY: usize = 15 << 20;

async fn clusters() -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), End::Successful)]);
    let mut project = Project::new("payments").with("healthy", cluster());
    for number in 0..CLUSTERS {
        project = project.with(&format!("large-{number}"), cluster());
    }
    let mut world = world([]);
    world.projects.insert(PROJECT.to_owned(), project);
    simulator(world).await
}

/// The most memory that a process had so far, in MiB.
fn peak(exporter: &Exporter) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_that_hang_do_not_fill_the_memory_and_hold_up_nobody() {
    let simulator = clusters().await;
    let front = Front::before(&simulator, Way::Plain).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
    let hang = move |_: &str| vec![Step::Send(head.clone()), Step::Spaces(NEARLY), FOR_EVER];
    front.answer("/clusters/large-", Some(Arc::new(hang)));
    let mut setup = Setup::new(&simulator);
    setup.base_url = front.plain_url();
    setup.poll = "interval = \"1s\"\ntimeout = \"10s\"\n".to_owned();
    let exporter = setup.start().await;
    let scrape = exporter.polled_again(1.0).await;
    for number in 0..CLUSTERS {
        let name = format!("large-{number}");
        assert_eq!(scrape.value("last_poll_error_info", &name, "reason=\"timeout\""), Some(1.0), "{name}");
    }
    assert_eq!(scrape.up("healthy"), Some(1.0));
    assert!(scrape.value("polls_total", "healthy", "").unwrap() >= 5.0, "it was held up");
    let peak = peak(&exporter);
    println!("PEAK {peak}");
    assert!(peak < 100, "{peak} MiB for {CLUSTERS} bodies of {} MiB", NEARLY >> 20);

    front.answer("/clusters/large-", None);
    exporter
        .until(|scrape| (0..CLUSTERS).all(|number| scrape.up(&format!("large-{number}")) == Some(1.0)))
        .await;
}
