use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::config::{Authorities, Credentials, SecretSource};
use crate::model::{FailureReason, Fold, OrganizationId, ProjectId};
use crate::self_metrics::SelfMetrics;
use atlas_simulator::{Account, AtlasState, Cluster, ORGANIZATION, Project, Scheme, Simulator};

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

/// How often memory is asked for to fold a page, and then to end the reading.
fn allocations(page: &str) -> (u64, u64) {
    let mut fold = Fold::default();
    let folded = allocation_counter::measure(|| {
        fold_page(page.as_bytes(), &mut fold).unwrap();
    });
    let ended = allocation_counter::measure(|| drop(fold.finish()));
    (folded.count_total, ended.count_total)
}

#[test]
fn what_a_page_allocates_does_not_grow_with_its_jobs() {
    let (folded, ended) = allocations(&page(500, 0..0));
    assert!(folded <= 8 && ended <= 8, "{folded} {ended}");
    for other in [page(250, 0..0), page(499, 0..0)] {
        let (less_folded, less_ended) = allocations(&other);
        assert!(folded.abs_diff(less_folded) <= 2 && ended.abs_diff(less_ended) <= 2);
    }
}

#[test]
fn only_the_failures_that_are_kept_allocate() {
    let (twenty, _) = allocations(&page(500, 0..20));
    assert!(twenty > 60, "{twenty}: their texts are not kept");
    let (all, _) = allocations(&page(500, 0..500));
    assert!(all <= twenty + 2, "{all} {twenty}");
}

#[test]
fn a_page_tells_what_is_new_on_it_and_whether_more_follow() {
    let mut fold = Fold::default();
    let (first, again) = (page(3, 0..1), r#"{"results":[{"id":"65a1f0b2c3d4e5f600000000"}]}"#);
    let turned = fold_page(first.as_bytes(), &mut fold).unwrap();
    assert_eq!((turned.fresh, turned.more, turned.promised), (true, true, 9));
    let turned = fold_page(again.as_bytes(), &mut fold).unwrap();
    assert_eq!((turned.fresh, turned.more, turned.promised), (false, false, 0));
    assert_eq!(fold.finish().jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), 3);
}

/// A page of such entries, with more behind it.
fn page_of(entry: impl Fn(usize) -> serde_json::Value, numbers: std::ops::Range<usize>) -> Vec<u8> {
    let next = json!([{"rel": "next", "href": "h"}]);
    let entries: Vec<_> = numbers.map(entry).collect();
    json!({"links": next, "results": entries, "totalCount": 9}).to_string().into_bytes()
}

/// Reads pages that do not end, and returns how many entries were kept, and the error.
fn endless<T: Kept>(read: Read<T>, max: usize, entry: fn(usize) -> serde_json::Value) -> (usize, String) {
    let mut gathered = Gathered::new(read);
    for number in 0.. {
        let page = page_of(entry, number * PAGE_SIZE..(number + 1) * PAGE_SIZE);
        if let Err(error) = gathered.turn(&page, max) {
            assert_eq!(error.reason(), FailureReason::TooLarge);
            return (Collect::entries(&gathered), error.to_string());
        }
    }
    unreachable!()
}

