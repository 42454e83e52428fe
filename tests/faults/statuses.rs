//! Status codes of Atlas and of proxies.

use std::time::Duration;

use super::jobs;
use super::scenario::{Fault, Impact, Outcome, Recovery, UNSIZED, header, http, script};
use crate::support::fault_proxy::{FOREVER, Step, send};
use Outcome::{Fails, Succeeds};

/// Returns an error body of Atlas that repeats the credentials of the request.
fn body(status: &str, code: &str, head: &str) -> String {
    let (number, reason) = status.split_once(' ').unwrap();
    let detail = format!("Authorization: {} is invalid.", header(head, "authorization"));
    let number: u16 = number.parse().unwrap();
    serde_json::json!({
        "error": number, "reason": reason, "errorCode": code, "detail": detail, "parameters": [],
    })
    .to_string()
}

/// Creates a fault of `status` with an error body of Atlas.
fn refused(
    status: &'static str,
    code: &'static str,
    headers: &'static [(&'static str, &'static str)],
    reason: &'static str,
) -> Fault {
    let suffix = headers.first().map(|(_, value)| format!(", {value}")).unwrap_or_default();
    let name = format!("{} {code}{suffix}", status.split(' ').next().unwrap());
    let description = match headers {
        [] => "an error of Atlas".to_owned(),
        [(name, value), ..] => format!("an error of Atlas with `{name}: {value}`"),
    };
    script(name, description, Fails(reason), move |head| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        vec![send(http(status, &headers, body(status, code, head)))]
    })
}

/// Creates a fault of `status` with an HTML page.
fn page(status: &'static str, reason: &'static str) -> Fault {
    let number = status.split(' ').next().unwrap();
    script(format!("{number} with a page"), "HTML", Fails(reason), move |head| {
        let page = format!("<html><h1>{status}</h1><pre>{head}</pre>").repeat(3);
        vec![send(http(status, &[("content-type", "text/html")], page))]
    })
}

/// Creates a fault of `status` without a body.
fn bare(
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    reason: &'static str,
) -> Fault {
    let number = status.split(' ').next().unwrap();
    script(format!("{number} without a body"), "the status alone", Fails(reason), move |_| {
        vec![send(http(status, headers, ""))]
    })
}

/// Creates a fault of interim responses before the listing.
fn after(name: &'static str, description: &'static str, before: &'static str) -> Fault {
    script(name, description, Succeeds(&[]), move |_| {
        let listing = http("200 OK", &[("content-type", "application/json")], jobs::page(&jobs::plain()));
        vec![send([before.as_bytes(), &listing].concat())]
    })
}

