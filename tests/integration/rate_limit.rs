//! Credentials of projects, rate limits, and counters of requests.

use std::time::Duration;

use atlas_simulator::{
    Account, AtlasState, Cluster, Fault, FaultKind, ORGANIZATION, Project, Scheme, Simulator, TokenBucket,
};

use crate::support::atlas::{
    PRIVATE_KEY, PROJECT, SECRET, atlas_state, exports, requests, simulator, update_project,
};
use crate::support::builder::ExporterBuilder;
use crate::support::scrape::Scrape;

const OTHER: &str = "32b6e34b3d91647abb20e7b9";
const THIRD: &str = "32b6e34b3d91647abb20e7ba";

/// Returns three projects, with accounts for some of them.
fn three_projects() -> AtlasState {
    let mut state = atlas_state([("a", Cluster::default())]);
    state.projects.insert(OTHER.to_owned(), Project::new("other").with("b", Cluster::default()));
    state.projects.insert(THIRD.to_owned(), Project::new("third").with("c", Cluster::default()));
    state
}

fn of(name: &str, scrape: &Scrape, labels: &str) -> f64 {
    scrape.0.get(&format!("{name}{{{labels}}}")).copied().unwrap_or_default()
}

fn requested(scrape: &Scrape, endpoint: &str, code: &str) -> f64 {
    of("mongodbatlas_api_requests_total", scrape, &format!("endpoint=\"{endpoint}\",code=\"{code}\""))
}

