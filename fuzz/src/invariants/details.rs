//! Invariants of all responses except export jobs.

use std::fmt::Debug;

use atlas_client::fuzzing::{
    decode_list, decode_page, decode_project_name, decode_schedule, decode_token_life,
};
use atlas_client::{Error, ExportBucket, ListedCluster, PartialList, ProjectEvent, ProjectId, Snapshot};
use serde_json::Value;

use super::exposition::{Readings, assert_exposed};
use super::text::{assert_path_segment, assert_redacted, assert_single_line};

/// Words of errors about a token, which contain only these and numbers.
const TOKEN_ERROR: &str = "\
    invalid response from Atlas: token response is not valid JSON Data Syntax Eof error at line column \
    is too large: access token of more than bytes";

type Decode<T> = fn(&[u8]) -> Result<PartialList<T>, Error>;

/// Checks a body, decoded as each kind of response.
pub fn details(bytes: &[u8]) {
    for snapshot in list::<Snapshot>(bytes, decode_list, decode_page) {
        snapshot.frequency.as_deref().map(assert_redacted);
    }
    let buckets = list::<ExportBucket>(bytes, decode_list, decode_page);
    for bucket in &buckets {
        for text in [&bucket.id, &bucket.name, &bucket.cloud_provider] {
            assert_redacted(text);
        }
    }
    for event in list::<ProjectEvent>(bytes, decode_list, decode_page) {
        assert_redacted(&event.id);
    }
    for (id, name) in list::<(ProjectId, Option<String>)>(bytes, decode_list, decode_page) {
        assert_path_segment(id.as_str());
        name.as_deref().map(assert_redacted);
    }
    let clusters = list::<ListedCluster>(bytes, decode_list, decode_page);
    for cluster in &clusters {
        assert_path_segment(&cluster.name);
    }
    let schedule = decoded(|| decode_schedule(bytes)).unwrap_or_default();
    for text in schedule.frequency.iter().chain(&schedule.bucket_id) {
        assert_redacted(text);
    }
    let project_name = decoded(|| decode_project_name(bytes)).unwrap_or_default();
    // An error contains no word of the response, which can be a token.
    if let Some(Err(error)) = decoded(|| Ok(decode_token_life(bytes))) {
        let is_known = |word: &str| TOKEN_ERROR.contains(word) || word.parse::<usize>().is_ok();
        assert!(error.to_string().replace([',', '(', ')'], "").split(' ').all(is_known), "{error}");
    }
    if !clusters.is_empty() || !buckets.is_empty() || !project_name.is_empty() {
        let cluster = clusters.into_iter().next_back();
        assert_exposed(Readings { project_name, cluster, schedule, buckets, ..Readings::default() });
    }
}

/// Returns the entries of a listing. Checks that they are the same with and without pages, without
/// duplicates, and not more than in the body.
fn list<T: Ord + Debug>(bytes: &[u8], unpaged: Decode<T>, paged: Decode<T>) -> Vec<T> {
    let whole = decoded(|| unpaged(bytes));
    let Some(list) = decoded(|| paged(bytes)) else { return Vec::new() };
    assert_eq!(Some(&list), whole.as_ref());
    if let Some(error) = &list.error {
        assert_single_line(&error.to_string());
    }
    assert!(list.entries.is_sorted_by(|one, next| one < next));
    if let Ok(body) = serde_json::from_slice::<Value>(bytes)
        && let Some(results) = body["results"].as_array()
    {
        assert!(list.entries.len() + usize::from(list.error.is_some()) <= results.len());
    }
    list.entries
}

/// Decodes twice; checks that the outcome is the same, and that an error is one line.
fn decoded<T: PartialEq + Debug>(decode: impl Fn() -> Result<T, Error>) -> Option<T> {
    let outcome = decode();
    assert_eq!(outcome, decode(), "decoded twice");
    outcome.map_err(|error| assert_single_line(&error.to_string())).ok()
}
