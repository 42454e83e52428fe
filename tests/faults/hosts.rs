//! Faults of the way to Atlas, which are everyone's: certificates, handshakes, networks and proxies.

use super::scenario::{Fault, How, Outcome::Fails, Recovery, Signs};
use crate::support::authority::{Authority, self_signed};
use crate::support::fault_proxy::{FOR_EVER, Step, Way};

fn way(name: &'static str, made: &'static str, reason: &'static str, way: fn(&Authority) -> Way) -> Fault {
    // The sign-in of a service account rests after a failure; an API key shows when the way is open again.
    Fault::new(name, made, How::Way(way), Fails(reason)).signs(Signs::Key)
}

fn proxy(name: &'static str, made: &'static str, reason: &'static str, way: fn() -> Way) -> Fault {
    Fault::new(name, made, How::Proxy(way), Fails(reason)).signs(Signs::Key)
}

/// The begin of a server's hello.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03 and so on";

/// A server that knows nothing newer than TLS 1.1 says so: the alert is `protocol_version`.
const TOO_OLD: &[u8] = b"\x15\x03\x02\x00\x02\x02\x46";

pub(super) fn tls() -> Vec<Fault> {
    vec![
        way("an authority that is not trusted", "another one of the same name", "tls", |_| {
            Way::Tls(Authority::new().good())
        }),
        way("a certificate that has expired", "in 2025", "tls", |authority| Way::Tls(authority.expired())),
        way("a certificate that is not valid yet", "until the year 4000", "tls", |authority| {
            Way::Tls(authority.not_yet_valid())
        }),
        way("a certificate for another name", "`elsewhere.test`", "tls", |authority| {
            Way::Tls(authority.of_another_name())
        }),
        way("a certificate that vouches for itself", "self-signed, of the right name", "tls", |_| {
            Way::Tls(self_signed())
        }),
        way("TLS 1.1 at most", "the alert of a server that knows nothing newer", "tls", |_| {
            Way::Say(vec![Step::Send(TOO_OLD.to_vec())])
        }),
        way("no TLS at all", "plain HTTP", "tls", |_| {
            Way::Say(vec![Step::Send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n".to_vec())])
        }),
        way("noise in the handshake", "bytes of all kinds", "tls", |_| {
            Way::Say(vec![Step::Send((0..=255).collect())])
        }),
        way("a handshake that is closed", "half a hello, then closed", "connect", |_| {
            Way::Say(vec![Step::Send(HALF_A_HELLO.to_vec())])
        }),
        way("a handshake that is torn down", "half a hello, then torn down", "connect", |_| {
            Way::Say(vec![Step::Send(HALF_A_HELLO.to_vec()), Step::Reset])
        }),
        way("a handshake that hangs", "half a hello, then nothing", "timeout", |_| {
            Way::Say(vec![Step::Send(HALF_A_HELLO.to_vec()), FOR_EVER])
        }),
        way("a hello that hangs", "nothing is said", "timeout", |_| Way::Say(vec![FOR_EVER])),
    ]
}

/// A part of it is longer than any part of a name. What a resolver does not know would have to be asked for beyond this machine.
const NO_NAME: &str = "https://a-name-that-is-far-longer-than-sixty-three-characters-cannot-be-one.test";

pub(super) fn network() -> Vec<Fault> {
    vec![
        way("a connection that is refused", "nobody listens", "connect", |_| Way::Refuse),
        way("a sign-in that is refused", "nobody listens; a service account", "connect", |_| Way::Refuse)
            .signs(Signs::Account)
            .recovery(Recovery::Pause),
        way("a connection that hangs", "the listener's queue is full", "timeout", |_| Way::Deaf),
        way("a connection that is torn down", "before anything is said", "connect", |_| {
            Way::Begin(vec![Step::Reset])
        }),
        way("a connection that is closed", "before anything is said", "connect", |_| Way::Begin(vec![])),
        Fault::new(
            "an address that cannot be one",
            "a name that is too long; by a reload",
            How::Address(NO_NAME),
            Fails("connect"),
        )
        .signs(Signs::Key),
    ]
}

pub(super) fn proxies() -> Vec<Fault> {
    vec![
        proxy("a proxy that is not there", "nobody listens", "connect", || Way::Refuse),
        proxy("a proxy that wants a password", "407 to `CONNECT`", "connect", || {
            Way::Say(vec![Step::Send(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=x\r\n\r\n"
                    .to_vec(),
            )])
        }),
        proxy("a proxy that cannot connect", "502 to `CONNECT`", "connect", || {
            Way::Say(vec![Step::Send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>".to_vec())])
        }),
        proxy("a proxy that is none", "a banner of SSH", "connect", || {
            Way::Say(vec![Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())])
        }),
        proxy("a proxy that closes", "without an answer to `CONNECT`", "connect", || Way::Say(vec![])),
        proxy("a proxy that hangs", "without an answer to `CONNECT`", "timeout", || Way::Say(vec![FOR_EVER])),
        proxy("a tunnel that leads nowhere", "200 to `CONNECT`, then closed", "connect", || {
            Way::Say(vec![Step::Send(b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec())])
        }),
        proxy("a tunnel into noise", "200 to `CONNECT`, then a banner of SSH", "tls", || {
            Way::Say(vec![
                Step::Send(b"HTTP/1.1 200 Connection established\r\n\r\n".to_vec()),
                Step::Wait(std::time::Duration::from_millis(100)),
                Step::Send(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            ])
        }),
    ]
}
