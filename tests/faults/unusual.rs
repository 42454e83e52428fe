//! Listings with invalid or unusual values.

use super::bodies::{JSON, body, headed, listing, zipped};
use super::jobs;
use super::scenario::{Fault, Outcome, http, script};
use crate::support::fault_proxy::send;
use Outcome::{Fails, Succeeds};

/// Creates a fault of a listing whose newest job has these fields.
pub(super) fn job(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    fields: &serde_json::Value,
) -> Fault {
    body(name, description, outcome, jobs::with(fields))
}

/// Jobs that cannot be parsed, which fails the whole listing.
pub(super) fn invalid_jobs() -> Vec<Fault> {
    use serde_json::json;
    const BROKEN: Outcome = Fails("invalid_response");
    vec![
        job("a time in words", "`\"createdAt\":\"yesterday\"`", BROKEN, &json!({"createdAt": "yesterday"})),
        job("a time as a number", "`\"createdAt\":1772420645`", BROKEN, &json!({"createdAt": 1_772_420_645})),
        job(
            "a time without zone",
            "`2026-03-02T03:04:05`",
            BROKEN,
            &json!({"createdAt": "2026-03-02T03:04:05"}),
        ),
        job(
            "a time beyond the calendar",
            "the year 99999",
            BROKEN,
            &json!({"createdAt": "99999-01-01T00:00:00Z"}),
        ),
        job(
            "a day that does not exist",
            "the 30th of February",
            BROKEN,
            &json!({"finishedAt": "2026-02-30T00:00:00Z"}),
        ),
        job("a state as a number", "`\"state\":3`", BROKEN, &json!({"state": 3})),
        job("a state as an object", "`\"state\":{}`", BROKEN, &json!({"state": {"name": "Successful"}})),
        job(
            "counts in words",
            "`\"exportedCollections\":\"9\"`",
            BROKEN,
            &json!({"exportStatus": {"exportedCollections": "9"}}),
        ),
        job("a reason as a text", "`\"stateReason\":\"denied\"`", BROKEN, &json!({"stateReason": "denied"})),
        job("an id of a kilobyte", "longer than any id", BROKEN, &json!({"id": "a".repeat(1024)})),
        body("a state twice", "two keys of one name", BROKEN, jobs::with_raw("\"state\":\"Failed\"")),
        body(
            "an infinite count in a job",
            "`\"totalCollections\":1e999`",
            BROKEN,
            jobs::page(&jobs::plain()).replace("\"totalCollections\":105", "\"totalCollections\":1e999"),
        ),
        body("invalid UTF-8 in an id", "0xFF", BROKEN, {
            let page = jobs::page(&jobs::plain()).into_bytes();
            let at = page.windows(4).position(|id| id == b"65a1").unwrap();
            [&page[..at], b"\xff", &page[at + 1..]].concat()
        }),
    ]
}

/// Unusual but valid counts and timestamps.
pub(super) fn unusual_jobs() -> Vec<Fault> {
    use serde_json::json;
    vec![
        job(
            "negative counts",
            "-2147483648 of -2147483648",
            Succeeds(&[
                ("progress_ratio", "", None),
                ("latest_job_collections", "", None),
                ("jobs", "state=\"Successful\"", Some(1.0)),
            ]),
            &json!({"exportStatus": {
                "exportedCollections": -2_147_483_648_i64, "totalCollections": -2_147_483_648_i64,
            }}),
        ),
        job(
            "0 of 0 collections",
            "an export of nothing",
            Succeeds(&[("progress_ratio", "", None), ("latest_job_collections", "", Some(0.0))]),
            &json!({"exportStatus": {"exportedCollections": 0, "totalCollections": 0}}),
        ),
        job(
            "more than all collections",
            "106 of 105",
            Succeeds(&[
                ("latest_job_exported_collections", "", Some(106.0)),
                ("latest_job_collections", "", Some(105.0)),
            ]),
            &json!({"exportStatus": {"exportedCollections": 106, "totalCollections": 105}}),
        ),
        job(
            "counts that are no integers",
            "1.5 of 1e300",
            Succeeds(&[("latest_job_exported_collections", "", None), ("latest_job_collections", "", None)]),
            &json!({"exportStatus": {"exportedCollections": 1.5, "totalCollections": 1e300}}),
        ),
        job(
            "an offset instead of Z",
            "`05:04:05+02:00`",
            Succeeds(&[]),
            &json!({"createdAt": "2026-03-02T05:04:05+02:00"}),
        ),
        job(
            "parts of a second",
            "`03:04:05.250Z`",
            Succeeds(&[("latest_job_created_timestamp_seconds", "", Some(1_772_420_645.25))]),
            &json!({"createdAt": "2026-03-02T03:04:05.250Z"}),
        ),
        job(
            "a job of long ago",
            "the year 1",
            Succeeds(&[("latest_job_state", "state=\"Failed\"", Some(1.0))]),
            &json!({"createdAt": "0001-01-01T00:00:00Z"}),
        ),
        job(
            "a job in the future",
            "the year 2999",
            Succeeds(&[("latest_job_created_timestamp_seconds", "", Some(32_472_144_000.0))]),
            &json!({"createdAt": "2999-01-01T00:00:00Z"}),
        ),
        job(
            "an end before the creation",
            "a day before",
            Succeeds(&[("last_success_duration_seconds", "", None)]),
            &json!({"finishedAt": "2026-03-01T00:00:00Z"}),
        ),
    ]
}

