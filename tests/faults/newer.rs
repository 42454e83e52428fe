//! Responses with a newer schema.

use super::bodies::{body, headed, listing};
use super::jobs;
use super::scenario::{Fault, Outcome::Succeeds};
use super::unusual::job;

pub(super) fn schema() -> Vec<Fault> {
    use serde_json::json;
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        job(
            "unknown fields",
            "objects, lists and numbers of new names",
            Succeeds(&[]),
            &json!({"region": {"a": [1, null, {"b": 1e9}]}, "retries": 3, "kind": "INCREMENTAL"}),
        ),
        body(
            "unknown fields of the listing",
            "new names beside `results`",
            Succeeds(&[]),
            jobs::page(&jobs::plain())
                .replace("\"links\":[]", "\"links\":[],\"cursor\":\"abc\",\"total\":{\"a\":1}"),
        ),
        body(
            "a deeply nested unknown field",
            "100,000 nested lists",
            Succeeds(&[]),
            jobs::with_raw(&format!("\"nested\":{nested}")),
        ),
        job(
            "an unknown state",
            "`\"state\":\"Archived\"`",
            Succeeds(&[
                ("latest_job_state", "state=\"Unknown\"", Some(1.0)),
                ("jobs", "state=\"Unknown\"", Some(1.0)),
                ("jobs", "state=\"Successful\"", Some(0.0)),
                ("failures_since_last_success", "", Some(1.0)),
            ]),
            &json!({"state": "Archived"}),
        ),
        job(
            "a state in capitals",
            "`\"state\":\"SUCCESSFUL\"`",
            Succeeds(&[]),
            &json!({"state": "SUCCESSFUL"}),
        ),
        body(
            "no state",
            "the field is missing",
            Succeeds(&[("latest_job_state", "state=\"Unknown\"", Some(1.0))]),
            jobs::without("state"),
        ),
        job(
            "a state of null",
            "`\"state\":null`",
            Succeeds(&[("latest_job_state", "state=\"Unknown\"", Some(1.0))]),
            &json!({"state": null}),
        ),
        body(
            "no time of creation",
            "the field is missing",
            Succeeds(&[
                ("latest_job_state", "state=\"Failed\"", Some(1.0)),
                ("jobs", "state=\"Successful\"", Some(1.0)),
            ]),
            jobs::without("createdAt"),
        ),
        body(
            "no end",
            "`finishedAt` is missing",
            Succeeds(&[
                ("last_finished_timestamp_seconds", "state=\"Successful\"", None),
                ("last_success_duration_seconds", "", None),
            ]),
            jobs::without("finishedAt"),
        ),
        body(
            "no counts",
            "`exportStatus` is missing",
            Succeeds(&[("progress_ratio", "", None)]),
            jobs::without("exportStatus"),
        ),
        body(
            "no id",
            "the field is missing",
            Succeeds(&[("jobs", "state=\"Successful\"", Some(1.0))]),
            jobs::without("id"),
        ),
        headed(
            "a version that ends",
            "`Deprecation` and `Sunset`",
            Succeeds(&[]),
            &[
                ("content-type", "application/vnd.atlas.2023-01-01+json"),
                ("deprecation", "Mon, 02 Mar 2026 00:00:00 GMT"),
                ("sunset", "Tue, 02 Mar 2027 00:00:00 GMT"),
            ],
            listing(),
        ),
        headed(
            "a version that is newer",
            "`Content-Type` of 2031",
            Succeeds(&[]),
            &[("content-type", "application/vnd.atlas.2031-01-01+json;charset=utf-8")],
            listing(),
        ),
    ]
}
