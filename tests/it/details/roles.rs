//! Roles that are missing.

use super::*;

#[tokio::test]
async fn a_role_that_is_missing_switches_a_detail_off_and_nothing_else() {
    let mut all = world([("prod", cluster([])), ("other", cluster([]))]);
    all.accounts[0].denied = ["snapshots", "events", "exportBuckets"].map(str::to_owned).into();
    let simulator = simulator(all).await;
    let exporter = setup(&simulator, "").start().await;
    let all_down = |scrape: &Scrape| {
        ["snapshots", "events", "buckets"].iter().all(|detail| up(scrape, detail) == Some(0.0))
    };
    exporter.until(all_down).await;
    let asked = |simulator: &Simulator| {
        ["/backup/snapshots", "/events", "/exportBuckets"].map(|part| requests(simulator, part))
    };
    let before = asked(&simulator);
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!(asked(&simulator), before, "nothing is asked again");
    // Two clusters share the role, and may have found that out at the same time.
    assert!(before[0] <= 2 && before[1] == 1 && before[2] == 1, "{before:?}");
    assert_eq!((scrape.up("prod"), scrape.up("other")), (Some(1.0), Some(1.0)));
    assert!(scrape.has_figures("prod") && all_down(&scrape) && awaiting(&scrape, "prod").is_none());
    assert!(scrape.of("mongodbatlas_backup_export_bucket_info").is_empty());
    let log = exporter.log();
    for what in ["the cluster's snapshots", "the project's events", "the project's export buckets"] {
        let warnings =
            log.lines().filter(|line| line.contains("lack the role") && line.contains(what)).count();
        assert_eq!(warnings, 1, "{log}");
    }
    let page = exporter.get("/").await.text().await.unwrap();
    assert!(page.contains("Cannot read the events of project payments"), "{page}");
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn a_refusal_of_one_cluster_is_no_missing_role_of_its_project() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let refusal = Misbehaviour::Status(403, "CLUSTER_RESTRICTED", Vec::new());
    simulator.world().faults.push(Fault::lasting("/b/backup/snapshots", refusal));
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter
        .until(|scrape| awaiting(scrape, "a").is_some() && up(scrape, "snapshots") == Some(0.0))
        .await;
    assert_eq!(awaiting(&scrape, "b"), None);
    assert!(rate(&simulator, "/a/backup/snapshots").await > 1);
    let file = exporter.folder.path().join("config.toml");
    for interval in ["210ms", "220ms", "230ms"] {
        let toml = setup(&simulator, "")
            .toml()
            .replace("[detail]\ninterval = \"200ms\"", &format!("[detail]\ninterval = \"{interval}\""));
        std::fs::write(&file, toml).unwrap();
        exporter.signal("HUP");
        exporter.polled_again(2.0).await;
    }
    // Whoever reloads may have mended it, and is told no second time that it is not.
    assert!((2..=4).contains(&requests(&simulator, "/b/backup/snapshots")));
    assert_eq!(exporter.log().matches("lack the role").count(), 1, "{}", exporter.log());
}

#[tokio::test]
async fn a_refused_detail_says_so_again_when_it_is_switched_off_and_on() {
    let mut all = world([("prod", cluster([]))]);
    all.accounts[0].denied = ["events", "exportBuckets"].map(str::to_owned).into();
    let simulator = simulator(all).await;
    let exporter = setup(&simulator, "").start().await;
    let down = |scrape: &Scrape| ["events", "buckets"].map(|detail| up(scrape, detail)) == [Some(0.0); 2];
    exporter.until(down).await;
    let file = exporter.folder.path().join("config.toml");
    std::fs::write(&file, setup(&simulator, "events = false\nbuckets = false\n").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| up(scrape, "events").is_none() && up(scrape, "buckets").is_none()).await;
    std::fs::write(&file, setup(&simulator, "").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(down).await;
    assert_eq!(requests(&simulator, "/events?") + requests(&simulator, "/exportBuckets"), 4);
    // The role is given, and someone reloads.
    simulator.world().accounts[0].denied.clear();
    exporter.signal("HUP");
    exporter.until(|scrape| ["events", "buckets"].map(|detail| up(scrape, detail)) == [Some(1.0); 2]).await;
}

#[tokio::test]
async fn a_refusal_with_401_and_a_code_is_a_missing_role_and_one_of_the_keys_is_not() {
    for (status, code, again) in [
        (401, "NOT_IN_GROUP", false),
        (403, "USER_UNAUTHORIZED", false),
        (401, "UNEXPECTED_ERROR", true),
        (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", true),
    ] {
        let simulator = simulator(world([("prod", cluster([]))])).await;
        let refusal = Misbehaviour::Status(status, code, Vec::new());
        simulator.world().faults.push(Fault::lasting("/exportBuckets", refusal));
        let exporter = setup(&simulator, "").start().await;
        exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
        assert_eq!(rate(&simulator, "/exportBuckets").await > 0, again, "{status} {code}");
        simulator.world().faults.clear();
        if again {
            exporter.until(|scrape| up(scrape, "buckets") == Some(1.0)).await;
        }
    }
}

#[tokio::test]
async fn other_credentials_are_tried_at_once() {
    let mut all = world([("prod", cluster([]))]);
    all.accounts[0].denied = ["snapshots", "events", "exportBuckets"].map(str::to_owned).into();
    let simulator = simulator(all).await;
    let exporter = setup(&simulator, "").start().await;
    let are = |to: f64| {
        move |scrape: &Scrape| {
            ["snapshots", "events", "buckets"].iter().all(|detail| up(scrape, detail) == Some(to))
        }
    };
    exporter.until(are(0.0)).await;
    let other = Setup { credentials: crate::harness::by_api_key(), ..setup(&simulator, "") };
    std::fs::write(exporter.folder.path().join("config.toml"), other.toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(are(1.0)).await;
    assert!(exporter.log().contains("the project's events can be read again"), "{}", exporter.log());
}

#[tokio::test]
async fn once_does_not_wait_for_a_role_that_is_missing() {
    let mut all = world(["a", "b", "c", "d"].map(|name| (name, cluster([]))));
    all.accounts[0].denied = vec!["snapshots".to_owned()];
    let simulator = simulator(all).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), Setup::new(&simulator).toml()).unwrap();
    let began = std::time::Instant::now();
    let out = command().current_dir(folder.path()).arg("--once").output().await.unwrap();
    assert!(out.status.success() && began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}
