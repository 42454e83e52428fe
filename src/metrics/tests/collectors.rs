//! Metrics of snapshots, events and export buckets, and their withdrawal.

use super::*;

const FAILURE_EVENT: &str = "last_auto_export_failure_event_timestamp_seconds";

/// Returns a store after a discovery and a run of all collectors.
fn read_store() -> Store {
    let store = store(&["prod"]);
    record_discovery(&store);
    record_collectors(&store);
    store
}

fn awaiting(store: &Store) -> Vec<String> {
    exposed(store, "snapshots_awaiting_export")
}

#[tokio::test(start_paused = true)]
async fn stale_readings_are_withdrawn() {
    const NAMES: [&str; 6] = [
        "newest_exported_snapshot_timestamp_seconds",
        "snapshots_awaiting_export",
        "oldest_snapshot_awaiting_export_timestamp_seconds",
        "newest_snapshot_timestamp_seconds",
        "bucket_missing",
        "bucket_info",
    ];
    let shown = |store: &Store| -> Vec<_> {
        let text = text(store);
        NAMES.into_iter().filter(|name| !samples(&text, name).is_empty()).collect()
    };
    let store = store(&["prod"]);
    store.set_collectors(Duration::from_mins(30), &[]);
    record_discovery(&store);
    assert!(shown(&store).is_empty());
    record_collectors(&store);
    record_success(&store, "prod", [exported(20)]);
    assert_eq!(shown(&store), NAMES);
    let text_now = text(&store);
    let check = |name: &str, expected: &str| assert_eq!(samples(&text_now, name), [expected], "{name}");
    check("newest_exported_snapshot_timestamp_seconds", "{prod\"} 1700001200");
    check("snapshots_awaiting_export", "{prod\"} 1");
    check("oldest_snapshot_awaiting_export_timestamp_seconds", "{prod\"} 1700003000");
    check("newest_snapshot_timestamp_seconds", "{prod\"} 1700003000");
    check(FAILURE_EVENT, "{prod\"} 1700003600");
    check("bucket_missing", "{prod\"} 0");

    // Failed readings withdraw nothing, and are exposed as such.
    store.record_snapshots(&target("prod"), Instant::now(), Err(failed_reading()));
    store.record_buckets(&project(), Instant::now(), Err(failed_reading()));
    assert_eq!(shown(&store), NAMES);
    let up = |store: &Store| exposed(store, "collector_success");
    let of = |collector: &str, up: u8| {
        format!("{{project_id=\"32b6e34b3d91647abb20e7b8\",collector=\"{collector}\"}} {up}")
    };
    assert_eq!(up(&store), [of("snapshots", 0), of("events", 0), of("buckets", 0)]);
    tokio::time::advance(Duration::from_mins(30)).await;
    record_success(&store, "prod", [exported(20)]);
    assert_eq!(shown(&store), NAMES);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(shown(&store).is_empty());
    assert_eq!(exposed(&store, FAILURE_EVENT).len(), 1, "an event does not become stale");

    // An exported snapshot still counts as exported after its deletion.
    record_collectors(&store);
    record_snapshots(&store, &[50], "daily");
    record_success(&store, "prod", []);
    let exported = exposed(&store, "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
    // Stale jobs also withdraw the metrics that match snapshots with jobs.
    store.set_collectors(STALE_AFTER * 9, &[]);
    tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
    assert_eq!(shown(&store), ["newest_snapshot_timestamp_seconds", "bucket_missing", "bucket_info"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_read_after_a_poll_are_matched_with_it() {
    let store = store(&["prod"]);
    record_success(&store, "prod", [exported(20)]);
    record_discovery(&store);
    assert_eq!(
        unread_collectors_of_clusters(&store),
        [3, 2],
        "no snapshots are expected without auto export"
    );
    record_collectors(&store);
    assert_eq!(unread_collectors_of_clusters(&store), [1, 1], "events failed");
    assert_eq!(awaiting(&store), ["{prod\"} 1"]);
    // A later poll is matched with the snapshots read before it.
    record_collectors(&store);
    record_success(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 1"], "exported snapshots remain exported");
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    record_success(&store, "prod", [exported(20)]);
    assert!(unread_collectors_of_clusters(&store).is_empty() && awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn incremental_poll_keeps_exports_of_the_full_listing() {
    let store = store(&["prod"]);
    record_success(&store, "prod", [exported(20)]);
    // The next poll comes before the reading of snapshots, and is incremental.
    let mut newest = summarized([job("b", 60, JobState::Failed)]);
    newest.exports.is_incremental = true;
    newest.exports.newest =
        Some(NewestExport { created_at: at(21), snapshot: ObjectId::parse(&snapshot(20).0) });
    record_summary(&store, "prod", newest);
    record_discovery(&store);
    record_collectors(&store);
    let exported = exposed(&store, "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn changed_policy_withdraws_snapshots_until_they_are_read() {
    let store = store(&["prod"]);
    let schedule = |auto_export, frequency: &str, bucket: Option<&str>| Schedule {
        auto_export: Some(auto_export),
        frequency: Some(frequency.to_owned()),
        bucket_id: bucket.map(str::to_owned),
        ..Schedule::default()
    };
    record_discovery(&store);
    record_collectors(&store);
    record_success(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    store.record_schedule(&target("prod"), Ok(schedule(true, "daily", Some("b3"))));
    assert_eq!(awaiting(&store).len(), 1, "another bucket exports the same snapshots");
    for other in [schedule(true, "weekly", Some("b1")), schedule(false, "daily", Some("b1"))] {
        record_collectors(&store);
        record_success(&store, "prod", []);
        store.record_schedule(&target("prod"), Ok(other));
        record_success(&store, "prod", []);
        assert!(awaiting(&store).is_empty());
        assert!(exposed(&store, "newest_snapshot_timestamp_seconds").is_empty());
    }
    assert!(exposed(&store, "bucket_missing").is_empty(), "no bucket is needed without auto export");
    // A reading in progress when auto export is disabled does not bring the values back.
    record_collectors(&store);
    record_success(&store, "prod", []);
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn change_of_other_policy_items_keeps_snapshots() {
    let store = store(&["prod"]);
    let id = |number: u8| ObjectId::parse(&format!("{number:024x}"));
    let schedule = |items: &[(u8, &str)]| {
        let items: Vec<_> = items.iter().map(|(item, word)| (id(*item), Some((*word).to_owned()))).collect();
        Schedule { items: PolicyItems::new(&items, "daily"), ..exporting("daily") }
    };
    record_discovery(&store);
    let daily = schedule(&[(1, "daily"), (2, "weekly")]);
    store.record_schedule(&target("prod"), Ok(daily.clone()));
    store.record_snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &daily, at(99))));
    record_success(&store, "prod", []);
    assert_eq!(awaiting(&store).len(), 1);
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "hourly"), (1, "Daily")])));
    assert_eq!(awaiting(&store).len(), 1, "the same snapshots are exported as before");
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "daily")])));
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn recreated_cluster_loses_earlier_readings() {
    let store = store(&["prod"]);
    let events = |store: &Store| exposed(store, FAILURE_EVENT).len();
    record_discovery(&store);
    record_collectors(&store);
    record_success(&store, "prod", []);
    assert_eq!(events(&store), 1);
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(-1000)), true);
    assert_eq!(events(&store), 1);
    assert_eq!(awaiting(&store).len(), 1);
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(61)), true);
    assert_eq!(events(&store), 0);
    assert_eq!(awaiting(&store).len(), 0);
    // An event older than the cluster is about the deleted cluster of the same name.
    store.record_failure_event(&target("prod"), at(60));
    assert_eq!(events(&store), 0);
    store.record_failure_event(&target("prod"), at(70));
    assert_eq!(events(&store), 1);
    store.record_failure_event(&target("prod"), at(61));
    assert_eq!(exposed(&store, FAILURE_EVENT), ["{prod\"} 1700004200"], "the newest event");
}

