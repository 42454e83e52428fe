//! Transient and final errors. Faults are in `tests/faults`.

use std::time::Duration;

use atlas_simulator::{Cluster, ClusterKind, Fault, FaultKind, Job, JobOutcome};
use tokio::net::TcpListener;

use crate::support::atlas::{atlas_state, exports, requests, simulator};
use crate::support::builder::ExporterBuilder;

fn one_success() -> Cluster {
    Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)])
}

fn status(status: u16, code: &'static str) -> FaultKind {
    FaultKind::error(status, code)
}

#[tokio::test]
async fn redirects_and_final_errors_are_not_retried() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = FaultKind::Status(
        302,
        "",
        vec![("location", format!("http://{}/elsewhere", elsewhere.local_addr().unwrap()))],
    );
    let mut state = atlas_state([("redirected", one_success()), ("deleted", one_success())]);
    state.faults = vec![
        Fault::lasting(&exports("redirected"), redirect),
        Fault::lasting(&exports("deleted"), status(404, "CLUSTER_NOT_FOUND")),
    ];
    let simulator = simulator(state).await;
    let scrape = ExporterBuilder::new(&simulator).start().await.polled_again(3.0).await;
    for name in ["redirected", "deleted"] {
        // The last request may be in progress.
        let polls = scrape.value("polls_total", name, "").unwrap() as usize;
        let requested = requests(&simulator, &exports(name));
        assert!((polls..=polls + 1).contains(&requested), "{name}: {requested} requests in {polls} polls");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
    assert!(accepted.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn transient_errors_are_retried_within_the_poll() {
    let limited = |seconds: &str| {
        FaultKind::Status(429, "RATE_LIMITED_TOKEN_BUCKET", vec![("retry-after", seconds.to_owned())])
    };
    let mut state =
        atlas_state([("thrice", one_success()), ("wait", one_success()), ("half", one_success())]);
    state.faults = vec![
        Fault::passing(&exports("thrice"), status(503, "E"), 3),
        Fault::passing(&exports("wait"), limited("2"), 1),
        Fault::passing(&exports("half"), FaultKind::Truncated, 1),
    ];
    let simulator = simulator(state).await;
    let scrape = ExporterBuilder::new(&simulator)
        .set("poll.interval", "60s")
        .set("poll.timeout", "15s")
        .start()
        .await
        .polled()
        .await;
    for (name, tries) in [("thrice", 4), ("wait", 2), ("half", 2)] {
        assert_eq!(scrape.up(name), Some(1.0), "{name}");
        assert_eq!(requests(&simulator, &exports(name)), tries, "{name}");
        assert_eq!(scrape.value("polls_total", name, ""), Some(1.0), "{name}");
    }
    let waited = scrape.value("last_poll_duration_seconds", "wait", "").unwrap();
    assert!((2.0..6.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn endless_pages_are_limited() {
    let mut state = atlas_state([("prod", one_success())]);
    state.faults = vec![Fault::lasting(&exports("prod"), FaultKind::EndlessPages)];
    let simulator = simulator(state).await;
    let exporter =
        ExporterBuilder::new(&simulator).set("poll.interval", "60s").set("poll.timeout", "20s").start().await;
    let scrape = exporter.polled().await;
    assert!(exporter.log().contains("a listing of more than 200 pages"), "{}", exporter.log());
    assert_eq!(
        scrape.value("last_poll_error_info", "prod", "reason=\"too_large\""),
        Some(1.0),
        "{scrape:#?}"
    );
    assert_eq!(requests(&simulator, &exports("prod")), 200);
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let in_three_seconds = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let date = in_three_seconds.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut state = atlas_state([("prod", one_success())]);
    let limited = FaultKind::Status(429, "RATE_LIMITED", vec![("retry-after", date)]);
    state.faults = vec![Fault::passing("/prod/", limited, 1)];
    let simulator = simulator(state).await;
    let scrape = ExporterBuilder::new(&simulator)
        .set("poll.interval", "60s")
        .set("poll.timeout", "15s")
        .start()
        .await
        .polled()
        .await;
    assert_eq!(scrape.up("prod"), Some(1.0));
    // The date has full seconds, and half a second is added.
    let waited = scrape.value("last_poll_duration_seconds", "prod", "").unwrap();
    assert!((1.9..6.5).contains(&waited), "{waited}");
}

#[tokio::test]
async fn flex_and_unknown_clusters_have_different_reasons() {
    let flex = Cluster { kind: ClusterKind::Flex, ..Cluster::default() };
    let simulator = simulator(atlas_state([("flex", flex)])).await;
    let exporter = ExporterBuilder::new(&simulator).clusters(["flex", "gone"]).start().await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "flex", "reason=\"bad_request\""), Some(1.0));
    assert_eq!(scrape.value("last_poll_error_info", "gone", "reason=\"not_found\""), Some(1.0));
    assert!(exporter.log().contains("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"));
}

#[tokio::test]
async fn echoed_credentials_are_redacted() {
    let mut state = atlas_state([("prod", one_success())]);
    state.faults = vec![Fault::lasting(
        &exports("prod"),
        FaultKind::Body(r#"{"error":"Authorization: Bearer eyJ0b2tlbg and mdb_sa_sk_never_to_be_seen"}"#),
    )];
    state.faults.push(Fault::lasting("/schedule", FaultKind::error(403, "Bearer eyJ0b2tlbg==")));
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.ready().await;
    assert!(exporter.get("/").await.text().await.unwrap().contains("REDACTED"));
    for page in [exporter.log(), exporter.get("/").await.text().await.unwrap()] {
        assert!(!page.contains("eyJ0") && !page.contains("never_to_be_seen"), "{page}");
    }
}
