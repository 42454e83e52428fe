//! Metrics of listings of export jobs.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Fault, FaultKind, Job, JobOutcome, Order};
use jiff::Timestamp;
use serde_json::json;

use crate::support::atlas::{
    PROJECT, atlas_state, exports, requests, simulator, update_cluster, update_project,
};
use crate::support::builder::ExporterBuilder;

const HOUR: Duration = Duration::from_hours(1);

fn failed(code: &str) -> JobOutcome {
    JobOutcome::Failed(code.to_owned(), "the bucket said no".to_owned())
}

fn created(job: &Job) -> f64 {
    job.created_at.as_second() as f64
}

#[tokio::test]
async fn failure_after_successes_is_exposed() {
    let jobs = [
        Job::ended(HOUR * 49, JobOutcome::Successful),
        Job::ended(HOUR * 25, failed("BUCKET_ACCESS_DENIED")),
        Job::ended(HOUR, failed("KMS_KEY_DISABLED")),
        Job::ended(HOUR * 2, JobOutcome::Cancelled),
    ];
    let simulator = simulator(atlas_state([("prod", Cluster::with(jobs.clone()))])).await;
    let scrape = ExporterBuilder::new(&simulator).start().await.polled().await;
    let value = |name, label| scrape.value(name, "prod", label);
    assert_eq!(scrape.up("prod"), Some(1.0));
    assert_eq!(value("jobs", "state=\"Failed\""), Some(2.0));
    assert_eq!(value("jobs", "state=\"Queued\""), Some(0.0));
    assert_eq!(scrape.latest_state("prod"), Some("Failed"));
    assert_eq!(value("failures_since_last_success", ""), Some(2.0));
    assert_eq!(value("oldest_unresolved_failure_created_timestamp_seconds", ""), Some(created(&jobs[1])));
    assert_eq!(value("latest_failure_info", "error_code=\"KMS_KEY_DISABLED\""), Some(1.0));
    assert_eq!(value("last_success_duration_seconds", ""), Some(1260.0));
    assert_eq!(value("last_finished_timestamp_seconds", "Successful"), Some(created(&jobs[0]) + 1260.0));
    assert_eq!(value("last_finished_timestamp_seconds", "Failed"), Some(created(&jobs[2]) + 1260.0));
    assert_eq!(value("latest_job_created_timestamp_seconds", ""), Some(created(&jobs[2])));
    assert_eq!(value("progress_ratio", ""), Some(52.0 / 105.0));
    assert_eq!(value("last_progress_timestamp_seconds", ""), None);
    assert_eq!(value("oldest_active_job_created_timestamp_seconds", ""), None);
    let labels = scrape.of("mongodbatlas_backup_export_up")[0].0;
    assert_eq!(labels, format!("{{project_id=\"{PROJECT}\",project=\"payments\",cluster_name=\"prod\"}}"));
}

#[tokio::test]
async fn unusual_clusters_have_the_right_metrics() {
    let running = Job { running: HOUR * 100, ..Job::ended(HOUR * 50, JobOutcome::Successful) };
    let stuck = Job::ended(HOUR * 9, JobOutcome::Never);
    let sharded = Job { running: HOUR * 9, ..Job::ended(HOUR, JobOutcome::Successful) };
    let nothing = Job { collections: 0, ..Job::ended(HOUR, JobOutcome::Successful) };
    let odd = [
        json!({"exportBucketId": "x"}),
        json!({"exportBucketId": "x", "id": "a", "createdAt": "2026-01-01T00:00:00.25Z",
            "state": "PAUSED", "brandNew": {"a": [1]}}),
        json!({"exportBucketId": "x", "id": "b", "createdAt": "2025-01-01T00:00:00+02:00",
            "state": "inprogress",
               "exportStatus": {"exportedCollections": -2_147_483_648_i64, "totalCollections": -1}}),
    ];
    let odd = Cluster { jobs: odd.into_iter().map(Entry::Raw).collect(), ..Cluster::default() };
    let simulator = simulator(atlas_state([
        ("running", Cluster::with([running])),
        ("stuck", Cluster::with([stuck.clone()])),
        ("sharded", Cluster { shards: 3, ..Cluster::with([sharded]) }),
        ("nothing", Cluster::with([nothing])),
        ("never", Cluster::default()),
        ("odd", odd),
    ]))
    .await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let scrape = exporter.polled().await;
    let ratio = scrape.value("progress_ratio", "running", "").unwrap();
    assert!((0.45..0.55).contains(&ratio), "{ratio}");
    assert_eq!(scrape.value("progress_ratio", "stuck", ""), Some(1.0));
    assert_eq!(scrape.latest_state("stuck"), Some("InProgress"));
    assert_eq!(scrape.value("last_progress_timestamp_seconds", "stuck", ""), Some(created(&stuck)));
    assert_eq!(
        scrape.value("oldest_active_job_created_timestamp_seconds", "stuck", "InProgress"),
        Some(created(&stuck))
    );
    assert_eq!(scrape.value("progress_ratio", "sharded", ""), None);
    assert_eq!(scrape.value("latest_job_collections", "sharded", ""), None);
    assert_eq!(scrape.latest_state("sharded"), Some("InProgress"));
    assert_eq!(scrape.value("progress_ratio", "nothing", ""), None);
    assert_eq!(scrape.value("latest_job_collections", "nothing", ""), Some(0.0));
    assert_eq!(scrape.latest_state("nothing"), Some("Successful"));
    assert_eq!(scrape.latest_state("never"), None);
    assert_eq!(scrape.value("jobs", "never", "Successful"), Some(0.0));
    assert_eq!(scrape.value("last_finished_timestamp_seconds", "never", ""), None);
    assert_eq!(scrape.value("failures_since_last_success", "never", ""), Some(0.0));
    assert_eq!(scrape.value("jobs", "odd", "Unknown"), Some(2.0));
    assert_eq!(scrape.latest_state("odd"), Some("Unknown"));
    assert_eq!(scrape.value("latest_job_created_timestamp_seconds", "odd", ""), Some(1_767_225_600.25));
    assert_eq!(scrape.value("latest_job_collections", "odd", ""), None);
    // The stuck job has made no progress.
    let later = exporter.polled_again(3.0).await;
    assert_eq!(later.value("last_progress_timestamp_seconds", "stuck", ""), Some(created(&stuck)));
}