/// Unusual listings of valid jobs.
pub(super) fn unusual_listings() -> Vec<Fault> {
    use serde_json::json;
    vec![
        body(
            "a negative total",
            "`\"totalCount\":-5`",
            Succeeds(&[]),
            jobs::page(&jobs::plain()).replace("\"totalCount\":2", "\"totalCount\":-5"),
        ),
        body(
            "a count that is far too high",
            "`\"totalCount\":1e300`",
            Succeeds(&[]),
            jobs::page(&jobs::plain()).replace("\"totalCount\":2", "\"totalCount\":1e300"),
        ),
        body(
            "no count",
            "no `totalCount`",
            Succeeds(&[]),
            jobs::page(&jobs::plain()).replace("\"totalCount\":2", "\"a\":2"),
        ),
        script(
            "a next page that does not exist",
            "a link to another host, and no more jobs",
            Succeeds(&[]),
            |head| {
                let next = r#"{"rel":"next","href":"http://127.0.0.1:9/elsewhere"}"#;
                let first =
                    jobs::page(&jobs::plain()).replace("\"links\":[]", &format!("\"links\":[{next}]"));
                let page = if head.contains("pageNum=1 ") { first } else { jobs::page(&[]) };
                vec![send(http("200 OK", &[JSON], page))]
            },
        ),
        body(
            "the same job twice",
            "on one page",
            Succeeds(&[]),
            jobs::page(&[jobs::success(), jobs::failure(), jobs::success()]),
        ),
        body("invalid UTF-8 in an unused field", "0xFF in `prefix`", Succeeds(&[]), {
            let page = jobs::with(&json!({"prefix": "here"})).into_bytes();
            let at = page.windows(4).position(|prefix| prefix == b"here").unwrap();
            [&page[..at], b"\xff", &page[at + 1..]].concat()
        }),
        body(
            "jobs with a large field",
            "4 MiB in `customData`",
            Succeeds(&[]),
            jobs::with(&json!({"customData": vec![0; 2 << 20]})),
        ),
        job(
            "a huge reason",
            "a message of 8 MiB",
            Succeeds(&[
                ("failures_since_last_success", "", Some(2.0)),
                ("latest_failure_info", "error_code=\"other\"", Some(1.0)),
            ]),
            &json!({"state": "Failed", "stateReason": {
                "errorCode": "E".repeat(1 << 20), "message": "m".repeat(8 << 20),
            }}),
        ),
        headed("no content type", "the listing alone", Succeeds(&[]), &[], listing()),
        headed(
            "another content type",
            "`text/plain`",
            Succeeds(&[]),
            &[("content-type", "text/plain")],
            listing(),
        ),
        headed(
            "gzip in capitals",
            "`Content-Encoding: X-GZIP`",
            Succeeds(&[]),
            &[JSON, ("content-encoding", "X-GZIP")],
            zipped(listing().as_bytes()),
        ),
    ]
}