#[tokio::test]
async fn projects_may_have_their_own_credentials() {
    let mut state = three_projects();
    state.accounts = vec![
        Account {
            projects: Some(vec![PROJECT.to_owned()]),
            ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", SECRET)
        },
        Account {
            projects: Some(vec![OTHER.to_owned(), THIRD.to_owned()]),
            ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_2", "mdb_sa_sk_other")
        },
        Account {
            projects: Some(vec![THIRD.to_owned()]),
            ..Account::new(Scheme::ApiKey, "pubkey", PRIVATE_KEY)
        },
    ];
    let simulator = simulator(state).await;
    let own =
        "[projects.service_account]\nclient_id = \"mdb_sa_id_2\"\nclient_secret = \"mdb_sa_sk_other\"\n";
    let key = format!("[projects.api_key]\npublic_key = \"pubkey\"\nprivate_key = \"{PRIVATE_KEY}\"\n");
    let entry = |id: &str, own: &str| format!("[[projects]]\nid = \"{id}\"\n{own}");
    let exporter = ExporterBuilder::new(&simulator)
        .targets(entry(PROJECT, "") + &entry(OTHER, own) + &entry(THIRD, own))
        .start()
        .await;
    exporter.ready().await;
    let scrape = exporter.polled_again(3.0).await;
    assert!(["a", "b", "c"].iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
    assert_eq!(
        requests(&simulator, "POST /api/oauth/token"),
        2,
        "one token for each client, not for each project"
    );
    assert!(!exporter.log().contains("mdb_sa_sk"), "{}", exporter.log());

    simulator.state().requests.clear();
    let exporter =
        ExporterBuilder::new(&simulator).targets(entry(PROJECT, "") + &entry(THIRD, &key)).start().await;
    exporter.ready().await;
    let scrape = exporter.polled_again(3.0).await;
    assert!(["a", "c"].iter().all(|name| scrape.up(name) == Some(1.0)), "{scrape:#?}");
    let challenges = simulator.state().requests.iter().filter(|seen| seen.status == 401).count();
    assert!(
        challenges <= 3,
        "first requests that start together are challenged each, and no other: {challenges}"
    );
}

#[tokio::test]
async fn retry_after_pauses_one_project_only() {
    let simulator = simulator(three_projects()).await;
    let exporter = ExporterBuilder::new(&simulator)
        .targets(format!("[[projects]]\nid = \"{PROJECT}\"\n[[projects]]\nid = \"{OTHER}\"\n"))
        .start()
        .await;
    exporter.ready().await;
    let long = FaultKind::Status(429, "RATE_LIMITED_TOKEN_BUCKET", vec![("retry-after", "3600".to_owned())]);
    simulator.state().faults = vec![Fault::passing(&exports("a"), long, 1)];
    let scrape = exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;
    assert_eq!(scrape.value("last_poll_error_info", "a", "reason=\"rate_limited\""), Some(1.0));
    let refused = requests(&simulator, &exports("a"));
    let scrape = exporter.polled_again(4.0).await;
    assert_eq!(requests(&simulator, &exports("a")), refused, "no request before `Retry-After`");
    assert_eq!(scrape.value("last_poll_error_info", "a", "reason=\"rate_limited\""), Some(1.0));
    assert_eq!(scrape.up("b"), Some(1.0));
    assert_eq!(requested(&scrape, "exports", "429"), 1.0);
    let page = exporter.get("/").await.text().await.unwrap();
    assert!(page.contains("rate limited by Atlas; retrying in "), "{page}");
}

/// Counts the requests for export jobs within `time`.
async fn asked_within(simulator: &Simulator, time: Duration) -> usize {
    let before = requests(simulator, &exports("a"));
    tokio::time::sleep(time).await;
    requests(simulator, &exports("a")) - before
}

#[tokio::test]
async fn polls_slow_down_while_the_quota_is_low() {
    let simulator = simulator(three_projects()).await;
    let set_budget = |left: f64| {
        update_project(&simulator, |project| project.budget = TokenBucket::new(1000, 1).with(left));
    };
    set_budget(1000.0);
    let exporter = ExporterBuilder::new(&simulator)
        .targets(format!("[[projects]]\nid = \"{PROJECT}\"\n[[projects]]\nid = \"{OTHER}\"\n"))
        .poll_interval("200ms")
        .set("poll.stale_after", "1m")
        .set("discovery.interval", "500ms")
        .start()
        .await;
    exporter.ready().await;
    let time = Duration::from_secs(4);
    let plenty = asked_within(&simulator, time).await;
    assert!(plenty >= 12, "{plenty}");
    // About one percent is left, as if other clients used up the rest.
    set_budget(12.0);
    exporter.polled_again(1.0).await;
    let schedules = requests(&simulator, "/a/backup/schedule");
    let scarce = asked_within(&simulator, time).await;
    assert!((1..=4).contains(&scarce), "{scarce}");
    let schedules = requests(&simulator, "/a/backup/schedule") - schedules;
    assert!(schedules <= 2, "schedules are on the same budget: {schedules}");
    let scrape = exporter.scrape().await;
    assert_eq!((scrape.up("a"), scrape.up("b")), (Some(1.0), Some(1.0)), "slow, and not blind");
    let label = format!("project_id=\"{PROJECT}\"");
    assert_eq!(of("mongodbatlas_api_ratelimit_limit", &scrape, &label), 1000.0);
    assert!(of("mongodbatlas_api_ratelimit_remaining", &scrape, &label) < 12.0);
    let label = format!("project_id=\"{OTHER}\"");
    assert!(of("mongodbatlas_api_ratelimit_remaining", &scrape, &label) > 1000.0);
    let other = requests(&simulator, &exports("b"));
    assert!(other >= 30, "the other project is polled as ever: {other}");
    set_budget(1000.0);
    exporter.polled_again(1.0).await;
    assert!(asked_within(&simulator, time).await >= 12, "and back");
}

#[tokio::test]
async fn slowed_polls_do_not_make_metrics_stale() {
    let mut state = three_projects();
    state.projects.get_mut(PROJECT).unwrap().budget = TokenBucket::new(100_000, 1).with(50.0);
    let simulator = simulator(state).await;
    let exporter =
        ExporterBuilder::new(&simulator).poll_interval("400ms").set("poll.stale_after", "2s").start().await;
    exporter.ready().await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(exporter.scrape().await.has_metrics("a"));
    }
}

