//! Reading the configuration anew, by signal and by request.

use std::time::Duration;

use atlas_backup_exporter::simulator::{Cluster, End, Fault, Job, Misbehaviour, Project, Simulator};
use reqwest::StatusCode;

use crate::harness::{Exporter, PROJECT, SECRET, Setup, exports, requests, simulator, world};

const OTHER: &str = "32b6e34b3d91647abb20e7b9";

async fn three_clusters() -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), End::Never)]);
    let mut world = world([("a", cluster()), ("b", cluster()), ("c", cluster())]);
    world.projects.insert(OTHER.to_owned(), Project::new("other").with("d", cluster()));
    simulator(world).await
}

fn watching(simulator: &Simulator, clusters: &[&str]) -> Setup {
    let mut setup = Setup::new(simulator);
    setup.clusters = clusters.iter().map(|name| (*name).to_owned()).collect();
    setup.flags = vec!["--web.enable-lifecycle"];
    setup
}

fn write(exporter: &Exporter, toml: &str) {
    // As editors and Kubernetes do it: nobody reads half a file.
    let (next, file) = (exporter.folder.path().join("next.toml"), exporter.folder.path().join("config.toml"));
    std::fs::write(&next, toml).unwrap();
    std::fs::rename(next, file).unwrap();
}

async fn post(exporter: &Exporter) -> (StatusCode, String) {
    let request = reqwest::Client::new().post(format!("{}/-/reload", exporter.url));
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

fn own(scrape: &crate::harness::Scrape, name: &str) -> f64 {
    scrape.0[&format!("mongodbatlas_backup_exporter_{name}")]
}

#[tokio::test]
async fn clusters_that_stay_keep_their_state_and_others_come_and_go() {
    let simulator = three_clusters().await;
    let exporter = watching(&simulator, &["a", "b"]).start().await;
    let before = exporter.polled_again(3.0).await;
    let since = own(&before, "config_last_reload_success_timestamp_seconds");
    assert_eq!(own(&before, "config_last_reload_successful"), 1.0);
    simulator.world().faults =
        vec![Fault::lasting(&exports("a"), Misbehaviour::Status(404, "X", Vec::new()))];
    let failed = exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;

    let mut next = watching(&simulator, &["a", "c"]);
    next.poll = "interval = \"300ms\"\n".to_owned();
    let other = format!("[[projects]]\nid = \"{OTHER}\"\nexpected_interval = \"2d\"\n");
    write(&exporter, &(next.toml() + &other));
    exporter.signal("HUP");
    let after = exporter.until(|scrape| scrape.up("c").is_some() && scrape.up("d").is_some()).await;
    assert!(!after.0.keys().any(|series| series.contains("cluster_name=\"b\"")), "{after:#?}");
    assert_eq!(after.value("expected_interval_seconds", "d", ""), Some(172_800.0));
    assert_eq!(
        after.latest_state("a"),
        Some("InProgress"),
        "its figures stay, though it cannot be polled now"
    );
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
    assert_eq!(requests(&simulator, &exports("b")), asked, "nobody asks for it any more");
}

#[tokio::test]
async fn what_a_cluster_moved_is_remembered_over_a_reload() {
    let simulator = three_clusters().await;
    simulator.world().projects.get_mut(PROJECT).unwrap().clusters.insert(
        "a".to_owned(),
        Cluster::with([Job { queued: Duration::ZERO, ..Job::ended(Duration::from_mins(1), End::Never) }]),
    );
    let exporter = watching(&simulator, &["a"]).start().await;
    let created = exporter.polled().await.value("latest_job_created_timestamp_seconds", "a", "").unwrap();
    // It goes on by five collections a minute: a movement within twelve seconds.
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
async fn a_file_that_is_refused_changes_nothing_and_is_told_counted_and_logged() {
    let simulator = three_clusters().await;
    let exporter = watching(&simulator, &["a"]).start().await;
    let before = exporter.polled().await;
    let good = watching(&simulator, &["a"]).toml();
    for (count, (toml, sentence)) in [
        (
            good.replace("interval = \"200ms\"", "interval = \"soon\""),
            "config.toml: poll.interval is \"soon\"; it should be",
        ),
        (good.clone() + "[shard]\nindex = 7\ntotal = 2\n", "config.toml: shard.index is 7"),
        (good.replace("[poll]", "[pol"), "config.toml: not TOML"),
        (good.replace(SECRET, ""), "client_secret should be a string that is not empty"),
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
        assert!(exporter.log().contains("the configuration was refused"), "{}", exporter.log());
    }
    exporter.assert_no_secret().await;
    std::fs::remove_file(exporter.folder.path().join("config.toml")).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| own(scrape, "config_reload_failures_total") == 5.0).await;
    write(&exporter, &good);
    assert_eq!(post(&exporter).await, (StatusCode::OK, "The configuration was read anew.\n".to_owned()));
    assert_eq!(own(&exporter.scrape().await, "config_last_reload_successful"), 1.0);
}

#[tokio::test]
async fn reloading_by_request_must_be_switched_on_and_is_a_post() {
    let simulator = three_clusters().await;
    let mut setup = watching(&simulator, &["a"]);
    setup.flags.clear();
    let exporter = setup.start().await;
    let (status, text) = post(&exporter).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(text.contains("--web.enable-lifecycle"), "{text}");
    assert_eq!(exporter.get("/-/reload").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(own(&exporter.scrape().await, "config_reload_failures_total"), 0.0);
    let exporter = watching(&simulator, &["a"]).start().await;
    assert_eq!(exporter.get("/-/reload").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let put = reqwest::Client::new().put(format!("{}/-/reload", exporter.url)).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
}

#[tokio::test]
async fn new_credentials_are_used_at_once() {
    let simulator = three_clusters().await;
    let mut setup = watching(&simulator, &["a"]);
    setup.poll = "interval = \"1h\"\n".to_owned();
    let good = setup.toml();
    let folder = tempfile::tempdir().unwrap();
    setup.credentials = setup.credentials.replace(SECRET, "mdb_sa_sk_wrong");
    let exporter = setup.start_in(folder).await;
    exporter.until(|scrape| scrape.up("a") == Some(0.0)).await;
    write(&exporter, &good);
    exporter.signal("HUP");
    // An hour before the next poll would be due.
    exporter.until(|scrape| scrape.up("a") == Some(1.0)).await;
}

#[tokio::test]
async fn reloads_by_the_dozen_harm_nothing() {
    let simulator = three_clusters().await;
    let setup = watching(&simulator, &["a", "b", "c"]);
    let all = setup.toml();
    let exporter = setup.start().await;
    exporter.polled().await;
    for round in 0..40 {
        let some = watching(&simulator, if round % 2 == 0 { &["a"] } else { &["a", "b", "c"] }).toml();
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
