use std::borrow::Cow;

use atlas_client::{MAX_ENTRIES, StateReason, decode_jobs};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

/// A job created `minute` minutes after a fixed time.
fn job<'a>(id: impl Into<Cow<'a, str>>, minute: i64, state: JobState) -> ExportJob<'a> {
    let at = |minute: i64| Timestamp::from_second(1_700_000_000 + minute * 60).ok();
    ExportJob {
        id: Some(id.into()),
        snapshot_id: None,
        created_at: at(minute),
        finished_at: state.is_terminal().then(|| at(minute + 20)).flatten(),
        state,
        counts: CollectionProgress::default(),
        reason: StateReason::default(),
    }
}

fn accumulate<'a>(jobs: impl IntoIterator<Item = ExportJob<'a>>) -> JobSummary {
    let mut accumulator = JobAccumulator::default();
    for job in jobs {
        accumulator.add(job);
    }
    accumulator.finish()
}

#[test]
fn job_without_id_or_creation_is_only_counted() {
    let mut without_id = job("a", 9, JobState::Failed);
    without_id.id = None;
    let mut without_creation = job("b", 9, JobState::Successful);
    without_creation.created_at = None;
    let summary = accumulate([without_id.clone(), without_id, without_creation]);
    assert_eq!(summary.jobs[JobState::Failed], 2);
    assert_eq!(summary.jobs[JobState::Successful], 1);
    assert_eq!(summary.latest, None);
    assert_eq!(summary.failures_since_success, 0);
    assert_eq!(summary.last_success_seconds, None);
    assert!(summary.last_finished[JobState::Failed].is_some());
}

#[test]
fn repeated_job_counts_once_in_its_latest_state() {
    let mut running = job("a", 0, JobState::InProgress);
    running.counts = CollectionProgress { exported: Some(3), total: Some(9) };
    let views = [job("a", 0, JobState::Queued), running, job("a", 0, JobState::Successful)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let summary = accumulate(order.map(|i| views[i].clone()));
        assert_eq!(summary.jobs.iter().map(|(_, n)| n).sum::<u64>(), 1);
        assert_eq!(summary.latest.unwrap().state, JobState::Successful);
    }
    let summary = accumulate([1, 0].map(|i| views[i].clone()));
    assert_eq!(summary.latest.unwrap().counts.exported, Some(3));
    for order in [[0, 5], [5, 0]] {
        let summary = accumulate(order.map(|minute| job("a", minute, JobState::Failed)));
        assert_eq!(summary.failed.len(), 1, "the reason of the other entry");
    }
}

#[test]
fn repeated_job_is_not_new() {
    let mut accumulator = JobAccumulator::default();
    let are_new = [JobState::Queued, JobState::Successful, JobState::Queued]
        .map(|state| accumulator.add(job("a", 0, state)));
    assert_eq!(are_new, [true, false, false]);
    let without_id = ExportJob { id: None, ..job("", 0, JobState::Failed) };
    assert_eq!([accumulator.add(without_id.clone()), accumulator.add(without_id)], [true; 2]);
}

#[test]
fn worse_of_two_final_states_counts_in_any_order() {
    let mut with_reason = job("x", 0, JobState::Failed);
    with_reason.reason.error_code = Some("E".into());
    let mut without_end = job("x", 0, JobState::Failed);
    without_end.finished_at = None;
    let views =
        [without_end, job("x", 0, JobState::Successful), with_reason, job("x", 0, JobState::Cancelled)];
    let expected = accumulate(views.clone());
    assert_eq!(expected.failures_since_success, 1);
    assert!(expected.last_finished[JobState::Failed].is_some());
    assert_eq!(expected.failed[0].reason.error_code.as_deref(), Some("E"));
    for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        assert_eq!(accumulate(order.map(|i| views[i].clone())), expected, "{order:?}");
    }
}

