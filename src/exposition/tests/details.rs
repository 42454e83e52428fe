//! What is known besides the export jobs, and for how long.

use super::*;

#[tokio::test(start_paused = true)]
async fn details_are_withdrawn_when_they_were_not_read_for_long() {
    const FIGURES: [&str; 6] = [
        "newest_exported_snapshot_timestamp_seconds",
        "snapshots_awaiting_export",
        "oldest_snapshot_awaiting_export_timestamp_seconds",
        "newest_snapshot_timestamp_seconds",
        "bucket_missing",
        "bucket_info",
    ];
    let shown = |board: &Board| -> Vec<_> {
        let text = text(board);
        FIGURES.into_iter().filter(|name| !samples(&text, name).is_empty()).collect()
    };
    let board = board(&["prod"]);
    board.set_details(Duration::from_mins(30), &[]);
    discovered(&board);
    assert!(shown(&board).is_empty());
    detailed(&board);
    let exported =
        || ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&board, "prod", [exported()]);
    assert_eq!(shown(&board), FIGURES);
    let text_now = text(&board);
    let check = |name: &str, expected: &str| assert_eq!(samples(&text_now, name), [expected], "{name}");
    check("newest_exported_snapshot_timestamp_seconds", "{prod\"} 1700001200");
    check("snapshots_awaiting_export", "{prod\"} 1");
    check("oldest_snapshot_awaiting_export_timestamp_seconds", "{prod\"} 1700003000");
    check("newest_snapshot_timestamp_seconds", "{prod\"} 1700003000");
    check("last_auto_export_failure_event_timestamp_seconds", "{prod\"} 1700003600");
    check("bucket_missing", "{prod\"} 0");

    // Readings that fail withdraw nothing by themselves, and say so.
    let id = target("").project_id;
    board.snapshots(&target("prod"), Instant::now(), Err(unread()));
    board.export_buckets(&id, Instant::now(), Err(unread()));
    assert_eq!(shown(&board), FIGURES);
    let up = |board: &Board| samples(&text(board), "collector_success");
    let of = |detail: &str, up: u8| {
        format!("{{project_id=\"32b6e34b3d91647abb20e7b8\",collector=\"{detail}\"}} {up}")
    };
    assert_eq!(up(&board), [of("snapshots", 0), of("events", 0), of("buckets", 0)]);
    tokio::time::advance(Duration::from_mins(30)).await;
    good(&board, "prod", [exported()]);
    assert_eq!(shown(&board), FIGURES);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(shown(&board).is_empty());
    assert_eq!(
        samples(&text(&board), "last_auto_export_failure_event_timestamp_seconds").len(),
        1,
        "it happened"
    );

    // What was exported stays so, although its snapshot is gone by now.
    detailed(&board);
    let listed = [snapshot(50).1];
    board.snapshots(
        &target("prod"),
        Instant::now(),
        Ok(Snapshots::new(&listed, &exporting("daily"), at(99))),
    );
    good(&board, "prod", []);
    let exported = samples(&text(&board), "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
    // Figures of jobs that are too old say nothing of snapshots, either.
    board.set_details(STALE_AFTER * 9, &[]);
    tokio::time::advance(STALE_AFTER + Duration::from_millis(1)).await;
    assert_eq!(shown(&board), ["newest_snapshot_timestamp_seconds", "bucket_missing", "bucket_info"]);
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_are_read_after_the_first_poll_are_matched_with_it() {
    let awaiting = |board: &Board| samples(&text(board), "snapshots_awaiting_export");
    let board = board(&["prod"]);
    let exported =
        || ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&board, "prod", [exported()]);
    discovered(&board);
    assert_eq!(unread_details(&board), [3, 2], "no snapshots are expected without auto export");
    detailed(&board);
    assert_eq!(unread_details(&board), [1, 1], "events failed");
    assert_eq!(awaiting(&board), ["{prod\"} 1"]);
    // From then on a poll comes after the snapshots that it is matched with.
    detailed(&board);
    good(&board, "prod", []);
    assert_eq!(awaiting(&board), ["{prod\"} 1"], "what was exported stays so");
    board.set_details(STALE_AFTER, &Detail::ALL);
    board.forget_snapshots(&target("prod"));
    good(&board, "prod", [exported()]);
    assert!(unread_details(&board).is_empty() && awaiting(&board).is_empty());
}

