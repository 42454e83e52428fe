//! What is known besides the export jobs, and for how long.

use super::*;

const FAILURE_EVENT: &str = "last_auto_export_failure_event_timestamp_seconds";

/// A store in which everything was discovered and read.
fn read_store() -> Store {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    store
}

fn awaiting(store: &Store) -> Vec<String> {
    exposed(store, "snapshots_awaiting_export")
}

#[tokio::test(start_paused = true)]
async fn stale_readings_are_withdrawn() {
    const FIGURES: [&str; 6] = [
        "newest_exported_snapshot_timestamp_seconds",
        "snapshots_awaiting_export",
        "oldest_snapshot_awaiting_export_timestamp_seconds",
        "newest_snapshot_timestamp_seconds",
        "bucket_missing",
        "bucket_info",
    ];
    let shown = |store: &Store| -> Vec<_> {
        let text = text(store);
        FIGURES.into_iter().filter(|name| !samples(&text, name).is_empty()).collect()
    };
    let store = store(&["prod"]);
    store.set_collectors(Duration::from_mins(30), &[]);
    discovered(&store);
    assert!(shown(&store).is_empty());
    detailed(&store);
    good(&store, "prod", [exported(20)]);
    assert_eq!(shown(&store), FIGURES);
    let text_now = text(&store);
    let check = |name: &str, expected: &str| assert_eq!(samples(&text_now, name), [expected], "{name}");
    check("newest_exported_snapshot_timestamp_seconds", "{prod\"} 1700001200");
    check("snapshots_awaiting_export", "{prod\"} 1");
    check("oldest_snapshot_awaiting_export_timestamp_seconds", "{prod\"} 1700003000");
    check("newest_snapshot_timestamp_seconds", "{prod\"} 1700003000");
    check(FAILURE_EVENT, "{prod\"} 1700003600");
    check("bucket_missing", "{prod\"} 0");

    // Readings that fail withdraw nothing by themselves, and say so.
    store.record_snapshots(&target("prod"), Instant::now(), Err(unread()));
    store.record_buckets(&project(), Instant::now(), Err(unread()));
    assert_eq!(shown(&store), FIGURES);
    let up = |store: &Store| exposed(store, "collector_success");
    let of = |collector: &str, up: u8| {
        format!("{{project_id=\"32b6e34b3d91647abb20e7b8\",collector=\"{collector}\"}} {up}")
    };
    assert_eq!(up(&store), [of("snapshots", 0), of("events", 0), of("buckets", 0)]);
    tokio::time::advance(Duration::from_mins(30)).await;
    good(&store, "prod", [exported(20)]);
    assert_eq!(shown(&store), FIGURES);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(shown(&store).is_empty());
    assert_eq!(exposed(&store, FAILURE_EVENT).len(), 1, "it happened");

    // What was exported stays so, although its snapshot is gone by now.
    detailed(&store);
    record_snapshots(&store, &[50], "daily");
    good(&store, "prod", []);
    let exported = exposed(&store, "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
    // Figures of jobs that are too old say nothing of snapshots, either.
    store.set_collectors(STALE_AFTER * 9, &[]);
    tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
    assert_eq!(shown(&store), ["newest_snapshot_timestamp_seconds", "bucket_missing", "bucket_info"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_read_after_a_poll_are_matched_with_it() {
    let store = store(&["prod"]);
    good(&store, "prod", [exported(20)]);
    discovered(&store);
    assert_eq!(
        unread_collectors_of_clusters(&store),
        [3, 2],
        "no snapshots are expected without auto export"
    );
    detailed(&store);
    assert_eq!(unread_collectors_of_clusters(&store), [1, 1], "events failed");
    assert_eq!(awaiting(&store), ["{prod\"} 1"]);
    // From then on a poll comes after the snapshots that it is matched with.
    detailed(&store);
    good(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 1"], "what was exported stays so");
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    good(&store, "prod", [exported(20)]);
    assert!(unread_collectors_of_clusters(&store).is_empty() && awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn incremental_polls_keep_what_a_full_listing_found() {
    let store = store(&["prod"]);
    good(&store, "prod", [exported(20)]);
    // The next poll comes before the snapshots, and stops at a job that it knows.
    let mut newest = summarized([job("b", 60, JobState::Failed)]);
    newest.exports.partial = true;
    newest.exports.newest =
        Some(NewestExport { created_at: at(21), snapshot: ObjectId::parse(&snapshot(20).0) });
    publish(&store, "prod", newest);
    discovered(&store);
    detailed(&store);
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
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    store.record_schedule(&target("prod"), Ok(schedule(true, "daily", Some("b3"))));
    assert_eq!(awaiting(&store).len(), 1, "another bucket is no other policy");
    for other in [schedule(true, "weekly", Some("b1")), schedule(false, "daily", Some("b1"))] {
        detailed(&store);
        good(&store, "prod", []);
        store.record_schedule(&target("prod"), Ok(other));
        good(&store, "prod", []);
        assert!(awaiting(&store).is_empty());
        assert!(exposed(&store, "newest_snapshot_timestamp_seconds").is_empty());
    }
    assert!(exposed(&store, "bucket_missing").is_empty(), "without auto export no bucket is missed");
    // A reading that was under way when auto export was switched off brings nothing back.
    detailed(&store);
    good(&store, "prod", []);
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn changed_items_withdraw_snapshots_only_if_exported() {
    let store = store(&["prod"]);
    let id = |number: u8| ObjectId::parse(&format!("{number:024x}"));
    let schedule = |items: &[(u8, &str)]| {
        let items: Vec<_> = items.iter().map(|(item, word)| (id(*item), Some((*word).to_owned()))).collect();
        Schedule { items: PolicyItems::new(&items, "daily"), ..exporting("daily") }
    };
    discovered(&store);
    let daily = schedule(&[(1, "daily"), (2, "weekly")]);
    store.record_schedule(&target("prod"), Ok(daily.clone()));
    store.record_snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &daily, at(99))));
    good(&store, "prod", []);
    assert_eq!(awaiting(&store).len(), 1);
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "hourly"), (1, "Daily")])));
    assert_eq!(awaiting(&store).len(), 1, "nothing else is exported than before");
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "daily")])));
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn recreated_cluster_has_no_past() {
    let store = store(&["prod"]);
    let told = |store: &Store| exposed(store, FAILURE_EVENT).len();
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    assert_eq!(told(&store), 1);
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(-1000)), true);
    assert_eq!(told(&store), 1);
    assert_eq!(awaiting(&store).len(), 1);
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(61)), true);
    assert_eq!(told(&store), 0);
    assert_eq!(awaiting(&store).len(), 0);
    // An event that is older than the cluster is about the one before it.
    store.record_failure_event(&target("prod"), at(60));
    assert_eq!(told(&store), 0);
    store.record_failure_event(&target("prod"), at(70));
    assert_eq!(told(&store), 1);
    store.record_failure_event(&target("prod"), at(61));
    assert_eq!(exposed(&store, FAILURE_EVENT), ["{prod\"} 1700004200"], "the newest one");
}