#[test]
fn endless_listing_ends_at_a_bound_that_is_named() {
    let entries = |max: usize| format!("the answer is too large: a listing of more than {max} entries");
    let bytes =
        format!("the answer is too large: a listing of more than {MAX_KEPT_BYTES} bytes of names and ids");
    let cluster = |number: usize| json!({"name": format!("prod-{number}")});
    assert_eq!(endless(wire::Cluster::read, 1234, cluster), (1235, entries(1234)));
    let deleted = |number: usize| json!({"name": "a", "id": number.to_string(), "stateName": "DELETED"});
    assert_eq!(endless(wire::Cluster::read, 1234, deleted), (1235, entries(1234)));
    let project = |number: usize| json!({"id": format!("{number:024x}")});
    assert_eq!(endless(wire::ListedProject::read, 1234, project), (1235, entries(1234)));
    let bucket = |number: usize| json!({"_id": format!("{number:024x}")});
    assert_eq!(endless(wire::Bucket::read, MAX_BUCKETS, bucket), (MAX_BUCKETS + 1, entries(MAX_BUCKETS)));
    let event = |number: usize| json!({"id": format!("{number:024x}"), "created": "2026-01-02T03:04:05Z", "eventTypeName": "E"});
    assert_eq!(endless(wire::Event::read, 1234, event), (1235, entries(1234)));
    let snapshot = |number: usize| json!({"id": format!("{number:024x}"), "status": "queued"});
    assert_eq!(endless(wire::Snapshot::read, 1234, snapshot), (1235, entries(1234)));

    let long = |number: usize| json!({"name": format!("{number:0>256}").replace('0', "\u{1f512}")});
    let (kept, error) = endless(wire::Cluster::read, MAX_ENTRIES, long);
    assert!(error == bytes && kept > 7000 && kept < MAX_ENTRIES / 2, "{kept} {error}");
}

#[test]
fn endless_jobs_end_at_a_bound_that_is_named() {
    let job = |number: usize| json!({"id": format!("{number:024x}"), "createdAt": "2026-01-02T03:04:05Z"});
    let mut fold = Fold::default();
    let error = (0..).find_map(|page| {
        let numbers = page * PAGE_SIZE..(page + 1) * PAGE_SIZE;
        fold_page(&page_of(job, numbers), &mut fold).err()
    });
    let expected = format!("a listing of more than {MAX_ENTRIES} entries");
    assert_eq!(error, Some(Error::TooLarge(expected)));
    assert_eq!(fold.jobs(), MAX_ENTRIES as u64 + 1);
    assert!(fold.kept_bytes() <= MAX_KEPT_BYTES, "the bound of bytes is met first");
}

#[test]
fn malformed_entry_costs_itself_and_keeps_nothing() {
    let mut gathered = Gathered::new(wire::Cluster::read);
    let cluster = |number: usize| match number {
        0 => json!({"name": "prod", "labels": [{"key": "\u{1}".repeat(9), "value": {"a": [1e300, null]}}]}),
        1 => json!({"name": "a".repeat(257)}),
        2 => json!("prod"),
        _ => json!({"name": "paused", "paused": "x".repeat(9)}),
    };
    let turned = gathered.turn(&page_of(cluster, 0..4), MAX_ENTRIES).unwrap();
    assert!(turned.fresh && turned.kept < 200, "{turned:?}");
    let turned = gathered.turn(&page_of(cluster, 1..4), MAX_ENTRIES).unwrap();
    assert!(!turned.fresh, "{turned:?}");
    let listing = gathered.listing(9).unwrap();
    assert_eq!(listing.found.iter().map(|cluster| &*cluster.name).collect::<Vec<_>>(), ["prod"]);
    assert!(listing.flaw.unwrap().to_string().contains("name of more than 256 characters"));
}

