//! Notifications of failed exports.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Job, JobOutcome, Simulator};
use serde_json::{Value, json};

use super::servers::{Alertmanager, Prometheus, Receiver, eventually, shipped};
use crate::support::atlas::{PROJECT, atlas_state, simulator, update_cluster};
use crate::support::builder::ExporterBuilder;

fn cluster() -> Cluster {
    Cluster::with([Job::ended(Duration::from_hours(2), JobOutcome::Successful)])
}

fn export(simulator: &Simulator, name: &str, job: Job) {
    update_cluster(simulator, name, |cluster| cluster.jobs.push(Entry::Job(job)));
}

/// Waits for an alert of a cluster with a status; returns its receiver and the alert.
async fn sent(receiver: &Receiver, status: &str) -> (String, Value) {
    let look = || async {
        let sent = receiver.alerts().into_iter().find(|(_, as_what, _)| as_what == status);
        sent.map(|(path, _, alert)| (path, alert))
    };
    eventually(&format!("an alert is {status}"), look).await
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
async fn failed_export_notifies_once_until_a_success() {
    let simulator = simulator(atlas_state([("prod", cluster()), ("healthy", cluster())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    let prometheus = Prometheus::start(&exporter.url, Some(&alertmanager), folder.path());

    // Every rule is evaluated, and no alert fires.
    prometheus.until("count(mongodbatlas_backup_export_up == 1)", |clusters| clusters == 2.0).await;
    let rules = || async {
        let response = prometheus.api("rules", &[]).await?;
        let groups = response["data"]["groups"].as_array()?;
        Some(groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect::<Vec<_>>())
    };
    let evaluated = || async { rules().await?.iter().all(|rule| rule["health"] != "unknown").then_some(()) };
    eventually("every rule is evaluated", evaluated).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let rules = rules().await.unwrap();
    assert!(rules.len() > 50, "{rules:?}");
    for rule in rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{rule}");
        assert!(rule["alerts"].as_array().is_none_or(Vec::is_empty), "not even pending: {rule}");
    }
    assert!(receiver.alerts().is_empty(), "{:?}", receiver.alerts());

    let failed = || JobOutcome::Failed("EXPORT_BUCKET_ACCESS_DENIED".to_owned(), "access denied".to_owned());
    export(&simulator, "prod", Job::ended(Duration::from_mins(30), failed()));
    let (path, alert) = sent(&receiver, "firing").await;
    assert_eq!(path, "/pager");
    let labels = json!({
        "alertname": "AtlasBackupExportFailed",
        "component": "backup-export",
        "severity": "critical",
        "project_id": PROJECT,
        "cluster_name": "prod",
    });
    assert_eq!(alert["labels"], labels);
    let annotation = |name: &str| alert["annotations"][name].as_str().unwrap();
    assert_eq!(annotation("summary"), "Backup export failed: payments/prod (EXPORT_BUCKET_ACCESS_DENIED)");
    let description = annotation("description");
    let beginning = "payments/prod: an export job failed with EXPORT_BUCKET_ACCESS_DENIED, \
        and no newer job has succeeded. The oldest unresolved failed job was created 3";
    assert!(description.starts_with(beginning), "{description}");
    let failures = "Failed jobs since the last success: 1. The newest job is Failed. \
        The last success ended 1h 3";
    assert!(description.contains(failures), "{description}");
    assert!(
        description.ends_with(" First step: fix the cause of the error, then export the snapshot again.")
    );
    let runbook = "https://runbooks.example.com/RUNBOOKS.md#atlasbackupexportfailed";
    assert_eq!(annotation("runbook_url"), runbook);
    let dashboard = "https://grafana.example.com/d/atlas-backup-export-cluster";
    let dashboard = format!("{dashboard}?var-project={PROJECT}&var-cluster=prod");
    assert_eq!(annotation("dashboard_url"), dashboard);

    // Retries that are queued, running, failed or cancelled resolve no alert.
    let retry = |end| Job {
        queued: Duration::from_secs(3),
        running: Duration::from_secs(2),
        ..Job::ended(Duration::ZERO, end)
    };
    let newest = |state: &str, age: u64| {
        let state = format!("latest_job_state{{cluster_name=\"prod\",state=\"{state}\"}}");
        format!("max_over_time(mongodbatlas_backup_export_{state}[{age}s])")
    };
    export(&simulator, "prod", retry(failed()));
    prometheus.until(&newest("Queued", 5), |seen| seen == 1.0).await;
    prometheus.until("mongodbatlas_backup_export_failures_since_last_success == 2", |_| true).await;
    export(&simulator, "prod", retry(JobOutcome::Cancelled));
    prometheus.until(&newest("Cancelled", 5), |seen| seen == 1.0).await;
    export(&simulator, "prod", retry(JobOutcome::Successful));
    let (path, alert) = sent(&receiver, "resolved").await;
    assert_eq!((path.as_str(), &alert["labels"]), ("/pager", &labels));
    let alerts = receiver.alerts();
    assert!(
        alerts.iter().all(|(_, _, sent)| sent["startsAt"] == alert["startsAt"]),
        "it fires once: {alerts:?}"
    );
    assert_eq!(prometheus.value(&newest("Successful", 5)).await, Some(1.0));
    assert!(receiver.alerts().iter().all(|(path, _, _)| path == "/pager"), "{:?}", receiver.alerts());
}

fn alert(name: &str, more: &Value) -> Value {
    let component = if name.starts_with("AtlasBackupExporter") { "exporter" } else { "backup-export" };
    let mut labels = json!({"alertname": name, "component": component});
    for (label, value) in more.as_object().unwrap() {
        labels[label] = value.clone();
    }
    json!({"labels": labels})
}

/// Returns whether `target` is inhibited while `source` fires.
async fn inhibits(source: &Value, target: &Value) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    alertmanager.post(&json!([source, target])).await;
    // Alertmanager receives the two alerts one after the other; the state after a while counts.
    let mut suppressed = [false; 2];
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let alerts = alertmanager.alerts().await;
        suppressed = [source, target].map(|alert| {
            let known = alerts.iter().find(|known| known["labels"] == alert["labels"]);
            known.is_some_and(|known| known["status"]["state"] == "suppressed")
        });
    }
    assert!(!suppressed[0], "{source} is inhibited");
    suppressed[1]
}

#[tokio::test]
#[ignore = "needs Debian's prometheus-alertmanager; tests/run installs it"]
async fn lower_severities_are_inhibited() {
    let prod = json!({"project_id": PROJECT, "cluster_name": "prod", "severity": "critical"});
    let other = json!({"project_id": PROJECT, "cluster_name": "other", "severity": "critical"});
    let warning = json!({"project_id": PROJECT, "cluster_name": "prod", "severity": "warning"});
    let down = alert("AtlasBackupExporterDown", &json!({"job": "atlas-backup-exporter"}));
    let one = json!({"job": "atlas-backup-exporter", "instance": "a:10027"});
    let one_down = alert("AtlasBackupExporterDown", &one);
    let polls_failing = alert("AtlasBackupExporterPollsFailing", &warning);
    let polls_failing_for_long = alert("AtlasBackupExporterPollsFailing", &prod);
    let overdue = alert("AtlasBackupExportOverdue", &prod);
    let failed = alert("AtlasBackupExportFailed", &prod);
    let unresolved = |about| alert("AtlasBackupExportFailureUnresolved", about);

    let missing = |about| alert("AtlasBackupExportMissing", about);
    let auto_export_failed = alert("AtlasBackupAutoExportFailed", &prod);
    let auth = alert("AtlasBackupExporterAuthFailing", &prod);
    let cases = [
        (&down, &failed, true),
        (&down, &polls_failing, true),
        (&down, &alert("OfAnotherProduct", &json!({"component": "another-product"})), false),
        (&down, &one_down, false),
        (&one_down, &failed, false),
        (&polls_failing, &overdue, true),
        (&polls_failing, &alert("AtlasBackupExportOverdue", &other), false),
        (&polls_failing, &failed, false),
        (&polls_failing_for_long, &overdue, false),
        (&auth, &polls_failing, true),
        (&auth, &alert("AtlasBackupExporterDiscoveryFailing", &json!({"project_id": PROJECT})), true),
        (&auth, &alert("AtlasBackupExporterDiscoveryFailing", &json!({"organization_id": "o"})), false),
        // The escalated alert is sent, too.
        (&failed, &unresolved(&prod), false),
        (&failed, &alert("AtlasBackupExportNeverSucceeded", &prod), true),
        (&failed, &overdue, false),
        (&failed, &missing(&prod), true),
        (&failed, &missing(&other), false),
        (&failed, &auto_export_failed, true),
        (&auto_export_failed, &missing(&prod), true),
        (&auto_export_failed, &missing(&other), false),
        (&auto_export_failed, &alert("AtlasBackupExportNeverSucceeded", &prod), true),
        (&auto_export_failed, &overdue, true),
        (&missing(&prod), &overdue, true),
        (&missing(&prod), &alert("AtlasBackupExportOverdue", &other), false),
        (&auth, &alert("AtlasBackupExporterCollectorFailing", &json!({"project_id": PROJECT})), true),
        (&auth, &alert("AtlasBackupExporterCollectorFailing", &json!({"project_id": "p"})), false),
    ];
    let outcomes = cases.iter().map(|(source, target, _)| inhibits(source, target));
    let outcomes = futures_util::future::join_all(outcomes).await;
    for ((source, target, expected), outcome) in cases.iter().zip(outcomes) {
        assert_eq!(outcome, *expected, "{source} {target}");
    }
}

/// Returns the receivers of a severity in the example.
fn route(severity: &str) -> String {
    let config = shipped("alerts/alertmanager.example.yml");
    let mut amtool = std::process::Command::new("amtool");
    amtool.args(["config", "routes", "test", "--config.file"]).arg(config);
    let output = amtool.arg(format!("severity={severity}")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs Debian's prometheus-alertmanager; tests/run installs it"]
fn severities_are_routed_to_their_receivers() {
    assert_eq!(["critical", "warning", "info"].map(route), ["mail,pager", "mail,chat", "none"]);
}

#[test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
fn promtool_and_amtool_accept_the_files() {
    let run = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        text.into_owned()
    };
    let rules = "alerts/atlas-backup-export.rules.yml";
    let rules = run("promtool", &["check", "rules", "--lint=all", "--lint-fatal", rules]);
    assert!(rules.contains("SUCCESS") && rules.trim().lines().count() == 2, "{rules}");
    // The example configuration with its rules.
    run("promtool", &["check", "config", "dashboards/provisioning/prometheus.yml"]);
    let config = run("amtool", &["check-config", "alerts/alertmanager.example.yml"]);
    assert!(config.contains("SUCCESS"), "{config}");
}
