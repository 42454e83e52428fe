//! Logs: one line per event, and no secrets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Event, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project};

use crate::support::atlas::{PROJECT, atlas_state, simulator, update_cluster, update_project};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::command;
use crate::support::fault_proxy::{FaultProxy, ProxyMode, send};

const MESSAGE: &str = "access \"denied\" isn't\nby the bucket\u{7} policy = none";

/// The message as logged: one line without control characters.
const SHOWN: &str = "access \"denied\" isn't by the bucket\\u{7} policy = none";

fn failing() -> Cluster {
    let job = |hours: u64| {
        Job::ended(
            Duration::from_secs(3600 * hours),
            JobOutcome::Failed(format!("CODE={hours}"), MESSAGE.to_owned()),
        )
    };
    Cluster::with([Job::ended(Duration::from_hours(30), JobOutcome::Successful), job(31), job(5), job(3)])
}

#[tokio::test]
async fn failed_job_is_logged_once() {
    let simulator = simulator(atlas_state([("prod", failing())])).await;
    for format in ["--log.format=json", "--log.format=logfmt"] {
        let exporter = ExporterBuilder::new(&simulator).flag(format).start().await;
        exporter.polled_again(4.0).await;
        let log = exporter.log();
        let lines: Vec<_> = log.lines().filter(|line| line.contains("does not retry")).collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(
            lines[0].contains("CODE=5") && lines[1].contains("CODE=3") && !log.contains("CODE=31"),
            "{log}"
        );
        for part in ["payments", "prod", "job_id", "snapshot_id", "by the bucket"] {
            assert!(lines[0].contains(part), "{part:?} is not in {}", lines[0]);
        }
        assert!(lines.iter().all(|line| line.to_lowercase().contains("warn")), "{log}");
        if format.ends_with("json") {
            for line in log.lines() {
                let json: serde_json::Value =
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(
                    json["timestamp"].is_string() && json["level"].is_string() && json["message"].is_string(),
                    "{line}"
                );
            }
            let event: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
            assert_eq!(event["reason"], SHOWN);
            assert_eq!(event["error_code"], "CODE=5");
            assert_eq!((&event["project"], &event["cluster_name"]), (&"payments".into(), &"prod".into()));
        } else {
            let events: Vec<_> = log.lines().map(parse_logfmt).collect();
            assert!(
                events.iter().all(|event| event[0].0 == "ts" && event[1].0 == "level" && event[2].0 == "msg")
            );
            let reasons = events.iter().flatten().filter(|(key, value)| key == "reason" && value == SHOWN);
            assert_eq!(reasons.count(), 2, "{log}");
        }
    }
}

#[tokio::test]
async fn number_of_log_lines_about_failed_jobs_is_limited() {
    let message = "a \"long\" text ".repeat(2_000);
    let failed = |hours: u64| {
        let end = JobOutcome::Failed("LONG".to_owned(), message.clone());
        Job::ended(Duration::from_hours(hours), end)
    };
    for format in ["--log.format=json", "--log.format=logfmt"] {
        let simulator = simulator(atlas_state([("prod", Cluster::with((1..=20).map(failed)))])).await;
        let builder = ExporterBuilder::new(&simulator).flag(format);
        let mut exporter = builder.start().await;
        exporter.polled_again(2.0).await;
        for _ in 0..3 {
            crate::support::atlas::add_cluster(&simulator, "prod", Cluster::with((1..=20).map(failed)));
            exporter.polled_again(2.0).await;
        }
        exporter.signal("TERM");
        exporter.exit().await;
        let log = exporter.log();
        let longest = log.lines().map(str::len).max().unwrap();
        assert!(longest < 9 * 1024 && log.len() < 300 * 1024, "{longest} of {} bytes", log.len());
        let failed = log.lines().filter(|line| line.contains("does not retry")).count();
        // One line for each job at first, and then one in three minutes.
        assert!((20..25).contains(&failed), "{failed}: {}", &log[..3000.min(log.len())]);
        let line = log.lines().find(|line| line.contains("suppressed repeated log lines"));
        let line = line.unwrap_or_else(|| panic!("no line of the limit: {log}"));
        assert!(line.contains("src/poll/worker.rs:"), "{line}");
        if format.ends_with("json") {
            let lines: Vec<serde_json::Value> =
                log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert!(
                lines.iter().any(|line| line["lines"].as_u64().is_some_and(|lines| lines > 20)),
                "{line}"
            );
        } else {
            log.lines().for_each(|line| drop(parse_logfmt(line)));
        }
    }
}