pub(super) fn refusals() -> Vec<Fault> {
    vec![
        refused("400 Bad Request", "VALIDATION_ERROR", &[], "bad_request"),
        refused("400 Bad Request", "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", &[], "bad_request"),
        refused("401 Unauthorized", "UNEXPECTED_ERROR", &[], "unauthorized"),
        refused("401 Unauthorized", "USER_UNAUTHORIZED", &[], "forbidden"),
        refused("403 Forbidden", "USER_UNAUTHORIZED", &[], "forbidden"),
        refused("403 Forbidden", "IP_ADDRESS_NOT_ON_ACCESS_LIST", &[], "forbidden"),
        page("403 Forbidden", "forbidden"),
        refused("404 Not Found", "CLUSTER_NOT_FOUND", &[], "not_found"),
        refused("404 Not Found", "GROUP_NOT_FOUND", &[], "not_found"),
        page("404 Not Found", "not_found"),
        refused("405 Method Not Allowed", "METHOD_NOT_ALLOWED", &[], "bad_request"),
        refused("406 Not Acceptable", "INVALID_ACCEPT_HEADER", &[], "bad_request"),
        bare("407 Proxy Authentication Required", &[("proxy-authenticate", "Basic realm=x")], "bad_request"),
        bare("408 Request Timeout", &[], "bad_request"),
        refused("409 Conflict", "CLUSTER_BEING_CHANGED", &[], "bad_request"),
        refused("410 Gone", "VERSION_GONE", &[("sunset", "Thu, 01 Jan 2026 00:00:00 GMT")], "bad_request"),
        refused("415 Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE", &[], "bad_request"),
        bare("451 Unavailable For Legal Reasons", &[], "bad_request"),
        script("404 whose body hangs", "the head, and half of the body", Fails("not_found"), |_| {
            vec![send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 999\r\n\r\n{"), FOREVER]
        }),
        script("404 with a partial body", "the connection is reset", Fails("not_found"), |_| {
            vec![send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 999\r\n\r\n{"), Step::Reset]
        }),
        script("404 with an endless body", "48 MiB, as fast as they are read", Fails("not_found"), |_| {
            let head = UNSIZED.replace("200 OK", "404 Not Found").into_bytes();
            vec![send(head), Step::Spaces(48 << 20)]
        }),
        script("404 with a gzip bomb", "gzip of 32 MiB", Fails("not_found"), {
            let bomb = http("404 Not Found", &[("content-encoding", "gzip")], super::bodies::bomb());
            move |_| vec![send(bomb.clone())]
        }),
    ]
}

pub(super) fn limits() -> Vec<Fault> {
    const CODE: &str = "RATE_LIMITED_TOKEN_BUCKET";
    const STATUS: &str = "429 Too Many Requests";
    vec![
        refused(STATUS, CODE, &[("retry-after", "2")], "rate_limited").impact(Impact::ProjectWaits),
        refused(STATUS, "RATE_LIMITED", &[], "rate_limited"),
        refused(STATUS, CODE, &[("retry-after", "soon")], "rate_limited"),
        refused(STATUS, CODE, &[("retry-after", "-5")], "rate_limited"),
        refused(STATUS, CODE, &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], "rate_limited"),
        refused(STATUS, CODE, &[("retry-after", "99999999999999999999")], "rate_limited")
            .impact(Impact::ProjectWaits)
            .recovery(Recovery::AfterWait)
            .after_successful_poll(),
        script("429 until a date", "`Retry-After` is a date in two seconds", Fails("rate_limited"), |head| {
            let then = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
            let date = then.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            vec![send(http(STATUS, &[("retry-after", &date)], body(STATUS, CODE, head)))]
        })
        .impact(Impact::ProjectWaits),
        page(STATUS, "rate_limited"),
    ]
}

pub(super) fn outages() -> Vec<Fault> {
    vec![
        refused("500 Internal Server Error", "UNEXPECTED_ERROR", &[], "server_error"),
        bare("501 Not Implemented", &[], "server_error"),
        page("502 Bad Gateway", "server_error"),
        refused("503 Service Unavailable", "SERVICE_UNAVAILABLE", &[], "server_error"),
        refused("503 Service Unavailable", "SERVICE_UNAVAILABLE", &[("retry-after", "2")], "server_error")
            .impact(Impact::ProjectWaits),
        page("504 Gateway Timeout", "server_error"),
        bare("520 Unknown", &[], "server_error"),
        bare("999 Unknown", &[], "invalid_response"),
        bare("201 Created", &[], "invalid_response"),
        bare("204 No Content", &[], "invalid_response"),
        bare("206 Partial Content", &[("content-range", "bytes 0-0/1")], "invalid_response"),
        bare("300 Multiple Choices", &[], "invalid_response"),
        bare("301 Moved Permanently", &[("location", "http://127.0.0.1:9/elsewhere")], "invalid_response"),
        bare("302 Found", &[], "invalid_response"),
        bare("303 See Other", &[("location", "/elsewhere")], "invalid_response"),
        bare("304 Not Modified", &[], "invalid_response"),
        bare("307 Temporary Redirect", &[("location", "?pageNum=1")], "invalid_response"),
        bare("308 Permanent Redirect", &[("location", "//elsewhere.test/")], "invalid_response"),
        bare("101 Switching Protocols", &[("upgrade", "h2c"), ("connection", "upgrade")], "invalid_response"),
        after("100 before the response", "`100 Continue`, then the listing", "HTTP/1.1 100 Continue\r\n\r\n"),
        after(
            "103 before the response",
            "`103 Early Hints`, then the listing",
            "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n",
        ),
        script("endless 100", "`100 Continue` repeatedly", Fails("timeout"), |_| {
            let again = [send(b"HTTP/1.1 100 Continue\r\n\r\n"), Step::Wait(Duration::from_millis(50))];
            std::iter::repeat_n(again, 2000).flatten().collect()
        }),
    ]
}