/// A client of a simulated Atlas.
fn client(simulator: &Simulator) -> Atlas {
    let base = simulator.url().parse().unwrap();
    let metrics = Arc::new(SelfMetrics::new(&crate::atlas::ENDPOINTS, jiff::Timestamp::now()));
    let origin = || "test".to_owned();
    let credentials = Credentials::ServiceAccount {
        client_id: "mdb_sa_id_1".to_owned(),
        origin: origin(),
        client_secret: SecretSource::Inline { secret: "mdb_sa_sk_1".into(), origin: origin() },
        expires_at: None,
    };
    Atlas::new(&base, &Authorities::default(), None, &credentials, metrics).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_organization_needs_half_of_each_bound() {
    const PROJECTS: usize = 5000;
    const CLUSTERS: usize = 10_000;
    let id = |number: usize| format!("{number:024x}");
    let mut world = AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", "mdb_sa_sk_1")],
        ..AtlasState::default()
    };
    world.projects.extend((0..PROJECTS).map(|number| (id(number), Project::new(&format!("{number:0>64}")))));
    let all = world.projects.get_mut(&id(0)).unwrap();
    all.clusters.extend((0..CLUSTERS).map(|number| (format!("{number:0>64}"), Cluster::default())));
    let simulator = Simulator::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), world).unwrap();
    let atlas = client(&simulator);
    let deadline = Instant::now() + Duration::from_secs(30);
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    let projects = atlas.projects(&organization, deadline).await.unwrap().complete().unwrap();
    let project = ProjectId::parse(&id(0)).unwrap();
    let clusters = atlas.clusters(&project, deadline).await.unwrap().complete().unwrap();
    assert_eq!((projects.len(), clusters.len()), (PROJECTS, CLUSTERS));
    let bytes = |of: usize, texts: usize| of * gathered::ENTRY_OVERHEAD + texts;
    let of_projects =
        bytes(PROJECTS, size_of_val(&*projects) + projects.iter().map(Kept::text_bytes).sum::<usize>());
    let of_clusters =
        bytes(CLUSTERS, size_of_val(&*clusters) + clusters.iter().map(Kept::text_bytes).sum::<usize>());
    assert!(of_projects.max(of_clusters) <= MAX_KEPT_BYTES / 2, "{of_projects} {of_clusters}");
    assert!(PROJECTS.max(CLUSTERS) <= MAX_ENTRIES / 2);
    let pages = simulator.state().requests.iter().filter(|seen| seen.line.contains("pageNum=")).count();
    assert!(pages <= MAX_PAGES / 2, "{pages} pages");
}

/// The most memory that `read` has at once, in bytes.
fn peak<T>(read: impl FnOnce() -> T) -> u64 {
    allocation_counter::measure(|| drop(read())).bytes_max
}

/// A body of 1 MiB: `begin`, then `unit` again and again, then `end`.
fn large(begin: &str, unit: &str, end: &str) -> Vec<u8> {
    let mut body = (begin.to_owned() + &unit.repeat((1 << 20) / unit.len()) + end).into_bytes();
    wire::shorten(&mut body).unwrap();
    body
}

type Decode<'a> = &'a dyn Fn(&[u8]) -> Result<(), Error>;

#[test]
fn large_answer_is_read_in_little_memory() {
    const MAX_PEAK: u64 = 256 * 1024;
    fn page<T: Kept>(read: Read<T>, body: &[u8]) -> Result<(), Error> {
        Gathered::new(read).turn(body, MAX_ENTRIES).map(drop)
    }
    let cluster = |body: &[u8]| page(wire::Cluster::read, body);
    let snapshot = |body: &[u8]| page(wire::Snapshot::read, body);
    let jobs = |body: &[u8]| fold_page(body, &mut Fold::default()).map(drop);
    let schedule = |body: &[u8]| wire::decode::<wire::Schedule>(body).map(drop);
    let project = |body: &[u8]| wire::decode::<wire::Project>(body).map(drop);
    let whole = |body: &[u8]| whole(body, wire::Snapshot::read).map(drop);
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
    let peak = peak(|| Error::answer(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body));
    assert!(peak < MAX_PEAK, "an error: {peak} bytes");
}

#[test]
fn text_that_is_cut_keeps_no_more_memory_than_it_has() {
    let project = |number: usize| json!({"id": format!("{number:024x}"), "name": "a".repeat(9000)});
    let body = page_of(project, 0..PAGE_SIZE);
    let mut gathered = Gathered::new(wire::ListedProject::read);
    let kept = allocation_counter::measure(|| drop(gathered.turn(&body, MAX_ENTRIES))).bytes_current;
    let told = Collect::kept_bytes(&gathered);
    assert!(usize::try_from(kept).unwrap() < 2 * told, "{kept} bytes instead of {told}");
}