#[tokio::test]
async fn changes_of_job_states_are_exposed() {
    let job = Job {
        created_at: Timestamp::now(),
        queued: Duration::from_secs(2),
        running: Duration::from_secs(3),
        ..Job::ended(Duration::ZERO, failed("E"))
    };
    let simulator = simulator(atlas_state([(
        "prod",
        Cluster::with([Job::ended(HOUR, JobOutcome::Successful), job.clone()]),
    )]))
    .await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let queued = exporter.until(|scrape| scrape.latest_state("prod") == Some("Queued")).await;
    assert_eq!(
        queued.value("last_progress_timestamp_seconds", "prod", ""),
        Some(job.created_at.as_second() as f64)
    );
    let running = exporter
        .until(|scrape| scrape.value("progress_ratio", "prod", "").is_some_and(|ratio| ratio > 0.1))
        .await;
    assert_eq!(running.latest_state("prod"), Some("InProgress"));
    let moved = running.value("last_progress_timestamp_seconds", "prod", "").unwrap();
    assert!(moved > created(&job) + 1.0, "{moved}");
    let failed = exporter.until(|scrape| scrape.latest_state("prod") == Some("Failed")).await;
    assert_eq!(failed.value("failures_since_last_success", "prod", ""), Some(1.0));
    assert_eq!(failed.value("last_progress_timestamp_seconds", "prod", ""), None);
    let none = Duration::ZERO;
    let recovery = Job { queued: none, running: none, ..Job::ended(none, JobOutcome::Successful) };
    update_cluster(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(recovery)));
    let recovered = exporter.until(|scrape| scrape.latest_state("prod") == Some("Successful")).await;
    assert_eq!(recovered.value("failures_since_last_success", "prod", ""), Some(0.0));
    assert_eq!(recovered.value("latest_failure_info", "prod", ""), None);
}

/// Returns 1,203 daily jobs: the newest failed, the others succeeded.
fn long_history() -> Vec<Job> {
    let job = |days: u32| {
        Job::ended(HOUR * 24 * days, if days == 1 { failed("E") } else { JobOutcome::Successful })
    };
    (1..=1203).map(job).collect()
}

#[tokio::test]
async fn every_page_is_read_in_any_order() {
    let mut shuffled = Cluster { order: Order::AsGiven, ..Cluster::with(long_history()) };
    fastrand::Rng::with_seed(7).shuffle(&mut shuffled.jobs);
    let variants = [
        ("newest-first", Cluster::with(long_history())),
        ("oldest-first", Cluster { order: Order::OldestFirst, ..Cluster::with(long_history()) }),
        ("overlapping", Cluster { overlap: 13, total_count: Some(0), ..shuffled.clone() }),
        ("overstated", Cluster { total_count: Some(1_000_000), ..Cluster::with(long_history()) }),
        ("shuffled", Cluster { total_count: Some(1), ..shuffled.clone() }),
        ("unlinked", Cluster { unlinked: true, ..shuffled }),
        ("whole-pages", Cluster::with(long_history().into_iter().take(1000))),
    ];
    let simulator = simulator(atlas_state(variants)).await;
    let scrape = ExporterBuilder::new(&simulator).poll_interval("60s").start().await.polled().await;
    for name in ["newest-first", "oldest-first", "overlapping", "overstated", "shuffled", "unlinked"] {
        let count = |state| scrape.value("jobs", name, state);
        assert_eq!((count("Failed"), count("Successful")), (Some(1.0), Some(1202.0)), "{name}");
        assert_eq!(scrape.latest_state(name), Some("Failed"), "{name}");
        assert_eq!(scrape.value("failures_since_last_success", name, ""), Some(1.0), "{name}");
        assert_eq!(requests(&simulator, &exports(name)), 3, "{name}");
    }
    assert_eq!(scrape.value("jobs", "whole-pages", "Successful"), Some(999.0));
    assert!(
        simulator
            .state()
            .requests
            .iter()
            .filter(|seen| seen.line.contains("/exports"))
            .all(|seen| seen.line.contains("itemsPerPage=500"))
    );
}