#[test]
fn ids_may_be_any_text_and_are_ordered_as_text() {
    // A usual id, digits in upper case, a longer id with the same start, and non-ASCII text.
    let digits = "65a1f0b2c3d4e5f60718293a";
    let mut ids = [digits.to_owned(), digits.to_uppercase(), format!("{digits}0"), "\u{e4}".repeat(64)];
    let jobs = ids.clone().map(|id| job(id, 0, JobState::Queued));
    let summary = accumulate(jobs.clone().into_iter().chain(jobs));
    ids.sort();
    assert_eq!(summary.active.iter().map(|job| job.key.id.as_str()).collect::<Vec<_>>(), ids);
    assert_eq!(summary.latest.unwrap().key.id, ids[3]);
}

#[test]
fn duration_is_unknown_without_a_valid_end() {
    let mut odd = job("a", 0, JobState::Successful);
    assert_eq!(accumulate([odd.clone()]).last_success_seconds, Some(1200));
    odd.finished_at = Timestamp::from_second(1).ok();
    assert_eq!(accumulate([odd.clone()]).last_success_seconds, None);
    odd.finished_at = None;
    assert_eq!(accumulate([job("0", -9, JobState::Successful), odd]).last_success_seconds, None);
}

#[test]
fn all_failures_are_counted_and_the_newest_are_kept() {
    let summary = accumulate((0..100).map(|i| job(format!("{i:03}"), i, JobState::Failed)));
    assert_eq!(summary.failures_since_success, 100);
    assert_eq!(summary.failed.len(), MAX_FAILURES);
    assert_eq!(&*summary.failed[0].key.id, "099");
    assert_eq!(summary.oldest_failure_created, job("000", 0, JobState::Failed).created_at);
}

/// Listings with equal times and missing fields.
fn listing() -> impl Strategy<Value = Vec<ExportJob<'static>>> {
    let one = (0..12i64, 0..6usize, 0..10u8, proptest::option::of(0..5u64), 0..30i64);
    proptest::collection::vec(one, 0..40).prop_map(|jobs| {
        let build = |(i, (minute, state, gap, exported, end))| {
            let mut job = job(format!("job{i}"), minute, JobState::ALL[state]);
            job.counts = CollectionProgress { exported, total: Some(4) };
            job.reason.error_code = Some(format!("code{i}").into());
            match gap {
                0 => job.id = None,
                1 => job.created_at = None,
                2 => job.finished_at = None,
                3 => job.finished_at = Timestamp::from_second(1_700_000_000 + end).ok(),
                _ => {}
            }
            job
        };
        jobs.into_iter().enumerate().map(build).collect()
    })
}

/// A listing, and the same jobs in another order with repeated entries in earlier states.
fn listing_with_repeats() -> impl Strategy<Value = (Vec<ExportJob<'static>>, Vec<ExportJob<'static>>)> {
    (listing(), proptest::collection::vec(any::<prop::sample::Index>(), 0..10)).prop_flat_map(
        |(jobs, picks)| {
            let named: Vec<_> = jobs.iter().filter(|job| job.id.is_some()).cloned().collect();
            let mut again = jobs.clone();
            if !named.is_empty() {
                again.extend(picks.iter().enumerate().map(|(i, pick)| {
                    let mut job = pick.get(&named).clone();
                    if i % 2 == 0 && job.state != JobState::Unknown {
                        job.state = JobState::Queued;
                        job.finished_at = None;
                        job.counts = CollectionProgress::default();
                    }
                    job
                }));
            }
            (Just(jobs), Just(again).prop_shuffle())
        },
    )
}

