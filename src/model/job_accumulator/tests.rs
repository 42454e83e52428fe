use std::borrow::Cow;

use atlas_client::{MAX_ENTRIES, StateReason, decode_jobs};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

/// A job created `minute` minutes after the beginning of the tests' time.
fn job<'a>(id: impl Into<Cow<'a, str>>, minute: i64, state: JobState) -> ExportJob<'a> {
    let at = |minute: i64| Timestamp::from_second(1_700_000_000 + minute * 60).ok();
    ExportJob {
        id: Some(id.into()),
        snapshot_id: None,
        created_at: at(minute),
        finished_at: state.is_terminal().then(|| at(minute + 20)).flatten(),
        state,
        counts: Counts::default(),
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
    let mut nameless = job("a", 9, JobState::Failed);
    nameless.id = None;
    let mut timeless = job("b", 9, JobState::Successful);
    timeless.created_at = None;
    let summary = accumulate([nameless.clone(), nameless, timeless]);
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
    running.counts = Counts { exported: Some(3), total: Some(9) };
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
        assert_eq!(summary.failed.len(), 1, "the reason of the other sighting");
    }
}

#[test]
fn second_sighting_of_a_job_is_recognized() {
    let mut accumulator = JobAccumulator::default();
    let sightings = [JobState::Queued, JobState::Successful, JobState::Queued]
        .map(|state| accumulator.add(job("a", 0, state)));
    assert_eq!(sightings, [true, false, false]);
    let nameless = ExportJob { id: None, ..job("", 0, JobState::Failed) };
    assert_eq!([accumulator.add(nameless.clone()), accumulator.add(nameless)], [true; 2]);
}

#[test]
fn worse_of_two_final_states_counts_in_any_order() {
    let mut reasoned = job("x", 0, JobState::Failed);
    reasoned.reason.error_code = Some("E".into());
    let mut bare = job("x", 0, JobState::Failed);
    bare.finished_at = None;
    let views = [bare, job("x", 0, JobState::Successful), reasoned, job("x", 0, JobState::Cancelled)];
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
    // Digits in upper case, what is shorter or longer than an id, and what begins like one.
    let digits = "65a1f0b2c3d4e5f60718293a";
    let mut ids = [digits.to_owned(), digits.to_uppercase(), format!("{digits}0"), "\u{e4}".repeat(64)];
    let jobs = ids.clone().map(|id| job(id, 0, JobState::Queued));
    let summary = accumulate(jobs.clone().into_iter().chain(jobs));
    ids.sort();
    assert_eq!(summary.active.iter().map(|job| job.key.id.as_str()).collect::<Vec<_>>(), ids);
    assert_eq!(summary.latest.unwrap().key.id, ids[3]);
}

#[test]
fn duration_is_never_negative_nor_guessed() {
    let mut odd = job("a", 0, JobState::Successful);
    assert_eq!(accumulate([odd.clone()]).last_success_seconds, Some(1200));
    odd.finished_at = Timestamp::from_second(1).ok();
    assert_eq!(accumulate([odd.clone()]).last_success_seconds, None);
    odd.finished_at = None;
    assert_eq!(accumulate([job("0", -9, JobState::Successful), odd]).last_success_seconds, None);
}

#[test]
fn many_failures_are_counted_and_kept_in_part() {
    let summary = accumulate((0..100).map(|i| job(format!("{i:03}"), i, JobState::Failed)));
    assert_eq!(summary.failures_since_success, 100);
    assert_eq!(summary.failed.len(), MAX_FAILURES);
    assert_eq!(&*summary.failed[0].key.id, "099");
    assert_eq!(summary.oldest_failure_created, job("000", 0, JobState::Failed).created_at);
}

