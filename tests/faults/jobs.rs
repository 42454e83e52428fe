//! Listing of every cluster, and variants of it.

use serde_json::{Value, json};

/// Returns the newest job, which succeeded.
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

/// Returns the job of the day before, which failed.
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

/// Returns a listing of one page.
pub(super) fn page(jobs: &[Value]) -> String {
    json!({"links": [], "results": jobs, "totalCount": jobs.len()}).to_string()
}

/// Returns the listing with added or replaced fields of its newest job.
pub(super) fn with(fields: &Value) -> String {
    let mut newest = success();
    for (name, value) in fields.as_object().unwrap() {
        newest[name] = value.clone();
    }
    page(&[newest, failure()])
}

/// Returns the listing with a raw JSON field added to its newest job.
pub(super) fn with_raw(field: &str) -> String {
    let newest = success().to_string();
    page(&plain()).replace(&newest, &format!("{},{field}}}", newest.trim_end_matches('}')))
}

/// Returns the listing without a field of its newest job.
pub(super) fn without(field: &str) -> String {
    let mut newest = success();
    newest.as_object_mut().unwrap().remove(field);
    page(&[newest, failure()])
}