proptest! {
    #[test]
    fn summary_depends_neither_on_order_nor_on_repetition((jobs, again) in listing_with_repeats()) {
        prop_assert_eq!(accumulate(jobs), accumulate(again));
    }

    /// The definition sorts and filters the whole listing.
    #[test]
    fn summary_equals_its_definition(jobs in listing()) {
        let summary = accumulate(jobs.clone());
        for (state, count) in summary.jobs.iter() {
            let of_state = || jobs.iter().filter(|job| job.state == state);
            prop_assert_eq!(*count, of_state().count() as u64);
            if state.is_terminal() {
                let last = of_state().filter_map(|job| job.finished_at).max();
                prop_assert_eq!(summary.last_finished[state], last);
            } else if state.is_active() {
                let oldest = of_state().filter_map(|job| job.created_at).min();
                prop_assert_eq!(summary.oldest_active_created[state], oldest);
            }
        }
        let mut placed = jobs;
        placed.retain(|job| job.id.is_some() && job.created_at.is_some());
        placed.sort_by_key(|job| (job.created_at, job.id.clone()));
        let id = |job: &ExportJob<'_>| job.id.clone().unwrap().into_owned();
        let latest = summary.latest.as_ref().map(|latest| latest.key.id.to_string());
        prop_assert_eq!(latest, placed.last().map(id));
        let active: Vec<_> = placed.iter().filter(|job| job.state.is_active()).map(id).collect();
        prop_assert!(summary.active.iter().map(|job| job.key.id.as_str()).eq(active));
        let success = placed.iter().rposition(|job| job.state == JobState::Successful);
        let is_failure = |job: &&ExportJob<'_>| job.state == JobState::Failed;
        let failures: Vec<_> = placed[success.map_or(0, |at| at + 1)..].iter().filter(is_failure).collect();
        prop_assert_eq!(summary.failures_since_success, failures.len() as u64);
        prop_assert_eq!(summary.oldest_failure_created, failures.first().and_then(|job| job.created_at));
        let newest = failures.into_iter().rev().take(MAX_FAILURES).map(id);
        prop_assert!(summary.unresolved().map(|job| job.key.id.to_string()).eq(newest));
    }
}

#[test]
fn snapshots_of_jobs_are_kept_by_state() {
    let id = |number: u8| format!("{number:024x}");
    let about =
        |job: ExportJob<'static>, number: u8| ExportJob { snapshot_id: Some(id(number).into()), ..job };
    let jobs = [
        about(job("a", 1, JobState::Successful), 1),
        about(job("b", 5, JobState::Successful), 2),
        about(job("c", 6, JobState::Failed), 3),
        about(job("d", 7, JobState::Queued), 4),
        about(job("e", 8, JobState::InProgress), 5),
        about(job("f", 9, JobState::Cancelled), 6),
    ];
    let newest = jobs[1].created_at;
    let summary = accumulate(jobs);
    let ids = |numbers: &[u8]| numbers.iter().filter_map(|number| ObjectId::parse(&id(*number))).collect();
    assert_eq!(summary.exports.successful, ids(&[1, 2]));
    assert_eq!(summary.exports.active, ids(&[4, 5]));
    assert_eq!(
        summary.exports.newest,
        Some(NewestExport { created_at: newest.unwrap(), snapshot: ObjectId::parse(&id(2)) })
    );
    assert_eq!(summary.last_success_created, newest);
}

#[test]
fn newest_active_jobs_over_the_limit_are_only_counted() {
    let ids: Vec<_> = (0..3 * MAX_ACTIVE).map(|number| format!("{number:05}")).collect();
    let jobs = ids.iter().zip(1..).map(|(id, minute)| job(id.as_str(), minute, JobState::Queued));
    let summary = accumulate(jobs.collect::<Vec<_>>().into_iter().rev());
    assert_eq!(summary.jobs[JobState::Queued], ids.len() as u64);
    assert_eq!(summary.active.len(), MAX_ACTIVE);
    assert_eq!(summary.active[0].key.id, "00000");
    assert_eq!(summary.latest.unwrap().key.id, *ids.last().unwrap());
}

#[test]
fn kept_texts_are_truncated() {
    let long = "\u{1f512}\n".repeat(10_000);
    let reason = StateReason { error_code: Some((&*long).into()), message: Some((&*long).into()) };
    let failed = ExportJob { snapshot_id: Some((&*long).into()), reason, ..job("a", 0, JobState::Failed) };
    let summary = accumulate([failed]);
    let FailedJob { reason, snapshot_id, .. } = &summary.failed[0];
    let texts =
        [(reason.error_code.as_deref(), 128), (reason.message.as_deref(), 300), (snapshot_id.as_deref(), 64)];
    for (text, max) in texts {
        let text = text.unwrap();
        assert!(
            text.chars().count() == max + "...".len() && text.ends_with("...") && !text.contains('\n'),
            "{text}"
        );
    }
}

