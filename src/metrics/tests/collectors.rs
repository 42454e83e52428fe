//! What is known besides the export jobs, and for how long.

use super::*;

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
    let exported =
        || ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&store, "prod", [exported()]);
    assert_eq!(shown(&store), FIGURES);
    let text_now = text(&store);
    let check = |name: &str, expected: &str| assert_eq!(samples(&text_now, name), [expected], "{name}");
    check("newest_exported_snapshot_timestamp_seconds", "{prod\"} 1700001200");
    check("snapshots_awaiting_export", "{prod\"} 1");
    check("oldest_snapshot_awaiting_export_timestamp_seconds", "{prod\"} 1700003000");
    check("newest_snapshot_timestamp_seconds", "{prod\"} 1700003000");
    check("last_auto_export_failure_event_timestamp_seconds", "{prod\"} 1700003600");
    check("bucket_missing", "{prod\"} 0");

    // Readings that fail withdraw nothing by themselves, and say so.
    let id = target("").project_id;
    store.record_snapshots(&target("prod"), Instant::now(), Err(unread()));
    store.record_buckets(&id, Instant::now(), Err(unread()));
    assert_eq!(shown(&store), FIGURES);
    let up = |store: &Store| samples(&text(store), "collector_success");
    let of = |collector: &str, up: u8| {
        format!("{{project_id=\"32b6e34b3d91647abb20e7b8\",collector=\"{collector}\"}} {up}")
    };
    assert_eq!(up(&store), [of("snapshots", 0), of("events", 0), of("buckets", 0)]);
    tokio::time::advance(Duration::from_mins(30)).await;
    good(&store, "prod", [exported()]);
    assert_eq!(shown(&store), FIGURES);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(shown(&store).is_empty());
    assert_eq!(
        samples(&text(&store), "last_auto_export_failure_event_timestamp_seconds").len(),
        1,
        "it happened"
    );

    // What was exported stays so, although its snapshot is gone by now.
    detailed(&store);
    let listed = [snapshot(50).1];
    store.record_snapshots(
        &target("prod"),
        Instant::now(),
        Ok(Snapshots::new(&listed, &exporting("daily"), at(99))),
    );
    good(&store, "prod", []);
    let exported = samples(&text(&store), "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
    // Figures of jobs that are too old say nothing of snapshots, either.
    store.set_collectors(STALE_AFTER * 9, &[]);
    tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
    assert_eq!(shown(&store), ["newest_snapshot_timestamp_seconds", "bucket_missing", "bucket_info"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_are_read_after_the_first_poll_are_matched_with_it() {
    let awaiting = |store: &Store| samples(&text(store), "snapshots_awaiting_export");
    let store = store(&["prod"]);
    let exported =
        || ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&store, "prod", [exported()]);
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
    good(&store, "prod", [exported()]);
    assert!(unread_collectors_of_clusters(&store).is_empty() && awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn incremental_polls_keep_what_a_full_listing_found() {
    let store = store(&["prod"]);
    let exported =
        ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&store, "prod", [exported]);
    // The next poll comes before the snapshots, and stops at a job that it knows.
    let mut newest = summarized([job("b", 60, JobState::Failed)]);
    newest.exports.partial = true;
    newest.exports.newest =
        Some(NewestExport { created_at: at(21), snapshot: ObjectId::parse(&snapshot(20).0) });
    publish(&store, "prod", newest);
    discovered(&store);
    detailed(&store);
    let exported = samples(&text(&store), "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn another_policy_makes_the_snapshots_unknown_until_they_are_read_again() {
    let store = store(&["prod"]);
    let schedule = |auto_export, frequency: &str, bucket: Option<&str>| Schedule {
        auto_export: Some(auto_export),
        frequency: Some(frequency.to_owned()),
        bucket_id: bucket.map(str::to_owned),
        ..Schedule::default()
    };
    let awaiting = |store: &Store| samples(&text(store), "snapshots_awaiting_export");
    let missing = |store: &Store| samples(&text(store), "bucket_missing");
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    // Another bucket is no other policy; and it is not missing before a list that is younger lacks it, and the policy still names it.
    let b3 = || store.record_schedule(&target("prod"), Ok(schedule(true, "daily", Some("b3"))));
    let listed = |ids: &[&str]| {
        let buckets = ids.iter().map(|id| bucket(id)).collect();
        store.record_buckets(&target("").project_id, Instant::now(), Ok(buckets));
    };
    b3();
    assert_eq!((awaiting(&store).len(), missing(&store).len()), (1, 0));
    b3();
    assert!(missing(&store).is_empty(), "the list is older");
    listed(&["b1", "b2"]);
    assert!(missing(&store).is_empty(), "the policy may be older");
    listed(&["b1", "b2"]);
    assert!(missing(&store).is_empty());
    b3();
    assert_eq!(missing(&store), ["{prod\"} 1"]);
    listed(&["b1"]);
    assert_eq!(missing(&store), ["{prod\"} 1"]);
    listed(&["b1", "b3"]);
    assert_eq!(missing(&store), ["{prod\"} 0"]);
    listed(&["b1"]);
    assert!(missing(&store).is_empty());
    b3();
    assert_eq!(missing(&store), ["{prod\"} 1"]);
    store.record_schedule(&target("prod"), Ok(schedule(true, "daily", None)));
    assert!(missing(&store).is_empty());
    for other in [schedule(true, "weekly", Some("b1")), schedule(false, "daily", Some("b1"))] {
        detailed(&store);
        good(&store, "prod", []);
        store.record_schedule(&target("prod"), Ok(other));
        good(&store, "prod", []);
        assert!(awaiting(&store).is_empty());
        assert!(samples(&text(&store), "newest_snapshot_timestamp_seconds").is_empty());
    }
    assert!(missing(&store).is_empty(), "without auto export no bucket is missed");
    // A reading that was under way when auto export was switched off brings nothing back.
    detailed(&store);
    good(&store, "prod", []);
    assert!(awaiting(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_items_that_are_exported_make_snapshots_unknown() {
    let store = store(&["prod"]);
    let id = |number: u8| ObjectId::parse(&format!("{number:024x}"));
    let schedule = |items: &[(u8, &str)]| {
        let items: Vec<_> = items.iter().map(|(item, word)| (id(*item), Some((*word).to_owned()))).collect();
        Schedule { items: PolicyItems::new(&items, "daily"), ..exporting("daily") }
    };
    let awaiting = |store: &Store| samples(&text(store), "snapshots_awaiting_export").len();
    discovered(&store);
    let daily = schedule(&[(1, "daily"), (2, "weekly")]);
    store.record_schedule(&target("prod"), Ok(daily.clone()));
    store.record_snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &daily, at(99))));
    good(&store, "prod", []);
    assert_eq!(awaiting(&store), 1);
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "hourly"), (1, "Daily")])));
    assert_eq!(awaiting(&store), 1, "nothing else is exported than before");
    store.record_schedule(&target("prod"), Ok(schedule(&[(3, "daily")])));
    assert_eq!(awaiting(&store), 0);
}

