//! Exports for which Atlas never creates a job.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Event, Job, JobOutcome, Snapshot};
use serde_json::{Value, json};

use super::servers::{Alertmanager, Prometheus, Receiver, eventually};
use crate::support::atlas::{PROJECT, atlas_state, simulator, update_cluster, update_project};
use crate::support::builder::ExporterBuilder;

const HOUR: Duration = Duration::from_hours(1);

/// Returns a cluster whose last exported snapshot has this age.
fn exported(age: Duration) -> Cluster {
    Cluster::exported([Snapshot::taken(age, "daily")])
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
async fn missing_export_alerts_until_a_manual_export() {
    let clusters = [
        ("forgotten", exported(HOUR * 26)),
        ("refused", exported(HOUR * 3)),
        ("healthy", exported(HOUR * 3)),
    ];
    let simulator = simulator(atlas_state(clusters)).await;
    let exporter = ExporterBuilder::new(&simulator).set("collectors.interval", "500ms").start().await;
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    let prometheus = Prometheus::start(&exporter.url, Some(&alertmanager), folder.path());
    let matched = "count(mongodbatlas_backup_export_snapshots_awaiting_export == 0)";
    prometheus.until(matched, |clusters| clusters == 3.0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(receiver.alerts().is_empty(), "{:?}", receiver.alerts());

    let notified = |alert: &'static str, cluster: &'static str, status: &'static str| {
        let labels = json!({
            "alertname": alert,
            "component": "backup-export",
            "severity": "critical",
            "project_id": PROJECT,
            "cluster_name": cluster,
        });
        let receiver = &receiver;
        let look = move || {
            let sent = receiver
                .alerts()
                .into_iter()
                .find(|(_, as_what, known)| as_what == status && known["labels"] == labels);
            async move { sent }
        };
        async move { eventually(&format!("{alert} of {cluster} is {status}"), look).await }
    };

    // A snapshot of this night without a job, and a failure event of another cluster without a job.
    let snapshot = Snapshot::taken(HOUR * 7, "daily");
    update_cluster(&simulator, "forgotten", |forgotten| forgotten.snapshots.push(snapshot.clone()));
    let event = Event::new("CPS_AUTO_EXPORT_FAILED", Some("refused"), Duration::ZERO);
    update_project(&simulator, |project| project.events.push(event));
    let (path, _, alert) = notified("AtlasBackupExportMissing", "forgotten", "firing").await;
    let annotation = |alert: &Value, name: &str| alert["annotations"][name].as_str().unwrap().to_owned();
    assert_eq!(path, "/pager");
    let summary = annotation(&alert, "summary");
    assert!(summary.starts_with("Snapshot not exported: payments/forgotten (taken 7h"), "{summary}");
    let description = annotation(&alert, "description");
    assert!(description.contains(" The snapshot was taken 7h"), "{description}");
    assert!(
        description.contains(" The newest snapshot in the bucket was taken 1d 2h ago ("),
        "{description}"
    );
    let (path, _, alert) = notified("AtlasBackupAutoExportFailed", "refused", "firing").await;
    assert_eq!(path, "/pager");
    let summary = annotation(&alert, "summary");
    let expected = "Auto export failed: payments/refused (";
    assert!(summary.starts_with(expected), "{summary}");
    let jobs = "count(mongodbatlas_backup_export_jobs{state=~\"Failed|Queued|InProgress\"} > 0)";
    assert_eq!(prometheus.value(jobs).await, None, "there is no job");

    // Both are exported manually.
    update_cluster(&simulator, "forgotten", |forgotten| {
        forgotten.jobs.push(Entry::Job(Job::of(&snapshot, JobOutcome::Successful)));
    });
    update_cluster(&simulator, "refused", |refused| {
        let done = Job {
            queued: Duration::ZERO,
            running: Duration::ZERO,
            ..Job::ended(Duration::ZERO, JobOutcome::Successful)
        };
        refused.jobs.push(Entry::Job(done));
    });
    notified("AtlasBackupExportMissing", "forgotten", "resolved").await;
    notified("AtlasBackupAutoExportFailed", "refused", "resolved").await;
    let others =
        |(_, _, alert): &(String, String, serde_json::Value)| alert["labels"]["cluster_name"] == "healthy";
    assert!(!receiver.alerts().iter().any(others), "{:?}", receiver.alerts());
}
