//! Faults of connections after a request was sent.

use std::time::Duration;

use super::jobs;
use super::scenario::{Fault, Outcome::Fails, UNSIZED, http, script};
use crate::support::fault_proxy::{FOREVER, Step};

/// Pause between bytes, with which no response ends before the poll times out.
const SLOW: Duration = Duration::from_millis(100);

fn listing() -> Vec<u8> {
    http("200 OK", &[("content-type", "application/json")], jobs::page(&jobs::plain()))
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
fn invalid_http(
    name: &'static str,
    description: &'static str,
    response: impl Fn() -> Vec<u8> + Send + Sync + 'static,
) -> Fault {
    script(name, description, Fails("invalid_response"), move |_| vec![Step::Send(response())])
}

pub(super) fn faults() -> Vec<Fault> {
    let broken = "invalid_response";
    vec![
        script("reset at once", "the connection is reset", Fails("connect"), |_| vec![Step::Reset]),
        script("closed at once", "the connection is closed", Fails("connect"), |_| vec![]),
        script("reset in the head", "half a status line, then reset", Fails("connect"), |_| {
            vec![Step::Send(b"HTTP/1.1 20".to_vec()), Step::Wait(SLOW), Step::Reset]
        }),
        script("closed in the head", "half a status line, then closed", Fails("connect"), |_| {
            vec![Step::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec())]
        }),
        script("reset in the body", "half a body, then reset", Fails(broken), |_| {
            vec![Step::Send(half()), Step::Wait(SLOW), Step::Reset]
        }),
        script("closed in the body", "half a body, then closed", Fails(broken), |_| vec![Step::Send(half())]),
        script("hang before the head", "no byte", Fails("timeout"), |_| vec![FOREVER]),
        script("hang in the head", "half a head, then nothing", Fails("timeout"), |_| {
            vec![Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()), FOREVER]
        }),
        script("hang before the body", "the head, then nothing", Fails("timeout"), |_| {
            vec![Step::Send(head()), FOREVER]
        }),
        script("hang in the body", "half a body, then nothing", Fails("timeout"), |_| {
            vec![Step::Send(half()), FOREVER]
        }),
        script("slow drip", "the whole answer, ten bytes a second", Fails("timeout"), |_| {
            vec![Step::Drip(listing(), SLOW)]
        }),
        script(
            "slow drip of the body",
            "the head at once, ten bytes of the body a second",
            Fails("timeout"),
            |_| vec![Step::Send(head()), Step::Drip(jobs::page(&jobs::plain()).into_bytes(), SLOW)],
        ),
        invalid_http("a banner instead of HTTP", "`SSH-2.0-OpenSSH_9.2`", || {
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()
        }),
        invalid_http("binary data instead of HTTP", "a kilobyte of all byte values", || {
            (0..1024_u32).map(|number| (number * 7 + 128) as u8).collect()
        }),
        invalid_http("HTML without a head", "as of HTTP/0.9", || {
            b"<html>Be back soon</html>\r\n\r\n".to_vec()
        }),
        invalid_http("HTTP of version 2", "a settings frame", || {
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff".to_vec()
        }),
        invalid_http("a version that does not exist", "`HTTP/9.9 200 OK`", || {
            String::from_utf8(listing()).unwrap().replace("HTTP/1.1", "HTTP/9.9").into_bytes()
        }),
        invalid_http("an invalid status", "`HTTP/1.1 2x0 OK`", || {
            String::from_utf8(listing()).unwrap().replace(" 200 ", " 2x0 ").into_bytes()
        }),
        invalid_http("too many headers", "a thousand of them", || {
            let many = "x-and-so-on: y\r\n".repeat(1000);
            format!("HTTP/1.1 200 OK\r\n{many}content-length: 2\r\n\r\n{{}}").into_bytes()
        }),
        invalid_http("an endless header", "a megabyte in one header", || {
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes()
        }),
        invalid_http("a negative length", "`Content-Length: -1`", || {
            b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{\"results\":[]}".to_vec()
        }),
        invalid_http("two lengths", "`Content-Length` of 2 and of 14", || {
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 14\r\n\r\n{\"results\":[]}".to_vec()
        }),
        script("a length that is too short", "a byte less than there is", Fails(broken), |_| {
            let listing = String::from_utf8(listing()).unwrap();
            let length = jobs::page(&jobs::plain()).len();
            let short = listing
                .replace(&format!("content-length: {length}"), &format!("content-length: {}", length - 1));
            vec![Step::Send(short.into_bytes())]
        }),
        script("a length that is too long", "a byte more than there is", Fails(broken), |_| {
            let listing = String::from_utf8(listing()).unwrap();
            let length = jobs::page(&jobs::plain()).len();
            let long = listing
                .replace(&format!("content-length: {length}"), &format!("content-length: {}", length + 1));
            vec![Step::Send(long.into_bytes())]
        }),
        script("chunks that end early", "the last one does not come", Fails(broken), |_| {
            let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"result\r\n";
            vec![Step::Send(chunked.as_bytes().to_vec())]
        }),
        script("chunks of no length", "`zz` instead of a length", Fails(broken), |_| {
            let chunked =
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{\"results\":[]}\r\n0\r\n\r\n";
            vec![Step::Send(chunked.as_bytes().to_vec())]
        }),
        script("an endless body", "jobs as fast as they are read", Fails("too_large"), |_| {
            let jobs = "{\"state\":\"Successful\"},".repeat(50_000).into_bytes();
            let mut steps = vec![Step::Send(format!("{UNSIZED}{{\"results\":[").into_bytes())];
            steps.extend(vec![Step::Send(jobs); 48]);
            steps
        }),
        script("endless white space", "as fast as it is read", Fails("too_large"), |_| {
            vec![Step::Send(UNSIZED.as_bytes().to_vec()), Step::Spaces(48 << 20)]
        }),
    ]
}