/// Listings with ties in time and missing parts.
fn listing() -> impl Strategy<Value = Vec<ExportJob<'static>>> {
    let one = (0..12i64, 0..6usize, 0..10u8, proptest::option::of(0..5u64), 0..30i64);
    proptest::collection::vec(one, 0..40).prop_map(|jobs| {
        let build = |(i, (minute, state, gap, exported, end))| {
            let mut job = job(format!("job{i}"), minute, JobState::ALL[state]);
            job.counts = Counts { exported, total: Some(4) };
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

/// The same jobs, those with an id repeated at will and seen less far on, in another order.
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
                        job.counts = Counts::default();
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
                prop_assert_eq!(summary.last_finished[state], of_state().filter_map(|job| job.finished_at).max());
            } else if state.is_active() {
                let oldest = of_state().filter_map(|job| job.created_at).min();
                prop_assert_eq!(summary.oldest_active_created[state], oldest);
            }
        }
        let mut placed = jobs;
        placed.retain(|job| job.id.is_some() && job.created_at.is_some());
        placed.sort_by_key(|job| (job.created_at, job.id.clone()));
        let id = |job: &ExportJob<'_>| job.id.clone().unwrap().into_owned();
        prop_assert_eq!(summary.latest.as_ref().map(|latest| latest.key.id.to_string()), placed.last().map(id));
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
fn active_jobs_beyond_the_oldest_are_counted_only() {
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

/// A page of jobs, newest first; of those in `failed`, which are numbers, the reason is told.
fn page(jobs: usize, failed: std::ops::Range<usize>) -> String {
    let job = |number: usize| {
        let reason = r#","stateReason":{"errorCode":"E","message":"a sentence"}"#;
        let (state, reason) = if failed.contains(&number) { ("Failed", reason) } else { ("Successful", "") };
        let minute = jobs - number;
        format!(
            r#"{{"id":"65a1f0b2c3d4e5f6{number:08x}","snapshotId":"75a1f0b2c3d4e5f6{number:08x}","createdAt":"2026-01-02T{:02}:{:02}:00Z",
            "finishedAt":"2026-02-02T03:04:05Z","state":"{state}"{reason},"exportStatus":{{"exportedCollections":9,"totalCollections":9}},
            "customData":[{{"key":"a","value":"b"}}],"prefix":"p","links":[{{"rel":"self","href":"h"}}]}}"#,
            minute / 60,
            minute % 60
        )
    };
    let jobs: Vec<_> = (0..jobs).map(job).collect();
    format!(r#"{{"links":[{{"rel":"next","href":"h"}}],"results":[{}],"totalCount":9}}"#, jobs.join(","))
}

/// How often memory is asked for to accumulate a page, and then to end the reading.
fn allocations(page: &str) -> (u64, u64) {
    let mut accumulator = JobAccumulator::default();
    let folded = allocation_counter::measure(|| {
        accumulator.add_page(decode_jobs(page.as_bytes()).unwrap());
    });
    let ended = allocation_counter::measure(|| drop(accumulator.finish()));
    (folded.count_total, ended.count_total)
}

#[test]
fn allocations_of_a_page_do_not_grow_with_its_jobs() {
    let (folded, ended) = allocations(&page(500, 0..0));
    assert!(folded <= 8 && ended <= 8, "{folded} {ended}");
    for other in [page(250, 0..0), page(499, 0..0)] {
        let (less_folded, less_ended) = allocations(&other);
        assert!(folded.abs_diff(less_folded) <= 2 && ended.abs_diff(less_ended) <= 2);
    }
}

#[test]
fn only_kept_failures_allocate() {
    let (twenty, _) = allocations(&page(500, 0..20));
    assert!(twenty > 60, "{twenty}: their texts are not kept");
    let (all, _) = allocations(&page(500, 0..500));
    assert!(all <= twenty + 2, "{all} {twenty}");
}

#[test]
fn page_has_something_new_once() {
    let mut accumulator = JobAccumulator::default();
    let (first, again) = (page(3, 0..1), r#"{"results":[{"id":"65a1f0b2c3d4e5f600000000"}]}"#);
    let outcome = accumulator.add_page(decode_jobs(first.as_bytes()).unwrap());
    assert_eq!((outcome.has_new, outcome.entries, accumulator.total_count), (true, 3, Some(9)));
    let outcome = accumulator.add_page(decode_jobs(again.as_bytes()).unwrap());
    assert_eq!((outcome.has_new, outcome.entries, accumulator.total_count), (false, 3, Some(0)));
    assert_eq!(accumulator.finish().jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), 3);
}

#[test]
fn largest_listing_is_kept_in_eight_megabytes() {
    let mut accumulator = JobAccumulator::default();
    for number in 0..MAX_ENTRIES {
        accumulator.add(job(format!("{number:024x}"), 0, JobState::Queued));
    }
    assert!(accumulator.outcome(true).kept_bytes <= 8 << 20, "the limit of bytes is met first");
}
