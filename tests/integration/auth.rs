//! OAuth and HTTP Digest: expiry, and refused secrets.

use std::time::Duration;

use atlas_simulator::{Cluster, Fault, FaultKind, Job, JobOutcome, Simulator};

use crate::support::atlas::{PRIVATE_KEY, PROJECT, SECRET, atlas_state, requests, simulator};
use crate::support::builder::ExporterBuilder;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

async fn five_clusters() -> Simulator {
    simulator(atlas_state(
        NAMES.map(|name| {
            (name, Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]))
        }),
    ))
    .await
}

fn by_key(simulator: &Simulator) -> ExporterBuilder {
    ExporterBuilder::new(simulator).api_key()
}

fn token_requests(simulator: &Simulator) -> usize {
    requests(simulator, "POST /api/oauth/token")
}

fn refusals(simulator: &Simulator) -> usize {
    simulator.state().requests.iter().filter(|seen| seen.status == 401).count()
}

#[tokio::test]
async fn one_token_serves_every_cluster() {
    let simulator = five_clusters().await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let scrape = exporter.polled_again(4.0).await;
    assert!(NAMES.iter().all(|name| scrape.up(name) == Some(1.0)));
    assert_eq!((token_requests(&simulator), refusals(&simulator)), (1, 0));
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn token_is_renewed_before_it_expires() {
    let simulator = five_clusters().await;
    simulator.state().sessions.token_lifetime = Duration::from_secs(13);
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    tokio::time::sleep(Duration::from_millis(11_500)).await;
    assert_eq!(token_requests(&simulator), 2, "it lives for another second");
    tokio::time::sleep(Duration::from_secs(3)).await;
    exporter.polled_again(2.0).await;
    assert_eq!((token_requests(&simulator), refusals(&simulator)), (2, 0));
}

#[tokio::test]
async fn expired_token_causes_one_refresh() {
    let simulator = five_clusters().await;
    simulator.state().sessions.token_lifetime = Duration::ZERO;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let scrape = exporter.polled_again(10.0).await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "unauthorized"), Some(1.0));
    // One at the start, and one refresh after a 401.
    assert_eq!(token_requests(&simulator), 2);
}

#[tokio::test]
async fn failed_renewal_keeps_the_token() {
    let simulator = five_clusters().await;
    simulator.state().sessions.token_lifetime = Duration::from_secs(22);
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    simulator.state().faults.push(Fault::lasting("oauth/token", FaultKind::error(503, "E")));
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert!(token_requests(&simulator) >= 2, "a renewal was tried");
    let scrape = exporter.scrape().await;
    assert!(NAMES.iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty());
}

#[tokio::test]
async fn hanging_renewal_does_not_delay_polls() {
    let simulator = five_clusters().await;
    simulator.state().sessions.token_lifetime = Duration::from_secs(22);
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    simulator.state().faults.push(Fault::lasting("oauth/token", FaultKind::HANG));
    tokio::time::sleep(Duration::from_secs(12)).await;
    let scrape = exporter.polled_again(10.0).await;
    assert!(NAMES.iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
    assert!(
        scrape
            .of("mongodbatlas_backup_export_last_poll_duration_seconds")
            .iter()
            .all(|(_, seconds)| *seconds < 3.0)
    );
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty());
}

#[tokio::test]
async fn unauthorized_cluster_does_not_affect_others() {
    let simulator = five_clusters().await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    let refused = FaultKind::error(401, "UNEXPECTED_ERROR");
    let away = FaultKind::error(503, "UNEXPECTED_ERROR");
    simulator.state().faults = vec![Fault::lasting("/a/", refused), Fault::lasting("oauth/token", away)];
    let scrape = exporter.polled_again(6.0).await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "unauthorized"), Some(1.0), "{scrape:#?}");
    assert!(NAMES[1..].iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
}

