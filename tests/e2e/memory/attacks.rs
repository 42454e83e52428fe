//! Large and endless responses.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use Response::{Each, Same, Stalls};

/// Nearly the size that a body may have.
pub(super) const LARGE_BODY: usize = 15 << 20;

/// Response to requests whose first line contains the path.
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) response: Response,
}

pub(super) enum Response {
    /// The same response each time.
    Same(fn() -> Vec<u8>),
    /// The same response each time, without an end.
    Stalls(fn() -> Vec<u8>),
    /// Another response for each request, by its number.
    Each(fn(usize) -> Vec<u8>),
}

/// Resources of the hostile project and organization.
pub(super) const EXPORTS: &str = "0bad/clusters/bad/backup/exports";
pub(super) const SNAPSHOTS: &str = "0bad/clusters/bad/backup/snapshots";
pub(super) const SCHEDULE: &str = "0bad/clusters/bad/backup/schedule";
pub(super) const CLUSTERS: &str = "0bad/clusters?";
pub(super) const NAME: &str = "0bad HTTP";
pub(super) const EVENTS: &str = "0bad/events";
pub(super) const BUCKETS: &str = "0bad/backup/exportBuckets";
pub(super) const CROWD: &str = "0bad/clusters/bad-";
pub(super) const PROJECTS: &str = "0d0d/groups";

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "export jobs: pages of active jobs without end",
        path: EXPORTS,
        response: Each(active_jobs),
    },
    Attack { name: "export jobs: a large field that is not read", path: EXPORTS, response: Same(unread) },
    Attack { name: "export jobs: long ids", path: EXPORTS, response: Each(|n| jobs(n, 500, 30_000)) },
    Attack { name: "export jobs: pages without end", path: EXPORTS, response: Each(|n| jobs(n, 500, 24)) },
    Attack {
        name: "export jobs: failures with messages of 700 KB",
        path: EXPORTS,
        response: Each(long_failures),
    },
    Attack { name: "export jobs: a body that stalls at 15 MiB", path: EXPORTS, response: Stalls(stalled) },
    Attack { name: "export jobs: a text of 15 MiB with escapes", path: EXPORTS, response: Same(escapes) },
    Attack { name: "export jobs: gzip that hardly shrinks", path: EXPORTS, response: Same(noise) },
    Attack { name: "export jobs: a head without end", path: EXPORTS, response: Stalls(endless_head) },
    Attack { name: "export jobs: an error without end", path: EXPORTS, response: Stalls(endless_error) },
    Attack { name: "snapshots: a large field that is not read", path: SNAPSHOTS, response: Same(unread) },
    Attack { name: "snapshots: policy items without end", path: SNAPSHOTS, response: Same(policy_items) },
    Attack { name: "snapshots: pages without end", path: SNAPSHOTS, response: Each(snapshots) },
    Attack { name: "schedule: a large field that is not read", path: SCHEDULE, response: Same(unread) },
    Attack { name: "schedule: policies without end", path: SCHEDULE, response: Same(policies) },
    Attack { name: "clusters: a large field that is not read", path: CLUSTERS, response: Same(unread) },
    Attack {
        name: "clusters: large entries that are not read",
        path: CLUSTERS,
        response: Same(unread_entries),
    },
    Attack { name: "clusters: names of 30 KB", path: CLUSTERS, response: Each(|n| clusters(n, 30_000)) },
    Attack {
        name: "clusters: shared ones without end",
        path: CLUSTERS,
        response: Each(|n| clusters(n, 200)),
    },
    Attack { name: "clusters: regions without end", path: CLUSTERS, response: Same(regions) },
    Attack { name: "project: a name of 15 MiB", path: NAME, response: Same(long_name) },
    Attack { name: "project: a large field that is not read", path: NAME, response: Same(unread) },
    Attack { name: "projects: a large field that is not read", path: PROJECTS, response: Same(unread) },
    Attack { name: "projects: names of 30 KB, pages without end", path: PROJECTS, response: Each(projects) },
    Attack { name: "projects: links without end", path: PROJECTS, response: Same(links) },
    Attack { name: "events: a large field that is not read", path: EVENTS, response: Same(unread) },
    Attack { name: "events: pages without end", path: EVENTS, response: Each(events) },
    Attack { name: "buckets: a large field that is not read", path: BUCKETS, response: Same(unread) },
    Attack { name: "buckets: names of 30 KB, pages without end", path: BUCKETS, response: Each(buckets) },
];

/// Attacks by many clusters at the same time.
pub(super) const CROWDS: &[(Attack, usize)] = &[
    (Attack { name: "clusters whose bodies stall at 15 MiB", path: CROWD, response: Stalls(stalled) }, 60),
    (Attack { name: "clusters whose bodies stall at 511 KiB", path: CROWD, response: Stalls(half) }, 500),
    (Attack { name: "clusters whose heads have no end", path: CROWD, response: Stalls(endless_head) }, 500),
];

fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n").into_bytes()
}

