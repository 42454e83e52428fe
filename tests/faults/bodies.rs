//! Bodies that are no listing, and those that are one in spite of how they look.

use std::io::Write;
use std::sync::LazyLock;

use atlas_simulator::FaultKind;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::jobs;
use super::scenario::{Fault, How, Outcome, http, script};
use crate::support::fault_proxy::Step;
use Outcome::Fails;

pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

pub(super) fn zipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// 32 MiB in a few kilobytes.
pub(super) fn bomb() -> Vec<u8> {
    // It takes a while to pack.
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| zipped(&vec![b' '; 32 << 20]));
    BOMB.clone()
}

pub(super) fn listing() -> String {
    jobs::page(&jobs::plain())
}

/// An answer of 200 with this body.
pub(super) fn body(
    name: &'static str,
    made: &'static str,
    outcome: Outcome,
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Fault {
    script(name, made, outcome, move |_| vec![Step::Send(http("200 OK", &[JSON], body.as_ref()))])
}

/// The same with headers.
pub(super) fn headed(
    name: &'static str,
    made: &'static str,
    outcome: Outcome,
    headers: &'static [(&'static str, &'static str)],
    body: impl AsRef<[u8]> + Send + Sync + 'static,
) -> Fault {
    script(name, made, outcome, move |_| vec![Step::Send(http("200 OK", headers, body.as_ref()))])
}

fn invalid(name: &'static str, made: &'static str, text: impl AsRef<[u8]> + Send + Sync + 'static) -> Fault {
    body(name, made, Fails("invalid_response"), text)
}

/// 200 and no listing of JSON.
pub(super) fn no_listings() -> Vec<Fault> {
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
        invalid("HTML", "a page for people", "<!doctype html><title>Be back soon</title>"),
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
        invalid("brackets without end", "200,000 of `[`", "[".repeat(deep)),
        invalid("objects without end", "200,000 of `{\"a\":`", "{\"a\":".repeat(deep)),
        invalid("NaN", "`\"totalCount\":NaN`", "{\"results\":[],\"totalCount\":NaN}"),
        invalid(
            "a count beyond all numbers",
            "`\"totalCount\":1e999`",
            "{\"results\":[],\"totalCount\":1e999}",
        ),
        invalid("a count in words", "`\"totalCount\":\"two\"`", "{\"results\":[],\"totalCount\":\"two\"}"),
        invalid("links of another shape", "`\"links\":{}`", "{\"results\":[],\"links\":{}}"),
        body("17 MiB of text", "more than any body may have", Fails("too_large"), huge),
    ]
}

/// What is said of the body is not so, or it is far more than it seems.
pub(super) fn encodings() -> Vec<Fault> {
    vec![
        headed("gzip of 32 MiB", "a bomb", Fails("too_large"), &[JSON, GZIP], bomb()),
        Fault::new(
            "gzip that breaks off",
            "its last bytes are missing",
            How::Simulated(FaultKind::GzipTruncated),
            Fails("invalid_response"),
        ),
        headed(
            "gzip that is none",
            "the listing, said to be gzip",
            Fails("invalid_response"),
            &[JSON, GZIP],
            listing(),
        ),
        headed(
            "gzip of gzip",
            "packed twice, said to be packed once",
            Fails("invalid_response"),
            &[JSON, GZIP],
            zipped(&zipped(listing().as_bytes())),
        ),
        headed(
            "gzip with more behind it",
            "bytes after its end",
            Fails("invalid_response"),
            &[JSON, GZIP],
            [zipped(listing().as_bytes()), b"more".to_vec()].concat(),
        ),
        headed(
            "gzip that lies about its length",
            "32 MiB, said to be nine bytes",
            // It is decompressed as it comes, so its size is seen before its end.
            Fails("too_large"),
            &[JSON, GZIP],
            {
                let mut liar = bomb();
                let end = liar.len() - 4;
                liar[end..].copy_from_slice(&9_u32.to_le_bytes());
                liar
            },
        ),
        Fault::new(
            "an encoding that nobody asked for",
            "`Content-Encoding: br`",
            How::Simulated(FaultKind::OddEncoding),
            Fails("invalid_response"),
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

/// Listings and errors that are too much, and those that repeat what was asked.
pub(super) fn excesses() -> Vec<Fault> {
    vec![
        Fault::new(
            "half a million jobs on a page",
            "more than was asked for",
            How::Simulated(FaultKind::HugePage),
            Fails("invalid_response"),
        ),
        Fault::new(
            "pages in a circle",
            "the same page, and always a next one",
            How::Simulated(FaultKind::CirclingPages),
            Fails("invalid_response"),
        ),
        Fault::new(
            "an error that hangs",
            "404, and half a body",
            How::Simulated(FaultKind::SlowError(404)),
            Fails("not_found"),
        ),
        script(
            "a listing that repeats the credentials",
            "the request, as the state of a job",
            Fails("invalid_response"),
            |head| {
                let job = serde_json::json!({"results": [{"id": "a", "createdAt": super::scenario::header(head, "authorization")}]});
                vec![Step::Send(http("200 OK", &[JSON], job.to_string()))]
            },
        ),
        script(
            "a listing that repeats the token",
            "without the word before it",
            Fails("invalid_response"),
            |head| {
                let token =
                    super::scenario::header(head, "authorization").trim_start_matches("Bearer ").to_owned();
                let job = serde_json::json!({"results": [{"id": "a", "createdAt": token}]});
                vec![Step::Send(http("200 OK", &[JSON], job.to_string()))]
            },
        ),
    ]
}