#[tokio::test]
async fn missing_role_does_not_suppress_later_refreshes() {
    let simulator = five_clusters().await;
    let refused = FaultKind::error(401, "USER_UNAUTHORIZED");
    simulator.state().faults.push(Fault::lasting("/a/", refused));
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled_again(3.0).await;
    assert_eq!(token_requests(&simulator), 1);
    simulator.state().sessions.revoke_tokens();
    let scrape = exporter.polled_again(4.0).await;
    assert!(NAMES[1..].iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
    assert_eq!(token_requests(&simulator), 2);
}

#[tokio::test]
async fn invalid_token_responses_are_reported_and_not_retried() {
    for (token, reason) in [
        (r#"{"access_token":"wrong","expires_in":3600,"token_type":"Bearer"}"#, "unauthorized"),
        (r#"{"access_token":"not\na\nheader","expires_in":3600}"#, "invalid_response"),
        (r#"{"expires_in":3600}"#, "invalid_response"),
    ] {
        let simulator = five_clusters().await;
        simulator.state().faults.push(Fault::lasting("oauth/token", FaultKind::Body(token)));
        let exporter = ExporterBuilder::new(&simulator).start().await;
        let scrape = exporter.polled_again(8.0).await;
        for name in NAMES {
            assert_eq!(scrape.value("last_poll_error_info", name, reason), Some(1.0), "{token}: {scrape:#?}");
        }
        assert!(token_requests(&simulator) <= 3, "{token}: {}", token_requests(&simulator));
    }
}

#[tokio::test]
async fn revoked_token_is_replaced_once_without_failed_polls() {
    let simulator = five_clusters().await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    simulator.state().sessions.revoke_tokens();
    let scrape = exporter.polled_again(4.0).await;
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty(), "{scrape:#?}");
    assert_eq!(token_requests(&simulator), 2);
}

#[tokio::test]
async fn persistent_401_causes_one_refresh() {
    let simulator = five_clusters().await;
    let refused = FaultKind::error(401, "UNEXPECTED_ERROR");
    simulator.state().faults.push(Fault::lasting("/a/", refused));
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let scrape = exporter.polled_again(8.0).await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "unauthorized"), Some(1.0));
    assert_eq!(scrape.up("b"), Some(1.0));
    assert_eq!(token_requests(&simulator), 2);
}

#[tokio::test]
async fn refused_secret_is_not_retried_until_rotated() {
    let simulator = five_clusters().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "mdb_sa_sk_wrong\n").unwrap();
    let exporter = ExporterBuilder::new(&simulator).secret_file("secret").start_in(folder).await;
    let scrape = exporter.polled_again(10.0).await;
    for name in NAMES {
        assert_eq!(scrape.up(name), Some(0.0));
        assert_eq!(scrape.value("last_poll_error_info", name, "reason=\"unauthorized\""), Some(1.0));
        assert!(!scrape.has_metrics(name));
    }
    assert_eq!(token_requests(&simulator), 1);
    assert!(exporter.log().contains("invalid_client"));
    assert!(!exporter.log().contains("mdb_sa_sk_wrong"));

    std::fs::write(exporter.folder.path().join("secret"), SECRET).unwrap();
    exporter.until(|scrape| NAMES.iter().all(|name| scrape.up(name) == Some(1.0))).await;
    assert_eq!(token_requests(&simulator), 2);

    std::fs::remove_file(exporter.folder.path().join("secret")).unwrap();
    simulator.state().sessions.revoke_tokens();
    exporter
        .until(|scrape| scrape.value("last_poll_error_info", "a", "reason=\"unauthorized\"") == Some(1.0))
        .await;
}

/// Returns the log of an exporter with this secret, and the hints of `check`.
async fn refused(secret: &str, key: bool) -> (String, String) {
    // Each simulator has its own rate limit of token requests.
    let simulator = five_clusters().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    let builder = ExporterBuilder::new(&simulator);
    let builder = if key {
        builder.private_key_file("secret")
    } else {
        builder
            .secret_file("secret")
            .unset("atlas.service_account.client_id")
            .env("MONGODB_ATLAS_CLIENT_ID", "mdb_sa_id_1")
    };
    let exporter = builder.clone().start_in(folder).await;
    exporter.polled_again(2.0).await;
    let output = builder.run_in(&exporter.folder, &["check"]).await;
    (exporter.log(), crate::preflight::unwrapped(&String::from_utf8(output.stdout).unwrap()))
}

#[tokio::test]
async fn refused_secret_with_unusual_format_causes_a_hint() {
    for (secret, hint) in [
        (format!("\"{SECRET}\""), "has quotes around it"),
        (format!("{{\"client_secret\": \"{SECRET}\"}}"), "looks like JSON"),
        ("${ATLAS_SECRET}".to_owned(), "is a placeholder that was not replaced"),
        (format!("mdb_sa_id_1\n{SECRET}"), "has more than one line"),
        ("mdb_sa_id_1".to_owned(), "is a client id"),
    ] {
        let (log, table) = refused(&secret, false).await;
        let line = log.lines().find(|line| line.contains("failed to get an access token")).unwrap();
        let sources = "client_id_source=MONGODB_ATLAS_CLIENT_ID client_secret=\"from the file secret\"";
        let expected = format!("hint=\"the secret {hint}\"");
        assert!(line.contains(&expected) && line.contains(sources), "{line}");
        let advice = format!(
            "check the id (from MONGODB_ATLAS_CLIENT_ID), or create a new secret or key in Atlas; \
             the secret {hint}"
        );
        assert!(table.contains(&advice), "{table}");
        for text in [log, table] {
            assert!(!text.contains(SECRET) && !text.contains("ATLAS_SECRET"), "{text}");
        }
    }
    let (log, table) = refused(&format!("'{PRIVATE_KEY}'"), true).await;
    let expected = "msg=\"Atlas refused the API key\" public_key=pubkey public_key_source=config.toml \
                    private_key=\"from the file secret\" hint=\"the private key has quotes around it\"";
    assert_eq!(log.matches(expected).count(), 1, "{log}");
    let advice = "check the id (from config.toml), or create a new secret or key in Atlas; \
                  the private key has quotes around it";
    assert!(table.contains(advice), "{table}");
    assert!(!log.contains(PRIVATE_KEY) && !table.contains(PRIVATE_KEY), "{log}{table}");
    // A wrong secret of the right form gets no hint.
    let (log, table) = refused("mdb_sa_sk_wrong", false).await;
    assert!(
        !log.contains("hint=") && table.contains("create a new secret or key in Atlas\n"),
        "{log}{table}"
    );
}