/// A page of jobs, newest first. Jobs with a number in `failed` have failed, with a reason.
fn page(jobs: usize, failed: std::ops::Range<usize>) -> String {
    let job = |number: usize| {
        let reason = r#","stateReason":{"errorCode":"E","message":"a sentence"}"#;
        let (state, reason) = if failed.contains(&number) { ("Failed", reason) } else { ("Successful", "") };
        let minute = jobs - number;
        format!(
            r#"{{"id":"65a1f0b2c3d4e5f6{number:08x}","snapshotId":"75a1f0b2c3d4e5f6{number:08x}",
            "createdAt":"2026-01-02T{:02}:{:02}:00Z",
            "finishedAt":"2026-02-02T03:04:05Z","state":"{state}"{reason},
            "exportStatus":{{"exportedCollections":9,"totalCollections":9}},
            "customData":[{{"key":"a","value":"b"}}],"prefix":"p","links":[{{"rel":"self","href":"h"}}]}}"#,
            minute / 60,
            minute % 60
        )
    };
    let jobs: Vec<_> = (0..jobs).map(job).collect();
    format!(r#"{{"links":[{{"rel":"next","href":"h"}}],"results":[{}],"totalCount":9}}"#, jobs.join(","))
}

/// Returns the number of allocations to accumulate a page, and to finish the summary.
fn allocations(page: &str) -> (u64, u64) {
    let mut accumulator = JobAccumulator::default();
    let added = allocation_counter::measure(|| {
        accumulator.add_page(decode_jobs(page.as_bytes()).unwrap());
    });
    let finished = allocation_counter::measure(|| drop(accumulator.finish()));
    (added.count_total, finished.count_total)
}

#[test]
fn allocations_of_a_page_do_not_grow_with_its_jobs() {
    let (added, finished) = allocations(&page(500, 0..0));
    assert!(added <= 8 && finished <= 8, "{added} {finished}");
    for smaller in [page(250, 0..0), page(499, 0..0)] {
        let (less_added, less_finished) = allocations(&smaller);
        assert!(added.abs_diff(less_added) <= 2 && finished.abs_diff(less_finished) <= 2);
    }
}

#[test]
fn only_kept_failures_allocate() {
    let (twenty, _) = allocations(&page(500, 0..20));
    assert!(twenty > 60, "{twenty}: the texts of failed jobs are not kept");
    let (all, _) = allocations(&page(500, 0..500));
    assert!(all <= twenty + 2, "{all} {twenty}");
}

#[test]
fn repeated_page_has_nothing_new() {
    let mut accumulator = JobAccumulator::default();
    let (first, again) = (page(3, 0..1), r#"{"results":[{"id":"65a1f0b2c3d4e5f600000000"}]}"#);
    let outcome = accumulator.add_page(decode_jobs(first.as_bytes()).unwrap());
    assert_eq!((outcome.has_new, outcome.entries, accumulator.total_count), (true, 3, Some(9)));
    let outcome = accumulator.add_page(decode_jobs(again.as_bytes()).unwrap());
    assert_eq!((outcome.has_new, outcome.entries, accumulator.total_count), (false, 3, Some(0)));
    assert_eq!(accumulator.finish().jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), 3);
}

#[test]
fn largest_listing_counts_at_most_eight_mebibytes() {
    let mut accumulator = JobAccumulator::default();
    for number in 0..MAX_ENTRIES {
        accumulator.add(job(format!("{number:024x}"), 0, JobState::Queued));
    }
    assert!(accumulator.outcome(true).kept_bytes <= 8 << 20, "the limit of bytes is reached first");
}
