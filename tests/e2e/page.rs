//! Tests of the status page in Chromium.

use std::time::Duration;

use atlas_simulator::{AtlasState, Cluster, Job, JobOutcome, Project, TokenBucket};
use tokio::process::Command;

use crate::demo;
use crate::servers::shipped;
use crate::support::atlas::{PROJECT, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;

/// Runs a script of `browser/` and returns its output. Panics if the script fails.
pub(crate) async fn browse(script: &str, arguments: &[&str]) -> String {
    let mut browser = Command::new("node");
    browser.current_dir(shipped("")).arg(format!("tests/e2e/browser/{script}")).args(arguments);
    let output = browser.kill_on_drop(true).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text.into_owned()
}

#[tokio::test]
#[ignore = "needs Debian's chromium and npm's playwright-core and axe-core; tests/run installs them"]
async fn status_page_refreshes_and_is_accessible() {
    let demo = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let pid = demo.pid().to_string();
    browse("page.mjs", &[&demo.url, &pid, "8", folder.path().to_str().unwrap()]).await;
}

#[tokio::test]
#[ignore = "needs Debian's chromium and npm's playwright-core; tests/run installs them"]
#[allow(clippy::print_stdout)] // durations, with --nocapture
async fn status_page_shows_two_thousand_clusters() {
    const CLUSTERS: usize = 2000;
    let failed = JobOutcome::Failed(
        "EXPORT_BUCKET_ACCESS_DENIED".to_owned(),
        format!("Atlas could not write to the export bucket. {}", "The role lacks a permission. ".repeat(6)),
    );
    let clusters = (0..CLUSTERS).map(|index| {
        let last = if index % 50 == 0 { failed.clone() } else { JobOutcome::Successful };
        let jobs = [
            Job::ended(Duration::from_hours(26), JobOutcome::Successful),
            Job::ended(Duration::from_hours(2), last),
        ];
        (format!("cluster-{index:04}"), Cluster::with(jobs))
    });
    let plenty = || TokenBucket::new(1_000_000, 1_000_000);
    let mut project = Project {
        budget: plenty(),
        clusters_budget: plenty(),
        events_budget: plenty(),
        ..Project::new("payments")
    };
    project.clusters = clusters.collect();
    let state = AtlasState { projects: [(PROJECT.to_owned(), project)].into(), ..atlas_state([]) };
    let simulator = simulator(state).await;
    let exporter =
        ExporterBuilder::new(&simulator).poll_interval("1m").set("poll.concurrency", 64).start().await;
    exporter.polled().await;
    println!("{}", browse("many.mjs", &[&exporter.url, &CLUSTERS.to_string()]).await);
}