#[tokio::test]
async fn repeated_page_does_not_end_the_listing() {
    let jobs: Vec<_> =
        (1..=2000).map(|days| Entry::Job(Job::ended(HOUR * 24 * days, JobOutcome::Successful))).collect();
    let page = |number: usize| jobs[number * 500..(number + 1) * 500].iter().cloned();
    let jobs = [0, 0, 1, 1, 2, 2, 3].into_iter().flat_map(page).collect();
    let simulator =
        simulator(atlas_state([("prod", Cluster { jobs, order: Order::AsGiven, ..Cluster::default() })]))
            .await;
    let scrape = ExporterBuilder::new(&simulator).start().await.polled().await;
    assert_eq!(scrape.up("prod"), Some(1.0), "{scrape:#?}");
    assert_eq!(scrape.value("jobs", "prod", "Successful"), Some(2000.0));
}

#[tokio::test]
async fn restart_keeps_metrics_of_a_failure() {
    let jobs = [
        Job::ended(HOUR * 30, JobOutcome::Successful),
        Job::ended(HOUR * 20, failed("E")),
        Job::ended(HOUR, JobOutcome::Never),
    ];
    let simulator = simulator(atlas_state([("prod", Cluster::with(jobs))])).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let exporter = ExporterBuilder::new(&simulator).start().await;
        exporter.ready().await;
        // Collectors can finish after the first poll.
        let unread = "mongodbatlas_backup_export_collectors_unread";
        let mut scrape = exporter.until(|scrape| scrape.of(unread).is_empty()).await;
        scrape.0.retain(|series, _| {
            series.starts_with("mongodbatlas_backup_export_")
                && !series.contains("poll")
                && !series.contains("discovery_success_timestamp")
        });
        seen.push(scrape.0);
    }
    assert_eq!(seen[0], seen[1]);
    assert!(seen[0].len() > 20);
}

#[tokio::test]
async fn names_are_escaped_in_paths_labels_and_pages() {
    let name = "we ird/näme#<b>%2F_";
    let simulator =
        simulator(atlas_state([(name, Cluster::with([Job::ended(HOUR, JobOutcome::Successful)]))])).await;
    update_project(&simulator, |project| "<script>\"pay\\ments\"\n".clone_into(&mut project.name));
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.up(name), Some(1.0));
    assert!(scrape.of("mongodbatlas_backup_export_up")[0].0.contains(r#"project="<script>\"pay\\ments\" ""#));
    let page = exporter.get("/").await.text().await.unwrap();
    assert!(
        page.contains("we ird/näme#&lt;b&gt;%2F_")
            && page.matches("<script>").count() == 1
            && !page.contains("<b>"),
        "{page}"
    );
}

#[tokio::test]
async fn project_id_replaces_an_unreadable_name() {
    let mut state = atlas_state([("prod", Cluster::default())]);
    let refused = FaultKind::error(403, "USER_UNAUTHORIZED");
    state.faults.push(Fault::lasting(&format!("groups/{PROJECT}$"), refused));
    let simulator = simulator(state).await;
    let scrape = ExporterBuilder::new(&simulator).start().await.polled().await;
    assert!(scrape.of("mongodbatlas_backup_export_up")[0].0.contains(&format!("project=\"{PROJECT}\"")));
    simulator.state().faults.clear();
    update_project(&simulator, |project| " ".clone_into(&mut project.name));
    let scrape = ExporterBuilder::new(&simulator).start().await.polled().await;
    assert!(scrape.of("mongodbatlas_backup_export_up")[0].0.contains(&format!("project=\"{PROJECT}\"")));
}

#[tokio::test]
async fn number_of_log_lines_about_clusters_is_limited() {
    let many = (0..40).map(|number| (&*format!("prod-{number}").leak(), Cluster::default()));
    let simulator = simulator(atlas_state(many)).await;
    let named: Vec<_> = (0..40).map(|number| format!("missing-{number}")).chain(["*".to_owned()]).collect();
    let exporter = ExporterBuilder::new(&simulator)
        .targets(format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = {named:?}\n"))
        .set("discovery.interval", "300ms")
        .start()
        .await;
    exporter.until(|scrape| scrape.up("prod-39").is_some()).await;
    update_project(&simulator, |project| project.clusters.clear());
    exporter.until(|scrape| scrape.value("polls_total", "prod-39", "").is_none()).await;
    let log = exporter.log();
    for (each, others) in [
        ("\"the configured cluster is not in", "\"more configured clusters are not in"),
        ("\"stopped monitoring cluster\"", "\"stopped monitoring more clusters\""),
    ] {
        assert_eq!(log.matches(each).count(), 10, "{each} in {log}");
        let others: Vec<_> = log.lines().filter(|line| line.contains(others)).collect();
        assert!(others.len() == 1 && others[0].contains("clusters=30"), "{others:?}");
    }
}
