//! Collectors: snapshots that are not exported, failures without a job, missing buckets.

mod events;
mod not_read;
mod roles;
mod snapshots;

use std::time::Duration;

use atlas_simulator::{
    AtlasState, Cluster, Entry, Event, ExportBucket, Fault, FaultKind, Job, JobOutcome, Project, Schedule,
    Simulator, Snapshot, TokenBucket,
};

use crate::support::atlas::{
    PROJECT, add_cluster, atlas_state, requests, simulator, update_cluster, update_project,
};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command};
use crate::support::scrape::Scrape;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const FAILED: &str = "CPS_AUTO_EXPORT_FAILED";

/// Returns a cluster with exports of two daily snapshots, and `more` snapshots.
fn cluster(more: impl IntoIterator<Item = Snapshot>) -> Cluster {
    let mut cluster = Cluster::exported([DAY * 2, DAY].map(|age| Snapshot::taken(age, "daily")));
    cluster.snapshots.extend(more);
    cluster
}

/// Returns a configuration whose collectors read five times a second.
fn setup(simulator: &Simulator) -> ExporterBuilder {
    ExporterBuilder::new(simulator).set("discovery.interval", "500ms").set("collectors.interval", "200ms")
}

fn add_event(simulator: &Simulator, event: Event) {
    update_project(simulator, |project| project.events.push(event));
}

fn seconds(snapshot: &Snapshot) -> f64 {
    snapshot.created_at.unwrap().as_second() as f64
}

fn awaiting(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape.value("snapshots_awaiting_export", name, "")
}

fn event(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape.value("last_auto_export_failure_event_timestamp_seconds", name, "")
}

fn up(scrape: &Scrape, collector: &str) -> Option<f64> {
    let labels = format!("{{project_id=\"{PROJECT}\",collector=\"{collector}\"}}");
    scrape.0.get(&format!("mongodbatlas_backup_export_collector_success{labels}")).copied()
}

/// Counts the requests within a second whose first line contains `part`.
async fn rate(simulator: &Simulator, part: &str) -> usize {
    let before = requests(simulator, part);
    tokio::time::sleep(Duration::from_secs(1)).await;
    requests(simulator, part) - before
}

async fn snapshots_read(exporter: &Exporter) -> Scrape {
    exporter.until(|scrape| awaiting(scrape, "prod").is_some()).await
}

