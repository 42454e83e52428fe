//! What PagerDuty, Slack and the mail server get from the example configuration of Alertmanager.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Job, JobOutcome, Simulator};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::mail::Mail;
use super::servers::{Alertmanager, Prometheus, Receiver, eventually, shipped};
use crate::support::atlas::{PROJECT, add_cluster, atlas_state, simulator, update_cluster, update_project};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;

const RUNBOOK: &str = "https://runbooks.example.com/RUNBOOKS.md#atlasbackupexportfailed";

/// Everything from Atlas to the receivers, with clusters whose last export failed.
struct Servers {
    simulator: Simulator,
    receiver: Receiver,
    _running: (Exporter, Prometheus, Alertmanager, TempDir),
}

impl Servers {
    async fn start(project: &str, clusters: &[String]) -> Self {
        let simulator = simulator(atlas_state([])).await;
        update_project(&simulator, |known| project.clone_into(&mut known.name));
        for name in clusters {
            let failed =
                JobOutcome::Failed("EXPORT_BUCKET_ACCESS_DENIED".to_owned(), "access denied".to_owned());
            let job = Job::ended(Duration::from_mins(30), failed);
            add_cluster(&simulator, name, Cluster { jobs: vec![Entry::Job(job)], ..Cluster::default() });
        }
        let exporter = ExporterBuilder::new(&simulator).start().await;
        exporter.polled().await;
        let folder = tempfile::tempdir().unwrap();
        let receiver = Receiver::start().await;
        let alertmanager = Alertmanager::start(&receiver, folder.path());
        let prometheus = Prometheus::start(&exporter.url, Some(&alertmanager), folder.path());
        Self { simulator, receiver, _running: (exporter, prometheus, alertmanager, folder) }
    }
}

impl Receiver {
    /// Waits until PagerDuty, Slack and the mail server have this number of messages; returns the last
    /// ones.
    async fn last(&self, count: usize) -> (Value, Value, Mail) {
        let look = || async {
            let (pagerduty, slack) = (self.messages("/pagerduty"), self.messages("/slack"));
            let mails = self.mails();
            let received = [pagerduty.len(), slack.len(), mails.len()];
            let last = || (pagerduty[count - 1].clone(), slack[count - 1].clone(), mails[count - 1].clone());
            received.iter().all(|received| *received >= count).then(last)
        };
        let (pagerduty, slack, mail) = eventually(&format!("there are {count} messages"), look).await;
        assert_eq!(mail.to, "backups@example.com");
        let [attachment] = &slack["attachments"].as_array().unwrap()[..] else { panic!("{slack}") };
        (pagerduty, attachment.clone(), mail)
    }
}

