//! Listings of several pages that change or fail between two pages.

use serde_json::{Value, json};

use super::jobs;
use super::scenario::{Fault, Metric, Outcome, http, script};
use crate::support::fault_proxy::{FOREVER, Step, send};
use Outcome::{Fails, Succeeds};

/// Jobs of a full page.
const FULL: usize = 500;

/// Returns a job; higher numbers are older.
fn job(number: usize, state: &str) -> Value {
    let (hour, minute) = ((FULL * 2 - number) / 60, (FULL * 2 - number) % 60);
    let mut job = json!({
        "id": format!("65a1f0b2c3d4e5f6{number:08x}"),
        "createdAt": format!("2026-03-02T{hour:02}:{minute:02}:00Z"),
        "state": state,
    });
    if !matches!(state, "Queued" | "InProgress") {
        job["finishedAt"] = json!("2026-03-03T03:04:05Z");
    }
    job
}

fn page(jobs: &[Value], next: bool) -> Vec<Step> {
    let links = if next { json!([{"rel": "next", "href": "/"}]) } else { json!([]) };
    let page = json!({"links": links, "results": jobs, "totalCount": 2 * FULL});
    vec![send(http("200 OK", &[("content-type", "application/json")], page.to_string()))]
}

/// Creates a fault of a full page whose newest job is in `state`, and of a second page.
fn pages(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    state: &'static str,
    second: impl Fn() -> Vec<Step> + Send + Sync + 'static,
) -> Fault {
    script(name, description, outcome, move |head| {
        if head.contains("pageNum=1 ") {
            let rest = (1..FULL).map(|number| job(number, "Successful"));
            let all: Vec<_> = std::iter::once(job(0, state)).chain(rest).collect();
            page(&all, true)
        } else {
            second()
        }
    })
}

pub(super) fn faults() -> Vec<Fault> {
    const ENDED: &[Metric] = &[
        ("jobs", "state=\"InProgress\"", Some(0.0)),
        ("jobs", "state=\"Failed\"", Some(1.0)),
        ("jobs", "state=\"Successful\"", Some(500.0)),
        ("latest_job_state", "state=\"Failed\"", Some(1.0)),
        ("failures_since_last_success", "", Some(1.0)),
    ];
    vec![
        pages(
            "a job that ends between two pages",
            "in progress on the first, failed on the second",
            Succeeds(ENDED),
            "InProgress",
            || page(&[job(0, "Failed"), job(FULL, "Successful")], false),
        ),
        pages(
            "a job that ended, and is older on the second page",
            "failed on the first, in progress on the second",
            Succeeds(ENDED),
            "Failed",
            || page(&[job(0, "InProgress"), job(FULL, "Successful")], false),
        ),
        pages(
            "a repeated page",
            "the second equals the first",
            Succeeds(&[("jobs", "state=\"Successful\"", Some(500.0))]),
            "Successful",
            || page(&(0..FULL - 1).map(|number| job(number, "Successful")).collect::<Vec<_>>(), false),
        ),
        pages("a second page that is refused", "500", Fails("server_error"), "Successful", || {
            vec![send(http("500 Internal Server Error", &[], ""))]
        }),
        pages("a second page that hangs", "no byte", Fails("timeout"), "Successful", || vec![FOREVER]),
        pages(
            "a second page that ends early",
            "the connection is reset in its body",
            Fails("invalid_response"),
            "Successful",
            || vec![send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"results\":["), Step::Reset],
        ),
        pages(
            "a second page that is no listing",
            "an error as 200",
            Fails("invalid_response"),
            "Successful",
            || vec![send(http("200 OK", &[], "{\"error\":500}"))],
        ),
        pages(
            "a second page that is not found",
            "404: the cluster was deleted",
            Fails("not_found"),
            "Successful",
            || vec![send(http("404 Not Found", &[], "{\"error\":404,\"errorCode\":\"CLUSTER_NOT_FOUND\"}"))],
        ),
        pages(
            "a listing that becomes empty",
            "the second page lists nothing",
            Succeeds(&[("jobs", "state=\"Successful\"", Some(500.0))]),
            "Successful",
            || vec![send(http("200 OK", &[], jobs::page(&[])))],
        ),
    ]
}