fn plain(body: &str) -> Vec<u8> {
    [&head("")[..], body.as_bytes()].concat()
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(head("content-encoding: gzip\r\n"), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// Repeats `item` with commas until a body is full.
fn many(item: &str) -> String {
    vec![item; LARGE_BODY / (item.len() + 1)].join(",")
}

fn unread() -> Vec<u8> {
    let body = |items| format!(r#"{{"name":"n","results":[],"unread":[{items}]}}"#);
    zipped(body(many("[]")).as_bytes())
}

fn unread_entries() -> Vec<u8> {
    let entry = |items| format!(r#"{{"results":[{{"name":"a","backupEnabled":false,"unread":[{items}]}}]}}"#);
    zipped(entry(many(r#"{"":0}"#)).as_bytes())
}

fn policy_items() -> Vec<u8> {
    let entry = |items| {
        let id = r#""id":"65a1f0b2c3d4e5f60718293a","createdAt":"2026-01-02T03:04:05Z""#;
        format!(r#"{{"results":[{{{id},"status":"completed","policyItems":[{items}]}}]}}"#)
    };
    zipped(entry(many("\"\"")).as_bytes())
}

fn policies() -> Vec<u8> {
    let body = |items| {
        let export = r#""autoExportEnabled":true,"export":{"frequencyType":"daily"}"#;
        format!(r#"{{{export},"policies":[{{"policyItems":[{items}]}}]}}"#)
    };
    zipped(body(many("{}")).as_bytes())
}

fn regions() -> Vec<u8> {
    let body = |items| {
        let cluster = r#""name":"a","backupEnabled":false"#;
        format!(r#"{{"results":[{{{cluster},"replicationSpecs":[{{"regionConfigs":[{items}]}}]}}]}}"#)
    };
    zipped(body(many("{}")).as_bytes())
}

fn links() -> Vec<u8> {
    let body = |items| format!(r#"{{"results":[],"links":[{items}]}}"#);
    zipped(body(many("{}")).as_bytes())
}

fn long_name() -> Vec<u8> {
    let body = |items| format!(r#"{{"name":"{items}"}}"#);
    zipped(body("n".repeat(LARGE_BODY)).as_bytes())
}

fn escapes() -> Vec<u8> {
    let body = |items| format!(r#"{{"results":[{{"id":"a","state":"{items}"}}]}}"#);
    zipped(body("\\n".repeat(LARGE_BODY / 2)).as_bytes())
}

fn noise() -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..LARGE_BODY / 2).flat_map(|_| format!("{:02x}", fastrand::u8(..)).into_bytes()).collect();
    zipped(&[b"{\"a\":\"", &bytes[..], b"\",\"results\":[]}"].concat())
}

fn stalled() -> Vec<u8> {
    plain(&" ".repeat(LARGE_BODY))
}

fn half() -> Vec<u8> {
    plain(&" ".repeat(511 << 10))
}

fn endless_head() -> Vec<u8> {
    ["HTTP/1.1 200 OK\r\nx-long: ".as_bytes(), &b"a".repeat(LARGE_BODY)].concat()
}

fn endless_error() -> Vec<u8> {
    ["HTTP/1.1 503 x\r\n\r\n{\"detail\":\"".as_bytes(), &b"a".repeat(LARGE_BODY)].concat()
}

/// Returns a page with a next one.
fn page(items: &[String]) -> Vec<u8> {
    zipped(format!(r#"{{"links":[{{"rel":"next"}}],"results":[{}]}}"#, items.join(",")).as_bytes())
}

/// Returns unique numbers of the entries of a page.
fn numbers(request: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| request * 1000 + index)
}

fn job(id: usize, padding: usize, rest: &str) -> String {
    format!(
        r#"{{"id":"{id:0padding$x}","snapshotId":"{id:024x}","createdAt":"2026-01-02T03:04:05Z",{rest}}}"#
    )
}

fn jobs(request: usize, count: usize, padding: usize) -> Vec<u8> {
    let rest = r#""state":"Successful","finishedAt":"2026-01-02T03:04:05Z""#;
    page(&numbers(request, count).map(|id| job(id, padding, rest)).collect::<Vec<_>>())
}

fn active_jobs(request: usize) -> Vec<u8> {
    let rest = r#""state":"InProgress","exportStatus":{"exportedCollections":1,"totalCollections":2}"#;
    page(&numbers(request, 500).map(|id| job(id, 24, rest)).collect::<Vec<_>>())
}

fn long_failures(request: usize) -> Vec<u8> {
    let text = "long ".repeat(140_000);
    let rest = format!(r#""state":"Failed","stateReason":{{"errorCode":"E{request}","message":"{text}"}}"#);
    let jobs: Vec<_> = numbers(request, 20).map(|id| job(id, 24, &rest)).collect();
    zipped(format!(r#"{{"results":[{}]}}"#, jobs.join(",")).as_bytes())
}

fn snapshots(request: usize) -> Vec<u8> {
    let rest = r#""status":"completed","frequencyType":"daily""#;
    page(&numbers(request, 500).map(|id| job(id, 24, rest)).collect::<Vec<_>>())
}

fn clusters(request: usize, length: usize) -> Vec<u8> {
    let provider = r#"[{"regionConfigs":[{"providerName":"TENANT"}]}]"#;
    let cluster =
        |id| format!(r#"{{"id":"{id:024x}","name":"{id:0length$x}","replicationSpecs":{provider}}}"#);
    page(&numbers(request, 500).map(cluster).collect::<Vec<_>>())
}

fn projects(request: usize) -> Vec<u8> {
    let name = "n".repeat(30_000);
    let project = |id| format!(r#"{{"id":"none-{id}","name":"{name}"}}"#);
    page(&numbers(request, 500).map(project).collect::<Vec<_>>())
}

fn events(request: usize) -> Vec<u8> {
    let event = |id| {
        format!(
            r#"{{"id":"{id:024x}","created":"2026-01-02T03:04:05Z","eventTypeName":"CPS_EXPORT_FAILED"}}"#
        )
    };
    page(&numbers(request, 500).map(event).collect::<Vec<_>>())
}

fn buckets(request: usize) -> Vec<u8> {
    let name = "n".repeat(30_000);
    let bucket = |id| format!(r#"{{"_id":"{id:024x}","bucketName":"{name}","cloudProvider":"AWS"}}"#);
    page(&numbers(request, 500).map(bucket).collect::<Vec<_>>())
}
