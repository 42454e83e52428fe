//! What must hold of listings, whatever Atlas sends.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use std::collections::HashSet;

use serde_json::Value;

use super::*;
use crate::atlas::error::fuzzing::is_tidy;
use crate::atlas::fuzzing::leads_to;
use crate::fuzzing::{Known, is_a_line, is_exposed};
use crate::model::{ByState, ClusterReport, Fold, JobState, Schedule};

/// The most failed jobs whose reasons are kept.
const REASONS: usize = 20;

/// A listing of export jobs: its pages, with a zero byte between two, since JSON has none.
pub fn listing(bytes: &[u8]) {
    let pages: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    match (folded(pages.iter()), folded(pages.iter())) {
        (Err(one), Err(other)) => {
            assert_eq!(one, other, "read twice");
            is_a_line(&one.to_string());
        }
        (Ok(one), Ok(other)) => {
            let jobs = one.jobs();
            let report = one.finish();
            holds(&report, jobs);
            is_plain(&pages, &report, jobs);
            assert_eq!(other.settle().0, report, "with a tail");
            let backwards = folded(pages.iter().rev()).expect("what can be read in one order");
            assert_eq!(backwards.finish(), report, "page by page from the end");
            is_exposed(Known { report, ..Known::default() });
        }
        (one, other) => panic!("read twice: {:?} {:?}", one.err(), other.err()),
    }
}

fn folded<'a>(pages: impl Iterator<Item = &'a &'a [u8]>) -> Result<Fold, Error> {
    let mut fold = Fold::default();
    for page in pages {
        fold_page(page, &mut fold)?;
    }
    Ok(fold)
}

/// The figures of a report are within their bounds, and agree with each other.
fn holds(report: &ClusterReport, jobs: u64) {
    let count = |state| report.jobs[state];
    assert_eq!(report.jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), jobs);
    let ratios = report.latest.iter().map(|job| job.counts).chain(report.active.iter().map(|job| job.counts));
    assert!(ratios.filter_map(crate::model::Counts::ratio).all(|ratio| (0.0..=1.0).contains(&ratio)));

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
fn is_plain(pages: &[&[u8]], report: &ClusterReport, jobs: u64) {
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

/// What is read besides export jobs; one body is read as each kind of thing.
pub fn details(bytes: &[u8]) {
    let mut known = Known::default();
    for snapshot in collected(bytes, wire::Snapshot::read) {
        snapshot.frequency.as_deref().map(is_tidy);
    }
    known.buckets = collected(bytes, wire::Bucket::read);
    for bucket in &known.buckets {
        for text in [&bucket.id, &bucket.name, &bucket.cloud_provider] {
            is_tidy(text);
        }
    }
    for event in collected(bytes, wire::Event::read) {
        is_tidy(&event.id);
    }
    for (id, name) in collected(bytes, wire::ListedProject::read) {
        leads_to(id.as_str());
        name.as_deref().map(is_tidy);
    }
    for cluster in collected(bytes, wire::Cluster::read) {
        leads_to(&cluster.name);
        known.cluster = Some(cluster);
    }
    if let Some(schedule) = once(|| wire::decode::<wire::Schedule>(bytes).map(Schedule::from)) {
        for text in schedule.frequency.iter().chain(&schedule.bucket_id) {
            is_tidy(text);
        }
        known.schedule = schedule;
    }
    known.name =
        once(|| wire::decode::<wire::Project>(bytes).map(|project| project.name.0)).unwrap_or_default();
    if known.cluster.is_some() || !known.buckets.is_empty() || !known.name.is_empty() {
        is_exposed(known);
    }
    // Whatever it says, a token has a life, and an answer that is none is told without a word of it.
    if let Some(Err(error)) = once(|| Ok(wire::token(bytes).map(|token| token.life))) {
        let words = "not an answer that Atlas documents: a token answer with an error of Data Syntax Eof at line column the is too large: an access token of more than bytes";
        let is_known = |word: &str| words.contains(word) || word.parse::<usize>().is_ok();
        assert!(error.to_string().replace(',', "").split(' ').all(is_known), "{error}");
    }
}

/// A listing is read alike each time, with pages or without; what was found is there once, and no more of it than is listed.
fn collected<T: Kept + std::fmt::Debug>(bytes: &[u8], read: Read<T>) -> Vec<T> {
    let page = || {
        let mut gathered = Gathered::new(read);
        let promised = gathered.turn(bytes, MAX_ENTRIES)?.promised;
        gathered.listing(promised)
    };
    let list = once(|| whole(bytes, read));
    let Some(listing) = once(page) else { return Vec::new() };
    assert_eq!(Some(&listing), list.as_ref());
    if let Some(flaw) = &listing.flaw {
        is_a_line(&flaw.to_string());
    }
    assert!(listing.found.is_sorted_by(|one, next| one < next));
    if let Ok(body) = serde_json::from_slice::<Value>(bytes)
        && let Some(results) = body["results"].as_array()
    {
        assert!(listing.found.len() + usize::from(listing.flaw.is_some()) <= results.len());
    }
    listing.found
}

/// What is read, if it can be: the same a second time, and an error is one line.
fn once<T: PartialEq + std::fmt::Debug>(read: impl Fn() -> Result<T, Error>) -> Option<T> {
    let outcome = read();
    assert_eq!(outcome, read(), "read twice");
    outcome.map_err(|error| is_a_line(&error.to_string())).ok()
}