#[tokio::test(start_paused = true)]
async fn polls_of_the_newest_jobs_do_not_forget_what_a_full_walk_told() {
    let board = board(&["prod"]);
    let exported =
        ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&board, "prod", [exported]);
    // The next poll comes before the snapshots, and stops at a job that it knows.
    let mut newest = folded([job("b", 60, JobState::Failed)]);
    newest.exports.partial = true;
    newest.exports.newest =
        Some(NewestExport { created_at: at(21), snapshot: ObjectId::parse(&snapshot(20).0) });
    publish(&board, "prod", newest);
    discovered(&board);
    detailed(&board);
    let exported = samples(&text(&board), "newest_exported_snapshot_timestamp_seconds");
    assert_eq!(exported, ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn another_policy_makes_the_snapshots_unknown_until_they_are_read_again() {
    let board = board(&["prod"]);
    let schedule = |auto_export, frequency: &str, bucket: Option<&str>| Schedule {
        auto_export: Some(auto_export),
        frequency: Some(frequency.to_owned()),
        bucket_id: bucket.map(str::to_owned),
        ..Schedule::default()
    };
    let awaiting = |board: &Board| samples(&text(board), "snapshots_awaiting_export");
    let missing = |board: &Board| samples(&text(board), "bucket_missing");
    discovered(&board);
    detailed(&board);
    good(&board, "prod", []);
    assert_eq!(awaiting(&board), ["{prod\"} 3"]);
    // Another bucket is no other policy; and it is not missing before a list that is younger lacks it, and the policy still names it.
    let b3 = || board.schedule(&target("prod"), Ok(schedule(true, "daily", Some("b3"))));
    let listed = |ids: &[&str]| {
        let buckets = ids.iter().map(|id| bucket(id)).collect();
        board.export_buckets(&target("").project_id, Instant::now(), Ok(buckets));
    };
    b3();
    assert_eq!((awaiting(&board).len(), missing(&board).len()), (1, 0));
    b3();
    assert!(missing(&board).is_empty(), "the list is older");
    listed(&["b1", "b2"]);
    assert!(missing(&board).is_empty(), "the policy may be older");
    listed(&["b1", "b2"]);
    assert!(missing(&board).is_empty());
    b3();
    assert_eq!(missing(&board), ["{prod\"} 1"]);
    listed(&["b1"]);
    assert_eq!(missing(&board), ["{prod\"} 1"]);
    listed(&["b1", "b3"]);
    assert_eq!(missing(&board), ["{prod\"} 0"]);
    listed(&["b1"]);
    assert!(missing(&board).is_empty());
    b3();
    assert_eq!(missing(&board), ["{prod\"} 1"]);
    board.schedule(&target("prod"), Ok(schedule(true, "daily", None)));
    assert!(missing(&board).is_empty());
    for other in [schedule(true, "weekly", Some("b1")), schedule(false, "daily", Some("b1"))] {
        detailed(&board);
        good(&board, "prod", []);
        board.schedule(&target("prod"), Ok(other));
        good(&board, "prod", []);
        assert!(awaiting(&board).is_empty());
        assert!(samples(&text(&board), "newest_snapshot_timestamp_seconds").is_empty());
    }
    assert!(missing(&board).is_empty(), "without auto export no bucket is missed");
    // A reading that was under way when auto export was switched off brings nothing back.
    detailed(&board);
    good(&board, "prod", []);
    assert!(awaiting(&board).is_empty());
}

#[tokio::test(start_paused = true)]
async fn only_items_that_are_exported_make_snapshots_unknown() {
    let board = board(&["prod"]);
    let id = |number: u8| ObjectId::parse(&format!("{number:024x}"));
    let schedule = |items: &[(u8, &str)]| {
        let items: Vec<_> = items.iter().map(|(item, word)| (id(*item), Some((*word).to_owned()))).collect();
        Schedule { items: PolicyItems::new(&items, "daily"), ..exporting("daily") }
    };
    let awaiting = |board: &Board| samples(&text(board), "snapshots_awaiting_export").len();
    discovered(&board);
    let daily = schedule(&[(1, "daily"), (2, "weekly")]);
    board.schedule(&target("prod"), Ok(daily.clone()));
    board.snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &daily, at(99))));
    good(&board, "prod", []);
    assert_eq!(awaiting(&board), 1);
    board.schedule(&target("prod"), Ok(schedule(&[(3, "hourly"), (1, "Daily")])));
    assert_eq!(awaiting(&board), 1, "nothing else is exported than before");
    board.schedule(&target("prod"), Ok(schedule(&[(3, "daily")])));
    assert_eq!(awaiting(&board), 0);
}

