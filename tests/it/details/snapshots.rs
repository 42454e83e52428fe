//! Snapshots, and what of them is in the bucket.

use super::*;

#[tokio::test]
async fn a_snapshot_awaits_export_until_a_job_may_end_well() {
    let forgotten = Snapshot::taken(HOUR * 5, "DAILY");
    let older = Snapshot::taken(HOUR * 9, "daily");
    let of = |age, frequency: &str, kind: &str, status: &str| Snapshot {
        kind: kind.to_owned(),
        status: status.to_owned(),
        ..Snapshot::taken(age, frequency)
    };
    let others = [
        of(HOUR * 4, "daily", "fallback", "completed"),
        of(HOUR * 4, "hourly", "scheduled", "completed"),
        of(HOUR * 4, "ondemand", "onDemand", "completed"),
        of(HOUR * 4, "daily", "scheduled", "failed"),
        Snapshot { created_at: None, ..of(HOUR, "daily", "scheduled", "inProgress") },
    ];
    let prod = cluster([older.clone(), forgotten.clone()].into_iter().chain(others));
    let newest = prod.snapshots[1].clone();
    let simulator = simulator(world([("prod", prod)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    let figure = |scrape: &Scrape, name: &str| scrape.value(&format!("{name}_timestamp_seconds"), "prod", "");
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&newest)));
    assert_eq!(figure(&scrape, "oldest_snapshot_awaiting_export"), Some(seconds(&older)));
    assert_eq!(figure(&scrape, "newest_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(figure(&scrape, "last_success_created"), Some(seconds(&newest) + 60.0));

    // A failed job makes nothing good, one that waits may.
    let failed = End::Failed("E".to_owned(), "no".to_owned());
    change(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(Job::of(&older, failed))));
    let scrape = exporter.until(|scrape| scrape.value("jobs", "prod", "\"Failed\"") == Some(1.0)).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    let waiting = Job { queued: DAY, ..Job::of(&forgotten, End::Successful) };
    change(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(waiting)));
    exporter.until(|scrape| awaiting(scrape, "prod") == Some(1.0)).await;
    change(&simulator, "prod", |prod| {
        prod.jobs.pop();
        prod.jobs.push(Entry::Job(Job::of(&forgotten, End::Successful)));
    });
    // The older one has a successor in the bucket by now.
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod") == Some(0.0)).await;
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(figure(&scrape, "oldest_snapshot_awaiting_export"), None);
    // What is in the bucket stays there when Atlas deletes its snapshot.
    change(&simulator, "prod", |prod| prod.snapshots.retain(|snapshot| snapshot.id != forgotten.id));
    let scrape = exporter
        .until(|scrape| figure(scrape, "newest_snapshot").is_some_and(|at| at < seconds(&forgotten)))
        .await;
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
}

#[tokio::test]
async fn the_snapshots_of_a_sharded_cluster_stand_in_a_list_of_their_own() {
    let sharded = Cluster { shards: 3, ..cluster([Snapshot::taken(HOUR, "daily")]) };
    let simulator = simulator(world([("prod", sharded)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(1.0));
    assert!(requests(&simulator, "/prod/backup/snapshots/shardedClusters") > 0);
    assert_eq!(requests(&simulator, "/prod/backup/snapshots?"), 0);
    // One that becomes a replica set is asked for otherwise, and nobody has to restart for it.
    change(&simulator, "prod", |prod| prod.shards = 0);
    exporter
        .until(|scrape| up(scrape, "snapshots") == Some(1.0) && requests(&simulator, "/snapshots?") > 0)
        .await;
}

#[tokio::test]
async fn every_page_of_snapshots_is_read() {
    let hourly = (3u32..1200).map(|hours| Snapshot::taken(HOUR * hours, "hourly"));
    let simulator = simulator(world([("prod", cluster(hourly))])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
    assert!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", "").is_some());
    assert!(requests(&simulator, "/prod/backup/snapshots?itemsPerPage=500&pageNum=3") > 0);
}

#[tokio::test]
async fn snapshots_are_read_of_clusters_that_atlas_exports_by_itself() {
    let off = Schedule { auto_export: false, ..Schedule::default() };
    let manual = Cluster { schedule: off.clone(), ..cluster([]) };
    let simulator = simulator(world([("prod", cluster([])), ("manual", manual)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "manual"), None);
    assert_eq!(scrape.value("bucket_missing", "manual", ""), None);
    assert_eq!(requests(&simulator, "/manual/backup/snapshots"), 0);
    change(&simulator, "manual", |manual| manual.schedule = Schedule::default());
    exporter.until(|scrape| awaiting(scrape, "manual") == Some(0.0)).await;
    change(&simulator, "manual", |manual| manual.schedule = off);
    exporter.until(|scrape| awaiting(scrape, "manual").is_none()).await;
    assert_eq!(rate(&simulator, "/manual/backup/snapshots").await, 0);
}

#[tokio::test]
async fn snapshots_that_cannot_be_read_are_withdrawn() {
    let simulator = simulator(world([("prod", cluster([Snapshot::taken(HOUR, "daily")]))])).await;
    let exporter = setup(&simulator, "").start().await;
    snapshots_read(&exporter).await;
    let odd =
        "{\"results\":[{\"id\":\"x\",\"status\":\"completed\",\"createdAt\":\"2026-01-01T00:00:00Z\"}]}";
    simulator.world().faults.push(Fault::lasting("/snapshots", Misbehaviour::Body(odd)));
    exporter.until(|scrape| up(scrape, "snapshots") == Some(0.0)).await;
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_none()).await;
    assert_eq!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", ""), None);
    assert!(scrape.has_figures("prod"));
    simulator.world().faults.clear();
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_some()).await;
    assert_eq!((awaiting(&scrape, "prod"), up(&scrape, "snapshots")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn a_cluster_whose_snapshots_all_count_for_nothing_can_be_read() {
    let fallback = Snapshot { kind: "fallback".to_owned(), ..Snapshot::taken(HOUR, "daily") };
    let prod = Cluster { snapshots: vec![fallback], ..Cluster::default() };
    let simulator = simulator(world([("prod", prod)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter.until(|scrape| up(scrape, "snapshots").is_some()).await;
    assert_eq!(up(&scrape, "snapshots"), Some(1.0));
}

#[tokio::test]
async fn a_sharded_list_of_nothing_that_counts_some_is_no_list() {
    let sharded = Cluster { shards: 3, ..cluster([]) };
    let simulator = simulator(world([("prod", sharded)])).await;
    let odd = Misbehaviour::Body("{\"results\":[],\"totalCount\":3}");
    simulator.world().faults.push(Fault::lasting("/shardedClusters", odd));
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter.until(|scrape| up(scrape, "snapshots").is_some()).await;
    assert_eq!(up(&scrape, "snapshots"), Some(0.0));
}
