//! Invariants of listings of export jobs.

use std::collections::HashSet;

use atlas_backup_exporter::model::{ByState, JobAccumulator, JobSummary};
use atlas_client::{CollectionProgress, Error, JobState, decode_jobs};
use serde_json::Value;

use super::exposition::{Readings, assert_exposed};
use super::text::assert_single_line;

/// Maximum number of failed jobs whose reasons are kept.
const MAX_REASONS: usize = 20;

/// Checks the pages of a listing, separated by zero bytes, which JSON does not have.
pub fn listing(bytes: &[u8]) {
    let pages: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    match (accumulate(pages.iter()), accumulate(pages.iter())) {
        (Err(error), Err(again)) => {
            assert_eq!(error, again, "read twice");
            assert_single_line(&error.to_string());
        }
        (Ok(accumulator), Ok(again)) => {
            let jobs = accumulator.jobs();
            let summary = accumulator.finish();
            assert_consistent(&summary, jobs);
            assert_counted(&pages, &summary, jobs);
            assert_eq!(again.into_checkpoint().0, summary, "with a checkpoint");
            let reversed = accumulate(pages.iter().rev()).expect("pages that were read before");
            assert_eq!(reversed.finish(), summary, "pages in reverse order");
            assert_exposed(Readings { summary, ..Readings::default() });
        }
        (outcome, again) => panic!("read twice: {:?} {:?}", outcome.err(), again.err()),
    }
}

fn accumulate<'a>(pages: impl Iterator<Item = &'a &'a [u8]>) -> Result<JobAccumulator, Error> {
    let mut accumulator = JobAccumulator::default();
    for page in pages {
        accumulator.add_page(decode_jobs(page)?);
    }
    Ok(accumulator)
}

/// Checks that values are within their bounds and consistent.
fn assert_consistent(summary: &JobSummary, jobs: u64) {
    let count = |state| summary.jobs[state];
    assert_eq!(summary.jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), jobs);
    let ratios =
        summary.latest.iter().map(|job| job.counts).chain(summary.active.iter().map(|job| job.counts));
    assert!(ratios.filter_map(CollectionProgress::ratio).all(|ratio| (0.0..=1.0).contains(&ratio)));

    let keys = summary.active.iter().map(|job| &job.key).chain(summary.failed.iter().map(|job| &job.key));
    let latest = summary.latest.as_ref().map(|latest| &latest.key);
    assert!(keys.max() <= latest, "a job is newer than the latest");
    assert!(summary.active.is_sorted_by(|one, next| one.key <= next.key));
    assert!(summary.active.iter().all(|job| job.state.is_active()));
    assert!(summary.active.len() as u64 <= count(JobState::Queued) + count(JobState::InProgress));

    assert!(summary.failed.is_sorted_by(|one, next| one.key > next.key));
    assert!(summary.failed.len() <= MAX_REASONS && summary.failed.len() as u64 <= count(JobState::Failed));
    assert!(summary.failures_since_success <= count(JobState::Failed));
    assert_eq!(summary.oldest_failure_created.is_some(), summary.failures_since_success > 0);
    assert!(
        summary.oldest_failure_created.is_none_or(|failure| Some(failure) >= summary.last_success_created)
    );

    assert!(summary.last_success_created.is_none() || count(JobState::Successful) > 0);
    assert!(summary.last_success_created.is_some() || summary.last_success_seconds.is_none());
    for state in JobState::ALL {
        assert!(summary.last_finished[state].is_none() || state.is_terminal() && count(state) > 0);
        assert!(summary.oldest_active_created[state].is_none() || state.is_active() && count(state) > 0);
    }
}

/// Compares the numbers of jobs with those of a simple JSON parser, if that can parse every page.
fn assert_counted(pages: &[&[u8]], summary: &JobSummary, jobs: u64) {
    let (mut ids, mut without_id, mut has_duplicate) = (HashSet::new(), 0, false);
    let mut states = ByState::<u64>::default();
    for page in pages {
        let Ok(page) = serde_json::from_slice::<Value>(page) else { return };
        // The exporter also accepts a job as an array of its fields.
        let Some(results) = page["results"].as_array().filter(|all| all.iter().all(Value::is_object)) else {
            return;
        };
        for job in results {
            match job["id"].as_str() {
                None | Some("") => without_id += 1,
                Some(id) => has_duplicate |= !ids.insert(id.to_owned()),
            }
            states[JobState::parse(job["state"].as_str().unwrap_or_default())] += 1;
        }
    }
    assert_eq!(ids.len() as u64 + without_id, jobs);
    assert!(has_duplicate || states == summary.jobs, "{states:?}");
}
