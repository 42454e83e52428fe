//! Memory and file descriptors during large responses and many requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Fault, FaultKind, Job, JobOutcome, Project, Simulator};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::atlas::{PROJECT, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::support::fault_proxy::{FOREVER, FaultProxy, ProxyMode, Step, send};

const CLUSTERS: usize = 60;

/// Nearly the maximum size of a body.
const LARGE_BODY: usize = 15 << 20;

async fn clusters() -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]);
    let mut project = Project::new("payments").with("healthy", cluster());
    for number in 0..CLUSTERS {
        project = project.with(&format!("large-{number}"), cluster());
    }
    let mut state = atlas_state([]);
    state.projects.insert(PROJECT.to_owned(), project);
    simulator(state).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_large_bodies_use_bounded_memory() {
    let simulator = clusters().await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Plain).await;
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec();
    let hang = move |_: &str| vec![send(head.clone()), Step::Spaces(LARGE_BODY), FOREVER];
    proxy.respond("/clusters/large-", Some(Arc::new(hang)));
    let exporter = ExporterBuilder::new(&simulator)
        .base_url(&proxy.plain_url())
        .set("poll.interval", "1s")
        .set("poll.timeout", "10s")
        .start()
        .await;
    let start = Instant::now();
    let scrape = exporter.polled_again(1.0).await;
    for number in 0..CLUSTERS {
        let name = format!("large-{number}");
        assert_eq!(scrape.value("last_poll_error_info", &name, "reason=\"timeout\""), Some(1.0), "{name}");
    }
    assert_eq!(scrape.up("healthy"), Some(1.0));
    let (polls, seconds) =
        (scrape.value("polls_total", "healthy", "").unwrap(), start.elapsed().as_secs_f64());
    assert!(polls > 0.6 * seconds, "delayed: {polls} polls in {seconds} s");
    let peak = exporter.peak_memory();
    assert!(peak < 200, "{peak} MiB for {CLUSTERS} bodies of {} MiB", LARGE_BODY >> 20);

    proxy.respond("/clusters/large-", None);
    exporter
        .until(|scrape| (0..CLUSTERS).all(|number| scrape.up(&format!("large-{number}")) == Some(1.0)))
        .await;
}

/// Scrapes over a new connection; returns whether that succeeded.
async fn scrape_over_new_connection(exporter: &Exporter) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.starts_with("HTTP/1.1 200 OK"))
}

#[tokio::test]
async fn scrapes_are_served_with_few_file_descriptors() {
    let names: Vec<&'static str> = (0..60).map(|number| &*format!("c{number}").leak()).collect();
    let mut state = atlas_state(names.iter().map(|name| (*name, Cluster::default())));
    // All requests are in flight at once, as far as descriptors allow.
    state.faults = vec![Fault::lasting("/clusters/", FaultKind::Slow(Duration::from_secs(2)))];
    let simulator = simulator(state).await;
    let builder = ExporterBuilder::new(&simulator).poll_interval("1s").project(PROJECT);
    let folder = tempfile::tempdir().unwrap();
    builder.write(&folder);
    let mut command = command_of("/bin/sh");
    let binary = env!("CARGO_BIN_EXE_atlas-backup-exporter");
    command.current_dir(folder.path()).args([
        "-c",
        "ulimit -n 20; exec \"$0\" --web.listen-address=127.0.0.1:0",
        binary,
    ]);
    let exporter = Exporter::spawn(command, folder).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let scraped =
            tokio::time::timeout(Duration::from_secs(5), scrape_over_new_connection(&exporter)).await;
        assert!(matches!(scraped, Ok(Ok(true))), "{scraped:?}: {}", exporter.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    exporter.until(|scrape| names.iter().any(|name| scrape.up(name) == Some(1.0))).await;
}
