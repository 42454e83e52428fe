//! Which keys there are, and what each may be.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};

use super::tls::{self, Certificates};
use super::users::{Guesses, Users};
use super::{Files, WebConfig};
use crate::config::{ConfigError, Section, text, yaml};

/// Headers that may be set, and which values they may have if only these mean something.
const HEADERS: [(&str, HeaderName, &[&str]); 5] = [
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY, &[]),
    ("Strict-Transport-Security", STRICT_TRANSPORT_SECURITY, &[]),
    ("X-Content-Type-Options", X_CONTENT_TYPE_OPTIONS, &["nosniff"]),
    ("X-Frame-Options", X_FRAME_OPTIONS, &["deny", "sameorigin"]),
    ("X-XSS-Protection", X_XSS_PROTECTION, &[]),
];

/// `rate_limit`: a bucket of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// From one token to the next.
    pub(crate) interval: Duration,
    /// Tokens in a full bucket.
    pub(crate) burst: u32,
}

/// What `file` says.
pub(super) fn read(file: &Path, files: &mut Files, guesses: &Guesses) -> Result<WebConfig, ConfigError> {
    let refused = |problem: &str| ConfigError::new(&format!("{}: {problem}", file.display()));
    let content =
        files.read(file).map_err(|error| refused(&format!("cannot read the web configuration: {error}")))?;
    let text = text::decode(&content).map_err(|problem| refused(&format!("not YAML: {problem}")))?;
    understand(file, &text, files, guesses)
}

/// What `text` says, and the files that it names.
pub(super) fn understand(
    file: &Path,
    text: &str,
    files: &mut Files,
    guesses: &Guesses,
) -> Result<WebConfig, ConfigError> {
    let known = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];
    let mut root = Section::discreet(file, yaml(file, text)?, &known)?;
    let mut http = root.section("http_server_config", &["http2", "headers"])?;
    if http.switch("http2")? == Some(true) {
        tracing::warn!("HTTP/2 is not supported; serving HTTP/1.1");
    }
    let headers = headers(&mut http)?;
    let (mut tls, certificates) = tls::server_config(file, &mut root, files)?;
    if let Some(tls) = &mut tls {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    let is_about_users = root.has("basic_auth_users");
    let hashes = root.secrets("basic_auth_users")?;
    if is_about_users && hashes.is_empty() {
        tracing::warn!("the web configuration names no user in basic_auth_users: no password is asked for");
    }
    if let Some((name, _)) = hashes.iter().find(|(name, _)| name.contains(':')) {
        return Err(root.entry_error(
            "basic_auth_users",
            name,
            "has a colon in its name, which ends names for whoever asks",
        ));
    }
    let users = Users::new(hashes, guesses)
        .map_err(|(name, problem)| root.entry_error("basic_auth_users", &name, &problem))?;
    let mut section = root.section("rate_limit", &["interval", "burst"])?;
    let interval = section.any_duration("interval")?.filter(|interval| !interval.is_zero());
    let burst = section.number("burst", "a whole number", 0..=u32::MAX)?.unwrap_or_default();
    if interval.is_some() && burst == 0 {
        return Err(section.error(
            "burst",
            "should be a whole number from 1: with 0, as without it, no request is answered",
        ));
    }
    let rate_limit = interval.map(|interval| RateLimit { interval, burst });
    if users.is_none() && certificates == Certificates::Unverified {
        tracing::warn!(
            "the web configuration asks clients for certificates, but lets in who shows none, or one that anybody can make"
        );
    }
    if users.is_none() && tls.is_none() {
        tracing::warn!(
            "the web configuration names neither a certificate nor a user: everybody may look, over plain HTTP"
        );
    }
    if users.is_some() && tls.is_none() {
        tracing::warn!(
            "the web configuration asks for passwords over plain HTTP: whoever listens can read them"
        );
    }
    Ok(WebConfig { tls: tls.map(Arc::new), certificates, headers, users, rate_limit })
}

fn headers(http: &mut Section<'_>) -> Result<HeaderMap, ConfigError> {
    let mut section = http.section("headers", &HEADERS.map(|(key, ..)| key))?;
    let mut headers = HeaderMap::new();
    for (key, name, values) in HEADERS {
        let expected = match values {
            [] => "text without control characters".to_owned(),
            values => values.join(" or "),
        };
        let is_known = |text: &str| values.is_empty() || values.contains(&text);
        let value = section
            .word(key, &expected, |text| HeaderValue::from_str(text).ok().filter(|_| is_known(text)))?;
        // What is empty is not sent, and takes the place of a default.
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}
