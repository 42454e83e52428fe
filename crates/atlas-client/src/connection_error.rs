//! Errors of connections, as one line with host, port and cause.
//!
//! The texts of reqwest repeat each layer of the client, and can hold the whole URL.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::dns::{LookupError, describe};
use crate::error::{Error, tidy};
use crate::proxy::Proxy;

/// Text of the tunnel of `hyper-util` whose error type is private.
const PROXY_UNREACHABLE: &str = "tunnel error: failed to create underlying connection";

impl Error {
    /// Creates the error for a failed setup of the HTTP client.
    pub(crate) fn setup(error: &reqwest::Error) -> Self {
        Self::Tls(tidy(&format!("failed to set up the HTTP client: {}", root_cause(error))))
    }

    /// Creates the error for a request without a response in time; `host` has a port.
    pub(crate) fn timeout(host: &str, elapsed: Duration) -> Self {
        let unit = if elapsed < Duration::from_secs(1) { 0.1 } else { 1.0 };
        let elapsed = Duration::from_secs_f64((elapsed.as_secs_f64() / unit).round() * unit);
        Self::Timeout(format!("no response from {host} within {elapsed:?}"))
    }

    /// Creates the error for a reading that gave up its memory.
    pub(crate) fn revoked() -> Self {
        Self::Timeout("response stalled while other requests waited for its memory".to_owned())
    }

    /// Creates the error for a request to `host`, which has a port, or for the body of its
    /// response.
    pub(crate) fn transport(
        error: &reqwest::Error,
        host: &str,
        proxy: Option<&Proxy>,
        connect_timeout: Duration,
    ) -> Self {
        let proxy = proxy.map(|proxy| format!("proxy {}", proxy.authority()));
        let is_proxy_unreachable = causes(error).any(|cause| cause.to_string() == PROXY_UNREACHABLE);
        let peer = proxy.as_deref().filter(|_| is_proxy_unreachable).unwrap_or(host);
        let cause = root_cause(error);
        let tls = causes(error).find_map(<dyn StdError>::downcast_ref::<rustls::Error>);
        let lookup = causes(error).find_map(<dyn StdError>::downcast_ref::<LookupError>);
        let http = causes(error).find_map(<dyn StdError>::downcast_ref::<hyper::Error>);
        if let Some(tls) = tls {
            let phase = if error.is_connect() { "handshake with" } else { "connection to" };
            return Self::Tls(tidy(&format!("TLS {phase} {peer} failed: {}", certificate_problem(tls))));
        }
        if error.is_body() || error.is_decode() {
            return Self::Broken(tidy(&format!("response from {host} broke off: {cause}")));
        }
        if error.is_builder() || error.is_redirect() || http.is_some_and(hyper::Error::is_parse) {
            return Self::Invalid(tidy(&format!("{host} does not speak HTTP/1.1 ({cause})")));
        }
        let tunnel = cause.strip_prefix("tunnel error: ");
        Self::Connect(tidy(&match (lookup, tunnel, &proxy) {
            (Some(lookup), ..) => lookup.to_string(),
            (_, Some("proxy authorization required"), Some(proxy)) => {
                format!("{proxy} answered 407: its credentials are missing or wrong")
            }
            (_, Some("unsuccessful"), Some(proxy)) => format!("{proxy} failed to connect to {host}"),
            (_, Some(problem), Some(proxy)) => format!("{proxy} failed to connect to {host}: {problem}"),
            _ if error.is_connect() && error.is_timeout() => {
                let through = proxy.map(|proxy| format!(" through {proxy}")).unwrap_or_default();
                format!("cannot connect to {host}{through}: no response within {connect_timeout:?}")
            }
            _ if error.is_connect() => format!("cannot connect to {peer}: {cause}"),
            _ if http.is_some_and(hyper::Error::is_incomplete_message) => {
                format!("{host} closed the connection without a response")
            }
            _ => format!("connection to {host} failed: {cause}"),
        }))
    }
}

fn certificate_problem(error: &rustls::Error) -> String {
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext,
        Revoked, UnknownIssuer,
    };
    let rustls::Error::InvalidCertificate(problem) = error else { return error.to_string() };
    let text = match problem {
        Expired | ExpiredContext { .. } => "certificate has expired",
        NotValidYet | NotValidYetContext { .. } => "certificate is not valid yet",
        NotValidForName | NotValidForNameContext { .. } => "certificate is for another host name",
        Revoked => "certificate was revoked",
        UnknownIssuer => "certificate has an unknown issuer",
        _ => return error.to_string(),
    };
    text.to_owned()
}

/// Returns the text of the innermost cause.
fn root_cause(error: &reqwest::Error) -> String {
    let text = causes(error).last().map(describe).unwrap_or_default();
    // The text of tokio-rustls.
    if text == "tls handshake eof" { "connection closed during the TLS handshake".to_owned() } else { text }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| {
        // An I/O error hides the error that it wraps from `source`.
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => (**error).source(),
        }
    })
}