#[tokio::test]
async fn log_size_of_varying_errors_is_limited() {
    const ANSWERS: usize = 40;
    let simulator =
        simulator(atlas_state([("prod", Cluster::default()), ("good", Cluster::default())])).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Plain).await;
    let requested = Arc::new(AtomicUsize::new(0));
    let count = requested.clone();
    let differ = move |_: &str| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let status = ["200 OK", "500 Odd", "404 None", "400 Bad"][number % 4];
        let media_type = format!("text/{number}-{}", "x".repeat(30_000));
        let body = format!("<title>{number} {}</title>", "y".repeat(30_000));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\nsunset: {number}\r\ncontent-length: "
        );
        vec![send(format!("{head}{}\r\n\r\n{body}", body.len()))]
    };
    proxy.respond(&crate::support::atlas::exports("prod"), Some(Arc::new(differ)));
    let exporter = ExporterBuilder::new(&simulator)
        .base_url(&proxy.plain_url())
        .set("poll.interval", "100ms")
        .set("poll.timeout", "5s")
        .flag("--log.level=debug")
        .start()
        .await;
    exporter
        .until(|scrape| scrape.up("good") == Some(1.0) && requested.load(Ordering::Relaxed) >= ANSWERS)
        .await;
    let log = exporter.log();
    let lines = log
        .lines()
        .filter(|line| {
            line.contains("msg=\"failed to read the cluster's export jobs; nothing is known yet\"")
        })
        .count();
    assert!((10..25).contains(&lines), "{lines}: {log}");
    assert!(log.len() < 100 * 1024, "{} bytes", log.len());
}

#[tokio::test]
async fn restart_does_not_log_old_or_resolved_failures() {
    let job = |hours, end| Job::ended(Duration::from_hours(hours), end);
    let failed = |hours, code: &str| job(hours, JobOutcome::Failed(code.to_owned(), MESSAGE.to_owned()));
    // Created more than a day ago, and failed within the last day.
    let late = Job { running: Duration::from_hours(20), ..failed(30, "LATE") };
    let simulator = simulator(atlas_state([
        ("resolved", Cluster::with([failed(5, "RESOLVED"), job(3, JobOutcome::Successful)])),
        ("old", Cluster::with([job(60, JobOutcome::Successful), failed(26, "OLD")])),
        ("late", Cluster::with([late])),
        ("recent", Cluster::with([job(60, JobOutcome::Successful), failed(26, "OLD"), failed(2, "RECENT")])),
    ]))
    .await;
    for _ in 0..2 {
        let exporter = ExporterBuilder::new(&simulator).start().await;
        exporter.polled_again(3.0).await;
        let log = exporter.log();
        for (code, times) in [("RESOLVED", 0), ("OLD", 0), ("LATE", 1), ("RECENT", 1)] {
            assert_eq!(log.matches(&format!("error_code={code}")).count(), times, "{code}: {log}");
        }
    }
}

#[tokio::test]
async fn event_without_a_job_is_logged_once() {
    let hour = Duration::from_hours(1);
    let failed = Job::ended(hour * 2, JobOutcome::Failed("CODE".to_owned(), MESSAGE.to_owned()));
    let simulator = simulator(atlas_state([
        ("alone", Cluster::with([Job::ended(hour * 30, JobOutcome::Successful)])),
        ("jobless", Cluster::default()),
        ("with-job", Cluster::with([failed])),
        ("resolved", Cluster::with([Job::ended(hour, JobOutcome::Successful)])),
        ("old", Cluster::default()),
    ]))
    .await;
    for (cluster, age) in [("alone", 2), ("jobless", 3), ("with-job", 1), ("resolved", 4), ("old", 26)] {
        // The job of `with-job` failed 21 minutes after its creation.
        let event = Event::new("CPS_AUTO_EXPORT_FAILED", Some(cluster), hour * age + hour / 2);
        update_project(&simulator, |project| project.events.push(event));
    }
    let exporter = ExporterBuilder::new(&simulator).set("collectors.interval", "300ms").start().await;
    let events = |scrape: &crate::support::scrape::Scrape| {
        scrape.of("mongodbatlas_backup_export_last_auto_export_failure_event_timestamp_seconds").len()
    };
    exporter.until(|scrape| events(scrape) == 5).await;
    exporter.polled_again(3.0).await;
    let log = exporter.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("before its job was created")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    for cluster in ["alone", "jobless"] {
        let fields = format!("project=payments cluster_name={cluster} at=");
        assert!(lines.iter().any(|line| line.contains("level=warn") && line.contains(&fields)), "{log}");
    }
    assert_eq!(log.matches("level=warn").count(), 3, "the failed job is the third: {log}");
}

