//! What must hold of listings of export jobs, whatever Atlas sends.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use std::collections::HashSet;

use atlas_client::fuzzing::is_a_line;
use atlas_client::{Counts, Error, JobState, decode_jobs};
use serde_json::Value;

use super::exposed::{Known, is_exposed};
use crate::model::{ByState, JobAccumulator, JobSummary};

/// The most failed jobs whose reasons are kept.
const REASONS: usize = 20;

/// A listing of export jobs: its pages, with a zero byte between two, since JSON has none.
pub fn listing(bytes: &[u8]) {
    let pages: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    match (summarized(pages.iter()), summarized(pages.iter())) {
        (Err(one), Err(other)) => {
            assert_eq!(one, other, "read twice");
            is_a_line(&one.to_string());
        }
        (Ok(one), Ok(other)) => {
            let jobs = one.jobs();
            let report = one.finish();
            holds(&report, jobs);
            is_plain(&pages, &report, jobs);
            assert_eq!(other.into_checkpoint().0, report, "with a checkpoint");
            let backwards = summarized(pages.iter().rev()).expect("what can be read in one order");
            assert_eq!(backwards.finish(), report, "page by page from the end");
            is_exposed(Known { report, ..Known::default() });
        }
        (one, other) => panic!("read twice: {:?} {:?}", one.err(), other.err()),
    }
}

fn summarized<'a>(pages: impl Iterator<Item = &'a &'a [u8]>) -> Result<JobAccumulator, Error> {
    let mut accumulator = JobAccumulator::default();
    for page in pages {
        accumulator.add_page(decode_jobs(page)?);
    }
    Ok(accumulator)
}

/// The figures of a report are within their bounds, and agree with each other.
fn holds(report: &JobSummary, jobs: u64) {
    let count = |state| report.jobs[state];
    assert_eq!(report.jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), jobs);
    let ratios = report.latest.iter().map(|job| job.counts).chain(report.active.iter().map(|job| job.counts));
    assert!(ratios.filter_map(Counts::ratio).all(|ratio| (0.0..=1.0).contains(&ratio)));

    let keys = report.active.iter().map(|job| &job.key).chain(report.failed.iter().map(|job| &job.key));
    let newest = report.latest.as_ref().map(|latest| &latest.key);
    assert!(keys.max() <= newest, "one is newer than the newest");
    assert!(report.active.is_sorted_by(|one, next| one.key <= next.key));
    assert!(report.active.iter().all(|job| job.state.is_active()));
    assert!(report.active.len() as u64 <= count(JobState::Queued) + count(JobState::InProgress));

    assert!(report.failed.is_sorted_by(|one, next| one.key > next.key));
    assert!(report.failed.len() <= REASONS && report.failed.len() as u64 <= count(JobState::Failed));
    assert!(report.failures_since_success <= count(JobState::Failed));
    assert_eq!(report.oldest_failure_created.is_some(), report.failures_since_success > 0);
    assert!(report.oldest_failure_created.is_none_or(|failure| Some(failure) >= report.last_success_created));

    assert!(report.last_success_created.is_none() || count(JobState::Successful) > 0);
    assert!(report.last_success_created.is_some() || report.last_success_seconds.is_none());
    for state in JobState::ALL {
        assert!(report.last_finished(state).is_none() || state.is_terminal() && count(state) > 0);
        assert!(report.oldest_active_created(state).is_none() || state.is_active() && count(state) > 0);
    }
}

/// Jobs are counted as a plain reader would, as far as one can read the pages: it stops at what nobody reads, too.
fn is_plain(pages: &[&[u8]], report: &JobSummary, jobs: u64) {
    let (mut ids, mut nameless, mut again) = (HashSet::new(), 0, false);
    let mut states = ByState::<u64>::default();
    for page in pages {
        let Ok(page) = serde_json::from_slice::<Value>(page) else { return };
        // What is listed may stand in an array instead of an object with names, of which a plain reader knows nothing.
        let Some(results) = page["results"].as_array().filter(|all| all.iter().all(Value::is_object)) else {
            return;
        };
        for job in results {
            match job["id"].as_str() {
                None | Some("") => nameless += 1,
                Some(id) => again |= !ids.insert(id.to_owned()),
            }
            states[JobState::parse(job["state"].as_str().unwrap_or_default())] += 1;
        }
    }
    assert_eq!(ids.len() as u64 + nameless, jobs);
    assert!(again || states == report.jobs, "{states:?}");
}
