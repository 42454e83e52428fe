//! Faults of connections after a request was sent.

use std::time::Duration;

use super::jobs;
use super::scenario::{Fault, Outcome::Fails, UNSIZED, http, script};
use crate::support::fault_proxy::{FOREVER, Step, send};

/// Pause between bytes, with which no response ends before the poll times out.
const SLOW: Duration = Duration::from_millis(100);

fn listing() -> Vec<u8> {
    http("200 OK", &[("content-type", "application/json")], jobs::page(&jobs::plain()))
}

fn text() -> String {
    String::from_utf8(listing()).unwrap()
}

/// Returns the head of the listing.
fn head() -> Vec<u8> {
    let listing = listing();
    let end = listing.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    listing[..end + 4].to_vec()
}

fn half() -> Vec<u8> {
    let listing = listing();
    listing[..listing.len() / 2].to_vec()
}

/// Creates a fault with a response that is not valid HTTP/1.1.
fn invalid_http(name: &'static str, description: &'static str, response: impl Into<Vec<u8>>) -> Fault {
    let response = response.into();
    script(name, description, Fails("invalid_response"), move |_| vec![send(response.clone())])
}

/// Creates a fault of a listing whose length is wrong by this number of bytes.
fn length(name: &'static str, description: &'static str, difference: isize) -> Fault {
    let length = jobs::page(&jobs::plain()).len();
    let header = |length| format!("content-length: {length}");
    let wrong = header(length.checked_add_signed(difference).unwrap());
    invalid_http(name, description, text().replace(&header(length), &wrong))
}

pub(super) fn faults() -> Vec<Fault> {
    let broken = "invalid_response";
    vec![
        script("immediate reset", "the connection is reset", Fails("connect"), |_| vec![Step::Reset]),
        script("immediate close", "the connection is closed", Fails("connect"), |_| vec![]),
        script("reset in the head", "half a status line, then reset", Fails("connect"), |_| {
            vec![send(b"HTTP/1.1 20"), Step::Wait(SLOW), Step::Reset]
        }),
        script("closed in the head", "half a status line, then closed", Fails("connect"), |_| {
            vec![send(b"HTTP/1.1 200 OK\r\ncontent-")]
        }),
        script("reset in the body", "half a body, then reset", Fails(broken), |_| {
            vec![send(half()), Step::Wait(SLOW), Step::Reset]
        }),
        script("closed in the body", "half a body, then closed", Fails(broken), |_| vec![send(half())]),
        script("hang before the head", "no byte", Fails("timeout"), |_| vec![FOREVER]),
        script("hang in the head", "half a head, then nothing", Fails("timeout"), |_| {
            vec![send(b"HTTP/1.1 200 OK\r\n"), FOREVER]
        }),
        script("hang before the body", "the head, then nothing", Fails("timeout"), |_| {
            vec![send(head()), FOREVER]
        }),
        script("hang in the body", "half a body, then nothing", Fails("timeout"), |_| {
            vec![send(half()), FOREVER]
        }),
        script("slow drip", "the whole response, ten bytes per second", Fails("timeout"), |_| {
            vec![Step::Drip(listing(), SLOW)]
        }),
        script(
            "slow drip of the body",
            "the head, then ten bytes of the body per second",
            Fails("timeout"),
            |_| vec![send(head()), Step::Drip(jobs::page(&jobs::plain()).into_bytes(), SLOW)],
        ),
        invalid_http("a banner instead of HTTP", "`SSH-2.0-OpenSSH_9.2`", b"SSH-2.0-OpenSSH_9.2\r\n"),
        invalid_http("binary data instead of HTTP", "a kilobyte of all byte values", {
            (0..1024_u32).map(|number| (number * 7 + 128) as u8).collect::<Vec<_>>()
        }),
        invalid_http("HTML without a head", "as of HTTP/0.9", b"<html>Be back soon</html>\r\n\r\n"),
        invalid_http(
            "HTTP of version 2",
            "a settings frame",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
        ),
        invalid_http(
            "a version that does not exist",
            "`HTTP/9.9 200 OK`",
            text().replace("HTTP/1.1", "HTTP/9.9"),
        ),
        invalid_http("an invalid status", "`HTTP/1.1 2x0 OK`", text().replace(" 200 ", " 2x0 ")),
        invalid_http("too many headers", "a thousand headers", {
            let many = "x-and-so-on: y\r\n".repeat(1000);
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\n{{}}")
        }),
        invalid_http("an endless header", "a megabyte in one header", {
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20))
        }),
        invalid_http(
            "a negative length",
            "`Content-Length: -1`",
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{\"results\":[]}",
        ),
        invalid_http(
            "two lengths",
            "`Content-Length` of 2 and of 14",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 14\r\n\r\n{\"results\":[]}",
        ),
        length("a length that is too short", "one byte less than the body", -1),
        length("a length that is too long", "one byte more than the body", 1),
        script("chunks that end early", "the last chunk is missing", Fails(broken), |_| {
            let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"result\r\n";
            vec![send(chunked)]
        }),
        script("chunks with an invalid length", "`zz` instead of a length", Fails(broken), |_| {
            let chunked =
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{\"results\":[]}\r\n0\r\n\r\n";
            vec![send(chunked)]
        }),
        script("an endless body", "jobs as fast as they are read", Fails("too_large"), |_| {
            let jobs = "{\"state\":\"Successful\"},".repeat(50_000).into_bytes();
            let mut steps = vec![send(format!("{UNSIZED}{{\"results\":["))];
            steps.extend(vec![send(jobs); 48]);
            steps
        }),
        script("endless white space", "as fast as it is read", Fails("too_large"), |_| {
            vec![send(UNSIZED), Step::Spaces(48 << 20)]
        }),
    ]
}