#[tokio::test]
async fn every_request_is_counted_once_by_endpoint_and_code() {
    let mut state = three_projects();
    state.faults = vec![Fault::passing(&exports("b"), FaultKind::error(503, "E"), 1)];
    let simulator = simulator(state).await;
    for builder in [ExporterBuilder::new(&simulator), ExporterBuilder::new(&simulator).api_key()] {
        simulator.state().requests.clear();
        let exporter = builder.organization(ORGANIZATION).poll_interval("1h").start().await;
        exporter.ready().await;
        let counted = |scrape: &Scrape| -> f64 {
            scrape.of("mongodbatlas_api_requests_total").iter().map(|(_, count)| count).sum()
        };
        // One request may be in progress.
        let scrape =
            exporter.until(|scrape| counted(scrape) as usize == simulator.state().requests.len()).await;
        let counted = counted(&scrape);
        assert!(["a", "b", "c"].iter().all(|name| scrape.up(name) == Some(1.0)));
        let timed: f64 =
            scrape.of("mongodbatlas_api_request_duration_seconds_count").iter().map(|(_, count)| count).sum();
        assert_eq!(timed, counted);
        assert_eq!(requested(&scrape, "schedule", "200"), 3.0);
        assert_eq!(requested(&scrape, "clusters", "200"), 3.0);
        assert_eq!(requested(&scrape, "exports", "200"), 3.0);
        assert!(
            !scrape
                .of("mongodbatlas_api_requests_total")
                .iter()
                .any(|(labels, _)| labels.contains("cluster_name"))
        );
    }
}

#[tokio::test]
async fn request_without_a_response_is_counted() {
    let mut state = three_projects();
    state.faults = vec![Fault::lasting(&exports("a"), FaultKind::HANG)];
    let simulator = simulator(state).await;
    let scrape = ExporterBuilder::new(&simulator)
        .set("poll.interval", "1h")
        .set("poll.timeout", "1s")
        .start()
        .await
        .polled()
        .await;
    assert_eq!(requested(&scrape, "exports", "none"), 1.0);
    assert_eq!(requested(&scrape, "exports", "200"), 0.0);
    let long = of("mongodbatlas_api_request_duration_seconds_sum", &scrape, "endpoint=\"exports\"");
    assert!((0.7..1.5).contains(&long), "{long}");
}

#[tokio::test]
async fn retry_after_is_kept_when_credentials_change() {
    let simulator = simulator(three_projects()).await;
    let builder =
        ExporterBuilder::new(&simulator).organization(ORGANIZATION).set("discovery.interval", "200ms");
    let exporter = builder.clone().start().await;
    exporter.ready().await;
    let long = |status| FaultKind::Status(status, "X", vec![("retry-after", "3600".to_owned())]);
    let paths = ["/orgs/".to_owned(), format!("{PROJECT}/clusters$"), exports("a")];
    simulator.state().faults = paths
        .iter()
        .zip([429, 503, 429])
        .map(|(path, status)| Fault::passing(path, long(status), 1))
        .collect();
    exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    exporter.reload(&builder.api_key());
    exporter.polled_again(2.0).await;
    let count = || {
        let of_project = format!("{PROJECT}/clusters?");
        ["/orgs/", of_project.as_str(), "/a/backup/"].map(|path| requests(&simulator, path))
    };
    let before = count();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(count(), before, "no request before `Retry-After`, with any credentials");
    assert_eq!(exporter.scrape().await.up("b"), Some(1.0));
}

#[tokio::test]
async fn failing_resources_are_requested_at_the_interval() {
    let mut state = three_projects();
    let broken = || FaultKind::error(503, "E");
    state.faults = vec![
        Fault::lasting(&exports("a"), broken()),
        Fault::lasting("/a/backup/schedule", broken()),
        Fault::lasting(&format!("{PROJECT}/clusters$"), broken()),
    ];
    let simulator = simulator(state).await;
    let exporter = ExporterBuilder::new(&simulator)
        .targets(format!(
            "[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"a\"]\n[[projects]]\nid = \"{OTHER}\"\n"
        ))
        .set("discovery.interval", "500ms")
        .start()
        .await;
    // The first failure of each is retried; later ones count.
    let label = format!("project_id=\"{PROJECT}\"");
    let discovered = format!("mongodbatlas_backup_export_discovery_success{{{label}}}");
    exporter
        .until(|scrape| {
            scrape.0.contains_key(&discovered) && scrape.value("poll_failures_total", "a", "") >= Some(2.0)
        })
        .await;
    let paths = [exports("a"), exports("b"), format!("{PROJECT}/clusters?"), format!("{OTHER}/clusters?")];
    let count = || paths.clone().map(|path| requests(&simulator, &path));
    let before = count();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let requested: Vec<_> = count().iter().zip(before).map(|(after, before)| after - before).collect();
    assert!(requested[0] <= requested[1] + 4 && requested[0] > 5, "polls: {requested:?}");
    assert!(requested[2].abs_diff(requested[3]) <= 2 && requested[3] > 4, "listings: {requested:?}");
}