#[tokio::test]
async fn digest_nonces_are_reused() {
    let simulator = five_clusters().await;
    let exporter = by_key(&simulator).start().await;
    exporter.polled_again(2.0).await;
    simulator.state().requests.clear();
    exporter.polled_again(5.0).await;
    let state = simulator.state();
    // One request per cluster may have been in progress when the list was cleared.
    assert!(state.requests.len() >= 20, "{:#?}", state.requests);
    assert!(
        state.requests.iter().all(|seen| seen.nonce_count.is_some() && seen.status == 200),
        "{:#?}",
        state.requests
    );
    let mut counts: Vec<_> = state.requests.iter().filter_map(|seen| seen.nonce_count).collect();
    counts.sort_unstable();
    assert!(counts.windows(2).all(|pair| pair[1] > pair[0]), "a count was used twice: {counts:?}");
    let used = counts.len() as u32;
    assert!(counts[counts.len() - 1] - counts[0] <= used + 5, "counts were skipped: {counts:?}");
}

#[tokio::test]
async fn stale_nonces_are_replaced_without_failed_polls() {
    let simulator = five_clusters().await;
    simulator.state().sessions.nonce_lifetime = Duration::from_millis(700);
    let exporter = by_key(&simulator).start().await;
    for _ in 0..4 {
        exporter.polled_again(2.0).await;
        simulator.state().sessions.expire_nonces();
    }
    let scrape = exporter.polled_again(2.0).await;
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty(), "{scrape:#?}");
    assert!(refusals(&simulator) >= 4);
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn fresh_nonce_declared_stale_is_replaced() {
    let simulator = simulator(atlas_state([("a", Cluster::default())])).await;
    simulator.state().sessions.stale_digests = 1;
    let exporter = by_key(&simulator).start().await;
    let scrape = exporter.polled().await;
    // The first request was for the listing or for the name of the project.
    assert!(scrape.of("mongodbatlas_backup_export_poll_failures_total").is_empty(), "{scrape:#?}");
    assert!(scrape.of("mongodbatlas_backup_export_up")[0].0.contains("project=\"payments\""), "{scrape:#?}");
    assert_eq!(simulator.state().sessions.stale_digests, 0);
}

#[tokio::test]
async fn wrong_private_key_is_reported_until_rotated() {
    let simulator = five_clusters().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "wrong-key").unwrap();
    let exporter = ExporterBuilder::new(&simulator).private_key_file("key").start_in(folder).await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "reason=\"unauthorized\""), Some(1.0));
    assert!(!exporter.log().contains("wrong-key"));
    std::fs::write(exporter.folder.path().join("key"), format!("{PRIVATE_KEY}\n")).unwrap();
    exporter.until(|scrape| NAMES.iter().all(|name| scrape.up(name) == Some(1.0))).await;
}

#[tokio::test]
async fn credentials_of_the_atlas_cli_variables_are_used() {
    let simulator = five_clusters().await;
    let exporter = ExporterBuilder::new(&simulator)
        .unset("atlas.service_account")
        .env("MONGODB_ATLAS_PUBLIC_API_KEY", "pubkey")
        .env("MONGODB_ATLAS_PRIVATE_API_KEY", PRIVATE_KEY)
        .env("ATLAS_BACKUP_EXPORTER__POLL__INTERVAL", "7s")
        .start()
        .await;
    let scrape = exporter.polled().await;
    assert_eq!(scrape.up("a"), Some(1.0));
    assert_eq!(scrape.of("mongodbatlas_backup_exporter_poll_interval_seconds"), [("", 7.0)]);
    assert!(simulator.state().projects.contains_key(PROJECT));
}