#[tokio::test(start_paused = true)]
async fn secret_expiry_event_is_exposed_until_resolved() {
    let store = store(&["prod"]);
    let event_times = |store: &Store| exposed(store, "secret_expiring_event_timestamp_seconds");
    store.record_project_events(&project(), &[event(EventKind::SecretsNoLongerExpiring, 1)]);
    assert!(event_times(&store).is_empty());
    store.record_project_events(
        &project(),
        &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsExpiring, 2)],
    );
    assert_eq!(event_times(&store), ["{project_id=\"32b6e34b3d91647abb20e7b8\"} 1700000180"]);
    store.record_project_events(&project(), &[event(EventKind::SecretsNoLongerExpiring, 4)]);
    assert!(event_times(&store).is_empty());
    // An event that is read again, or has the same time, does not bring it back.
    store.record_project_events(&project(), &[event(EventKind::SecretsExpiring, 3)]);
    assert!(event_times(&store).is_empty());
    store.record_project_events(&project(), &[event(EventKind::SecretsExpiring, 4)]);
    assert!(event_times(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn snapshots_read_after_a_poll_count_from_the_next_poll() {
    let store = read_store();
    record_success(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    record_snapshots(&store, &[-1, 20, 50, 55], "daily");
    assert_eq!(awaiting(&store), ["{prod\"} 3"], "their jobs may have been created since the poll");
}

#[tokio::test(start_paused = true)]
async fn exported_snapshot_remains_exported_after_a_policy_change() {
    let store = read_store();
    record_success(&store, "prod", [exported(20)]);
    store.record_schedule(&target("prod"), Ok(exporting("weekly")));
    record_success(&store, "prod", []);
    record_snapshots(&store, &[], "weekly");
    record_success(&store, "prod", []);
    assert_eq!(exposed(&store, "newest_exported_snapshot_timestamp_seconds"), ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_of_a_changed_policy_count_from_the_next_poll() {
    let store = read_store();
    record_success(&store, "prod", []);
    store.record_schedule(&target("prod"), Ok(exporting("weekly")));
    record_snapshots(&store, &[], "weekly");
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn failed_reading_of_one_cluster_fails_the_collector() {
    for failing in ["prod", "sharded"] {
        let store = store(&["prod", "sharded"]);
        record_discovery(&store);
        store.record_schedule(&target("sharded"), Ok(exporting("daily")));
        for name in ["prod", "sharded"] {
            let read = || Snapshots::new(&[], &exporting("daily"), at(90));
            let read = (name != failing).then(read).ok_or_else(failed_reading);
            store.record_snapshots(&target(name), Instant::now(), read);
        }
        let up = exposed(&store, "collector_success");
        assert!(up[0].ends_with("collector=\"snapshots\"} 0"), "{failing} {up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_withdrawn_without_a_schedule() {
    let store = read_store();
    store.record_listed_cluster(&target("prod"), None, false);
    assert!(exposed(&store, "newest_snapshot_timestamp_seconds").is_empty());
    assert!(!text(&store).contains("collector=\"snapshots\""));
}

#[tokio::test(start_paused = true)]
async fn disabled_collectors_are_not_counted_as_unread() {
    let store = store(&["prod"]);
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    assert!(unread_collectors_of_clusters(&store).is_empty());
    assert!(store.view(Instant::now()).projects[0].unread.is_empty());
}

#[tokio::test(start_paused = true)]
async fn clusters_to_search_are_those_of_the_project() {
    let store = store(&["a", "b"]);
    let other = ProjectId::parse("32b6e34b3d91647abb20e7b9").unwrap();
    store.add_project(&other);
    store.add_cluster(
        &Target { project_id: other.clone(), cluster_name: "c".to_owned() },
        ExportExpectation::default(),
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(store.take_clusters_to_search(&project()), (names(&[]), names(&["a", "b"])));
    store.remove_cluster(&target("b"));
    store.add_cluster(&target("b"), ExportExpectation::default());
    assert_eq!(
        store.take_clusters_to_search(&project()),
        (names(&["a"]), names(&["b"])),
        "a re-added cluster is new"
    );
    assert_eq!(store.take_clusters_to_search(&other), (names(&[]), names(&["c"])));
}

/// Returns the number of unread collectors of each cluster that has any.
fn unread_collectors_of_clusters(store: &Store) -> Vec<u64> {
    let counts = exposed(store, "collectors_unread");
    counts.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn collector_is_unread_until_it_was_read_or_refused() {
    let store = store(&["prod"]);
    store.set_collectors(Duration::from_mins(30), &[]);
    let now = Instant::now();
    let unread = |store: &Store| {
        let view = store.view(Instant::now());
        view.clusters[0].unread.clone()
    };
    let all = [CollectorKind::Events, CollectorKind::Buckets, CollectorKind::Snapshots];
    assert_eq!(unread(&store), all, "snapshots may be expected");
    store.record_discovery(&project(), at(1), Ok(()));
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(0)), true);
    assert_eq!(unread(&store), all, "the schedule was not read yet");
    let failed = ReadError { reason: FailureReason::ServerError, ..failed_reading() };
    store.record_schedule(&target("prod"), Err(failed));
    assert_eq!(unread(&store), all);
    store.record_schedule(&target("prod"), Err(forbidden()));
    assert_eq!(unread(&store), all[..2], "refused");
    let off = Schedule { auto_export: Some(false), ..exporting("daily") };
    store.record_schedule(&target("prod"), Ok(off));
    assert_eq!(unread(&store), all[..2], "no snapshots are expected");
    store.record_schedule(&target("prod"), Ok(exporting("daily")));
    store.record_snapshots(&target("prod"), now, Err(failed_reading()));
    store.record_events_outcome(&project(), now, Err(failed_reading()));
    store.record_buckets(&project(), now, Err(failed_reading()));
    assert_eq!(unread(&store), all, "failed readings are unread");
    store.record_snapshots(&target("prod"), now, Err(forbidden()));
    assert_eq!(unread(&store), all[..2]);
    store.record_snapshots(&target("prod"), now, Err(failed_reading()));
    assert_eq!(unread(&store), all[..2], "another error does not end a refusal");
    store.record_events_outcome(&project(), now, Ok(()));
    store.record_buckets(&project(), now, Ok(Vec::new()));
    assert!(unread(&store).is_empty());
    // A stale reading is unread again. A refusal does not become stale.
    tokio::time::advance(Duration::from_mins(30)).await;
    assert!(unread(&store).is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(unread(&store), all[..2]);
    store.set_collectors(Duration::from_mins(30), &[CollectorKind::Events]);
    assert_eq!(unread(&store), [CollectorKind::Buckets]);
}

#[tokio::test(start_paused = true)]
async fn bucket_is_missing_after_list_and_policy_confirm_it() {
    let store = store(&["prod"]);
    let now = Instant::now();
    store.set_collectors(Duration::from_mins(30), &[CollectorKind::Events, CollectorKind::Snapshots]);
    store.record_listed_cluster(&target("prod"), None, true);
    let is_unlisted = || store.is_bucket_unlisted(&target("prod"));
    // Each step reads a policy or a list of buckets. Expected: `bucket_missing`, the number of
    // unread collectors, `is_bucket_unlisted`, and the number of unconfirmed clusters.
    for (step, (change, expected)) in [
        ("policy: b2", (None, 1, false, 0)),
        ("list: b1", (None, 1, false, 1)),
        ("policy: b2", (Some(true), 0, false, 0)),
        ("list: b1", (Some(true), 0, false, 0)),
        ("policy: b3", (None, 1, true, 0)),
        ("policy: b3", (None, 1, true, 0)),
        ("list: b1 b2", (None, 1, false, 1)),
        ("list: b1 b2", (None, 1, false, 1)),
        ("policy: b3", (Some(true), 0, false, 0)),
        ("list: b1 b3", (Some(false), 0, false, 0)),
        ("list: b1", (None, 1, false, 1)),
        ("policy: b1", (Some(false), 0, false, 0)),
        ("policy: none", (None, 0, false, 0)),
        ("policy: b3", (None, 1, true, 0)),
    ]
    .into_iter()
    .enumerate()
    {
        match change.split_once(": ").unwrap() {
            ("policy", id) => {
                let bucket_id = Some(id.to_owned()).filter(|id| id != "none");
                let schedule = Schedule { bucket_id, ..exporting("daily") };
                store.record_schedule(&target("prod"), Ok(schedule));
            }
            (_, ids) => store.record_buckets(&project(), now, Ok(ids.split(' ').map(bucket).collect())),
        }
        let cluster = &store.view(now).clusters[0];
        let unconfirmed = store.clusters_with_unconfirmed_bucket(&project()).len();
        let found = (cluster.bucket_missing, cluster.unread.len(), is_unlisted(), unconfirmed);
        assert_eq!(found, expected, "{step}: {change}");
    }
    store.set_collectors(Duration::from_mins(30), &CollectorKind::ALL);
    assert!(!is_unlisted(), "a disabled collector is not run");
    store.set_collectors(Duration::from_mins(30), &[]);
    store.record_buckets(&project(), now, Err(forbidden()));
    let cluster = &store.view(now).clusters[0];
    assert_eq!(
        (cluster.bucket_missing, cluster.unread.len()),
        (None, 2),
        "the reading of buckets was refused"
    );
}
