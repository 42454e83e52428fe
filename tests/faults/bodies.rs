//! Response bodies that are invalid, badly encoded or too large.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::jobs;
use super::scenario::{Fault, Outcome, http, script};
use crate::support::fault_proxy::send;
use Outcome::Fails;

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const CIRCULAR_PAGE: &str = concat!(
    r#"{"results":[{"id":"65a10000000000000000cafe","state":"Successful","#,
    r#""createdAt":"2026-01-01T00:00:00Z"}],"totalCount":1,"links":[{"rel":"next","href":"/"}]}"#
);

pub(super) fn zipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Returns 32 MiB compressed to a few kilobytes.
pub(super) fn bomb() -> Vec<u8> {
    // Compressed once, as it takes a while.
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| zipped(&vec![b' '; 32 << 20]));
    BOMB.clone()
}

pub(super) fn listing() -> String {
    jobs::page(&jobs::plain())
}

/// Creates a fault of a response of 200 with this body.
pub(super) fn body(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Fault {
    script(name, description, outcome, move |_| vec![send(http("200 OK", &[JSON], body.as_ref()))])
}

/// Creates a fault of a response of 200 with these headers.
pub(super) fn headed(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    headers: &'static [(&'static str, &'static str)],
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Fault {
    script(name, description, outcome, move |_| vec![send(http("200 OK", headers, body.as_ref()))])
}

fn invalid(
    name: &'static str,
    description: &'static str,
    text: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Fault {
    body(name, description, Fails("invalid_response"), text)
}

fn gzip(name: &'static str, description: &'static str, body: Vec<u8>) -> Fault {
    headed(name, description, Fails("invalid_response"), &[JSON, GZIP], body)
}

pub(super) fn invalid_bodies() -> Vec<Fault> {
    let deep = 200_000;
    let utf16: Vec<u8> = listing().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let huge = format!("{{\"results\":[{}]}}", "x".repeat(17 << 20));
    vec![
        invalid("empty body", "no byte", ""),
        invalid("null", "`null`", "null"),
        invalid("a text", "`\"ok\"`", "\"ok\""),
        invalid("an array", "the jobs without a listing around them", "[]"),
        invalid("an empty object", "`{}`", "{}"),
        invalid("results of null", "`{\"results\":null}`", "{\"results\":null}"),
        invalid("results that are no list", "`{\"results\":{}}`", "{\"results\":{}}"),
        invalid("results of texts", "`{\"results\":[\"a\"]}`", "{\"results\":[\"a\"]}"),
        invalid("results twice", "two keys of one name", "{\"results\":[],\"results\":[]}"),
        invalid("HTML", "an HTML page", "<!doctype html><title>Be back soon</title>"),
        invalid("an error as 200", "an error of Atlas", "{\"error\":500,\"errorCode\":\"UNEXPECTED_ERROR\"}"),
        invalid(
            "an envelope",
            "the listing within another object",
            format!("{{\"status\":200,\"content\":{}}}", listing()),
        ),
        invalid(
            "half a listing",
            "JSON that ends in the middle",
            &listing().into_bytes()[..200].to_vec().leak()[..],
        ),
        invalid("two listings", "one after the other", listing() + &listing()),
        invalid("a byte order mark", "U+FEFF before the listing", format!("\u{feff}{}", listing())),
        invalid("UTF-16", "the listing in another encoding", utf16),
        invalid("deeply nested lists", "200,000 of `[`", "[".repeat(deep)),
        invalid("deeply nested objects", "200,000 of `{\"a\":`", "{\"a\":".repeat(deep)),
        invalid("NaN", "`\"totalCount\":NaN`", "{\"results\":[],\"totalCount\":NaN}"),
        invalid("an infinite count", "`\"totalCount\":1e999`", "{\"results\":[],\"totalCount\":1e999}"),
        invalid("a count in words", "`\"totalCount\":\"two\"`", "{\"results\":[],\"totalCount\":\"two\"}"),
        invalid("links of another shape", "`\"links\":{}`", "{\"results\":[],\"links\":{}}"),
        body("17 MiB of text", "more than the limit of a body", Fails("too_large"), huge),
    ]
}

/// Bodies whose encoding is wrong, and gzip bombs.
pub(super) fn encodings() -> Vec<Fault> {
    vec![
        headed("gzip of 32 MiB", "a gzip bomb", Fails("too_large"), &[JSON, GZIP], bomb()),
        gzip("truncated gzip", "its last bytes are missing", {
            let zipped = zipped(listing().as_bytes());
            zipped[..zipped.len() - 8].to_vec()
        }),
        gzip("no gzip", "the listing, declared as gzip", listing().into_bytes()),
        gzip("gzip of gzip", "compressed twice, declared once", zipped(&zipped(listing().as_bytes()))),
        gzip(
            "gzip with trailing bytes",
            "bytes after its end",
            [zipped(listing().as_bytes()), b"more".to_vec()].concat(),
        ),
        headed(
            "gzip with a wrong length",
            "32 MiB, declared as nine bytes",
            // The body is decompressed as it arrives, so its size is exceeded before its end.
            Fails("too_large"),
            &[JSON, GZIP],
            {
                let mut bomb = bomb();
                let end = bomb.len() - 4;
                bomb[end..].copy_from_slice(&9_u32.to_le_bytes());
                bomb
            },
        ),
        headed(
            "an encoding that was not accepted",
            "`Content-Encoding: br`",
            Fails("invalid_response"),
            &[JSON, ("content-encoding", "br")],
            zipped(listing().as_bytes()),
        ),
        headed(
            "two encodings",
            "`Content-Encoding: gzip, gzip`",
            Fails("invalid_response"),
            &[JSON, ("content-encoding", "gzip, gzip")],
            zipped(&zipped(listing().as_bytes())),
        ),
    ]
}

/// Excessive responses, and responses that repeat the request.
pub(super) fn excesses() -> Vec<Fault> {
    vec![
        invalid(
            "half a million jobs on a page",
            "more than requested",
            format!("{{\"results\":[{}]}}", vec!["{}"; 500_000].join(",")),
        ),
        invalid("circular pages", "the same page with a next link", CIRCULAR_PAGE),
        script(
            "a listing that repeats the credentials",
            "the request, as the state of a job",
            Fails("invalid_response"),
            |head| {
                let credentials = super::scenario::header(head, "authorization");
                let job = serde_json::json!({"results": [{"id": "a", "createdAt": credentials}]});
                vec![send(http("200 OK", &[JSON], job.to_string()))]
            },
        ),
        script(
            "a listing that repeats the token",
            "without the word `Bearer`",
            Fails("invalid_response"),
            |head| {
                let token =
                    super::scenario::header(head, "authorization").trim_start_matches("Bearer ").to_owned();
                let job = serde_json::json!({"results": [{"id": "a", "createdAt": token}]});
                vec![send(http("200 OK", &[JSON], job.to_string()))]
            },
        ),
    ]
}