#[tokio::test]
async fn expired_secret_is_logged_once() {
    let simulator = simulator(atlas_state([("a", Cluster::default()), ("b", Cluster::default())])).await;
    let other = "32b6e34b3d91647abb20e7b9";
    simulator.state().projects.insert(other.to_owned(), Project::new("other"));
    let exporter = ExporterBuilder::new(&simulator)
        .set("atlas.service_account.expires_at", "2020-01-31")
        .targets(format!(
            "[[projects]]\nid = \"{PROJECT}\"\n[[projects]]\nid = \"{other}\"\n\
             [[organizations]]\nid = \"{ORGANIZATION}\"\n"
        ))
        .start()
        .await;
    exporter.ready().await;
    let log = exporter.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("has expired")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let mut check = command();
    let output = check.current_dir(exporter.folder.path()).arg("check").output().await.unwrap();
    let table = crate::preflight::unwrapped(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(table.matches("according to `expires_at`").count(), 1, "{table}");
    assert!(output.status.success() && table.contains("1 warning."), "{table}");
}

#[tokio::test]
async fn failure_of_an_older_job_is_logged() {
    let hour = Duration::from_hours(1);
    let older = Job { running: hour * 9, ..Job::ended(hour * 2, JobOutcome::Successful) };
    let simulator = simulator(atlas_state([(
        "prod",
        Cluster::with([older.clone(), Job::ended(hour, JobOutcome::Successful)]),
    )]))
    .await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    let outcome = JobOutcome::Failed("LATE".to_owned(), MESSAGE.to_owned());
    let failed = Job { outcome, running: hour / 2, ..older };
    update_cluster(&simulator, "prod", |prod| prod.jobs[0] = Entry::Job(failed));
    let scrape = exporter.until(|scrape| scrape.value("jobs", "prod", "Failed") == Some(1.0)).await;
    assert_eq!(scrape.value("failures_since_last_success", "prod", ""), Some(0.0));
    exporter.polled_again(3.0).await;
    assert_eq!(exporter.log().matches("error_code=LATE").count(), 1, "{}", exporter.log());
}

#[tokio::test]
async fn sunset_is_logged_once_for_each_resource() {
    let simulator = simulator(atlas_state([("a", Cluster::default()), ("b", Cluster::default())])).await;
    simulator.state().headers.push(("sunset", "Sat, 31 Dec 2030 23:59:59 GMT".to_owned()));
    let exporter = ExporterBuilder::new(&simulator).set("discovery.interval", "200ms");
    let exporter = exporter.start().await;
    let resources = ["clusters", "events", "export_buckets", "exports", "project", "schedule", "snapshots"];
    let logged = |resource: &str| exporter.log().matches(&format!(" resource={resource} ")).count();
    exporter.until(|_| resources.iter().all(|resource| logged(resource) > 0)).await;
    // A change of the date within a day is not logged.
    simulator.state().headers[0].1 = "Fri, 1 Jan 2027 00:00:00 GMT".to_owned();
    exporter.polled_again(5.0).await;
    for resource in resources {
        assert_eq!(logged(resource), 1, "{resource}: {}", exporter.log());
    }
    assert!(!exporter.log().contains("1 Jan 2027"), "{}", exporter.log());
}

#[tokio::test]
async fn trace_log_has_no_secret() {
    let simulator = simulator(atlas_state([("prod", failing())])).await;
    for builder in [ExporterBuilder::new(&simulator), ExporterBuilder::new(&simulator).api_key()] {
        let exporter = builder.flag("--log.level=trace").start().await;
        exporter.polled_again(2.0).await;
        exporter.assert_no_secret().await;
    }
}

#[tokio::test]
async fn outage_is_logged_at_its_start_and_end() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    simulator.state().faults.push(Fault::lasting("/prod/", FaultKind::error(404, "CLUSTER_NOT_FOUND")));
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled_again(4.0).await;
    assert_eq!(
        exporter.log().matches("failed to read the cluster's export jobs; nothing is known yet").count(),
        1,
        "{}",
        exporter.log()
    );
    assert!(exporter.log().contains("reason=not_found"), "{}", exporter.log());
    simulator.state().faults.clear();
    exporter.until(|scrape| scrape.up("prod") == Some(1.0)).await;
    exporter.polled_again(2.0).await;
    assert_eq!(
        exporter.log().matches("the cluster's export jobs can be read again").count(),
        1,
        "{}",
        exporter.log()
    );
}

/// Parses logfmt: keys, and values that are bare or JSON strings.
fn parse_logfmt(line: &str) -> Vec<(String, String)> {
    let (mut fields, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap_or_else(|| panic!("no logfmt: {line}"));
        let (value, after) = if after.starts_with('"') {
            let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
            let value = values.next().unwrap().unwrap_or_else(|error| panic!("{error}: {line}"));
            (value, &after[values.byte_offset()..])
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            assert!(!after[..end].contains(['=', '"']), "no logfmt: {line}");
            (after[..end].to_owned(), &after[end..])
        };
        fields.push((key.to_owned(), value));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    fields
}