fn minute(time: &Value) -> String {
    time.as_str().unwrap().parse::<Timestamp>().unwrap().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn dashboard(cluster: &str) -> String {
    let page = "https://grafana.example.com/d/atlas-backup-export-cluster";
    format!("{page}?var-project={PROJECT}&var-cluster={cluster}")
}

/// Returns the fields of an attachment that a reader sees.
fn seen(attachment: &Value) -> Value {
    let fields = ["color", "title", "title_link", "fallback", "text"].into_iter();
    fields.filter_map(|field| Some((field.to_owned(), attachment.get(field)?.clone()))).collect()
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
async fn one_failed_export_is_sent_and_resolved() {
    // Names of projects have any characters.
    let servers = Servers::start("R&D <core> | \"x\"", &["prod".to_owned()]).await;
    let (pagerduty, slack, mail) = servers.receiver.last(1).await;
    let (_, _, alert) = servers.receiver.alerts().remove(0);
    let description = alert["annotations"]["description"].as_str().unwrap();
    assert!(description.starts_with("R&D <core> | \"x\"/prod: an export job failed"), "{description}");
    let summary = "Backup export failed: R&D <core> | \"x\"/prod (EXPORT_BUCKET_ACCESS_DENIED)";
    let (since, dashboard) = (minute(&alert["startsAt"]), dashboard("prod"));
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = |text: &str| escaped(text).replace('"', "&#34;");

    let dedup_key = pagerduty["dedup_key"].clone();
    let event = |action: &str, summary: &str, details: Value| {
        json!({
            "routing_key": "key-of-pagerduty",
            "dedup_key": dedup_key,
            "event_action": action,
            "client": "atlas-backup-exporter",
            "client_url": dashboard,
            "links": [{"href": RUNBOOK, "text": "Runbook"}, {"href": dashboard, "text": "Dashboard"}],
            "payload": {
                "summary": summary,
                "source": "atlas-backup-exporter",
                "severity": "critical",
                "custom_details": details,
            },
        })
    };
    let firing = format!("* {description}\nFiring since {since}");
    let details = json!({"firing": firing, "resolved": "", "num_firing": "1", "num_resolved": "0"});
    assert_eq!(pagerduty, event("trigger", summary, details));

    let title = format!("Critical: {}", escaped(summary));
    let links = format!("<{RUNBOOK}|Runbook> · <{}|Dashboard>", escaped(&dashboard));
    let attachment = json!({
        "color": "danger",
        "title": title,
        "title_link": dashboard,
        "fallback": title,
        "text": format!("{}\nFiring since {since} · {links}", escaped(description)),
    });
    assert_eq!(seen(&slack), attachment);

    assert_eq!(mail.subject, format!("Critical: {summary}"));
    let pages = format!("Runbook: {RUNBOOK}\nDashboard: {dashboard}");
    assert_eq!(mail.text.trim_end(), format!("{summary}\nFiring since {since}\n{description}\n{pages}"));
    let pages = format!("<a href=\"{RUNBOOK}\">Runbook</a> · <a href=\"{}\">Dashboard</a>", html(&dashboard));
    let heading = format!("<p><strong>{}</strong><br>\n", html(summary));
    let body = format!("{heading}Firing since {since} · {pages}</p>\n<p>{}</p>\n", html(description));
    let around = "<!DOCTYPE html>\n<html lang=\"en\">\n<body style=\"font-family: sans-serif\">\n";
    assert_eq!(mail.html.trim_end(), format!("{around}{body}</body>\n</html>"));

    // A resolved alert has no first step any more.
    update_cluster(&servers.simulator, "prod", |cluster| {
        let (queued, running) = (Duration::ZERO, Duration::ZERO);
        let job = Job { queued, running, ..Job::ended(Duration::ZERO, JobOutcome::Successful) };
        cluster.jobs.push(Entry::Job(job));
    });
    let (pagerduty, slack, mail) = servers.receiver.last(2).await;
    let (_, _, alert) = servers.receiver.alerts().remove(1);
    let fired = format!("Fired from {since} to {}", minute(&alert["endsAt"]));
    let details =
        json!({"firing": "", "resolved": format!("* {fired}"), "num_firing": "0", "num_resolved": "1"});
    assert_eq!(pagerduty, event("resolve", &format!("Resolved: {summary}"), details));
    let title = format!("Resolved: {}", escaped(summary));
    let attachment = json!({
        "color": "good",
        "title": title,
        "title_link": dashboard,
        "fallback": title,
        "text": format!("{fired} · {links}"),
    });
    assert_eq!(seen(&slack), attachment);
    assert_eq!(mail.subject, format!("Resolved: {summary}"));
    let body = format!("{heading}{fired} · {pages}</p>\n");
    assert_eq!(mail.html.trim_end(), format!("{around}{body}</body>\n</html>"));
    let pages = format!("Runbook: {RUNBOOK}\nDashboard: {dashboard}");
    assert_eq!(mail.text.trim_end(), format!("{summary}\n{fired}\n{pages}"));
}

#[tokio::test]
#[ignore = "needs Debian's prometheus and prometheus-alertmanager; tests/run installs them"]
async fn notifications_of_thirty_failed_exports_list_ten() {
    let clusters: Vec<_> = (10..40).map(|number| format!("prod-{number}")).collect();
    let servers = Servers::start("payments", &clusters).await;
    let (pagerduty, slack, mail) = servers.receiver.last(1).await;
    let summary =
        |cluster: &str| format!("Backup export failed: payments/{cluster} (EXPORT_BUCKET_ACCESS_DENIED)");
    let since = minute(&servers.receiver.alerts()[0].2["startsAt"]);
    let first_line = format!("{} and 29 more", summary("prod-10"));
    let listed = |entry: &dyn Fn(&str) -> String, separator: &str| {
        clusters[..10].iter().map(|cluster| entry(cluster)).collect::<Vec<_>>().join(separator)
    };

    let payload = &pagerduty["payload"];
    assert_eq!(payload["summary"], first_line);
    let firing = listed(&|cluster| format!("* {}. Firing since {since}", summary(cluster)), "\n");
    let details = json!({
        "firing": format!("{firing}\nand 20 more"),
        "resolved": "",
        "num_firing": "30",
        "num_resolved": "0",
    });
    assert_eq!(payload["custom_details"], details);
    assert_eq!(pagerduty["client_url"], dashboard("prod-10"));

    assert_eq!(slack["title"], format!("Critical: {first_line}"));
    let entry = |cluster: &str| {
        let dashboard = dashboard(cluster).replace('&', "&amp;");
        let links = format!("<{RUNBOOK}|Runbook> · <{dashboard}|Dashboard>");
        format!("• {}\nFiring since {since} · {links}", summary(cluster))
    };
    assert_eq!(slack["text"], format!("{}\nand 20 more", listed(&entry, "\n")));

    assert_eq!(mail.subject, format!("Critical: {first_line}"));
    let entry = |cluster: &str| {
        let links = format!("Runbook: {RUNBOOK}\nDashboard: {}", dashboard(cluster));
        format!("{}\nFiring since {since}\n{links}\n", summary(cluster))
    };
    assert_eq!(mail.text.trim_end(), format!("{}\nand 20 more", listed(&entry, "\n")));
    assert_eq!(mail.html.matches("<p><strong>").count(), 10);
    assert!(mail.html.contains("<p>and 20 more</p>\n</body>"), "{}", mail.html);
}

fn alert(name: &str, cluster: &str, annotations: &Value) -> Value {
    json!({
        "labels": {"alertname": name, "severity": "critical", "cluster_name": cluster},
        "annotations": annotations,
        "startsAt": "2026-01-02T03:04:05Z",
    })
}

#[tokio::test]
#[ignore = "needs Debian's prometheus-alertmanager; tests/run installs it"]
async fn missing_annotations_and_resolved_alerts_of_a_group() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    // Without any annotation, and therefore without links.
    let first = alert("OfAnotherProduct", "a", &json!({}));
    alertmanager.post(&json!([first])).await;
    let (pagerduty, slack, mail) = receiver.last(1).await;
    let since = "Firing since 2026-01-02 03:04 UTC";
    assert_eq!(pagerduty["payload"]["summary"], "OfAnotherProduct");
    assert_eq!(pagerduty["payload"]["custom_details"]["firing"], format!("* {since}"));
    assert_eq!((pagerduty.get("links"), pagerduty.get("client_url")), (None, None));
    let title = "Critical: OfAnotherProduct";
    let attachment = json!({"color": "danger", "title": title, "fallback": title, "text": since});
    assert_eq!(seen(&slack), attachment);
    assert_eq!(mail.text.trim_end(), format!("OfAnotherProduct\n{since}"));
    assert!(!mail.html.contains("href"), "{}", mail.html);

    // A second alert of the group, which is resolved before the first.
    let mut second = alert("OfAnotherProduct", "b", &json!({"summary": "Second <one>"}));
    alertmanager.post(&json!([first, second])).await;
    let (pagerduty, slack, mail) = receiver.last(2).await;
    assert_eq!(pagerduty["payload"]["summary"], "OfAnotherProduct and 1 more");
    assert_eq!(slack["text"], format!("• OfAnotherProduct\n{since}\n• Second &lt;one&gt;\n{since}"));
    assert_eq!(mail.subject, "Critical: OfAnotherProduct and 1 more");
    second["endsAt"] = json!("2026-01-02T03:05:05Z");
    alertmanager.post(&json!([first, second])).await;
    let (pagerduty, slack, mail) = receiver.last(3).await;
    assert_eq!(pagerduty["event_action"], "trigger");
    assert_eq!(slack["title"], title);
    assert_eq!(slack["text"], format!("{since}\nResolved: Second &lt;one&gt;"));
    let details = &pagerduty["payload"]["custom_details"];
    assert_eq!(details["resolved"], "* Fired from 2026-01-02 03:04 UTC to 2026-01-02 03:05 UTC");
    assert_eq!(mail.text.trim_end(), format!("OfAnotherProduct\n{since}\n\nResolved: Second <one>"));
    assert!(mail.html.contains("<p>Resolved: Second &lt;one&gt;</p>\n</body>"), "{}", mail.html);
}

#[tokio::test]
#[ignore = "needs Debian's prometheus-alertmanager; tests/run installs it"]
async fn documented_test_alert_is_sent_to_all_three() {
    let documented = std::fs::read_to_string(shipped("docs/alerts.md")).unwrap();
    let command = documented.split("```").find(|block| block.contains("amtool alert add ")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    eventually("Alertmanager is ready", || async {
        let command = command.replace("http://127.0.0.1:9093", &alertmanager.url);
        let output = tokio::process::Command::new("sh").args(["-c", &command]).output().await.unwrap();
        output.status.success().then_some(())
    })
    .await;
    let (pagerduty, slack, mail) = receiver.last(1).await;
    let summary = "Test of the routes for backup exports, nothing to do";
    assert_eq!(pagerduty["payload"]["summary"], summary);
    assert_eq!(slack["title"], format!("Critical: {summary}"));
    assert_eq!(mail.subject, format!("Critical: {summary}"));
}

#[tokio::test]
#[ignore = "needs Debian's prometheus-alertmanager; tests/run installs it"]
async fn failures_of_another_project_are_another_incident() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    let alertmanager = Alertmanager::start(&receiver, folder.path());
    let alert = |name: &str, component: &str, project: &str, cluster: &str| {
        let mut alert = alert(name, cluster, &json!({}));
        alert["labels"]["component"] = component.into();
        alert["labels"]["project_id"] = project.into();
        alert
    };
    let [failed, refused] = ["AtlasBackupExportFailed", "AtlasBackupExporterAuthFailing"];
    let alerts = ["a", "b"].map(|project| {
        ["1", "2"].map(|cluster| {
            [
                alert(failed, "backup-export", project, cluster),
                // One secret can be that of many projects.
                alert(refused, "exporter", project, cluster),
            ]
        })
    });
    alertmanager.post(&alerts.into_iter().flatten().flatten().collect()).await;
    let look = || async { (receiver.messages("/pagerduty").len() >= 3).then_some(()) };
    eventually("there are three incidents", look).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let incidents = receiver.messages("/pagerduty");
    let mut summaries: Vec<_> =
        incidents.iter().map(|incident| incident["payload"]["summary"].as_str().unwrap()).collect();
    summaries.sort_unstable();
    let failures = format!("{failed} and 1 more");
    assert_eq!(summaries, [&*failures, &failures, &format!("{refused} and 3 more")]);
}
