//! Everything that Atlas, or what stands between, may do instead of answering.

use std::time::Duration;

use atlas_backup_exporter::simulator::{Cluster, End, Fault, Job, Kind, Misbehaviour, World};
use tokio::net::TcpListener;

use crate::harness::{PROJECT, Setup, exports, requests, simulator, world};

fn one_success() -> Cluster {
    Cluster::with([Job::ended(Duration::from_secs(9999), End::Successful)])
}

fn status(status: u16, code: &'static str) -> Misbehaviour {
    Misbehaviour::Status(status, code, Vec::new())
}

/// Each misbehaviour on a cluster of its own, beside a healthy one: the reason is right, no figure is invented, the
/// neighbour is unharmed, and all is well once it has passed.
#[tokio::test]
async fn every_fault_has_its_reason_and_harms_nobody_else() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Misbehaviour::Redirect(format!("http://{}/elsewhere", elsewhere.local_addr().unwrap()));
    let faults = [
        ("bad-request", status(400, "VALIDATION_ERROR"), "bad_request"),
        ("unauthorized", status(401, "UNEXPECTED_ERROR"), "unauthorized"),
        ("no-role", status(401, "USER_UNAUTHORIZED"), "forbidden"),
        ("address", status(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"), "forbidden"),
        ("deleted", status(404, "CLUSTER_NOT_FOUND"), "not_found"),
        ("sunset", status(410, "VERSION_GONE"), "bad_request"),
        ("limited", status(429, "RATE_LIMITED"), "rate_limited"),
        ("broken", status(500, "UNEXPECTED_ERROR"), "server_error"),
        ("hanging", Misbehaviour::Hang, "timeout"),
        ("truncated", Misbehaviour::Truncated, "invalid_response"),
        ("html", Misbehaviour::Html, "invalid_response"),
        ("empty-object", Misbehaviour::Body("{}"), "invalid_response"),
        (
            "error-as-200",
            Misbehaviour::Body(r#"{"error":500,"errorCode":"UNEXPECTED_ERROR"}"#),
            "invalid_response",
        ),
        (
            "no-time",
            Misbehaviour::Body(r#"{"results":[{"id":"a","state":"Failed","createdAt":"soon"}]}"#),
            "invalid_response",
        ),
        ("endless-body", Misbehaviour::EndlessBody, "too_large"),
        ("circling-pages", Misbehaviour::CirclingPages, "invalid_response"),
        ("huge-page", Misbehaviour::HugePage, "invalid_response"),
        ("gzip-bomb", Misbehaviour::GzipBomb, "too_large"),
        ("gzip-truncated", Misbehaviour::GzipTruncated, "invalid_response"),
        ("odd-encoding", Misbehaviour::OddEncoding, "invalid_response"),
        ("slow-error", Misbehaviour::SlowError(404), "not_found"),
        ("redirected", redirect, "invalid_response"),
    ];
    let mut world = world([("healthy", one_success())]);
    for (name, what, _) in &faults {
        world.faults.push(Fault::lasting(&exports(name), what.clone()));
        world.projects.get_mut(PROJECT).unwrap().clusters.insert((*name).to_owned(), one_success());
    }
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    // Long enough for four tries: their pauses are at most twice 0.5, 1 and 2 seconds.
    setup.poll = "interval = \"1s\"\ntimeout = \"8s\"\n".to_owned();
    let exporter = setup.start().await;
    let scrape = exporter.polled().await;
    for (name, _, reason) in &faults {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(scrape.up(name), Some(0.0), "{name}");
        assert_eq!(scrape.value("last_poll_error_info", name, ""), Some(1.0), "{name}");
        assert_eq!(scrape.value("last_poll_error_info", name, &label), Some(1.0), "{name}: {scrape:#?}");
        assert!(
            scrape.value("poll_failures_total", name, &label).is_some_and(|count| count >= 1.0),
            "{name}"
        );
        assert!(!scrape.has_figures(name), "{name}");
        assert_eq!(scrape.value("last_poll_success_timestamp_seconds", name, ""), None, "{name}");
    }
    assert_eq!(scrape.up("healthy"), Some(1.0));
    assert!(
        scrape.value("polls_total", "healthy", "").unwrap() >= 5.0,
        "the healthy one was held up: {scrape:#?}"
    );
    // One request a poll, of which the last may be under way.
    let polls = scrape.value("polls_total", "deleted", "").unwrap() as usize;
    assert!((polls..=polls + 1).contains(&requests(&simulator, &exports("deleted"))));
    let nobody = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
    assert!(nobody.is_err(), "the redirect was followed");
    exporter.assert_no_secret().await;

    simulator.world().faults.clear();
    let recovered =
        exporter.until(|scrape| faults.iter().all(|(name, ..)| scrape.up(name) == Some(1.0))).await;
    for (name, _, reason) in &faults {
        assert_eq!(recovered.latest_state(name), Some("Successful"), "{name}");
        assert_eq!(recovered.value("last_poll_error_info", name, ""), None, "{name}");
        assert!(recovered.value("poll_failures_total", name, reason).is_some(), "{name}");
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_within_the_poll() {
    let limited = |seconds: &str| {
        Misbehaviour::Status(429, "RATE_LIMITED_TOKEN_BUCKET", vec![("retry-after", seconds.to_owned())])
    };
    let mut world = world([("thrice", one_success()), ("wait", one_success()), ("half", one_success())]);
    world.faults = vec![
        Fault::passing(&exports("thrice"), status(503, "E"), 3),
        Fault::passing(&exports("wait"), limited("2"), 1),
        Fault::passing(&exports("half"), Misbehaviour::Truncated, 1),
    ];
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"60s\"\ntimeout = \"15s\"\n".to_owned();
    let scrape = setup.start().await.polled().await;
    for (name, tries) in [("thrice", 4), ("wait", 2), ("half", 2)] {
        assert_eq!(scrape.up(name), Some(1.0), "{name}");
        assert_eq!(requests(&simulator, &exports(name)), tries, "{name}");
        assert_eq!(scrape.value("polls_total", name, ""), Some(1.0), "{name}");
    }
    let waited = scrape.value("last_poll_duration_seconds", "wait", "").unwrap();
    assert!((2.0..6.0).contains(&waited), "{waited}");
}

#[tokio::test]
async fn a_listing_of_endless_pages_ends() {
    let mut world = world([("prod", one_success())]);
    world.faults = vec![Fault::lasting(&exports("prod"), Misbehaviour::EndlessPages)];
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"60s\"\ntimeout = \"20s\"\n".to_owned();
    let scrape = setup.start().await.polled().await;
    assert_eq!(
        scrape.value("last_poll_error_info", "prod", "reason=\"too_large\""),
        Some(1.0),
        "{scrape:#?}"
    );
    assert_eq!(requests(&simulator, &exports("prod")), 1000);
}

#[tokio::test]
async fn retry_after_may_be_a_date() {
    let in_three_seconds = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let date = in_three_seconds.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut world = world([("prod", one_success())]);
    let limited = Misbehaviour::Status(429, "RATE_LIMITED", vec![("retry-after", date)]);
    world.faults = vec![Fault::passing("/prod/", limited, 1)];
    let simulator = simulator(world).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"60s\"\ntimeout = \"15s\"\n".to_owned();
    let scrape = setup.start().await.polled().await;
    assert_eq!(scrape.up("prod"), Some(1.0));
    // The date has no parts of a second, and half a second comes on top.
    let waited = scrape.value("last_poll_duration_seconds", "prod", "").unwrap();
    assert!((1.9..6.5).contains(&waited), "{waited}");
}

#[tokio::test]
async fn an_atlas_that_is_not_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let away = simulator(world([("prod", one_success())])).await;
    let mut setup = Setup::new(&away);
    setup.base_url = format!("http://{address}");
    setup.poll = "interval = \"500ms\"\ntimeout = \"1s\"\n".to_owned();
    let exporter = setup.start().await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "prod", "reason=\"connect\""), Some(1.0));
    assert!(!scrape.has_figures("prod"));

    let listener = TcpListener::bind(address).await.unwrap();
    let _back =
        atlas_backup_exporter::simulator::Simulator::start(listener, world([("prod", one_success())]))
            .unwrap();
    exporter.until(|scrape| scrape.up("prod") == Some(1.0)).await;
}

#[tokio::test]
async fn a_server_that_cannot_prove_itself_is_a_tls_fault() {
    // It speaks http where https is asked for.
    let simulator = simulator(world([("prod", one_success())])).await;
    let mut setup = Setup::new(&simulator);
    setup.base_url = simulator.url().replace("http://", "https://");
    let exporter = setup.start().await;
    let scrape = exporter.polled().await;
    assert_eq!(
        scrape.value("last_poll_error_info", "prod", "reason=\"tls\""),
        Some(1.0),
        "{}",
        exporter.log()
    );
}

#[tokio::test]
async fn a_flex_cluster_and_an_unknown_one_are_told_apart() {
    let flex = Cluster { kind: Kind::Flex, ..Cluster::default() };
    let simulator = simulator(world([("flex", flex)])).await;
    let mut setup = Setup::new(&simulator);
    setup.clusters.push("gone".to_owned());
    let exporter = setup.start().await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "flex", "reason=\"bad_request\""), Some(1.0));
    assert_eq!(scrape.value("last_poll_error_info", "gone", "reason=\"not_found\""), Some(1.0));
    assert!(exporter.log().contains("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"));
}