#[tokio::test(start_paused = true)]
async fn secret_warning_is_exposed_until_it_is_withdrawn() {
    let store = store(&["prod"]);
    let told = |store: &Store| exposed(store, "secret_expiring_event_timestamp_seconds");
    store.record_project_events(&project(), &[event(EventKind::SecretsNoLongerExpiring, 1)]);
    assert!(told(&store).is_empty());
    store.record_project_events(
        &project(),
        &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsExpiring, 2)],
    );
    assert_eq!(told(&store), ["{project_id=\"32b6e34b3d91647abb20e7b8\"} 1700000180"]);
    store.record_project_events(&project(), &[event(EventKind::SecretsNoLongerExpiring, 4)]);
    assert!(told(&store).is_empty());
    // Neither an event that is read again brings it back, nor one of the same moment.
    store.record_project_events(&project(), &[event(EventKind::SecretsExpiring, 3)]);
    assert!(told(&store).is_empty());
    store.record_project_events(&project(), &[event(EventKind::SecretsExpiring, 4)]);
    assert!(told(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn snapshots_read_after_a_poll_await_the_next_one() {
    let store = read_store();
    good(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    record_snapshots(&store, &[-1, 20, 50, 55], "daily");
    assert_eq!(awaiting(&store), ["{prod\"} 3"], "its job may be there since the poll");
}

#[tokio::test(start_paused = true)]
async fn exported_snapshot_stays_exported_under_another_policy() {
    let store = read_store();
    good(&store, "prod", [exported(20)]);
    store.record_schedule(&target("prod"), Ok(exporting("weekly")));
    good(&store, "prod", []);
    record_snapshots(&store, &[], "weekly");
    good(&store, "prod", []);
    assert_eq!(exposed(&store, "newest_exported_snapshot_timestamp_seconds"), ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_of_another_policy_await_the_next_poll() {
    let store = read_store();
    good(&store, "prod", []);
    store.record_schedule(&target("prod"), Ok(exporting("weekly")));
    record_snapshots(&store, &[], "weekly");
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn unreadable_cluster_fails_the_collector() {
    for bad in ["prod", "sharded"] {
        let store = store(&["prod", "sharded"]);
        discovered(&store);
        store.record_schedule(&target("sharded"), Ok(exporting("daily")));
        for name in ["prod", "sharded"] {
            let read = || Snapshots::new(&[], &exporting("daily"), at(90));
            let read = (name != bad).then(read).ok_or_else(unread);
            store.record_snapshots(&target(name), Instant::now(), read);
        }
        let up = exposed(&store, "collector_success");
        assert!(up[0].ends_with("collector=\"snapshots\"} 0"), "{bad} {up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_without_a_schedule_are_withdrawn() {
    let store = read_store();
    store.record_listed_cluster(&target("prod"), None, false);
    assert!(exposed(&store, "newest_snapshot_timestamp_seconds").is_empty());
    assert!(!text(&store).contains("collector=\"snapshots\""));
}

#[tokio::test(start_paused = true)]
async fn disabled_collectors_are_not_unread() {
    let store = store(&["prod"]);
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    assert!(unread_collectors_of_clusters(&store).is_empty());
    assert!(store.view(Instant::now()).projects[0].unread.is_empty());
}

#[tokio::test(start_paused = true)]
async fn failure_events_are_searched_in_their_project() {
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
    assert_eq!(store.take_clusters_to_search(&project()), (names(&["a"]), names(&["b"])), "it came back");
    assert_eq!(store.take_clusters_to_search(&other), (names(&[]), names(&["c"])));
}

/// The number of unread collectors of each cluster that has any.
fn unread_collectors_of_clusters(store: &Store) -> Vec<u64> {
    let counts = exposed(store, "collectors_unread");
    counts.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn cluster_is_read_once_every_collector_was_read_or_refused() {
    let store = store(&["prod"]);
    store.set_collectors(Duration::from_mins(30), &[]);
    let now = Instant::now();
    let left = |store: &Store| {
        let view = store.view(Instant::now());
        view.clusters[0].unread.clone()
    };
    let open = [CollectorKind::Events, CollectorKind::Buckets, CollectorKind::Snapshots];
    assert_eq!(left(&store), open, "it is unknown yet whether snapshots are expected");
    store.record_discovery(&project(), at(1), Ok(()));
    store.record_listed_cluster(&target("prod"), Some(&listed_cluster(0)), true);
    assert_eq!(left(&store), open, "its schedule is to be read");
    let failed = ReadError { reason: FailureReason::ServerError, ..unread() };
    store.record_schedule(&target("prod"), Err(failed));
    assert_eq!(left(&store), open);
    store.record_schedule(&target("prod"), Err(no()));
    assert_eq!(left(&store), open[..2], "refused");
    let off = Schedule { auto_export: Some(false), ..exporting("daily") };
    store.record_schedule(&target("prod"), Ok(off));
    assert_eq!(left(&store), open[..2], "none are expected");
    store.record_schedule(&target("prod"), Ok(exporting("daily")));
    store.record_snapshots(&target("prod"), now, Err(unread()));
    store.record_events_outcome(&project(), now, Err(unread()));
    store.record_buckets(&project(), now, Err(unread()));
    assert_eq!(left(&store), open, "what failed is not read");
    store.record_snapshots(&target("prod"), now, Err(no()));
    assert_eq!(left(&store), open[..2]);
    store.record_snapshots(&target("prod"), now, Err(unread()));
    assert_eq!(left(&store), open[..2], "a fault says nothing of a role");
    store.record_events_outcome(&project(), now, Ok(()));
    store.record_buckets(&project(), now, Ok(Vec::new()));
    assert!(left(&store).is_empty());
    // What was not read for long is not known any longer; a role that is missing still is.
    tokio::time::advance(Duration::from_mins(30)).await;
    assert!(left(&store).is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(left(&store), open[..2]);
    store.set_collectors(Duration::from_mins(30), &[CollectorKind::Events]);
    assert_eq!(left(&store), [CollectorKind::Buckets]);
}

#[tokio::test(start_paused = true)]
async fn bucket_is_missing_once_list_and_policy_agree() {
    let store = store(&["prod"]);
    let now = Instant::now();
    store.set_collectors(Duration::from_mins(30), &[CollectorKind::Events, CollectorKind::Snapshots]);
    store.record_listed_cluster(&target("prod"), None, true);
    let is_unlisted = || store.is_bucket_unlisted(&target("prod"));
    // A policy names a bucket, or buckets are listed. Then: whether the bucket is missing, how many
    // collectors are unread, whether the list is older than the policy, and the reverse.
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
    assert!(!is_unlisted(), "a collector that is off is not requested");
    store.set_collectors(Duration::from_mins(30), &[]);
    store.record_buckets(&project(), now, Err(no()));
    let cluster = &store.view(now).clusters[0];
    assert_eq!((cluster.bucket_missing, cluster.unread.len()), (None, 2), "a role is missing for buckets");
}
