//! Large and endless listings other than the one of jobs, and schedules. No poll fails for them.

use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};

use super::bodies::JSON;
use super::scenario::{Fault, Injection, Outcome, http};
use crate::support::fault_proxy::send;

/// Name of a resource, its path, and its entries by number.
type Resource = (&'static str, &'static str, fn(usize) -> Value);

const CLUSTERS: Resource =
    ("clusters", "/groups/{project}/clusters?", |number| json!({"name": format!("other-{number}")}));
const PROJECTS: Resource = ("projects", "/orgs/", |number| json!({"id": id(number), "name": "other"}));
const SNAPSHOTS: Resource = ("snapshots", "/clusters/{cluster}/backup/snapshots?", |number| {
    let created_at = "2026-01-02T03:04:05Z";
    json!({"id": id(number), "createdAt": created_at, "status": "completed", "frequencyType": "daily"})
});
const EVENTS: Resource = ("events", "/groups/{project}/events?", |number| {
    let kind = "GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING";
    json!({"id": id(number), "created": "2026-01-02T03:04:05Z", "eventTypeName": kind})
});
const BUCKETS: Resource = ("buckets", "/groups/{project}/backup/exportBuckets?", |number| {
    let id = if number == 0 { BUCKET.to_owned() } else { id(number) };
    json!({"_id": id, "bucketName": "b", "cloudProvider": "AWS"})
});

/// Bucket of every policy in the simulator.
const BUCKET: &str = "5f0e5a3b9c1d4e6f8a7b6c5d";

/// A JSON array of 4 MiB.
static LARGE: LazyLock<String> = LazyLock::new(|| format!("[0{}]", ",0".repeat(2 << 20)));

fn id(number: usize) -> String {
    format!("{number:024x}")
}

fn listing(
    name: String,
    description: String,
    path: &'static str,
    body: impl Fn(usize) -> String + Send + Sync + 'static,
) -> Fault {
    let script = move |head: &str| {
        let page = head.split("pageNum=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        vec![send(http("200 OK", &[JSON], body(page.unwrap_or(1))))]
    };
    Fault::new(name, description, Injection::Listing(path, Arc::new(script)), Outcome::Succeeds(&[]))
}

fn large((name, path, entry): Resource) -> Fault {
    listing(format!("{name} with a large field"), "4 MiB that are not used".to_owned(), path, move |_| {
        let mut first = entry(0);
        first["new"] = json!("LARGE");
        json!({"results": [first]}).to_string().replace("\"LARGE\"", &LARGE)
    })
}

/// Creates a fault of an entry with a text that is too long, beside a valid one.
fn long((name, path, entry): Resource, field: &'static str, logged: &'static str) -> Fault {
    let description = format!("`{field}` of 10,000 characters");
    let fault = listing(format!("{name} of long names"), description, path, move |_| {
        let mut long = entry(1);
        long[field] = json!("a".repeat(10_000));
        json!({"results": [entry(0), long]}).to_string()
    });
    fault.logged(logged)
}

/// Creates a fault of full pages without end.
fn endless((name, path, entry): Resource, entries: &'static str, logged: &'static str) -> Fault {
    let fault = listing(format!("endless {name}"), entries.to_owned(), path, move |page| {
        let entries: Vec<_> = (0..500).map(|number| entry(page * 500 + number)).collect();
        json!({"results": entries, "links": [{"rel": "next", "href": "/"}]}).to_string()
    });
    fault.logged(logged)
}

fn schedule(name: &'static str, description: &'static str, body: String) -> Fault {
    listing(name.to_owned(), description.to_owned(), "/clusters/{cluster}/backup/schedule ", move |_| {
        body.clone()
    })
}

pub(super) fn faults() -> Vec<Fault> {
    const ID: &str = "id of more than 64 characters";
    const LONG_EVENTS: Resource = (EVENTS.0, EVENTS.1, |number| {
        let mut event = EVENTS.2(number);
        event["id"] = json!(format!("{number:0>64}").replace('0', "\u{1f512}"));
        event
    });
    let policies = format!("[{{}}{}]", ",{}".repeat(1 << 20));
    vec![
        large(CLUSTERS),
        large(SNAPSHOTS),
        large(EVENTS),
        large(BUCKETS),
        long(CLUSTERS, "name", "name of more than 256 characters"),
        long(EVENTS, "id", ID),
        long(BUCKETS, "_id", ID),
        endless(CLUSTERS, "names of 10 characters", "a listing of more than 50000 entries"),
        endless(PROJECTS, "ids of 24 characters", "a listing of more than 50000 entries"),
        endless(SNAPSHOTS, "ids of 24 characters", "a listing of more than 20000 entries"),
        endless(LONG_EVENTS, "ids of 256 bytes", "a listing of more than 8388608 bytes of names and ids"),
        endless(BUCKETS, "ids of 24 characters", "a listing of more than 1000 entries"),
        schedule(
            "a schedule with endless policies",
            "a million of `{}`",
            format!("{{\"policies\":{policies}}}"),
        )
        .logged("an array of more than 16 entries"),
        schedule(
            "a schedule with a long bucket",
            "`exportBucketId` of 10,000 characters",
            json!({"export": {"exportBucketId": "a".repeat(10_000)}}).to_string(),
        )
        .logged(ID),
    ]
}