#[tokio::test(start_paused = true)]
async fn another_cluster_of_the_same_name_has_no_past() {
    let store = store(&["prod"]);
    let told =
        |store: &Store| samples(&text(store), "last_auto_export_failure_event_timestamp_seconds").len();
    let created = |minute| ListedCluster {
        name: "prod".to_owned(),
        unexportable: None,
        paused: None,
        created_at: Some(at(minute)),
        sharded: false,
    };
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    assert_eq!(told(&store), 1);
    store.record_listed_cluster(&target("prod"), Some(&created(-1000)), true);
    assert_eq!(told(&store), 1);
    assert_eq!(samples(&text(&store), "snapshots_awaiting_export").len(), 1);
    store.record_listed_cluster(&target("prod"), Some(&created(61)), true);
    assert_eq!(told(&store), 0);
    assert_eq!(samples(&text(&store), "snapshots_awaiting_export").len(), 0);
    // An event that is older than the cluster is about the one before it.
    store.record_failure_event(&target("prod"), at(60));
    assert_eq!(told(&store), 0);
    store.record_failure_event(&target("prod"), at(61));
    assert_eq!(told(&store), 1);
}

#[tokio::test(start_paused = true)]
async fn secrets_end_soon_until_that_is_taken_back() {
    let store = store(&["prod"]);
    let id = target("").project_id;
    let told = |store: &Store| samples(&text(store), "secret_expiring_event_timestamp_seconds");
    store.record_project_events(&id, &[event(EventKind::SecretsNoLongerExpiring, 1)]);
    assert!(told(&store).is_empty());
    store.record_project_events(
        &id,
        &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsExpiring, 2)],
    );
    assert_eq!(told(&store), ["{project_id=\"32b6e34b3d91647abb20e7b8\"} 1700000180"]);
    store.record_project_events(&id, &[event(EventKind::SecretsNoLongerExpiring, 4)]);
    assert!(told(&store).is_empty());
    // An event that is read again brings nothing back.
    store.record_project_events(&id, &[event(EventKind::SecretsExpiring, 3)]);
    assert!(told(&store).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reading_after_the_poll_awaits_the_next_poll() {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    let awaiting = |store: &Store| samples(&text(store), "snapshots_awaiting_export");
    assert_eq!(awaiting(&store), ["{prod\"} 3"]);
    let more =
        Snapshots::new(&[-1, 20, 50, 55].map(|minute| snapshot(minute).1), &exporting("daily"), at(90));
    store.record_snapshots(&target("prod"), Instant::now(), Ok(more));
    assert_eq!(awaiting(&store), ["{prod\"} 3"], "its job may be there since the poll");
}

#[tokio::test(start_paused = true)]
async fn exported_snapshots_stay_exported_under_another_policy() {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    let exported =
        ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&store, "prod", [exported]);
    let weekly = exporting("weekly");
    store.record_schedule(&target("prod"), Ok(weekly));
    good(&store, "prod", []);
    store.record_snapshots(
        &target("prod"),
        Instant::now(),
        Ok(Snapshots::new(&[], &exporting("weekly"), at(90))),
    );
    good(&store, "prod", []);
    assert_eq!(samples(&text(&store), "newest_exported_snapshot_timestamp_seconds"), ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn another_policys_figures_do_not_come_back_with_the_next_reading() {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    good(&store, "prod", []);
    let weekly = exporting("weekly");
    store.record_schedule(&target("prod"), Ok(weekly));
    store.record_snapshots(
        &target("prod"),
        Instant::now(),
        Ok(Snapshots::new(&[], &exporting("weekly"), at(90))),
    );
    assert!(samples(&text(&store), "snapshots_awaiting_export").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_older_event_does_not_hide_a_newer_one() {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    store.record_failure_event(&target("prod"), at(10));
    let told = samples(&text(&store), "last_auto_export_failure_event_timestamp_seconds");
    assert_eq!(told, ["{prod\"} 1700003600"]);
}

#[tokio::test(start_paused = true)]
async fn one_unreadable_cluster_fails_the_collector() {
    for bad in ["prod", "sharded"] {
        let store = store(&["prod", "sharded"]);
        discovered(&store);
        store.record_schedule(&target("sharded"), Ok(exporting("daily")));
        for name in ["prod", "sharded"] {
            store.record_snapshots(
                &target(name),
                Instant::now(),
                (name != bad).then(|| Snapshots::new(&[], &exporting("daily"), at(90))).ok_or_else(unread),
            );
        }
        let up = samples(&text(&store), "collector_success");
        assert!(up[0].ends_with("collector=\"snapshots\"} 0"), "{bad} {up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_forgotten_when_the_schedule_is_read_no_longer() {
    let store = store(&["prod"]);
    discovered(&store);
    detailed(&store);
    store.record_listed_cluster(&target("prod"), None, false);
    assert!(samples(&text(&store), "newest_snapshot_timestamp_seconds").is_empty());
    assert!(!text(&store).contains("collector=\"snapshots\""));
}

#[tokio::test(start_paused = true)]
async fn disabled_collectors_are_not_unread() {
    let store = store(&["prod"]);
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    assert!(unread_collectors_of_clusters(&store).is_empty());
    assert_eq!(store.view(Instant::now()).unread(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_at_the_same_moment_no_warning_stays() {
    let store = store(&["prod"]);
    let id = target("").project_id;
    store.record_project_events(
        &id,
        &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsNoLongerExpiring, 3)],
    );
    assert_eq!(samples(&text(&store), "secret_expiring_event_timestamp_seconds").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_are_looked_for_among_the_clusters_of_the_project() {
    let store = store(&["a", "b"]);
    let other = ProjectId::parse("32b6e34b3d91647abb20e7b9").unwrap();
    store.add_project(&other);
    store.add_cluster(
        &Target { project_id: other.clone(), cluster_name: "c".to_owned() },
        ExportExpectation::default(),
    );
    let id = target("").project_id;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(store.clusters_to_search(&id), (names(&[]), names(&["a", "b"])));
    store.remove_cluster(&target("b"));
    store.add_cluster(&target("b"), ExportExpectation::default());
    assert_eq!(store.clusters_to_search(&id), (names(&["a"]), names(&["b"])), "it came back");
    assert_eq!(store.clusters_to_search(&other), (names(&[]), names(&["c"])));
}

/// The number of unread collectors of each cluster that has any.
fn unread_collectors_of_clusters(store: &Store) -> Vec<u64> {
    let counts = samples(&text(store), "collectors_unread");
    counts.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn cluster_is_read_once_every_collector_was_read_or_refused() {
    let store = store(&["prod"]);
    store.set_collectors(Duration::from_mins(30), &[]);
    let (id, now) = (target("").project_id, Instant::now());
    let left = |store: &Store| {
        let view = store.view(Instant::now());
        view.clusters[0].unread.clone()
    };
    let open = [CollectorKind::Events, CollectorKind::Buckets, CollectorKind::Snapshots];
    assert_eq!(left(&store), open, "it is unknown yet whether snapshots are expected");
    store.record_discovery(&id, at(1), Ok(()));
    let listed = ListedCluster {
        name: "prod".to_owned(),
        unexportable: None,
        paused: None,
        created_at: None,
        sharded: false,
    };
    store.record_listed_cluster(&target("prod"), Some(&listed), true);
    assert_eq!(left(&store), open, "its schedule is to be read");
    let failed = PollError { reason: FailureReason::ServerError, ..unread() };
    store.record_schedule(&target("prod"), Err(failed));
    assert_eq!(left(&store), open);
    store.record_schedule(&target("prod"), Err(no()));
    assert_eq!(left(&store), open[..2], "refused");
    let off = Schedule { auto_export: Some(false), ..exporting("daily") };
    store.record_schedule(&target("prod"), Ok(off));
    assert_eq!(left(&store), open[..2], "none are expected");
    store.record_schedule(&target("prod"), Ok(exporting("daily")));
    store.record_snapshots(&target("prod"), now, Err(unread()));
    store.record_events_outcome(&id, now, Err(unread()));
    store.record_buckets(&id, now, Err(unread()));
    assert_eq!(left(&store), open, "what failed is not read");
    store.record_snapshots(&target("prod"), now, Err(no()));
    assert_eq!(left(&store), open[..2]);
    store.record_snapshots(&target("prod"), now, Err(unread()));
    assert_eq!(left(&store), open[..2], "a fault says nothing of a role");
    store.record_events_outcome(&id, now, Ok(()));
    store.record_buckets(&id, now, Ok(Vec::new()));
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
async fn a_bucket_that_may_be_missing_is_unread_until_that_is_certain() {
    let store = store(&["prod"]);
    let (id, now) = (target("").project_id, Instant::now());
    store.set_collectors(Duration::from_mins(30), &[CollectorKind::Events, CollectorKind::Snapshots]);
    let listed = || store.record_buckets(&id, now, Ok(vec![bucket("b1")]));
    let named = |id: &str| {
        let schedule = Schedule { bucket_id: Some(id.to_owned()), ..exporting("daily") };
        store.record_schedule(&target("prod"), Ok(schedule));
    };
    let is = |unread: usize, missing: Option<bool>| {
        let view = store.view(Instant::now());
        (view.clusters[0].unread.len(), view.clusters[0].bucket_missing) == (unread, missing)
    };
    let (unlisted, unconfirmed) =
        (|| store.is_bucket_unlisted(&target("prod")), || store.clusters_with_unconfirmed_bucket(&id).len());
    store.record_listed_cluster(&target("prod"), None, true);
    named("b2");
    assert!(is(1, None) && !unlisted(), "the first list is still to come");
    listed();
    assert!(is(1, None) && !unlisted() && unconfirmed() == 1);
    named("b2");
    assert!(is(0, Some(true)) && !unlisted() && unconfirmed() == 0);
    named("b3");
    assert!(is(1, None) && unlisted() && unconfirmed() == 0, "the list is older");
    listed();
    assert!(is(1, None) && !unlisted() && unconfirmed() == 1);
    named("b1");
    assert!(is(0, Some(false)) && !unlisted() && unconfirmed() == 0);
    named("b3");
    store.set_collectors(Duration::from_mins(30), &CollectorKind::ALL);
    assert!(!unlisted(), "a collector that is off is not requested");
    store.set_collectors(Duration::from_mins(30), &[]);
    store.record_buckets(&id, now, Err(no()));
    assert!(is(2, None), "a role is missing for buckets");
}