#[tokio::test]
async fn the_budget_of_a_project_may_run_out() {
    let mut poor: World = world([("prod", one_success())]);
    let budget = &mut poor.projects.get_mut(PROJECT).unwrap().budget;
    (budget.capacity, budget.per_minute, budget.left) = (3, 1, 3.0);
    let simulator = simulator(poor).await;
    let exporter = Setup::new(&simulator).start().await;
    let scrape = exporter.until(|scrape| scrape.up("prod") == Some(0.0)).await;
    assert_eq!(scrape.value("last_poll_error_info", "prod", "reason=\"rate_limited\""), Some(1.0));
    assert_eq!(scrape.latest_state("prod"), Some("Successful"), "the last good figures stay for a while");
}

#[tokio::test]
async fn figures_are_withdrawn_when_they_are_stale_and_come_back() {
    let simulator = simulator(world([("prod", one_success()), ("other", one_success())])).await;
    let mut setup = Setup::new(&simulator);
    setup.poll = "interval = \"200ms\"\nstale_after = \"2s\"\n".to_owned();
    let exporter = setup.start().await;
    let good = exporter.polled().await;
    simulator.world().faults.push(Fault::lasting("/prod/", status(500, "E")));
    let kept = exporter.until(|scrape| scrape.up("prod") == Some(0.0) || !scrape.has_figures("prod")).await;
    assert!(kept.up("prod") == Some(0.0) || kept.up("prod") == Some(1.0));
    let withdrawn =
        exporter.until(|scrape| !scrape.has_figures("prod") && scrape.up("prod") == Some(0.0)).await;
    let last_good = withdrawn.value("last_poll_success_timestamp_seconds", "prod", "").unwrap();
    assert!(last_good >= good.value("last_poll_success_timestamp_seconds", "prod", "").unwrap());
    assert!(withdrawn.value("last_poll_timestamp_seconds", "prod", "").unwrap() > last_good);
    assert!(withdrawn.has_figures("other"));
    simulator.world().faults.clear();
    exporter.until(|scrape| scrape.has_figures("prod") && scrape.up("prod") == Some(1.0)).await;
}

#[tokio::test]
async fn an_answer_that_repeats_credentials_is_masked() {
    let mut world = world([("prod", one_success())]);
    world.faults = vec![Fault::lasting(
        &exports("prod"),
        Misbehaviour::Body(r#"{"error":"Authorization: Bearer eyJ0b2tlbg and mdb_sa_sk_never_to_be_seen"}"#),
    )];
    world
        .faults
        .push(Fault::lasting("/schedule", Misbehaviour::Status(403, "Bearer eyJ0b2tlbg==", Vec::new())));
    let simulator = simulator(world).await;
    let exporter = Setup::new(&simulator).start().await;
    exporter.ready().await;
    assert!(exporter.get("/").await.text().await.unwrap().contains("REDACTED"));
    for page in [exporter.log(), exporter.get("/").await.text().await.unwrap()] {
        assert!(!page.contains("eyJ0") && !page.contains("never_to_be_seen"), "{page}");
    }
}
