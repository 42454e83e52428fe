//! Reload of the configuration, by signal and by request.

use std::time::Duration;

use atlas_simulator::{
    Account, Cluster, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project, Scheme, Simulator,
};
use reqwest::StatusCode;

use crate::support::atlas::{PROJECT, SECRET, add_cluster, atlas_state, exports, requests, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;

const OTHER: &str = "32b6e34b3d91647abb20e7b9";

async fn three_clusters() -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Never)]);
    let mut state = atlas_state([("a", cluster()), ("b", cluster()), ("c", cluster())]);
    state.projects.insert(OTHER.to_owned(), Project::new("other").with("d", cluster()));
    simulator(state).await
}

fn polling(simulator: &Simulator, clusters: &[&str]) -> ExporterBuilder {
    ExporterBuilder::new(simulator).clusters(clusters.iter().copied()).flag("--web.enable-lifecycle")
}

fn write(exporter: &Exporter, toml: &str) {
    // Replaces the file atomically, as editors and Kubernetes do.
    let (next, file) = (exporter.folder.path().join("next.toml"), exporter.folder.path().join("config.toml"));
    std::fs::write(&next, toml).unwrap();
    std::fs::rename(next, file).unwrap();
}

async fn post(exporter: &Exporter) -> (StatusCode, String) {
    let request = reqwest::Client::new().post(format!("{}/-/reload", exporter.url));
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

fn own(scrape: &crate::support::scrape::Scrape, name: &str) -> f64 {
    scrape.0[&format!("mongodbatlas_backup_exporter_{name}")]
}

#[tokio::test]
async fn reload_adds_and_removes_clusters() {
    let simulator = three_clusters().await;
    let exporter = polling(&simulator, &["a", "b"]).start().await;
    let before = exporter.polled_again(3.0).await;
    let since = own(&before, "config_last_reload_success_timestamp_seconds");
    assert_eq!(own(&before, "config_last_reload_successful"), 1.0);
    simulator.state().faults = vec![Fault::lasting(&exports("a"), FaultKind::error(404, "X"))];
    let failed = exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;

    let next = polling(&simulator, &["a", "c"]).poll_interval("300ms");
    let other = format!("[[projects]]\nid = \"{OTHER}\"\nexpected_interval = \"2d\"\n");
    write(&exporter, &(next.toml() + &other));
    exporter.signal("HUP");
    let after = exporter.until(|scrape| scrape.up("c").is_some() && scrape.up("d").is_some()).await;
    assert!(!after.0.keys().any(|series| series.contains("cluster_name=\"b\"")), "{after:#?}");
    assert_eq!(after.value("expected_interval_seconds", "d", ""), Some(172_800.0));
    assert_eq!(after.latest_state("a"), Some("InProgress"), "metrics are kept while polls fail");
    for name in ["polls_total", "poll_failures_total"] {
        assert!(after.value(name, "a", "") >= failed.value(name, "a", ""), "{name} went back");
    }
    assert_eq!(
        after.value("last_progress_timestamp_seconds", "a", ""),
        before.value("last_progress_timestamp_seconds", "a", "")
    );
    assert_eq!(own(&after, "poll_interval_seconds"), 0.3);
    assert_eq!(own(&after, "config_last_reload_successful"), 1.0);
    assert!(own(&after, "config_last_reload_success_timestamp_seconds") > since);
    assert_eq!(requests(&simulator, "POST /api/oauth/token"), 1, "the token stays, too");
    let asked = requests(&simulator, &exports("b"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(requests(&simulator, &exports("b")), asked, "no longer requested");
}

#[tokio::test]
async fn progress_is_kept_over_a_reload() {
    let simulator = three_clusters().await;
    let job = Job { queued: Duration::ZERO, ..Job::ended(Duration::from_mins(1), JobOutcome::Never) };
    add_cluster(&simulator, "a", Cluster::with([job]));
    let exporter = polling(&simulator, &["a"]).start().await;
    let created = exporter.polled().await.value("latest_job_created_timestamp_seconds", "a", "").unwrap();
    // It exports five collections a minute: one within twelve seconds.
    let moved = exporter
        .until(|scrape| scrape.value("last_progress_timestamp_seconds", "a", "") > Some(created))
        .await;
    assert_eq!(post(&exporter).await.0, StatusCode::OK);
    let after = exporter.polled_again(2.0).await;
    assert!(
        after.value("last_progress_timestamp_seconds", "a", "")
            >= moved.value("last_progress_timestamp_seconds", "a", "")
    );
}

#[tokio::test]
async fn invalid_file_keeps_the_configuration() {
    let simulator = three_clusters().await;
    let exporter = polling(&simulator, &["a"]).start().await;
    let before = exporter.polled().await;
    let good = polling(&simulator, &["a"]).toml();
    for (count, (toml, sentence)) in [
        (good.replace("interval = \"200ms\"", "interval = \"soon\""), "poll.interval is \"soon\"; expected"),
        (good.clone() + "[shard]\nindex = 7\ntotal = 2\n", ": shard.index is 7"),
        (good.replace("[poll]", "[pol"), ": not TOML"),
        (good.replace(SECRET, ""), "client_secret is \"\"; expected a non-empty string"),
    ]
    .into_iter()
    .enumerate()
    {
        write(&exporter, &toml);
        let (status, text) = post(&exporter).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            text.contains(sentence) && text.trim().lines().count() == 1 && !text.contains(SECRET),
            "{text}"
        );
        let scrape = exporter.polled_again(1.0).await;
        assert_eq!(scrape.up("a"), Some(1.0));
        assert_eq!(own(&scrape, "config_last_reload_successful"), 0.0);
        assert_eq!(own(&scrape, "config_reload_failures_total"), count as f64 + 1.0);
        let at = "config_last_reload_success_timestamp_seconds";
        assert_eq!(own(&scrape, at), own(&before, at));
        assert!(
            exporter.log().contains("failed to reload configuration; keeping the previous one"),
            "{}",
            exporter.log()
        );
    }
    exporter.assert_no_secret().await;
    std::fs::remove_file(exporter.folder.path().join("config.toml")).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| own(scrape, "config_reload_failures_total") == 5.0).await;
    write(&exporter, &good);
    assert_eq!(post(&exporter).await, (StatusCode::OK, "Configuration reloaded.\n".to_owned()));
    assert_eq!(own(&exporter.scrape().await, "config_last_reload_successful"), 1.0);
}

#[tokio::test]
async fn reload_endpoint_must_be_enabled() {
    let simulator = three_clusters().await;
    let exporter = ExporterBuilder::new(&simulator).clusters(["a"]).start().await;
    let (status, text) = post(&exporter).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("--web.enable-lifecycle"), "{text}");
    assert_eq!(exporter.get("/-/reload").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(own(&exporter.scrape().await, "config_reload_failures_total"), 0.0);
    let exporter = polling(&simulator, &["a"]).start().await;
    assert_eq!(exporter.get("/-/reload").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let put = reqwest::Client::new().put(format!("{}/-/reload", exporter.url)).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
}

#[tokio::test]
async fn cross_site_reload_is_forbidden() {
    let simulator = three_clusters().await;
    let exporter = polling(&simulator, &["a"]).start().await;
    let host = exporter.url.strip_prefix("http://").unwrap();
    let own = exporter.url.as_str();
    let client = reqwest::Client::new();
    for (headers, allowed) in [
        (&[][..], true),
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", own)], false),
        (&[("sec-fetch-site", "")], false),
        (&[("origin", own)], true),
        (&[("origin", &format!("https://{host}"))], true),
        (&[("origin", "http://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", host)], false),
        (&[("origin", &format!("{own}.evil.example"))], false),
    ] {
        for method in [reqwest::Method::POST, reqwest::Method::PUT] {
            let mut request = client.request(method, format!("{own}/-/reload"));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.send().await.unwrap();
            let expected = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(response.status(), expected, "{headers:?}");
            let text = response.text().await.unwrap();
            assert!(allowed || text.contains("not allowed from pages of other sites"), "{text}");
        }
    }
    let reloads = exporter.log().matches("msg=\"reloaded configuration\"").count();
    assert_eq!(reloads, 12, "{}", exporter.log());
}

#[tokio::test]
async fn new_credentials_are_used_immediately() {
    let simulator = three_clusters().await;
    let mut builder = polling(&simulator, &["a"]).poll_interval("1h");
    let good = builder.toml();
    let folder = tempfile::tempdir().unwrap();
    builder = builder.set("atlas.service_account.client_secret", "mdb_sa_sk_wrong");
    let exporter = builder.start_in(folder).await;
    exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;
    write(&exporter, &good);
    exporter.signal("HUP");
    // Long before the next poll would be due.
    exporter.until(|scrape| scrape.up("a") == Some(1.0)).await;
}

#[tokio::test]
async fn many_reloads_keep_the_exporter_working() {
    let simulator = three_clusters().await;
    let builder = polling(&simulator, &["a", "b", "c"]);
    let all = builder.toml();
    let exporter = builder.start().await;
    exporter.polled().await;
    for round in 0..40 {
        let some = polling(&simulator, if round % 2 == 0 { &["a"] } else { &["a", "b", "c"] }).toml();
        write(&exporter, &some);
        if round % 3 == 0 {
            exporter.signal("HUP");
        } else {
            assert_eq!(post(&exporter).await.0, StatusCode::OK);
        }
    }
    write(&exporter, &all);
    assert_eq!(post(&exporter).await.0, StatusCode::OK);
    let scrape =
        exporter.until(|scrape| ["a", "b", "c"].iter().all(|name| scrape.up(name) == Some(1.0))).await;
    assert_eq!(own(&scrape, "targets"), 3.0);
    assert_eq!(own(&scrape, "config_reload_failures_total"), 0.0);
    assert_eq!(requests(&simulator, "POST /api/oauth/token"), 1);
}

/// Counts the requests for a path within `time`.
async fn asked_within(simulator: &Simulator, path: &str, time: Duration) -> usize {
    let before = requests(simulator, path);
    tokio::time::sleep(time).await;
    requests(simulator, path) - before
}

#[tokio::test]
async fn every_setting_can_be_reloaded() {
    let simulator = three_clusters().await;
    let builder = polling(&simulator, &["a", "b", "c*"]).poll_interval("1h").set("discovery.interval", "1h");
    let exporter = builder.start().await;
    assert_eq!(exporter.ready().await.value("expected_interval_seconds", "a", ""), Some(86_400.0));
    let next = polling(&simulator, &["a", "b", "c*"])
        .poll_interval("300ms")
        .set("poll.stale_after", "1s")
        .set("poll.concurrency", 3)
        .set("discovery.interval", "300ms");
    write(&exporter, &(next.toml() + "expected_interval = \"2d\"\nexport_expected = true\n"));
    assert_eq!(post(&exporter).await.0, StatusCode::OK);
    let after = exporter.until(|scrape| scrape.value("polls_total", "a", "") >= Some(4.0)).await;
    assert_eq!(after.value("expected_interval_seconds", "a", ""), Some(172_800.0));
    assert_eq!(after.value("export_expected", "a", ""), Some(1.0));
    add_cluster(&simulator, "c-new", Cluster::default());
    exporter.until(|scrape| scrape.up("c-new") == Some(1.0)).await;
    simulator.state().faults = vec![Fault::lasting(&exports("a"), FaultKind::error(404, "X"))];
    exporter.until(|scrape| scrape.up("a") == Some(0.0) && !scrape.has_metrics("a")).await;
}

#[tokio::test]
async fn reload_without_changes_sends_no_request() {
    let simulator = three_clusters().await;
    let exporter = polling(&simulator, &["a", "b"]).poll_interval("1h").start().await;
    exporter.ready().await;
    let asked = simulator.state().request_count;
    for _ in 0..5 {
        assert_eq!(post(&exporter).await.0, StatusCode::OK);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(simulator.state().request_count, asked);
}

#[tokio::test]
async fn reload_changes_the_base_url() {
    let (old, new) = (three_clusters().await, three_clusters().await);
    let exporter = polling(&old, &["a"]).start().await;
    exporter.ready().await;
    write(&exporter, &polling(&new, &["a"]).toml());
    assert_eq!(post(&exporter).await.0, StatusCode::OK);
    exporter.polled_again(3.0).await;
    assert!(requests(&new, &exports("a")) >= 2);
    assert_eq!(asked_within(&old, "", Duration::from_secs(1)).await, 0);
}

#[tokio::test]
async fn reload_fetches_no_token() {
    let simulator = three_clusters().await;
    let other = "mdb_sa_id_2";
    simulator.state().accounts.push(Account::new(Scheme::ServiceAccount, other, "other"));
    let builder = polling(&simulator, &["a"]);
    let own = format!(
        "[[projects]]\nid = \"{OTHER}\"\n\
         [projects.service_account]\nclient_id = \"{other}\"\nclient_secret = \"other\"\n"
    );
    let toml = builder.toml() + &own;
    let exporter = builder.start().await;
    write(&exporter, &toml);
    assert_eq!(post(&exporter).await.0, StatusCode::OK);
    exporter.until(|scrape| scrape.up("d") == Some(1.0)).await;
    for _ in 0..3 {
        assert_eq!(post(&exporter).await.0, StatusCode::OK);
    }
    exporter.polled_again(2.0).await;
    assert_eq!(requests(&simulator, "POST /api/oauth/token"), 2);
}

#[tokio::test]
async fn returning_targets_keep_their_request_rate() {
    let simulator = three_clusters().await;
    let builder = polling(&simulator, &[]).set("discovery.interval", "400ms");
    let (by_organization, by_project) = (builder.clone().organization(ORGANIZATION), builder.project(OTHER));
    let (first, second) = (by_organization.toml(), by_project.toml());
    let exporter = by_organization.start().await;
    exporter.ready().await;
    let time = Duration::from_secs(4);
    let rates = async || {
        let paths = ["/orgs/", &format!("{PROJECT}/clusters?"), "/a/backup/exports", "/a/backup/schedule"]
            .map(str::to_owned);
        let count = |path: &String| requests(&simulator, path);
        let before: Vec<_> = paths.iter().map(count).collect();
        tokio::time::sleep(time).await;
        paths.iter().zip(before).map(|(path, before)| requests(&simulator, path) - before).collect::<Vec<_>>()
    };
    let before = rates().await;
    for _ in 0..2 {
        write(&exporter, &second);
        assert_eq!(post(&exporter).await.0, StatusCode::OK);
        let away = exporter.until(|scrape| scrape.up("a").is_none()).await;
        assert!(
            !away.0.keys().any(|series| series.contains(ORGANIZATION) || series.contains(PROJECT)),
            "{away:#?}"
        );
        write(&exporter, &first);
        assert_eq!(post(&exporter).await.0, StatusCode::OK);
        exporter.until(|scrape| scrape.up("a").is_some()).await;
    }
    let after = rates().await;
    for (before, after) in before.iter().zip(&after) {
        assert!((*after as f64) < *before as f64 * 1.5, "{before} and then {after}");
    }
}

#[tokio::test]
async fn hanging_configuration_files_do_not_block() {
    let simulator = three_clusters().await;
    let mut builder = polling(&simulator, &["a"]);
    let fifo = |exporter: &Exporter, name: &str| {
        let path = exporter.folder.path().join(name);
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        std::fs::write(folder.path().join(format!("secret-{number}")), SECRET).unwrap();
    }
    let own = |id: &str, number: u32| {
        format!(
            "[[projects]]\nid = \"{id}\"\n[projects.service_account]\n\
             client_id = \"mdb_sa_id_1\"\nclient_secret_file = \"secret-{number}\"\n"
        )
    };
    builder = builder.targets(own(PROJECT, 1) + &own(OTHER, 2));
    let mut exporter = builder.start_in(folder).await;
    exporter.ready().await;
    for name in ["secret-1", "secret-2", "config.toml"] {
        fifo(&exporter, name);
    }
    // New tokens need the secrets, whose reads would block two of two threads.
    simulator.state().sessions.revoke_tokens();
    exporter.signal("HUP");
    for _ in 0..70 {
        let scrape = tokio::time::timeout(Duration::from_secs(2), exporter.scrape());
        scrape.await.expect("it serves all the while");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.up("a"), scrape.up("d")), (Some(0.0), Some(0.0)));
    exporter.signal("TERM");
    assert_eq!(exporter.exit().await.code(), Some(0));
}
