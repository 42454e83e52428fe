use std::ops::Range;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::outcome::MAX_KEPT_BYTES;
use super::*;
use crate::MAX_BUCKETS;
use crate::error::FailureReason;
use crate::types::{self, *};

type NamedProject = (ProjectId, Option<String>);

/// Returns a page of entries with a link to the next one.
fn page_of(entry: impl Fn(usize) -> Value, numbers: Range<usize>) -> Vec<u8> {
    let next = json!([{"rel": "next", "href": "h"}]);
    let entries: Vec<_> = numbers.map(entry).collect();
    json!({"links": next, "results": entries, "totalCount": 9}).to_string().into_bytes()
}

/// Reads an endless listing; returns the number of kept entries and the error.
fn endless<T: ListEntry>(max: usize, entry: fn(usize) -> Value) -> (usize, String) {
    let mut builder = ListBuilder::<T>::default();
    for number in 0.. {
        let page = page_of(entry, number * MAX_PAGE_SIZE..(number + 1) * MAX_PAGE_SIZE);
        if let Err(error) = builder.read_page(&page, max) {
            assert_eq!(error.reason(), FailureReason::TooLarge);
            return (builder.len(), error.to_string());
        }
    }
    unreachable!()
}

#[test]
fn endless_listing_ends_at_a_bound_that_is_named() {
    let entries =
        |max: usize| format!("response from Atlas is too large: a listing of more than {max} entries");
    let bytes = format!(
        "response from Atlas is too large: a listing of more than {MAX_KEPT_BYTES} bytes of names and ids"
    );
    let cluster = |number: usize| json!({"name": format!("prod-{number}")});
    assert_eq!(endless::<ListedCluster>(1234, cluster), (1500, entries(1234)));
    let deleted = |number: usize| json!({"name": "a", "id": number.to_string(), "stateName": "DELETED"});
    assert_eq!(endless::<ListedCluster>(1234, deleted), (1500, entries(1234)));
    let project = |number: usize| json!({"id": format!("{number:024x}")});
    assert_eq!(endless::<NamedProject>(1234, project), (1500, entries(1234)));
    let bucket = |number: usize| json!({"_id": format!("{number:024x}")});
    assert_eq!(
        endless::<ExportBucket>(MAX_BUCKETS, bucket),
        (MAX_BUCKETS + MAX_PAGE_SIZE, entries(MAX_BUCKETS))
    );
    let event = |number: usize| {
        let id = format!("{number:024x}");
        json!({"id": id, "created": "2026-01-02T03:04:05Z", "eventTypeName": "E"})
    };
    assert_eq!(endless::<ProjectEvent>(1234, event), (1500, entries(1234)));
    let snapshot = |number: usize| json!({"id": format!("{number:024x}"), "status": "queued"});
    assert_eq!(endless::<Snapshot>(1234, snapshot), (1500, entries(1234)));

    let long = |number: usize| json!({"name": format!("{number:0>256}").replace('0', "\u{1f512}")});
    let (kept, error) = endless::<ListedCluster>(MAX_ENTRIES, long);
    assert!(error == bytes && kept > 7000 && kept < MAX_ENTRIES / 2, "{kept} {error}");
}

#[test]
fn malformed_entry_costs_itself_and_keeps_nothing() {
    let mut builder = ListBuilder::<ListedCluster>::default();
    let cluster = |number: usize| match number {
        0 => json!({"name": "prod", "labels": [{"key": "\u{1}".repeat(9), "value": {"a": [1e300, null]}}]}),
        1 => json!({"name": "a".repeat(257)}),
        2 => json!("prod"),
        _ => json!({"name": "paused", "paused": "x".repeat(9)}),
    };
    let read = builder.read_page(&page_of(cluster, 0..4), MAX_ENTRIES).unwrap();
    assert!(read.has_new && read.kept_bytes < 200, "{read:?}");
    let read = builder.read_page(&page_of(cluster, 1..4), MAX_ENTRIES).unwrap();
    assert!(!read.has_new, "{read:?}");
    let listing = builder.finish(9).unwrap();
    assert_eq!(listing.entries.iter().map(|cluster| &*cluster.name).collect::<Vec<_>>(), ["prod"]);
    assert!(listing.error.unwrap().to_string().contains("name of more than 256 characters"));
}

