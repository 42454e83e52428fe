//! Metrics, probes and pages.

use std::time::Duration;

use atlas_simulator::{Cluster, Entry, Fault, FaultKind, Job, JobOutcome};

use crate::support::atlas::{atlas_state, exports, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::golden::assert_golden;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Compares the response with the golden file, except values of the clock and the build.
#[tokio::test]
async fn exposition_equals_the_golden_file() {
    let job = |id: &str, state: &str, created: &str, more: serde_json::Value| {
        let mut job =
            serde_json::json!({"id": id, "exportBucketId": "x", "state": state, "createdAt": created});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Entry::Raw(job)
    };
    let jobs = vec![
        job(
            "65a1",
            "Successful",
            "2026-01-01T00:00:00Z",
            serde_json::json!({
                "finishedAt": "2026-01-01T00:20:00Z",
                "exportStatus": {"exportedCollections": 105, "totalCollections": 105},
            }),
        ),
        job(
            "65a2",
            "Failed",
            "2026-01-02T00:00:00Z",
            serde_json::json!({
                "finishedAt": "2026-01-02T00:05:00Z",
                "stateReason": {"errorCode": "bad \"code\"\n\\\u{0}", "message": "m"},
            }),
        ),
        job(
            "65a3",
            "InProgress",
            "2026-01-03T00:00:00Z",
            serde_json::json!({"exportStatus": {"exportedCollections": 21, "totalCollections": 84}}),
        ),
    ];
    let mut state = atlas_state([("prod", Cluster { jobs, ..Cluster::default() })]);
    state.faults = vec![Fault::lasting("/gone/", FaultKind::error(404, "CLUSTER_NOT_FOUND"))];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .clusters(["prod", "gone"])
        .poll_interval("10m")
        .set("poll.stale_after", "1h")
        .start()
        .await;
    exporter.ready().await;
    exporter.until(|scrape| scrape.of("mongodbatlas_backup_export_collector_success").len() == 3).await;
    let text = exporter.get_with("/metrics", "accept", OPEN_METRICS).await.text().await.unwrap();
    let timed = ["_last_poll_", "_success_timestamp_", "_request_duration_seconds_", "_remaining"];
    let is_timed = |name: &str| {
        timed.iter().any(|part| name.contains(part)) && !name.ends_with("_info")
            || name.starts_with("process_")
    };
    let blank = |line: &str| match line.split_once(['{', ' ']) {
        Some((name, _)) if is_timed(name) => {
            format!("{} ...", line.rsplit_once(' ').unwrap().0)
        }
        Some(("mongodbatlas_backup_exporter_build_info", _)) => {
            "mongodbatlas_backup_exporter_build_info{...} 1".to_owned()
        }
        _ => line.to_owned(),
    };
    let seen: String = text.lines().map(|line| blank(line) + "\n").collect();
    assert_golden("tests/integration/golden.openmetrics", &seen);
}

#[tokio::test]
async fn format_follows_the_accept_header() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    for (accept, expected) in [
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", OPEN_METRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.4", TEXT),
        ("*/*", TEXT),
        ("image/png", TEXT),
    ] {
        let response = exporter.get_with("/metrics", "accept", accept).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), expected, "{accept}");
        assert!(
            response.headers().get_all("vary").iter().any(|vary| vary
                .to_str()
                .unwrap()
                .split(", ")
                .any(|header| header == "accept"))
        );
        let body = response.text().await.unwrap();
        assert_eq!(body.ends_with("# EOF\n"), expected == OPEN_METRICS, "{accept}");
        assert!(body.contains("\nmongodbatlas_backup_export_up{"));
    }
    assert_eq!(header(&exporter.get("/metrics").await, "content-type"), TEXT);
}

#[tokio::test]
async fn default_headers_are_on_every_response() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    for path in ["/", "/metrics", "/api/v1/clusters", "/-/healthy", "/-/ready", "/-/reload", "/x"] {
        let answer = exporter.get(path).await;
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(header(&answer, name), value, "{path}");
        }
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn body_is_compressed_if_accepted() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    // The default client of tests would decompress the response.
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let get = |encoding: &'static str| {
        plain.get(format!("{}/metrics", exporter.url)).header("accept-encoding", encoding).send()
    };
    let compressed = get("gzip").await.unwrap();
    assert_eq!(header(&compressed, "content-encoding"), "gzip");
    assert!(
        compressed
            .headers()
            .get_all("vary")
            .iter()
            .any(|vary| vary.to_str().unwrap().ends_with("accept-encoding"))
    );
    let length = header(&compressed, "content-length").parse();
    let bytes = compressed.bytes().await.unwrap();
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    assert_eq!(length, Ok(bytes.len()));
    for encoding in ["identity", "gzip;q=0", "br"] {
        let response = get(encoding).await.unwrap();
        assert_eq!(header(&response, "content-encoding"), "", "{encoding}");
        assert!(response.text().await.unwrap().starts_with("# HELP "), "{encoding}");
    }
}

#[tokio::test]
async fn ready_after_the_first_poll_of_every_cluster() {
    let mut state = atlas_state([("bad", Cluster::default()), ("slow", Cluster::default())]);
    state.faults = vec![
        Fault::lasting("/bad/", FaultKind::error(404, "CLUSTER_NOT_FOUND")),
        Fault::lasting(&exports("slow"), FaultKind::Slow(Duration::from_secs(3))),
    ];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    assert_eq!(exporter.get("/-/healthy").await.status(), 200);
    let early = exporter.until(|scrape| scrape.up("bad") == Some(0.0)).await;
    assert_eq!(early.up("slow"), None);
    assert_eq!(exporter.get("/-/ready").await.status(), 503);
    exporter.until(|scrape| scrape.up("slow") == Some(1.0)).await;
    assert_eq!(exporter.get("/-/ready").await.status(), 200);
    assert_eq!(exporter.get("/-/healthy").await.text().await.unwrap(), "atlas-backup-exporter is healthy.\n");
}

