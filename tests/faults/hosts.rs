//! Faults of the connection to Atlas, which affect all clusters: TLS, networks and proxies.

use super::scenario::{Auth, Fault, Injection, Outcome::Fails, Recovery};
use crate::support::authority::{Authority, self_signed};
use crate::support::fault_proxy::{FOREVER, ProxyMode, Step, send};

fn connection(
    name: &'static str,
    description: &'static str,
    reason: &'static str,
    mode: fn(&Authority) -> ProxyMode,
) -> Fault {
    // Token requests back off after a failure; API keys show the recovery at once.
    Fault::new(name, description, Injection::Connection(mode), Fails(reason)).auth(Auth::ApiKey)
}

fn proxy(
    name: &'static str,
    description: &'static str,
    reason: &'static str,
    mode: fn() -> ProxyMode,
) -> Fault {
    Fault::new(name, description, Injection::Proxy(mode), Fails(reason)).auth(Auth::ApiKey)
}

/// Beginning of a TLS server hello.
const PARTIAL_HELLO: &[u8] = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03 and so on";

/// TLS alert `protocol_version`, as of a server that only supports TLS 1.1.
const TOO_OLD: &[u8] = b"\x15\x03\x02\x00\x02\x02\x46";

pub(super) fn tls() -> Vec<Fault> {
    vec![
        connection("an untrusted authority", "another one of the same name", "tls", |_| {
            ProxyMode::Tls(Authority::new().valid())
        }),
        connection("a certificate that has expired", "in 2025", "tls", |authority| {
            ProxyMode::Tls(authority.expired())
        }),
        connection("a certificate that is not valid yet", "until the year 4000", "tls", |authority| {
            ProxyMode::Tls(authority.not_yet_valid())
        }),
        connection("a certificate for another name", "`elsewhere.test`", "tls", |authority| {
            ProxyMode::Tls(authority.wrong_name())
        }),
        connection("a self-signed certificate", "with the right name", "tls", |_| {
            ProxyMode::Tls(self_signed())
        }),
        connection("TLS 1.1 at most", "the TLS alert of an older server", "tls", |_| {
            ProxyMode::Respond(vec![send(TOO_OLD)])
        }),
        connection("no TLS at all", "plain HTTP", "tls", |_| {
            ProxyMode::Respond(vec![send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")])
        }),
        connection("invalid bytes in the handshake", "all byte values", "tls", |_| {
            ProxyMode::Respond(vec![send((0..=255).collect::<Vec<u8>>())])
        }),
        connection("a handshake that is closed", "half a hello, then closed", "connect", |_| {
            ProxyMode::Respond(vec![send(PARTIAL_HELLO)])
        }),
        connection("a handshake that is reset", "half a hello, then reset", "connect", |_| {
            ProxyMode::Respond(vec![send(PARTIAL_HELLO), Step::Reset])
        }),
        connection("a handshake that hangs", "half a hello, then nothing", "timeout", |_| {
            ProxyMode::Respond(vec![send(PARTIAL_HELLO), FOREVER])
        }),
        connection("no response to the hello", "no byte", "timeout", |_| ProxyMode::Respond(vec![FOREVER])),
    ]
}

/// Host name with a label that is too long, so that no DNS query is sent.
const INVALID_HOST: &str = "https://a-name-that-is-far-longer-than-sixty-three-characters-cannot-be-one.test";

pub(super) fn network() -> Vec<Fault> {
    vec![
        connection("a connection that is refused", "no listener", "connect", |_| ProxyMode::Refuse),
        connection("a token request that is refused", "no listener; a service account", "connect", |_| {
            ProxyMode::Refuse
        })
        .auth(Auth::ServiceAccount)
        .recovery(Recovery::AfterPause),
        connection("a connection that hangs", "the listener's queue is full", "timeout", |_| {
            ProxyMode::FullBacklog
        }),
        connection("a connection that is reset", "before the first byte", "connect", |_| {
            ProxyMode::RespondFirst(vec![Step::Reset])
        }),
        connection("a connection that is closed", "before the first byte", "connect", |_| {
            ProxyMode::RespondFirst(vec![])
        }),
        Fault::new(
            "an invalid host name",
            "a label that is too long; by a reload",
            Injection::BaseUrl(INVALID_HOST),
            Fails("connect"),
        )
        .auth(Auth::ApiKey),
    ]
}

pub(super) fn proxies() -> Vec<Fault> {
    vec![
        proxy("a proxy that refuses connections", "no listener", "connect", || ProxyMode::Refuse),
        proxy("a proxy that requires a password", "407 to `CONNECT`", "connect", || {
            ProxyMode::Respond(vec![send(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic realm=x\r\n\r\n",
            )])
        }),
        proxy("a proxy that cannot connect", "502 to `CONNECT`", "connect", || {
            ProxyMode::Respond(vec![send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")])
        }),
        proxy("a proxy that is an SSH server", "an SSH banner", "connect", || {
            ProxyMode::Respond(vec![send(b"SSH-2.0-OpenSSH_9.2\r\n")])
        }),
        proxy("a proxy that closes", "without a response to `CONNECT`", "connect", || {
            ProxyMode::Respond(vec![])
        }),
        proxy("a proxy that hangs", "without a response to `CONNECT`", "timeout", || {
            ProxyMode::Respond(vec![FOREVER])
        }),
        proxy("a tunnel that is closed", "200 to `CONNECT`, then closed", "connect", || {
            ProxyMode::Respond(vec![send(b"HTTP/1.1 200 Connection established\r\n\r\n")])
        }),
        proxy("a tunnel to an SSH server", "200 to `CONNECT`, then an SSH banner", "tls", || {
            ProxyMode::Respond(vec![
                send(b"HTTP/1.1 200 Connection established\r\n\r\n"),
                Step::Wait(std::time::Duration::from_millis(100)),
                send(b"SSH-2.0-OpenSSH_9.2\r\n"),
            ])
        }),
    ]
}