#[tokio::test(start_paused = true)]
async fn another_cluster_of_the_same_name_has_no_past() {
    let board = board(&["prod"]);
    let told =
        |board: &Board| samples(&text(board), "last_auto_export_failure_event_timestamp_seconds").len();
    let created = |minute| ListedCluster {
        name: "prod".to_owned(),
        unexportable: None,
        paused: None,
        created_at: Some(at(minute)),
        sharded: false,
    };
    discovered(&board);
    detailed(&board);
    good(&board, "prod", []);
    assert_eq!(told(&board), 1);
    board.describe(&target("prod"), Some(&created(-1000)), true);
    assert_eq!(told(&board), 1);
    assert_eq!(samples(&text(&board), "snapshots_awaiting_export").len(), 1);
    board.describe(&target("prod"), Some(&created(61)), true);
    assert_eq!(told(&board), 0);
    assert_eq!(samples(&text(&board), "snapshots_awaiting_export").len(), 0);
    // An event that is older than the cluster is about the one before it.
    board.failed_event(&target("prod"), at(60));
    assert_eq!(told(&board), 0);
    board.failed_event(&target("prod"), at(61));
    assert_eq!(told(&board), 1);
}

#[tokio::test(start_paused = true)]
async fn secrets_end_soon_until_that_is_taken_back() {
    let board = board(&["prod"]);
    let id = target("").project_id;
    let told = |board: &Board| samples(&text(board), "secret_expiring_event_timestamp_seconds");
    board.project_events(&id, &[event(EventKind::SecretsNoLongerExpiring, 1)]);
    assert!(told(&board).is_empty());
    board.project_events(&id, &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsExpiring, 2)]);
    assert_eq!(told(&board), ["{project_id=\"32b6e34b3d91647abb20e7b8\"} 1700000180"]);
    board.project_events(&id, &[event(EventKind::SecretsNoLongerExpiring, 4)]);
    assert!(told(&board).is_empty());
    // An event that is read again brings nothing back.
    board.project_events(&id, &[event(EventKind::SecretsExpiring, 3)]);
    assert!(told(&board).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reading_after_the_poll_awaits_the_next_poll() {
    let board = board(&["prod"]);
    discovered(&board);
    detailed(&board);
    good(&board, "prod", []);
    let awaiting = |board: &Board| samples(&text(board), "snapshots_awaiting_export");
    assert_eq!(awaiting(&board), ["{prod\"} 3"]);
    let more =
        Snapshots::new(&[-1, 20, 50, 55].map(|minute| snapshot(minute).1), &exporting("daily"), at(90));
    board.snapshots(&target("prod"), Instant::now(), Ok(more));
    assert_eq!(awaiting(&board), ["{prod\"} 3"], "its job may be there since the poll");
}

#[tokio::test(start_paused = true)]
async fn what_was_exported_stays_so_under_another_policy() {
    let board = board(&["prod"]);
    discovered(&board);
    detailed(&board);
    let exported =
        ExportJob { snapshot_id: Some(snapshot(20).0.into()), ..job("a", 21, JobState::Successful) };
    good(&board, "prod", [exported]);
    let weekly = exporting("weekly");
    board.schedule(&target("prod"), Ok(weekly));
    good(&board, "prod", []);
    board.snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &exporting("weekly"), at(90))));
    good(&board, "prod", []);
    assert_eq!(samples(&text(&board), "newest_exported_snapshot_timestamp_seconds"), ["{prod\"} 1700001200"]);
}

