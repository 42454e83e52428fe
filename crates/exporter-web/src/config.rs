//! A validated web configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use crate::basic_auth::{BasicAuth, PasswordVerifier};
use crate::client_cert::ClientCertRequirement;
use crate::error::{ConfigError, shown, shown_key, unknown_key};
use crate::files::Files;
use crate::rate_limit::RateLimit;
use crate::yaml::{self, RawWebConfig};
use crate::{text, tls};

/// Supported headers, with their values if only some are valid.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

/// The default is plain HTTP without authentication.
#[derive(Default)]
pub(crate) struct WebConfig {
    /// TLS configuration; `None` for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) client_certs: ClientCertRequirement,
    /// Headers of all responses, as configured.
    pub(crate) headers: HeaderMap,
    /// Users; `None` if access needs no password.
    pub(crate) basic_auth: Option<BasicAuth>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// Files of the configuration, to detect changes.
    pub(crate) files: Files,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without keys and hashes.
        f.debug_struct("WebConfig").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl WebConfig {
    /// Reads `file` and the files that it names.
    pub(crate) fn read(
        file: &Path,
        files: &mut Files,
        verifier: &PasswordVerifier,
    ) -> Result<Self, ConfigError> {
        let refused = |problem: &str| ConfigError::new(&format!("{}: {problem}", file.display()));
        let content = files
            .read(file)
            .map_err(|error| refused(&format!("failed to read the web configuration: {error}")))?;
        let text = text::decode(&content).map_err(|problem| refused(&format!("not YAML: {problem}")))?;
        Self::parse(file, &text, files, verifier)
    }

    /// Reads `text`, the content of `file`, and the files that it names.
    pub(crate) fn parse(
        file: &Path,
        text: &str,
        files: &mut Files,
        verifier: &PasswordVerifier,
    ) -> Result<Self, ConfigError> {
        let name = file.display();
        let raw = yaml::parse(text).map_err(|problem| ConfigError::new(&format!("{name}:{problem}")))?;
        build(raw, file, files, verifier).map_err(|problem| ConfigError::new(&format!("{name}: {problem}")))
    }

    /// Returns the restrictions that `next` does not have.
    pub(crate) fn removed_by(&self, next: &Self) -> Vec<&'static str> {
        use ClientCertRequirement::{Named, Verified};
        let mut removed = Vec::new();
        if self.tls.is_some() && next.tls.is_none() {
            removed.push("encrypts");
        }
        if self.basic_auth.is_some() && next.basic_auth.is_none() {
            removed.push("asks for a password");
        }
        match (self.client_certs, next.client_certs) {
            (Named, Verified) => removed.push("looks for names of client_allowed_sans"),
            (before, now) if before >= Verified && now < before => {
                removed.push("verifies the certificates of clients");
            }
            _ => {}
        }
        removed
    }
}

/// Builds a configuration. An error begins with the key.
fn build(
    raw: RawWebConfig,
    file: &Path,
    files: &mut Files,
    verifier: &PasswordVerifier,
) -> Result<WebConfig, String> {
    let http = raw.http_server_config.unwrap_or_default();
    if http.http2 == Some(true) {
        tracing::warn!("HTTP/2 is not supported; serving HTTP/1.1");
    }
    let headers = headers(&http.headers.unwrap_or_default())?;
    let (tls, client_certs) = tls::server_config(file, &raw.tls_server_config.unwrap_or_default(), files)
        .map_err(|problem| format!("tls_server_config.{problem}"))?;
    if raw.basic_auth_users.as_ref().is_some_and(BTreeMap::is_empty) {
        tracing::warn!("no user in basic_auth_users; no password is required");
    }
    let basic_auth = BasicAuth::new(raw.basic_auth_users.unwrap_or_default(), verifier)
        .map_err(|(name, problem)| format!("basic_auth_users.{} {problem}", shown_key(&name)))?;
    let rate_limit = raw.rate_limit.filter(|limit| !limit.interval.is_zero());
    if rate_limit.is_some_and(|limit| limit.burst == 0) {
        return Err("rate_limit.burst is 0 or missing; expected a whole number from 1".into());
    }
    match (&tls, &basic_auth) {
        (None, None) => tracing::warn!("neither TLS nor users are configured; access is unrestricted"),
        (None, Some(_)) => tracing::warn!("users are configured without TLS; passwords are not encrypted"),
        (Some(_), None) if client_certs == ClientCertRequirement::Unverified => {
            tracing::warn!("client certificates are not required and verified; access is unrestricted");
        }
        _ => {}
    }
    Ok(WebConfig { tls, client_certs, headers, basic_auth, rate_limit, files: files.clone() })
}

fn headers(raw: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, text) in raw {
        let path = format!("http_server_config.headers.{}", shown_key(name));
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| known == name) else {
            return Err(unknown_key(&path, name, &HEADERS.map(|(name, _)| name)));
        };
        if !values.is_empty() && !values.contains(&text.as_str()) {
            return Err(format!("{path} is {}; expected {}", shown(text), values.join(" or ")));
        }
        let value = HeaderValue::from_str(text).map_err(|_| format!("{path} has control characters"))?;
        // An empty value replaces a default header, and is not sent.
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