#[tokio::test]
async fn status_page_shows_every_cluster() {
    let failed = JobOutcome::Failed("BUCKET_GONE".to_owned(), "the <bucket> is gone".to_owned());
    let mut state = atlas_state([
        (
            "failing",
            Cluster::with([
                Job::ended(Duration::from_hours(25), JobOutcome::Successful),
                Job::ended(Duration::from_mins(150), failed),
            ]),
        ),
        ("running", Cluster::with([Job::ended(Duration::from_mins(11), JobOutcome::Successful)])),
        ("never", Cluster::default()),
        ("gone", Cluster::default()),
    ]);
    state.faults = vec![Fault::lasting("/gone/", FaultKind::error(404, "CLUSTER_NOT_FOUND"))];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    let response = exporter.get("/").await;
    assert!(header(&response, "content-type").starts_with("text/html"));
    let page = response.text().await.unwrap();
    for part in [
        "payments",
        ">failing<",
        ">Failed<",
        "1d 1h",
        ">InProgress<",
        "class=\"bar ",
        "/105",
        "none listed",
        "BUCKET_<wbr>GONE",
        "the &lt;bucket&gt; is gone",
        ">unresolved for 2h 30m<",
        "last progress ",
        "not_found: <bdi>Atlas answered 404",
        "href=\"metrics\"",
    ] {
        assert!(page.contains(part), "{part:?} is not on the page:\n{page}");
    }
}

#[tokio::test]
async fn paths_and_addresses_follow_the_flags() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator)
        .flag("--web.telemetry-path=/a/metrics")
        .flag("--web.listen-address=127.0.0.1:0")
        .start()
        .await;
    assert_eq!(exporter.get("/metrics").await.status(), 404);
    assert_eq!(exporter.get("/a/metrics").await.status(), 200);
    assert!(exporter.get("/").await.text().await.unwrap().contains("href=\"a/metrics\""));
    assert_eq!(exporter.log().matches("listening").count(), 2);
    let client = reqwest::Client::new();
    // Other paths and methods are answered with a line of text.
    for (method, path, status, text) in [
        ("GET", "/metrics", 404, "not found; see /\n"),
        ("HEAD", "/metrics", 404, ""),
        ("POST", "/a/b", 404, "not found; see /\n"),
        ("POST", "/a/metrics", 405, "method not allowed\n"),
        ("DELETE", "/", 405, "method not allowed\n"),
        ("GET", "/-/reload", 405, "method not allowed\n"),
    ] {
        let url = format!("{}{path}", exporter.url);
        let response = client.request(method.parse().unwrap(), url).send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(header(&response, "content-type"), "text/plain; charset=utf-8", "{method} {path}");
        let allowed = response.headers().get("allow").map(|allowed| allowed.to_str().unwrap());
        assert_eq!(allowed.is_some(), status == 405, "{method} {path}: {allowed:?}");
        assert_eq!(response.text().await.unwrap(), text, "{method} {path}");
    }
}

#[tokio::test]
async fn scrapes_send_no_requests_to_atlas() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).poll_interval("10m").start().await;
    exporter.ready().await;
    exporter.until(|scrape| scrape.of("mongodbatlas_backup_export_collector_success").len() == 3).await;
    let before = simulator.state().requests.len();
    for path in ["/metrics", "/", "/-/ready", "/-/healthy"].repeat(5) {
        exporter.get(path).await;
    }
    assert_eq!(simulator.state().requests.len(), before);
}

/// Compares process metrics with `/proc`.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn process_metrics_equal_those_of_the_kernel() {
    let before = jiff::Timestamp::now().as_millisecond() as f64 / 1000.0;
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.ready().await;
    let of_kernel = |file: &str, key: &str| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/{file}", exporter.pid())).unwrap();
        let rest = text.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
        rest.split_whitespace().next().unwrap().parse().unwrap()
    };
    let scrape = exporter.scrape().await;
    let value = |name: &str| scrape.0[&format!("process_{name}")];
    let near =
        |value: f64, of_kernel: f64| assert!((value / of_kernel - 1.0).abs() < 0.5, "{value} {of_kernel}");
    near(value("resident_memory_bytes"), of_kernel("status", "VmRSS:") * 1024.0);
    near(value("virtual_memory_bytes"), of_kernel("status", "VmSize:") * 1024.0);
    near(value("threads"), of_kernel("status", "Threads:"));
    assert_eq!(value("max_fds"), of_kernel("limits", "Max open files"));
    let open = std::fs::read_dir(format!("/proc/{}/fd", exporter.pid())).unwrap().count() as f64;
    assert!((value("open_fds") - open).abs() < 4.0, "{open} {scrape:#?}");
    assert!((before..before + 30.0).contains(&value("start_time_seconds")), "{before} {scrape:#?}");
    let seconds = value("cpu_seconds_total");
    assert!((0.0..30.0).contains(&seconds), "{seconds}");
    exporter.until(|scrape| scrape.0["process_cpu_seconds_total"] > seconds).await;
    let types = |text: String| -> Vec<String> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE process_")).map(str::to_owned);
        let mut types: Vec<_> = types.collect();
        types.sort();
        types
    };
    let text = types(exporter.get("/metrics").await.text().await.unwrap());
    let open_metrics = exporter.get_with("/metrics", "accept", OPEN_METRICS).await.text().await.unwrap();
    assert_eq!((text.len(), text[0].as_str()), (7, "cpu_seconds_total counter"));
    assert_eq!(types(open_metrics), [&["cpu_seconds counter".to_owned()], &text[1..]].concat());
}
