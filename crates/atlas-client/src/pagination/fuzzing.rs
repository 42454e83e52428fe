//! What must hold of listings, whatever Atlas sends.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use serde_json::Value;

use super::{ListBuilder, ListEntry, MAX_ENTRIES, decode_list};
use crate::error::Error;
use crate::error::fuzzing::is_tidy;
use crate::fuzzing::{is_a_line, leads_to};
use crate::types::{
    ExportBucket, ListedCluster, Project, ProjectEvent, ProjectId, Schedule, Snapshot, decode, decode_token,
};

/// What a body says, read as each kind of thing.
#[derive(Debug, Default)]
pub struct Details {
    /// The name of a project.
    pub name: String,
    /// The last of the clusters.
    pub cluster: Option<ListedCluster>,
    /// A schedule.
    pub schedule: Schedule,
    /// Export buckets.
    pub buckets: Vec<ExportBucket>,
}

/// What is read besides export jobs; one body is read as each kind of thing.
#[must_use]
pub fn details(bytes: &[u8]) -> Details {
    let mut details = Details { buckets: collected(bytes), ..Details::default() };
    for snapshot in collected::<Snapshot>(bytes) {
        snapshot.frequency.as_deref().map(is_tidy);
    }
    for bucket in &details.buckets {
        for text in [&bucket.id, &bucket.name, &bucket.cloud_provider] {
            is_tidy(text);
        }
    }
    for event in collected::<ProjectEvent>(bytes) {
        is_tidy(&event.id);
    }
    for (id, name) in collected::<(ProjectId, Option<String>)>(bytes) {
        leads_to(id.as_str());
        name.as_deref().map(is_tidy);
    }
    for cluster in collected::<ListedCluster>(bytes) {
        leads_to(&cluster.name);
        details.cluster = Some(cluster);
    }
    if let Some(schedule) = once(|| decode::<Schedule>(bytes)) {
        for text in schedule.frequency.iter().chain(&schedule.bucket_id) {
            is_tidy(text);
        }
        details.schedule = schedule;
    }
    details.name = once(|| decode::<Project>(bytes).map(|project| project.name.0)).unwrap_or_default();
    // Whatever it says, a token has a life, and an error of its answer repeats no word of it.
    if let Some(Err(error)) = once(|| Ok(decode_token(bytes).map(|token| token.life))) {
        let words = "not an answer that Atlas documents: a token answer with an error of Data Syntax Eof at line column the is too large: an access token of more than bytes";
        let is_known = |word: &str| words.contains(word) || word.parse::<usize>().is_ok();
        assert!(error.to_string().replace(',', "").split(' ').all(is_known), "{error}");
    }
    details
}

/// A listing is read alike each time, with pages or without; each entry is there once, and no more
/// of them than are listed.
fn collected<T: ListEntry + Clone + std::fmt::Debug>(bytes: &[u8]) -> Vec<T> {
    let page = || {
        let mut builder = ListBuilder::default();
        let total_count = builder.read_page(bytes, MAX_ENTRIES)?.total_count;
        builder.finish(total_count)
    };
    let whole = once(|| decode_list(bytes));
    let Some(list) = once(page) else { return Vec::new() };
    assert_eq!(Some(&list), whole.as_ref());
    if let Some(error) = &list.error {
        is_a_line(&error.to_string());
    }
    assert!(list.entries.is_sorted_by(|one, next| one < next));
    if let Ok(body) = serde_json::from_slice::<Value>(bytes)
        && let Some(results) = body["results"].as_array()
    {
        assert!(list.entries.len() + usize::from(list.error.is_some()) <= results.len());
    }
    list.entries
}

/// What is read, if it can be: the same a second time, and an error is one line.
fn once<T: PartialEq + std::fmt::Debug>(read: impl Fn() -> Result<T, Error>) -> Option<T> {
    let outcome = read();
    assert_eq!(outcome, read(), "read twice");
    outcome.map_err(|error| is_a_line(&error.to_string())).ok()
}
