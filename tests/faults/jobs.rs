//! The listing of every cluster, and what is told instead of it.

use serde_json::{Value, json};

/// The job that succeeded, which is the newest.
pub(super) fn success() -> Value {
    json!({
        "id": "65a1f0b2c3d4e5f607182931",
        "snapshotId": "75a1f0b2c3d4e5f607182931",
        "exportBucketId": "5f0e5a3b9c1d4e6f8a7b6c5d",
        "createdAt": "2026-03-02T03:04:05Z",
        "finishedAt": "2026-03-02T03:24:05Z",
        "state": "Successful",
        "exportStatus": {"exportedCollections": 105, "totalCollections": 105},
    })
}

/// The job that failed a day before.
pub(super) fn failure() -> Value {
    json!({
        "id": "65a1f0b2c3d4e5f607182930",
        "snapshotId": "75a1f0b2c3d4e5f607182930",
        "exportBucketId": "5f0e5a3b9c1d4e6f8a7b6c5d",
        "createdAt": "2026-03-01T03:04:05Z",
        "finishedAt": "2026-03-01T03:24:05Z",
        "state": "Failed",
        "exportStatus": {"exportedCollections": 52, "totalCollections": 105},
        "stateReason": {"errorCode": "EXPORT_FAILED", "message": "The bucket cannot be written to."},
    })
}

pub(super) fn plain() -> [Value; 2] {
    [success(), failure()]
}

/// The only page of a listing.
pub(super) fn page(jobs: &[Value]) -> String {
    json!({"links": [], "results": jobs, "totalCount": jobs.len()}).to_string()
}

/// The listing of every cluster, whose newest job has `fields` besides or instead of its own.
pub(super) fn with(fields: &Value) -> String {
    let mut newest = success();
    for (name, value) in fields.as_object().unwrap() {
        newest[name] = value.clone();
    }
    page(&[newest, failure()])
}

/// The same, a field being written as it is.
pub(super) fn with_raw(field: &str) -> String {
    let newest = success().to_string();
    page(&plain()).replace(&newest, &format!("{},{field}}}", newest.trim_end_matches('}')))
}

/// The listing without a field of its newest job.
pub(super) fn without(field: &str) -> String {
    let mut newest = success();
    newest.as_object_mut().unwrap().remove(field);
    page(&[newest, failure()])
}
