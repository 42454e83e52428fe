//! Status page and its JSON, without a browser (see `tests/e2e/page.rs`).

use std::time::Duration;

use atlas_simulator::{
    AtlasState, Cluster, Event, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Schedule, Simulator,
    Snapshot,
};
use serde_json::Value;

use crate::support::atlas::{PROJECT, atlas_state, exports, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

const HOUR: Duration = Duration::from_hours(1);

fn failed() -> JobOutcome {
    JobOutcome::Failed("BUCKET_GONE".to_owned(), "the <bucket> is gone".to_owned())
}

/// Returns clusters of every severity, one of them with failing polls.
fn all_kinds() -> AtlasState {
    let ended = |ago: Duration, end| Job::ended(ago, end);
    let snapshot = Snapshot::taken(HOUR * 25, "daily");
    let exported = Job::of(&snapshot, JobOutcome::Successful);
    let mut state = atlas_state([
        ("failing", Cluster::with([ended(HOUR * 25, JobOutcome::Successful), ended(HOUR * 2, failed())])),
        ("failing-often", {
            let failures = [5, 4, 3].map(|hours| ended(HOUR * hours, failed()));
            Cluster::with([ended(HOUR * 26, JobOutcome::Successful)].into_iter().chain(failures))
        }),
        (
            "waiting",
            Cluster {
                snapshots: vec![snapshot, Snapshot::taken(HOUR * 8, "daily")],
                ..Cluster::with([exported])
            },
        ),
        ("overdue", Cluster::with([ended(HOUR * 40, JobOutcome::Successful)])),
        (
            "never",
            Cluster { created_at: Some("2020-01-01T00:00:00Z".parse().unwrap()), ..Cluster::default() },
        ),
        (
            "stuck",
            Cluster::with([
                ended(HOUR * 20, JobOutcome::Successful),
                Job::ended(HOUR * 3, JobOutcome::Never),
            ]),
        ),
        ("working", Cluster::with([ended(HOUR * 3, JobOutcome::Successful)])),
        (
            "unexpected",
            Cluster {
                schedule: Schedule { auto_export: false, frequency: None, ..Schedule::default() },
                ..Cluster::default()
            },
        ),
        ("broken", Cluster::default()),
    ]);
    state.faults = vec![Fault::lasting(&exports("broken"), FaultKind::error(403, "USER_UNAUTHORIZED"))];
    let failure = Event::new("CPS_AUTO_EXPORT_FAILED", Some("working"), HOUR * 9);
    state.projects.get_mut(PROJECT).unwrap().events.push(failure);
    state
}

/// Starts an exporter that polls every cluster once.
async fn start_quietly(simulator: &Simulator) -> Exporter {
    let exporter = ExporterBuilder::new(simulator).poll_interval("10m").start().await;
    exporter.ready().await;
    exporter
}

/// Starts it, and waits for its collectors.
async fn start(simulator: &Simulator) -> Exporter {
    let exporter = start_quietly(simulator).await;
    exporter.until(|scrape| scrape.of("mongodbatlas_backup_export_collector_success").len() == 3).await;
    exporter.until(|scrape| scrape.value("snapshots_awaiting_export", "waiting", "") == Some(1.0)).await;
    exporter
}

async fn json(exporter: &Exporter, query: &str) -> Value {
    let response = exporter.get(&format!("/api/v1/clusters{query}")).await;
    assert_eq!(response.status(), 200, "{query}");
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

fn names(status: &Value) -> Vec<&str> {
    let clusters = status["clusters"].as_array().unwrap();
    clusters.iter().map(|cluster| cluster["cluster_name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn clusters_are_listed_with_status_worst_first() {
    let simulator = simulator(all_kinds()).await;
    let exporter = start(&simulator).await;
    let status = json(&exporter, "").await;
    let statuses: Vec<_> = status["clusters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cluster| (cluster["cluster_name"].as_str().unwrap(), cluster["status"].as_str().unwrap()))
        .collect();
    let expected = [
        ("failing", "failed"),
        ("failing-often", "failed"),
        ("waiting", "not_started"),
        ("overdue", "overdue"),
        ("never", "never_succeeded"),
        ("broken", "polls_failing"),
        ("stuck", "stalled"),
        ("unexpected", "no_exports_expected"),
        ("working", "healthy"),
    ];
    assert_eq!(statuses, expected);
    assert_eq!(status["clusters_watched"], 9);
    exporter.assert_no_secret().await;
}

/// Returns the metric and the label of a key of the JSON.
fn metric(scrape: &Scrape, key: &str) -> Option<(String, &'static str)> {
    let (name, label) = match key {
        "last_success_finished_at" => ("last_finished_timestamp_seconds".to_owned(), "state=\"Successful\""),
        "paused" => ("cluster_paused".to_owned(), ""),
        // One series for each state.
        "jobs" => return None,
        _ => (
            key.strip_suffix("_at").map_or_else(|| key.to_owned(), |key| format!("{key}_timestamp_seconds")),
            "",
        ),
    };
    let known =
        scrape.0.keys().any(|series| series.starts_with(&format!("mongodbatlas_backup_export_{name}{{")));
    known.then_some((name, label))
}

#[tokio::test]
async fn json_equals_the_metrics() {
    let simulator = simulator(all_kinds()).await;
    let exporter = start(&simulator).await;
    let (status, scrape) = (json(&exporter, "").await, exporter.scrape().await);
    let mut compared = std::collections::BTreeSet::new();
    for cluster in status["clusters"].as_array().unwrap() {
        let name = cluster["cluster_name"].as_str().unwrap();
        for (key, value) in cluster.as_object().unwrap() {
            let Some((metric, label)) = metric(&scrape, key) else { continue };
            let expected = scrape.value(&metric, name, label);
            let seconds = |text: &str| -> f64 {
                let at: jiff::Timestamp = text.parse().unwrap();
                at.as_duration().as_secs_f64()
            };
            let value = match value {
                Value::Null => None,
                Value::Bool(value) => Some(f64::from(u8::from(*value))),
                Value::String(text) => Some(seconds(text)),
                value => Some(value.as_f64().unwrap()),
            };
            // Durations of metrics have milliseconds.
            let same = value
                .zip(expected)
                .map_or(value == expected, |(value, expected)| (value - expected).abs() < 0.001);
            assert!(same, "{name}: {key} is {value:?}, not {expected:?}");
            compared.insert(key.clone());
        }
        for (state, count) in cluster["jobs"].as_object().into_iter().flatten() {
            let expected = scrape.value("jobs", name, &format!("state=\"{state}\""));
            assert_eq!(count.as_f64(), expected, "{name}: {state}");
        }
        let newest = &cluster["newest_job"];
        assert_eq!(newest["state"].as_str(), scrape.latest_state(name), "{name}");
        assert_eq!(newest["progress_ratio"].as_f64(), scrape.value("progress_ratio", name, ""), "{name}");
        assert_eq!(
            newest["collections"].as_f64(),
            scrape.value("latest_job_collections", name, ""),
            "{name}"
        );
        assert_eq!(
            cluster["last_poll_error"]["reason"].as_str().is_some(),
            scrape.value("last_poll_error_info", name, "") == Some(1.0),
            "{name}"
        );
    }
    assert!(compared.len() >= 18, "{compared:?}");
}

#[tokio::test]
async fn json_fields_are_documented() {
    let simulator = simulator(all_kinds()).await;
    let exporter = start(&simulator).await;
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let status = json(&exporter, "").await;
    let cluster = &status["clusters"][0];
    let objects = [&status, cluster, &cluster["newest_job"], &cluster["latest_failure"]];
    let keys = objects.iter().flat_map(|object| object.as_object().unwrap().keys());
    let mut count = 0;
    for key in keys {
        assert!(documented.contains(&format!("`{key}`")), "{key} is not in docs/api.md");
        count += 1;
    }
    assert!(count > 40);
}

#[tokio::test]
async fn clusters_are_filtered_and_sorted() {
    let simulator = simulator(all_kinds()).await;
    let exporter = start(&simulator).await;
    let check = async |query: &str, expected: &[&str]| {
        let status = json(&exporter, query).await;
        let names = names(&status);
        assert_eq!(names[..expected.len().min(names.len())], *expected, "{query}: {names:?}");
        names.len()
    };
    // The search includes the status `Polls failing`.
    assert_eq!(check("?search=FAILING", &["failing", "failing-often", "broken"]).await, 3);
    assert_eq!(check("?search=often+payments", &["failing-often"]).await, 1);
    assert_eq!(check("?search=bucket_gone", &["failing", "failing-often"]).await, 2);
    assert_eq!(check("?search=forbidden", &["broken"]).await, 1);
    assert_eq!(check("?search=unknown", &[]).await, 0);
    assert_eq!(check("?severity=unknown", &["broken"]).await, 1);
    assert_eq!(check("?severity=critical&search=exports+expected", &[]).await, 0);
    assert_eq!(check("?severity=none&search=exports+expected", &["unexpected"]).await, 1);
    assert_eq!(check("?severity=&sort=&order=", &["failing"]).await, 9);
    check("?sort=cluster", &["broken", "failing", "failing-often", "never"]).await;
    check("?sort=cluster&order=reversed", &["working", "waiting", "unexpected"]).await;
    check("?sort=failures", &["failing-often", "failing"]).await;
    // Clusters without a success first, then the oldest; unknown ones last.
    check("?sort=success", &["never", "unexpected", "overdue"]).await;
    let status = json(&exporter, "?sort=success&order=reversed").await;
    assert_eq!((names(&status)[0], names(&status)[8]), ("working", "broken"));
    check("?sort=job", &["failing"]).await;
    check("?sort=bucket", &["waiting"]).await;
    check("?something=else", &["failing"]).await;
    for (query, expected) in [
        (
            "?severity=bad",
            "invalid value \"bad\" of `severity`; expected one of critical, unknown, warning, none, ok\n",
        ),
        (
            "?sort=age",
            "invalid value \"age\" of `sort`; \
             expected one of status, cluster, job, success, bucket, failures, poll\n",
        ),
        ("?order=up", "invalid value \"up\" of `order`; expected one of asc, reversed\n"),
        (
            &format!("?search={}", "a+".repeat(101)),
            "`search` is too long; at most 200 characters are allowed\n",
        ),
    ] {
        for path in ["/", "/api/v1/clusters"] {
            let response = exporter.get(&format!("{path}{query}")).await;
            assert_eq!(response.status(), 400);
            assert_eq!(response.text().await.unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn status_page_works_without_javascript() {
    let simulator = simulator(all_kinds()).await;
    let exporter = start(&simulator).await;
    let response = exporter.get("/?search=failing&sort=failures").await;
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.unwrap();
    for part in [
        "<title>5 critical · 1 unknown · 1 warning · Atlas backup exports</title>",
        "9 clusters: 5 critical, 1 unknown, 1 warning.",
        "value=\"failing\"",
        "3 shown, as of ",
        "the &lt;bucket&gt; is gone",
        "% of expected 1d",
        // Links keep the other parameters.
        "href=\"?search=failing&amp;severity=critical&amp;sort=failures\"",
        "href=\"?search=failing&amp;sort=failures&amp;order=reversed\"",
        "<th scope=\"col\" aria-sort=\"descending\"><a id=\"sort-failures\"",
        "<option value=\"failures\" selected>Failures since success</option>",
    ] {
        assert!(page.contains(part), "{part:?} is not on the page:\n{page}");
    }
    assert!(page.find(">failing-often<") < page.find(">failing<"), "{page}");
    assert!(!page.contains(">overdue<"));
    // The page loads nothing from other hosts.
    let page = page.replace(&format!("href=\"{}", simulator.url()), "");
    for part in ["src=", "@import", "url(", "http://", "https://"] {
        assert!(!page.contains(part), "{part:?} is on the page:\n{page}");
    }
    // The search text is escaped.
    let page = exporter.get("/?search=%22%3E%3Cscript%3E").await.text().await.unwrap();
    assert!(page.contains("value=\"&quot;&gt;&lt;script&gt;\"") && page.contains("No matching clusters"));
}

#[tokio::test]
async fn cluster_with_withdrawn_metrics_is_not_healthy() {
    let cluster = Cluster::with([Job::ended(HOUR * 3, JobOutcome::Successful)]);
    let mut state = atlas_state([("a", cluster)]);
    let event = Event::new("CPS_AUTO_EXPORT_FAILED", Some("a"), HOUR * 9);
    state.projects.get_mut(PROJECT).unwrap().events.push(event);
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .set("poll.interval", "300ms")
        .set("poll.stale_after", "600ms")
        .set("poll.timeout", "10m")
        .start()
        .await;
    exporter
        .until(|scrape| scrape.value("last_auto_export_failure_event_timestamp_seconds", "a", "").is_some())
        .await;
    exporter.until(|scrape| scrape.up("a") == Some(1.0)).await;
    // The last finished poll succeeded; the current one never ends.
    simulator.state().faults.push(Fault::lasting("/exports", FaultKind::Slow(HOUR)));
    exporter.until(|scrape| !scrape.has_metrics("a")).await;
    let status = json(&exporter, "").await;
    let cluster = &status["clusters"][0];
    assert_eq!((&cluster["status"], &cluster["up"]), (&"polls_failing".into(), &true.into()));
    let page = exporter.page().await;
    // It is unknown whether the failure was followed by a success.
    assert!(page.contains("1 cluster: 1 unknown.") && !page.contains("export failure event"), "{page}");
}

#[tokio::test]
async fn page_distinguishes_newest_job_from_active_job() {
    let jobs = [Job::ended(HOUR * 9, JobOutcome::Never), Job::ended(HOUR, JobOutcome::Successful)];
    let simulator = simulator(atlas_state([("two", Cluster::with(jobs))])).await;
    let exporter = start_quietly(&simulator).await;
    let page = exporter.page().await;
    let cell = page.split("data-label=\"Newest job\">").nth(1).unwrap().split("</td>").next().unwrap();
    assert!(cell.contains("Successful") && cell.contains("created "), "{cell}");
    assert!(cell.contains("one of 1 active: last progress "), "{cell}");
}

#[tokio::test]
async fn failed_discovery_is_reported_at_the_top_of_the_page() {
    let simulator = simulator(atlas_state([("a", Cluster::default())])).await;
    let refused = FaultKind::error(403, "USER_UNAUTHORIZED");
    simulator.state().faults.push(Fault::lasting("/orgs/", refused));
    let exporter = ExporterBuilder::new(&simulator)
        .organization(ORGANIZATION)
        .set("discovery.interval", "200ms")
        .start()
        .await;
    exporter
        .until(|scrape| !scrape.of("mongodbatlas_backup_export_organization_discovery_success").is_empty())
        .await;
    let page = exporter.page().await;
    for part in [
        "<title>discovery failing · Atlas backup exports</title>",
        "No clusters found. Failed readings of organizations, projects and collectors: 1.",
        &format!("Failed to read the projects of organization {ORGANIZATION}: "),
        "No clusters are known yet.",
    ] {
        assert!(page.contains(part), "{part:?} is not on the page:\n{page}");
    }
    let unknown = "failed to read the organization's projects; nothing is known yet";
    assert!(exporter.log().contains(unknown), "{}", exporter.log());
    // Known clusters stay, and the failing discovery is still reported first.
    simulator.state().faults.clear();
    exporter.until(|scrape| scrape.up("a") == Some(1.0)).await;
    let page = exporter.page().await;
    assert!(page.contains("<title>1 critical · Atlas backup exports</title>"), "{page}");
    std::fs::write(exporter.folder.path().join("config.toml"), "[atlas]\nbase_url = 1\n").unwrap();
    exporter.signal("HUP");
    exporter
        .until(|scrape| scrape.0["mongodbatlas_backup_exporter_config_last_reload_successful"] == 0.0)
        .await;
    let page = exporter.page().await;
    assert!(page.contains("· configuration reload failed · Atlas backup exports</title>"), "{page}");
    assert!(page.contains("1 cluster: 1 critical. The configuration reload failed."), "{page}");
}

#[tokio::test]
async fn status_has_next_poll_and_no_stale_metrics() {
    let simulator = simulator(atlas_state([("a", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator)
        .set("poll.interval", "200ms")
        .set("poll.stale_after", "400ms")
        .set("poll.timeout", "1s")
        .start()
        .await;
    exporter.polled_again(2.0).await;
    let status = json(&exporter, "").await;
    let moment = |key: &str| -> jiff::Timestamp {
        status["clusters"][0][key].as_str().unwrap_or_else(|| panic!("{status}")).parse().unwrap()
    };
    let wait = moment("next_poll_at").duration_since(moment("last_poll_at"));
    assert!((0.1..0.3).contains(&wait.as_secs_f64()), "{wait}");
    simulator.state().faults.push(Fault::lasting("/exports", FaultKind::error(500, "UNEXPECTED_ERROR")));
    exporter.until(|scrape| scrape.up("a") == Some(0.0) && !scrape.has_metrics("a")).await;
    let status = json(&exporter, "").await;
    let cluster = &status["clusters"][0];
    assert_eq!((&cluster["status"], &cluster["jobs"]), (&"polls_failing".into(), &Value::Null));
    assert_eq!(cluster["last_poll_error"]["reason"], "server_error");
    let page = exporter.page().await;
    assert!(page.contains("server_error: Atlas answered 500") && page.contains(">unknown<"), "{page}");
}

/// Returns the values of an attribute on a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    page.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Links that start with `/` would break below a path of a reverse proxy.
#[tokio::test]
async fn links_of_the_page_are_relative_and_valid() {
    let simulator = simulator(all_kinds()).await;
    let builder = |path| ExporterBuilder::new(&simulator).flag(path);
    for (flag, path) in [("--web.telemetry-path=/metrics", "metrics"), ("--web.telemetry-path=/a/b", "a/b")] {
        let exporter = builder(flag).start().await;
        let start = std::time::Instant::now();
        while exporter.get("/-/ready").await.status() != 200 {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", exporter.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for query in ["", "?search=fail&severity=critical&sort=job&order=reversed"] {
            let page = exporter.get(&format!("/{query}")).await.text().await.unwrap();
            let links = attributes(&page, "href");
            for link in ["data:,", path, "api/v1/clusters", "-/healthy", "-/ready"] {
                assert!(links.contains(&link), "{link} is not in {links:?}");
            }
            assert!(links.iter().any(|link| link.starts_with('?')), "{links:?}");
            let is_own = |link: &&&str| **link != "data:," && !link.starts_with(simulator.url());
            for link in links.iter().filter(is_own) {
                assert!(!link.starts_with('/') && !link.contains(':'), "{link} is not relative");
                let link = link.replace("&amp;", "&");
                assert_eq!(exporter.get(&format!("/{link}")).await.status(), 200, "{link}");
            }
            for name in ["src", "action", "formaction", "content"] {
                let values = attributes(&page, name);
                assert!(values.iter().all(|value| !value.contains('/')), "{name}: {values:?}");
            }
            for start in ["\"/", "'/", "`/", "url("] {
                assert!(
                    !page.contains(start),
                    "the page or its script has an address that begins with /: {start}"
                );
            }
        }
    }
}

#[tokio::test]
async fn banner_reports_whether_polls_fail_too() {
    let simulator = simulator(atlas_state([("a", Cluster::default()), ("b", Cluster::default())])).await;
    let down = || FaultKind::error(500, "UNEXPECTED_ERROR");
    simulator.state().faults.push(Fault::lasting("/groups/", down()));
    let exporter = ExporterBuilder::new(&simulator)
        .set("discovery.interval", "300ms")
        .set("collectors.interval", "300ms")
        .start()
        .await;
    // A search does not hide banners.
    let until = async |part: &str| {
        for _ in 0..400 {
            let page = exporter.get("/?search=nothing").await.text().await.unwrap();
            if page.contains(part) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{part:?} is not on the page: {}", exporter.log());
    };
    exporter.until(|scrape| scrape.up("a") == Some(0.0) && scrape.up("b") == Some(0.0)).await;
    exporter.until(|scrape| scrape.of("mongodbatlas_backup_export_collector_success").len() == 2).await;
    let page = until("Failed to read the buckets, clusters and events of project").await;
    assert!(
        page.contains("Polls of all affected clusters fail, too: their export jobs are not monitored."),
        "{page}"
    );
    assert!(!page.contains("still polled"), "{page}");
    assert_eq!(page.matches("class=\"banner unknown\"").count(), 2, "one cause, one banner: {page}");
    let status = json(&exporter, "").await;
    let reasons: Vec<_> = status["problems"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["server_error"; 3], "{status}");
    simulator.state().faults = vec![Fault::lasting("/events", down()), Fault::lasting(&exports("a"), down())];
    until("Polls of 1 of 2 affected clusters fail, too.").await;
    simulator.state().faults.pop();
    until("Export jobs are still polled.").await;
}

/// Returns the row of a cluster.
fn row<'a>(page: &'a str, cluster: &str) -> &'a str {
    let start = format!("<tr data-key=\"{PROJECT}/{cluster}\">");
    page.split(&start).nth(1).unwrap_or_else(|| panic!("no {start} in {page}")).split("</tr>").next().unwrap()
}

#[tokio::test]
async fn row_says_cause_and_time_of_its_status() {
    let mut state = all_kinds();
    let queued = Job { queued: HOUR * 9, ..Job::ended(HOUR * 3, JobOutcome::Successful) };
    let minutes = |minutes| Job::ended(Duration::from_mins(minutes), JobOutcome::Successful);
    let old = minutes(25 * 60);
    let clusters = [
        ("event", Cluster::with([minutes(25 * 60)])),
        ("queued", Cluster::with([old, queued])),
        ("at-85", Cluster::with([minutes(85 * 1440 / 100)])),
        ("at-95", Cluster::with([minutes(95 * 1440 / 100)])),
        ("at-120", Cluster::with([minutes(120 * 1440 / 100)])),
        ("at-130", Cluster::with([minutes(130 * 1440 / 100)])),
    ];
    let project = state.projects.get_mut(PROJECT).unwrap();
    project.clusters.extend(clusters.map(|(name, cluster)| (name.to_owned(), cluster)));
    project.events.push(Event::new("CPS_AUTO_EXPORT_FAILED", Some("event"), HOUR * 9));
    let simulator = simulator(state).await;
    let exporter = start(&simulator).await;
    exporter
        .until(|scrape| {
            let event = "last_auto_export_failure_event_timestamp_seconds";
            scrape.value(event, "event", "").is_some()
        })
        .await;
    let page = exporter.page().await;
    for (cluster, parts) in [
        ("failing", &["UTC\">unresolved for 2h<", "<small class=\"critical\">BUCKET_<wbr>GONE<"][..]),
        ("failing-often", &[">unresolved for 5h<"]),
        (
            "waiting",
            &[">snapshot not exported for 8h<", "class=\"critical\" title=\"20", ">1 awaits export, "],
        ),
        ("event", &[">export failed without a job 9h ago<", ">export failure event 9h ago<"]),
        ("overdue", &[">overdue for 9h 39m<", "class=\"critical\">165% of expected 1d<"]),
        ("never", &[">first success overdue for "]),
        ("stuck", &["no progress for 3h<", "class=\"warning\" title=\"20", ">last progress 3h ago<"]),
        ("queued", &["Queued too long", ">queued for 3h<"]),
        ("at-85", &["<svg class=\"bar ok\"", "class=\"ok\">8", "<rect class=\"tick\" x=\"67\""]),
        ("at-95", &["<svg class=\"bar warning\"", "class=\"warning\">9"]),
        ("at-120", &["<svg class=\"bar warning\"", "class=\"warning\">11"]),
        ("at-130", &["<svg class=\"bar critical\"", "class=\"critical\">12", "Overdue"]),
    ] {
        let row = row(&page, cluster);
        assert!(parts.iter().all(|part| row.contains(part)), "{parts:?} of {cluster}:\n{row}");
    }
    for cluster in ["working", "unexpected", "broken"] {
        let status = row(&page, cluster).split("</td>").next().unwrap();
        assert!(!status.contains("<small"), "no time is known: {status}");
    }
}

#[tokio::test]
async fn page_links_to_atlas_runbooks_and_dashboard() {
    let simulator = simulator(all_kinds()).await;
    let builder = || ExporterBuilder::new(&simulator).poll_interval("10m");
    let exporter = builder()
        .set("links.runbooks", "https://runbooks.example.com/RUNBOOKS.md")
        .env("ATLAS_BACKUP_EXPORTER__LINKS__DASHBOARD", "https://grafana/?p={project_id}&c={cluster_name}")
        .start()
        .await;
    exporter.ready().await;
    let page = exporter.page().await;
    let links = |cluster| attributes(row(&page, cluster), "href");
    let atlas = |cluster| format!("{}/v2/{PROJECT}#/clusters/detail/{cluster}", simulator.url());
    let dashboard = |cluster| format!("https://grafana/?p={PROJECT}&amp;c={cluster}");
    let runbook = "https://runbooks.example.com/RUNBOOKS.md#atlasbackupexportfailed";
    assert_eq!(links("failing-often"), [runbook, &atlas("failing-often"), &dashboard("failing-often")]);
    assert_eq!(links("unexpected"), [atlas("unexpected"), dashboard("unexpected")]);
    let rows = page.split("<tbody").nth(1).unwrap().split("</tbody>").next().unwrap();
    assert!(attributes(rows, "rel").len() > 20);
    assert_eq!(attributes(rows, "rel").len(), attributes(rows, "href").len());
    assert!(
        row(&page, "failing").contains("title=\"An export failed, and no newer one succeeded\""),
        "{page}"
    );
    assert!(page.contains("title=\"Stalled, Queued too long, Auto export disabled\""), "{page}");
    assert!(page.contains("<dd>The export bucket does not exist.</dd>"), "{page}");
    // A reload replaces them.
    exporter.reload(&builder().set("links.runbooks", "http://wiki"));
    exporter.until(|_| exporter.log().contains("reloaded configuration")).await;
    let page = exporter.page().await;
    assert_eq!(attributes(row(&page, "failing"), "href")[0], "http://wiki#atlasbackupexportfailed");
}

#[tokio::test]
async fn page_of_a_shard_says_which() {
    let simulator = simulator(atlas_state([("a", Cluster::default())])).await;
    let builder = ExporterBuilder::new(&simulator);
    let page = builder.set("shard.index", 0).set("shard.total", 3).start().await.page().await;
    assert!(page.contains(" Shard 1 of 3 (index 0)."), "{page}");
    let page = ExporterBuilder::new(&simulator).start().await.page().await;
    assert!(!page.contains("Shard 1"), "{page}");
}