#[test]
fn large_organization_needs_half_of_each_limit() {
    fn kept<T: ListEntry>(count: usize, entry: fn(usize) -> Value) -> usize {
        let mut builder = ListBuilder::<T>::default();
        for first in (0..count).step_by(MAX_PAGE_SIZE) {
            builder.read_page(&page_of(entry, first..first + MAX_PAGE_SIZE), MAX_ENTRIES).unwrap();
        }
        assert_eq!(builder.len(), count);
        assert!(count <= MAX_ENTRIES / 2 && count / MAX_PAGE_SIZE <= MAX_PAGES / 2);
        builder.kept_bytes
    }
    let projects = kept::<NamedProject>(
        5000,
        |number| json!({"id": format!("{number:024x}"), "name": format!("{number:0>64}")}),
    );
    let clusters = kept::<ListedCluster>(10_000, |number| json!({"name": format!("{number:0>64}")}));
    assert!(projects.max(clusters) <= MAX_KEPT_BYTES / 2, "{projects} {clusters}");
}

/// Returns the peak memory of `read` in bytes.
fn peak<T>(read: impl FnOnce() -> T) -> u64 {
    allocation_counter::measure(|| drop(read())).bytes_max
}

/// Returns a body of 1 MiB: `begin`, repetitions of `unit`, and `end`.
fn large(begin: &str, unit: &str, end: &str) -> Vec<u8> {
    let mut body = (begin.to_owned() + &unit.repeat((1 << 20) / unit.len()) + end).into_bytes();
    shorten(&mut body).unwrap();
    body
}

type Decode<'a> = &'a dyn Fn(&[u8]) -> Result<(), Error>;

#[test]
fn large_answer_is_read_in_little_memory() {
    const MAX_PEAK: u64 = 256 * 1024;
    fn page<T: ListEntry>(body: &[u8]) -> Result<(), Error> {
        ListBuilder::<T>::default().read_page(body, MAX_ENTRIES).map(drop)
    }
    let cluster = page::<ListedCluster>;
    let snapshot = page::<Snapshot>;
    let jobs = |body: &[u8]| decode_jobs(body).map(drop);
    let schedule = |body: &[u8]| types::decode::<Schedule>(body).map(drop);
    let project = |body: &[u8]| types::decode::<Project>(body).map(drop);
    let whole = |body: &[u8]| decode_list::<Snapshot>(body).map(drop);
    let cases: [(&str, Decode<'_>, [&str; 3]); 14] = [
        ("unread objects", &cluster, [r#"{"results":[{"name":"a","new":["#, r#"{"a":[1]},"#, "0]}]}"]),
        ("unread text", &cluster, [r#"{"results":[{"name":"a","new":""#, r"\u0085", r#""}]}"#]),
        ("specs", &cluster, [r#"{"results":[{"name":"a","replicationSpecs":["#, "{},", "{}]}]}"]),
        ("regions", &cluster, [r#"{"results":[{"replicationSpecs":[{"regionConfigs":["#, "{},", "{}]}]}]}"]),
        ("policy items", &snapshot, [r#"{"results":[{"id":"a","policyItems":["#, r#""","#, r#"""]}]}"#]),
        ("policies", &schedule, [r#"{"policies":["#, "{},", "{}]}"]),
        ("items of policies", &schedule, [r#"{"policies":[{"policyItems":["#, "{},", "{}]}]}"]),
        ("links", &jobs, [r#"{"results":[],"links":["#, "{},", "{}]}"]),
        (
            "a text instead of a flag",
            &cluster,
            [r#"{"results":[{"name":"a","paused":""#, "\u{85}", r#""}]}"#],
        ),
        ("a text instead of a listing", &jobs, [r#"{"results":""#, "\u{85}", r#""}"#]),
        ("a text instead of a job", &jobs, [r#"{"results":[""#, r"\u0085", r#""]}"#]),
        ("a time", &jobs, [r#"{"results":[{"createdAt":""#, r"\u0085", r#""}]}"#]),
        ("a project's name", &project, [r#"{"name":""#, r"\u00e4", r#""}"#]),
        ("a list without pages", &whole, [r#"{"results":[],"new":["#, "{},", "{}]}"]),
    ];
    for (what, read, [begin, unit, end]) in cases {
        let body = large(begin, unit, end);
        let peak = peak(|| read(&body));
        assert!(peak < MAX_PEAK, "{what}: {peak} bytes");
    }
    let body = large(r#"{"errorCode":"E","parameters":["#, "0,", "0]}");
    let peak = peak(|| Error::response(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body));
    assert!(peak < MAX_PEAK, "an error: {peak} bytes");
}

#[test]
fn text_that_is_cut_keeps_no_more_memory() {
    let project = |number: usize| json!({"id": format!("{number:024x}"), "name": "a".repeat(9000)});
    let body = page_of(project, 0..MAX_PAGE_SIZE);
    let mut builder = ListBuilder::<NamedProject>::default();
    let kept = allocation_counter::measure(|| drop(builder.read_page(&body, MAX_ENTRIES))).bytes_current;
    let counted = builder.kept_bytes;
    assert!(usize::try_from(kept).unwrap() < 2 * counted, "{kept} bytes instead of {counted}");
}
