//! Missing roles.

use super::*;

#[tokio::test]
async fn missing_role_disables_only_the_collectors() {
    let mut all = atlas_state([("prod", cluster([])), ("other", cluster([]))]);
    all.accounts[0].denied = vec!["snapshots", "events", "exportBuckets"];
    let simulator = simulator(all).await;
    let exporter = setup(&simulator).start().await;
    let all_down = |scrape: &Scrape| {
        ["snapshots", "events", "buckets"].iter().all(|collector| up(scrape, collector) == Some(0.0))
    };
    let requested = |simulator: &Simulator| {
        ["/backup/snapshots", "/events", "/exportBuckets"].map(|part| requests(simulator, part))
    };
    exporter.until(|scrape| all_down(scrape) && requested(&simulator) == [4, 2, 2]).await;
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!(requested(&simulator), [4, 2, 2], "a second refusal confirms the first");
    assert_eq!((scrape.up("prod"), scrape.up("other")), (Some(1.0), Some(1.0)));
    assert!(scrape.has_metrics("prod") && all_down(&scrape) && awaiting(&scrape, "prod").is_none());
    assert!(scrape.of("mongodbatlas_backup_export_bucket_info").is_empty());
    let log = exporter.log();
    for what in ["the cluster's snapshots", "the project's events", "the project's export buckets"] {
        let warning = format!("failed to read {what}: missing role; next attempt in 1m");
        assert_eq!(log.matches(&warning).count(), 1, "{log}");
    }
    let page = exporter.page().await;
    let banner = "Failed to read the buckets, events and snapshots of project payments: Atlas answered 403";
    assert!(page.contains(banner) && page.contains("Export jobs are still polled."), "{page}");
    // The hidden banner is for pages that are no longer refreshed.
    assert_eq!(page.matches("class=\"banner unknown\"").count(), 2, "one cause, one banner: {page}");
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn refusal_of_one_cluster_does_not_affect_others() {
    for code in ["CLUSTER_RESTRICTED", "USER_UNAUTHORIZED"] {
        let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
        let refusal = FaultKind::error(403, code);
        simulator.state().faults.push(Fault::lasting("/b/backup/snapshots", refusal));
        let exporter = setup(&simulator).start().await;
        let scrape = exporter
            .until(|scrape| awaiting(scrape, "a").is_some() && up(scrape, "snapshots") == Some(0.0))
            .await;
        assert_eq!(awaiting(&scrape, "b"), None);
        assert!(rate(&simulator, "/a/backup/snapshots").await > 1);
        for interval in ["210ms", "220ms", "230ms"] {
            exporter.reload(&setup(&simulator).set("collectors.interval", interval));
            exporter.polled_again(3.0).await;
        }
        // A reload retries, as the role may have been granted, but logs no second warning.
        let requested = requests(&simulator, "/b/backup/snapshots");
        assert!((4..=8).contains(&requested), "{code}: {requested}");
        assert_eq!(exporter.log().matches("next attempt in 1m").count(), 1, "{}", exporter.log());
    }
}

#[tokio::test]
async fn reenabled_collector_reports_a_refusal_again() {
    let mut all = atlas_state([("prod", cluster([]))]);
    all.accounts[0].denied = vec!["events", "exportBuckets"];
    let simulator = simulator(all).await;
    let exporter = setup(&simulator).start().await;
    let down =
        |scrape: &Scrape| ["events", "buckets"].map(|collector| up(scrape, collector)) == [Some(0.0); 2];
    exporter.until(down).await;
    exporter.reload(&setup(&simulator).without_collectors(&["events", "buckets"]));
    exporter.until(|scrape| up(scrape, "events").is_none() && up(scrape, "buckets").is_none()).await;
    exporter.reload(&setup(&simulator));
    exporter.until(down).await;
    // A reload after the role was granted.
    simulator.state().accounts[0].denied.clear();
    exporter.signal("HUP");
    exporter
        .until(|scrape| ["events", "buckets"].map(|collector| up(scrape, collector)) == [Some(1.0); 2])
        .await;
}

#[tokio::test]
async fn only_confirmed_refusals_disable_a_collector() {
    let (mut all, mut faults) = (atlas_state([]), Vec::new());
    let cases = [
        (401, "NOT_IN_GROUP", true),
        (401, "USER_UNAUTHORIZED", true),
        (401, "USER_CANNOT_ACCESS_GROUP", true),
        (403, "USER_UNAUTHORIZED", true),
        (403, "ACCESS_FORBIDDEN", true),
        (403, "SOMETHING_NEW", true),
        (403, "FEATURE_UNSUPPORTED", true),
        (404, "BACKUP_CONFIG_NOT_FOUND", true),
        (400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", true),
        (401, "UNEXPECTED_ERROR", false),
        (401, "NO_CURRENT_USER", false),
        (401, "SOMETHING_NEW", false),
        (401, "", false),
        (403, "", false),
        (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", false),
        (403, "ORG_REQUIRES_ACCESS_LIST", false),
        (403, "RESOURCE_REQUIRES_ACCESS_LIST", false),
        (404, "GROUP_NOT_FOUND", false),
        (402, "ACCOUNT_SUSPENDED", false),
        (410, "VERSION_GONE", false),
        (429, "RATE_LIMITED", false),
        (503, "", false),
    ];
    let project = |index: usize| format!("32b6e34b3d91647abb20e7{index:02}");
    for (index, (status, code, _)) in cases.iter().enumerate() {
        all.projects.insert(project(index), Project::new("payments").with("prod", cluster([])));
        let path = format!("/groups/{}/backup/exportBuckets", project(index));
        faults.push(Fault::lasting(&path, FaultKind::error(*status, code)));
    }
    all.faults = faults;
    let simulator = simulator(all).await;
    let watched = (0..cases.len()).map(|index| format!("[[projects]]\nid = \"{}\"\n", project(index)));
    let exporter = setup(&simulator)
        .without_collectors(&["snapshots", "events"])
        .targets(watched.collect::<String>())
        .start()
        .await;
    let requested = |index| requests(&simulator, &format!("{}/backup/exportBuckets", project(index)));
    let failed = |scrape: &Scrape| {
        let up = scrape.of("mongodbatlas_backup_export_collector_success");
        up.len() == cases.len() && up.iter().all(|(_, up)| *up == 0.0)
    };
    // Retried requests, and those repeated at the interval, soon exceed two.
    let repeated = || (0..cases.len()).all(|index| requested(index) > 2 || cases[index].2);
    exporter.until(|scrape| failed(scrape) && repeated()).await;
    exporter.polled_again(5.0).await;
    for (index, (status, code, disables)) in cases.iter().enumerate() {
        assert_eq!(requested(index) == 2, *disables, "{status} {code}: {}", requested(index));
    }
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn single_refusal_is_retried_and_not_logged() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    let refusal = FaultKind::error(401, "USER_UNAUTHORIZED");
    simulator.state().faults.push(Fault::passing("/exportBuckets", refusal, 1));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "buckets") == Some(1.0)).await;
    assert!(requests(&simulator, "/exportBuckets") >= 2);
    assert!(!exporter.log().contains("failed to read the project's export buckets"), "{}", exporter.log());
}

#[tokio::test]
async fn changed_credentials_end_the_pause_after_a_refusal() {
    let mut all = atlas_state([("prod", cluster([]))]);
    all.accounts[0].denied = vec!["snapshots", "events", "exportBuckets"];
    let simulator = simulator(all).await;
    let exporter = setup(&simulator).start().await;
    let are = |to: f64| {
        move |scrape: &Scrape| {
            ["snapshots", "events", "buckets"].iter().all(|collector| up(scrape, collector) == Some(to))
        }
    };
    exporter.until(|scrape| are(0.0)(scrape) && exporter.log().matches("missing role").count() == 3).await;
    let other = setup(&simulator).api_key();
    exporter.reload(&other);
    exporter.until(are(1.0)).await;
    assert!(exporter.log().contains("the project's events can be read again"), "{}", exporter.log());
}

#[tokio::test]
async fn once_does_not_wait_for_a_missing_role() {
    let mut all = atlas_state(["a", "b", "c", "d"].map(|name| (name, cluster([]))));
    all.accounts[0].denied = vec!["snapshots"];
    let simulator = simulator(all).await;
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(&simulator).write(&folder);
    let began = std::time::Instant::now();
    let out = command().current_dir(folder.path()).arg("--once").output().await.unwrap();
    assert!(out.status.success() && began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}
