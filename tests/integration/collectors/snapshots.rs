//! Snapshots, and which of them are exported.

use super::*;

#[tokio::test]
async fn snapshot_awaits_export_until_a_job_exists() {
    let forgotten = Snapshot::taken(HOUR * 5, "DAILY");
    let older = Snapshot::taken(HOUR * 9, "daily");
    let of = |age, frequency, kind, status| Snapshot { kind, status, ..Snapshot::taken(age, frequency) };
    let others = [
        of(HOUR * 4, "daily", "fallback", "completed"),
        of(HOUR * 4, "hourly", "scheduled", "completed"),
        of(HOUR * 4, "ondemand", "onDemand", "completed"),
        of(HOUR * 4, "daily", "scheduled", "failed"),
        Snapshot { created_at: None, ..of(HOUR, "daily", "scheduled", "inProgress") },
    ];
    let prod = cluster([older.clone(), forgotten.clone()].into_iter().chain(others));
    let newest = prod.snapshots[1].clone();
    let simulator = simulator(atlas_state([("prod", prod)])).await;
    let exporter = setup(&simulator).start().await;
    let scrape = snapshots_read(&exporter).await;
    let metric = |scrape: &Scrape, name: &str| scrape.value(&format!("{name}_timestamp_seconds"), "prod", "");
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    assert_eq!(metric(&scrape, "newest_exported_snapshot"), Some(seconds(&newest)));
    assert_eq!(metric(&scrape, "oldest_snapshot_awaiting_export"), Some(seconds(&older)));
    assert_eq!(metric(&scrape, "newest_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(metric(&scrape, "last_success_created"), Some(seconds(&newest) + 60.0));

    // A failed job does not export a snapshot; a queued one may.
    let failed = JobOutcome::Failed("E".to_owned(), "no".to_owned());
    update_cluster(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(Job::of(&older, failed))));
    let scrape = exporter.until(|scrape| scrape.value("jobs", "prod", "\"Failed\"") == Some(1.0)).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    let waiting = Job { queued: DAY, ..Job::of(&forgotten, JobOutcome::Successful) };
    update_cluster(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(waiting)));
    exporter.until(|scrape| awaiting(scrape, "prod") == Some(1.0)).await;
    update_cluster(&simulator, "prod", |prod| {
        prod.jobs.pop();
        prod.jobs.push(Entry::Job(Job::of(&forgotten, JobOutcome::Successful)));
    });
    // A newer snapshot than the older one has been exported.
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod") == Some(0.0)).await;
    assert_eq!(metric(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(metric(&scrape, "oldest_snapshot_awaiting_export"), None);
    // Exported data stays in the bucket when Atlas deletes its snapshot.
    update_cluster(&simulator, "prod", |prod| prod.snapshots.retain(|snapshot| snapshot.id != forgotten.id));
    let scrape = exporter
        .until(|scrape| metric(scrape, "newest_snapshot").is_some_and(|at| at < seconds(&forgotten)))
        .await;
    assert_eq!(metric(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
}

#[tokio::test]
async fn snapshots_of_sharded_clusters_are_read() {
    let sharded = Cluster { shards: 3, ..cluster([Snapshot::taken(HOUR, "daily")]) };
    let simulator = simulator(atlas_state([("prod", sharded)])).await;
    let exporter = setup(&simulator).start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(1.0));
    assert!(requests(&simulator, "/prod/backup/snapshots/shardedClusters") > 0);
    assert_eq!(requests(&simulator, "/prod/backup/snapshots?"), 0);
    // A cluster that becomes a replica set is read from the other listing without a restart.
    update_cluster(&simulator, "prod", |prod| prod.shards = 0);
    exporter
        .until(|scrape| up(scrape, "snapshots") == Some(1.0) && requests(&simulator, "/snapshots?") > 0)
        .await;
}

#[tokio::test]
async fn every_page_of_snapshots_is_read() {
    let hourly = (3u32..1200).map(|hours| Snapshot::taken(HOUR * hours, "hourly"));
    let simulator = simulator(atlas_state([("prod", cluster(hourly))])).await;
    // Three pages may take longer than snapshots of a short interval stay fresh.
    let exporter = ExporterBuilder::new(&simulator).set("collectors.interval", "5s").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
    assert!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", "").is_some());
    assert!(requests(&simulator, "/prod/backup/snapshots?itemsPerPage=500&pageNum=3") > 0);
}

#[tokio::test]
async fn snapshots_of_auto_exported_clusters_are_read() {
    let off = Schedule { auto_export: false, ..Schedule::default() };
    let manual = Cluster { schedule: off.clone(), ..cluster([]) };
    let simulator = simulator(atlas_state([("prod", cluster([])), ("manual", manual)])).await;
    let exporter = setup(&simulator).start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "manual"), None);
    assert_eq!(scrape.value("bucket_missing", "manual", ""), None);
    assert_eq!(requests(&simulator, "/manual/backup/snapshots"), 0);
    update_cluster(&simulator, "manual", |manual| manual.schedule = Schedule::default());
    exporter.until(|scrape| awaiting(scrape, "manual") == Some(0.0)).await;
    update_cluster(&simulator, "manual", |manual| manual.schedule = off);
    exporter.until(|scrape| awaiting(scrape, "manual").is_none()).await;
    assert_eq!(rate(&simulator, "/manual/backup/snapshots").await, 0);
}

#[tokio::test]
async fn unreadable_snapshots_are_withdrawn() {
    let simulator = simulator(atlas_state([("prod", cluster([Snapshot::taken(HOUR, "daily")]))])).await;
    let exporter = setup(&simulator).start().await;
    snapshots_read(&exporter).await;
    let odd =
        "{\"results\":[{\"id\":\"x\",\"status\":\"completed\",\"createdAt\":\"2026-01-01T00:00:00Z\"}]}";
    simulator.state().faults.push(Fault::lasting("/snapshots", FaultKind::Body(odd)));
    exporter.until(|scrape| up(scrape, "snapshots") == Some(0.0)).await;
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_none()).await;
    assert_eq!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", ""), None);
    assert!(scrape.has_metrics("prod"));
    simulator.state().faults.clear();
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_some()).await;
    assert_eq!((awaiting(&scrape, "prod"), up(&scrape, "snapshots")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn snapshots_of_other_kinds_are_accepted() {
    let fallback = Snapshot { kind: "fallback", ..Snapshot::taken(HOUR, "daily") };
    let prod = Cluster { snapshots: vec![fallback], ..Cluster::default() };
    let simulator = simulator(atlas_state([("prod", prod)])).await;
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.until(|scrape| up(scrape, "snapshots").is_some()).await;
    assert_eq!(up(&scrape, "snapshots"), Some(1.0));
}

#[tokio::test]
async fn empty_sharded_list_with_a_count_is_an_error() {
    let sharded = Cluster { shards: 3, ..cluster([]) };
    let simulator = simulator(atlas_state([("prod", sharded)])).await;
    let odd = FaultKind::Body("{\"results\":[],\"totalCount\":3}");
    simulator.state().faults.push(Fault::lasting("/shardedClusters", odd));
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.until(|scrape| up(scrape, "snapshots").is_some()).await;
    assert_eq!(up(&scrape, "snapshots"), Some(0.0));
}

const FREQUENCIES: [&str; 4] = ["daily", "weekly", "monthly", "yearly"];

/// Returns a cluster whose last snapshot of a frequency is 13 hours old and not exported, unlike
/// the one before.
fn unexported(frequency: &str, word: &str, shards: usize, items: &[&'static str]) -> Cluster {
    let waiting = Snapshot { items: items.to_vec(), ..Snapshot::taken(HOUR * 13, word) };
    let schedule = Schedule { frequency: Some(frequency.to_uppercase()), ..Schedule::default() };
    Cluster { schedule, shards, ..cluster([waiting]) }
}

#[tokio::test]
async fn snapshot_of_several_policy_items_awaits_export() {
    let mut clusters = Vec::new();
    for (index, frequency) in FREQUENCIES.into_iter().enumerate() {
        for word in FREQUENCIES {
            let mut add = |name: &str, shards: usize, items: &[&'static str], awaited: f64| {
                let name: &'static str = format!("{frequency}-{word}-{name}").leak();
                clusters.push((name, unexported(frequency, word, shards, items), awaited));
            };
            let other = FREQUENCIES[(index + 1) % FREQUENCIES.len()];
            add("both", 0, &[other, frequency], 1.0);
            add("sharded", 3, &["hourly", frequency, other], 1.0);
            add("other", 0, &[other, "hourly"], 0.0);
            // The frequency decides where no policy item does: none is listed, or only a former
            // one.
            let by_word = f64::from(u8::from(word == frequency));
            add("unlisted", 0, &[], by_word);
            add("unknown", 3, &[other, "fortnightly"], by_word);
        }
    }
    let of_world = clusters.iter().map(|(name, cluster, _)| (*name, cluster.clone()));
    let simulator = simulator(atlas_state(of_world)).await;
    update_project(&simulator, |project| project.budget.per_minute *= 30);
    let exporter = ExporterBuilder::new(&simulator).set("collectors.interval", "30s");
    let exporter = exporter.start().await;
    let is_read = |scrape: &Scrape| clusters.iter().all(|(name, ..)| awaiting(scrape, name).is_some());
    let scrape = exporter.until(is_read).await;
    for (name, _, awaited) in &clusters {
        assert_eq!(awaiting(&scrape, name), Some(*awaited), "{name}");
    }
    // Nothing else is wrong with these clusters.
    let status = exporter.get("/api/v1/clusters").await.text().await.unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    for cluster in status["clusters"].as_array().unwrap() {
        let is_awaited = cluster["snapshots_awaiting_export"] == 1;
        assert_eq!(cluster["status"] == "not_started", is_awaited, "{cluster}");
    }
}

#[tokio::test]
async fn frequency_decides_without_policy_items() {
    let bare = |word: &str| {
        let cluster = unexported("weekly", word, 0, &["weekly"]);
        Cluster { schedule: Schedule { items: None, ..cluster.schedule.clone() }, ..cluster }
    };
    let simulator = simulator(atlas_state([("daily", bare("daily")), ("weekly", bare("weekly"))])).await;
    let exporter = setup(&simulator).start().await;
    let awaited = |scrape: &Scrape| ["daily", "weekly"].map(|name| awaiting(scrape, name));
    exporter.until(|scrape| awaited(scrape) == [Some(0.0), Some(1.0)]).await;
    // Policy items decide after the next read of the snapshots.
    update_cluster(&simulator, "daily", |daily| daily.schedule.items = Schedule::default().items);
    exporter.until(|scrape| awaited(scrape) == [Some(1.0), Some(1.0)]).await;
}

#[tokio::test]
async fn frequency_without_a_policy_item_is_reported() {
    let schedule = Schedule { frequency: Some("weekly".to_owned()), ..Schedule::default() };
    let prod = Cluster {
        schedule: Schedule { items: Some(vec!["daily", "hourly"]), ..schedule.clone() },
        ..cluster([])
    };
    let simulator =
        simulator(atlas_state([("prod", prod), ("other", Cluster { schedule, ..cluster([]) })])).await;
    let out = ExporterBuilder::new(&simulator).run(&["check"]).await;
    let table = crate::preflight::unwrapped(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(
        (out.status.code(), table.matches("the backup policy has no weekly item").count()),
        (Some(0), 1)
    );
    assert!(table.contains("1 warning."), "{table}");

    let exporter = setup(&simulator).start().await;
    snapshots_read(&exporter).await;
    let page = async || exporter.get("/").await.text().await.unwrap();
    let text = page().await;
    assert!(text.contains("Snapshots of 1 cluster are never exported:"), "{text}");
    assert_eq!(text.matches("no policy item has the export frequency").count(), 1, "{text}");
    let json = exporter.get("/api/v1/clusters?sort=cluster").await.text().await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!([0, 1].map(|at: usize| json["clusters"][at]["policy_item_missing"].clone()), [false, true]);
    update_cluster(&simulator, "prod", |prod| prod.schedule.items = Some(vec!["daily", "weekly"]));
    let start = std::time::Instant::now();
    while page().await.contains("are never exported") {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