#[tokio::test]
async fn unavailable_collector_does_not_delay_polls() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    let wait = vec![("retry-after", "3600".to_owned())];
    let down = FaultKind::Status(503, "OUT_OF_SERVICE", wait);
    simulator.state().faults.push(Fault::lasting("/exportBuckets", down));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!((scrape.up("prod"), up(&scrape, "snapshots")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn missing_bucket_is_reported_for_each_cluster() {
    let elsewhere = Schedule { bucket: "5f0e5a3b9c1d4e6f8a7b0002".to_owned(), ..Schedule::default() };
    let other = Cluster { schedule: elsewhere, ..cluster([]) };
    let simulator = simulator(atlas_state([("prod", cluster([])), ("other", other)])).await;
    let second = ExportBucket {
        id: "5f0e5a3b9c1d4e6f8a7b0002".to_owned(),
        name: "backups \"two\"".to_owned(),
        provider: "AZURE".to_owned(),
    };
    update_project(&simulator, |project| project.buckets.push(second));
    let exporter = setup(&simulator).start().await;
    let missing = |scrape: &Scrape| ["prod", "other"].map(|name| scrape.value("bucket_missing", name, ""));
    let scrape = exporter.until(|scrape| missing(scrape) == [Some(0.0), Some(0.0)]).await;
    let info: Vec<_> =
        scrape.of("mongodbatlas_backup_export_bucket_info").into_iter().map(|(labels, _)| labels).collect();
    let project = format!("project_id=\"{PROJECT}\",project=\"payments\"");
    assert_eq!(
        info,
        [
            format!(
                "{{{project},export_bucket_id=\"5f0e5a3b9c1d4e6f8a7b0002\",\
                 bucket=\"backups \\\"two\\\"\",cloud_provider=\"AZURE\"}}"
            ),
            format!(
                "{{{project},export_bucket_id=\"5f0e5a3b9c1d4e6f8a7b6c5d\",\
                 bucket=\"backups-payments\",cloud_provider=\"AWS\"}}"
            ),
        ]
    );
    update_project(&simulator, |project| drop(project.buckets.pop()));
    exporter.until(|scrape| missing(scrape) == [Some(0.0), Some(1.0)]).await;
    let page = exporter.page().await;
    assert!(page.contains("export bucket missing: 5f0e5a3b9c1d4e6f8a7b0002"), "{page}");
    update_project(&simulator, |project| project.buckets.clear());
    exporter.until(|scrape| missing(scrape) == [Some(1.0), Some(1.0)]).await;
    // An unreadable list is not an empty list.
    simulator.state().faults.push(Fault::lasting("/exportBuckets", FaultKind::Body("{\"results\":[{}]}")));
    exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
    exporter.until(|scrape| missing(scrape) == [None, None]).await;
}

#[tokio::test]
async fn hanging_collectors_do_not_delay_polls() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    for path in ["/snapshots", "/events", "/exportBuckets"] {
        simulator.state().faults.push(Fault::lasting(path, FaultKind::HANG));
    }
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.polled_again(10.0).await;
    assert_eq!((scrape.up("prod"), up(&scrape, "events")), (Some(1.0), None));
    assert_eq!(exporter.get("/-/ready").await.status(), 200);
}

#[tokio::test]
async fn disabled_collector_is_not_read() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    let exporter = setup(&simulator).without_collectors(&["snapshots", "events"]).start().await;
    exporter.until(|scrape| up(scrape, "buckets") == Some(1.0)).await;
    let scrape = exporter.polled_again(3.0).await;
    assert_eq!((up(&scrape, "snapshots"), up(&scrape, "events")), (None, None));
    assert_eq!(requests(&simulator, "/snapshots") + requests(&simulator, "/events"), 0);
    // A reload switches collectors on and off at once.
    exporter.reload(&setup(&simulator).without_collectors(&["buckets"]));
    let scrape = exporter
        .until(|scrape| {
            ["snapshots", "events", "buckets"].map(|collector| up(scrape, collector))
                == [Some(1.0), Some(1.0), None]
        })
        .await;
    assert!(scrape.of("mongodbatlas_backup_export_bucket_info").is_empty());
    exporter.reload(&setup(&simulator).without_collectors(&["snapshots"]));
    exporter.until(|scrape| up(scrape, "snapshots").is_none() && awaiting(scrape, "prod").is_none()).await;
    exporter.reload(&setup(&simulator).without_collectors(&["events"]));
    exporter.until(|scrape| up(scrape, "events").is_none() && up(scrape, "snapshots") == Some(1.0)).await;
}