#[tokio::test(start_paused = true)]
async fn another_policys_figures_do_not_come_back_with_the_next_reading() {
    let board = board(&["prod"]);
    discovered(&board);
    detailed(&board);
    good(&board, "prod", []);
    let weekly = exporting("weekly");
    board.schedule(&target("prod"), Ok(weekly));
    board.snapshots(&target("prod"), Instant::now(), Ok(Snapshots::new(&[], &exporting("weekly"), at(90))));
    assert!(samples(&text(&board), "snapshots_awaiting_export").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_older_event_does_not_hide_a_newer_one() {
    let board = board(&["prod"]);
    discovered(&board);
    detailed(&board);
    board.failed_event(&target("prod"), at(10));
    let told = samples(&text(&board), "last_auto_export_failure_event_timestamp_seconds");
    assert_eq!(told, ["{prod\"} 1700003600"]);
}

#[tokio::test(start_paused = true)]
async fn one_cluster_that_cannot_be_read_is_told() {
    for bad in ["prod", "sharded"] {
        let board = board(&["prod", "sharded"]);
        discovered(&board);
        board.schedule(&target("sharded"), Ok(exporting("daily")));
        for name in ["prod", "sharded"] {
            board.snapshots(
                &target(name),
                Instant::now(),
                (name != bad).then(|| Snapshots::new(&[], &exporting("daily"), at(90))).ok_or_else(unread),
            );
        }
        let up = samples(&text(&board), "collector_success");
        assert!(up[0].ends_with("collector=\"snapshots\"} 0"), "{bad} {up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_forgotten_when_the_schedule_is_read_no_longer() {
    let board = board(&["prod"]);
    discovered(&board);
    detailed(&board);
    board.describe(&target("prod"), None, false);
    assert!(samples(&text(&board), "newest_snapshot_timestamp_seconds").is_empty());
    assert!(!text(&board).contains("collector=\"snapshots\""));
}

#[tokio::test(start_paused = true)]
async fn what_is_off_or_not_exported_is_not_waited_for() {
    let board = board(&["prod"]);
    board.set_details(STALE_AFTER, &Detail::ALL);
    assert!(unread_details(&board).is_empty());
    assert_eq!(board.view(Instant::now()).unread(), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_at_the_same_moment_no_warning_stays() {
    let board = board(&["prod"]);
    let id = target("").project_id;
    board.project_events(
        &id,
        &[event(EventKind::SecretsExpiring, 3), event(EventKind::SecretsNoLongerExpiring, 3)],
    );
    assert_eq!(samples(&text(&board), "secret_expiring_event_timestamp_seconds").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn failures_are_looked_for_among_the_clusters_of_the_project() {
    let board = board(&["a", "b"]);
    let other = ProjectId::parse("32b6e34b3d91647abb20e7b9").unwrap();
    board.watch_project(&other);
    board.watch(&Target { project_id: other.clone(), cluster_name: "c".to_owned() }, Expected::default());
    let id = target("").project_id;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(board.search_events_of(&id), (names(&[]), names(&["a", "b"])));
    board.forget(&target("b"));
    board.watch(&target("b"), Expected::default());
    assert_eq!(board.search_events_of(&id), (names(&["a"]), names(&["b"])), "it came back");
    assert_eq!(board.search_events_of(&other), (names(&[]), names(&["c"])));
    board.forget_detail(&id, Detail::Events);
    assert_eq!(board.search_events_of(&id), (names(&[]), names(&["a", "b"])), "switched off and on");
}

/// The number of unread details of each cluster that has any.
fn unread_details(board: &Board) -> Vec<u64> {
    let counts = samples(&text(board), "collectors_unread");
    counts.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_read_when_each_detail_was_read_or_refused() {
    let board = board(&["prod"]);
    board.set_details(Duration::from_mins(30), &[]);
    let (id, now) = (target("").project_id, Instant::now());
    let refused = || Unread { is_refused: true, error: no() };
    let left = |board: &Board| {
        let view = board.view(Instant::now());
        view.clusters[0].unread.clone()
    };
    let open = [Detail::Events, Detail::Buckets, Detail::Snapshots];
    assert_eq!(left(&board), open, "it is unknown yet whether snapshots are expected");
    board.discover(&id, at(1), Ok(()));
    let listed = ListedCluster {
        name: "prod".to_owned(),
        unexportable: None,
        paused: None,
        created_at: None,
        sharded: false,
    };
    board.describe(&target("prod"), Some(&listed), true);
    assert_eq!(left(&board), open, "its schedule is to be read");
    let failed = PollError { reason: FailureReason::ServerError, text: "no".to_owned() };
    board.schedule(&target("prod"), Err(failed));
    assert_eq!(left(&board), open);
    board.schedule(&target("prod"), Err(no()));
    assert_eq!(left(&board), open[..2], "refused");
    let off = Schedule { auto_export: Some(false), ..exporting("daily") };
    board.schedule(&target("prod"), Ok(off));
    assert_eq!(left(&board), open[..2], "none are expected");
    board.schedule(&target("prod"), Ok(exporting("daily")));
    board.snapshots(&target("prod"), now, Err(unread()));
    board.events_read(&id, now, Err(unread()));
    board.export_buckets(&id, now, Err(unread()));
    assert_eq!(left(&board), open, "what failed is not read");
    board.snapshots(&target("prod"), now, Err(refused()));
    assert_eq!(left(&board), open[..2]);
    board.snapshots(&target("prod"), now, Err(unread()));
    assert_eq!(left(&board), open[..2], "a fault says nothing of a role");
    board.events_read(&id, now, Ok(()));
    board.export_buckets(&id, now, Ok(Vec::new()));
    assert!(left(&board).is_empty());
    // What was not read for long is not known any longer; a role that is missing still is.
    tokio::time::advance(Duration::from_mins(30)).await;
    assert!(left(&board).is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(left(&board), open[..2]);
    board.set_details(Duration::from_mins(30), &[Detail::Events]);
    assert_eq!(left(&board), [Detail::Buckets]);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_may_be_missing_is_unread_until_that_is_certain() {
    let board = board(&["prod"]);
    let (id, now) = (target("").project_id, Instant::now());
    board.set_details(Duration::from_mins(30), &[Detail::Events, Detail::Snapshots]);
    let listed = || board.export_buckets(&id, now, Ok(vec![bucket("b1")]));
    let named = |id: &str| {
        let schedule = Schedule { bucket_id: Some(id.to_owned()), ..exporting("daily") };
        board.schedule(&target("prod"), Ok(schedule));
    };
    let is = |unread: usize, missing: Option<bool>| {
        let view = board.view(Instant::now());
        (view.clusters[0].unread.len(), view.clusters[0].bucket_missing) == (unread, missing)
    };
    let (unlisted, unconfirmed) =
        (|| board.is_bucket_unlisted(&target("prod")), || board.unconfirmed_buckets(&id).len());
    board.describe(&target("prod"), None, true);
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
    board.set_details(Duration::from_mins(30), &Detail::ALL);
    assert!(!unlisted(), "a detail that is off is not requested");
    board.set_details(Duration::from_mins(30), &[]);
    board.export_buckets(&id, now, Err(Unread { is_refused: true, error: no() }));
    assert!(is(2, None), "a role is missing for buckets");
}