#[tokio::test]
async fn expiry_of_a_secret_is_exposed() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    simulator.state().accounts[0].id = "mdb_sa_id_0123456789abcdef01234567".to_owned();
    let dated = |day: toml::Value| {
        setup(&simulator)
            .set("atlas.service_account.client_id", "mdb_sa_id_0123456789abcdef01234567")
            .set("atlas.service_account.expires_at", day)
    };
    let exporter = dated("2030-01-01".into()).start().await;
    let expiry = "mongodbatlas_credential_expiry_timestamp_seconds{client_id=\"234567\"}";
    let scrape = exporter.ready().await;
    assert_eq!(scrape.0[expiry], 1_893_456_000.0);
    assert!(!exporter.get("/metrics").await.text().await.unwrap().contains("0123456789abcdef"));
    exporter.reload(&dated(toml::Value::Datetime("2030-01-02T00:00:00Z".parse().unwrap())));
    exporter.until(|scrape| scrape.0[expiry] == 1_893_542_400.0).await;
    assert_eq!(requests(&simulator, "/api/oauth/token"), 1, "the same account, and the same token");

    // Events about expiring secrets have neither a date nor an account.
    let expiring = format!(
        "mongodbatlas_backup_export_secret_expiring_event_timestamp_seconds{{project_id=\"{PROJECT}\"}}"
    );
    assert!(!exporter.scrape().await.0.contains_key(&expiring));
    let expiring_event = Event::new("GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING", None, HOUR / 2);
    add_event(&simulator, expiring_event.clone());
    let scrape = exporter.until(|scrape| scrape.0.contains_key(&expiring)).await;
    assert_eq!(scrape.0[&expiring], expiring_event.created.as_second() as f64);
    assert_eq!(requests(&simulator, "clusterNames="), 0, "no search for a cluster");
    add_event(
        &simulator,
        Event::new("GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING", None, Duration::ZERO),
    );
    exporter.until(|scrape| !scrape.0.contains_key(&expiring)).await;
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn once_includes_collectors() {
    let state: AtlasState = atlas_state([("prod", cluster([Snapshot::taken(HOUR, "daily")]))]);
    let simulator = simulator(state).await;
    add_event(&simulator, Event::new(FAILED, Some("prod"), HOUR));
    let out = ExporterBuilder::new(&simulator).run(&["--once"]).await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let scrape = Scrape::parse(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(awaiting(&scrape, "prod"), Some(1.0));
    assert!(event(&scrape, "prod").is_some());
    assert_eq!(scrape.value("bucket_missing", "prod", ""), Some(0.0));
}

#[tokio::test]
async fn reload_changes_the_staleness_of_collectors() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| scrape.value("bucket_missing", "prod", "").is_some()).await;
    let calm = ExporterBuilder::new(&simulator).set("collectors.interval", "1h");
    exporter.reload(&calm);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(exporter.scrape().await.value("bucket_missing", "prod", ""), Some(0.0));
}

#[tokio::test]
async fn once_does_not_wait_for_a_hanging_collector() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    simulator.state().faults.push(Fault::lasting("/exportBuckets", FaultKind::HANG));
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(&simulator).write(&folder);
    let once = command().current_dir(folder.path()).arg("--once").output();
    let out = tokio::time::timeout(Duration::from_secs(20), once).await.expect("it ends").unwrap();
    assert_eq!(out.status.code(), Some(1), "unread buckets are a failure");
    let scrape = Scrape::parse(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(scrape.value("collectors_unread", "prod", ""), Some(1.0));
}

#[tokio::test]
async fn status_page_shows_recovery_points() {
    let prod = cluster([Snapshot::taken(HOUR, "daily")]);
    let simulator = simulator(atlas_state([("prod", prod), ("never", Cluster::default())])).await;
    add_event(&simulator, Event::new(FAILED, Some("prod"), HOUR));
    add_event(&simulator, Event::new(FAILED, Some("never"), HOUR * 50));
    let exporter = setup(&simulator).start().await;
    exporter
        .until(|scrape| {
            event(scrape, "prod").is_some()
                && event(scrape, "never").is_some()
                && awaiting(scrape, "prod").is_some()
        })
        .await;
    let page = exporter.get("/").await.text().await.unwrap();
    for part in ["taken 1d", "1 awaits export, taken 1h"] {
        assert!(page.contains(part), "{part} {page}");
    }
    assert_eq!(page.matches("export failure event").count(), 2, "{page}");
    assert!(!page.contains("Failed to read the"), "{page}");
    update_cluster(&simulator, "prod", |prod| {
        prod.jobs.push(Entry::Job(Job::ended(Duration::from_mins(30), JobOutcome::Successful)));
    });
    exporter.polled_again(2.0).await;
    let page = exporter.get("/").await.text().await.unwrap();
    assert_eq!(page.matches("export failure event").count(), 1, "the other is resolved: {page}");
}
