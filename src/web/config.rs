//! The web configuration file: the format of Prometheus's exporter toolkit, read strictly.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde::de::{Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MergeKeyPolicy, Options, with_deserializer_from_str_with_options};

use super::clients::ClientAuthType;
use super::tls::{self, Certificates};
use super::users::{Guesses, Users};
use super::{Files, WebConfig};
use crate::config::{ConfigError, text};
use crate::likeness;

/// Longest word that a message repeats.
const MAX_SHOWN: usize = 32;

/// Headers that can be set, and their values where only some have a meaning.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawWebConfig {
    tls_server_config: Option<TlsServerConfig>,
    http_server_config: Option<HttpServerConfig>,
    #[serde(deserialize_with = "present")]
    basic_auth_users: Option<BTreeMap<String, SecretString>>,
    rate_limit: Option<RateLimit>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsServerConfig {
    pub(super) cert: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_ca_file: Option<String>,
    #[serde(deserialize_with = "non_empty")]
    pub(super) client_auth_type: Option<ClientAuthType>,
    #[serde(deserialize_with = "present")]
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<TlsVersion>,
    pub(super) max_version: Option<TlsVersion>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) prefer_server_cipher_suites: Option<bool>,
    pub(super) curve_preferences: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpServerConfig {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, String>>,
}

/// A token bucket.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// Interval between tokens; zero for no limit.
    #[serde(deserialize_with = "interval")]
    pub(crate) interval: Duration,
    /// Tokens of a full bucket.
    pub(crate) burst: u32,
}

/// Tells a key without a value from a missing key.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    value: D,
) -> Result<Option<T>, D::Error> {
    Ok(Some(Option::deserialize(value)?.unwrap_or_default()))
}

/// Reads an empty text as a missing key, as the exporter toolkit does.
fn non_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(value)?.filter(|text| !text.is_empty());
    text.map(|text| T::deserialize(text.into_deserializer())).transpose()
}

fn interval<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    let Some(text) = Option::<String>::deserialize(value)? else { return Ok(Duration::ZERO) };
    let parsed = if text == "0" { Ok(SignedDuration::ZERO) } else { text.parse() };
    parsed.ok().and_then(|duration: SignedDuration| duration.try_into().ok()).ok_or_else(|| {
        D::Error::custom(format!(
            "is {}; expected a duration with its unit, such as \"1s\", or 0",
            shown(&text)
        ))
    })
}

/// Reads `file` and the files that it names.
pub(super) fn read(file: &Path, files: &mut Files, guesses: &Guesses) -> Result<WebConfig, ConfigError> {
    let refused = |problem: &str| ConfigError::new(&format!("{}: {problem}", file.display()));
    let content =
        files.read(file).map_err(|error| refused(&format!("cannot read the web configuration: {error}")))?;
    let text = text::decode(&content).map_err(|problem| refused(&format!("not YAML: {problem}")))?;
    load(file, &text, files, guesses)
}

/// Reads `text`, the content of `file`, and the files that it names.
pub(super) fn load(
    file: &Path,
    text: &str,
    files: &mut Files,
    guesses: &Guesses,
) -> Result<WebConfig, ConfigError> {
    let file_name = file.display();
    let raw = parse(text).map_err(|problem| ConfigError::new(&format!("{file_name}:{problem}")))?;
    build(raw, file, files, guesses).map_err(|problem| ConfigError::new(&format!("{file_name}: {problem}")))
}

/// An error begins with line and column. It repeats no text of the parser, which can hold a secret.
fn parse(text: &str) -> Result<RawWebConfig, String> {
    // Some readers, and editors, take the last two for line ends.
    let is_odd =
        |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n') || matches!(c, '\u{2028}' | '\u{2029}');
    if let Some(line) = text.split('\n').position(|line| line.contains(is_odd)) {
        return Err(format!("{}: not YAML: a control character, as a crash can leave in a file", line + 1));
    }
    let mut path = String::new();
    let raw = with_deserializer_from_str_with_options(text, options(), |deserializer| {
        serde_path_to_error::deserialize::<_, Option<_>>(deserializer).map_err(|error| {
            path = shown_path(error.path());
            error.into_inner()
        })
    });
    raw.map(Option::unwrap_or_default).map_err(|error| {
        let position = error.location().map_or([1, 1], |at| [at.line(), at.column()]);
        let [line, column] = position.map(|number| usize::try_from(number).unwrap_or(1));
        let line_text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let rest: String = line_text.chars().skip(column.saturating_sub(1)).collect();
        let is_table = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
        let hint = if text.lines().any(is_table) {
            "; TOML belongs into --config.file"
        } else if line_text.trim_start_matches(' ').starts_with('\t') {
            "; indent with spaces instead of tabs"
        } else {
            ""
        };
        format!("{line}:{column}: {}{hint}", problem(error.without_snippet(), &path, &rest))
    })
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 10_000,
            max_anchors: 16,
            max_aliases: 64,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}

/// `rest` is the line from the place of the error on.
fn problem(error: &Error, path: &str, rest: &str) -> String {
    let value =
        || shown(rest.split([',', '}', ']']).next().unwrap_or_default().trim().trim_matches(['\'', '"']));
    match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown_key(path, field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{path} is {}; expected one of {}", shown(variant), expected.join(", "))
        }
        Error::InvalidScalar { ty, .. } => {
            let expected = if *ty == "boolean" { "true or false" } else { "a whole number" };
            format!("{path} is {}; expected {expected}", value())
        }
        Error::NullIntoString { .. } => format!("{path} is empty; expected a text"),
        Error::Unexpected { expected, .. } => {
            let expected = match *expected {
                "mapping start" => "`key: value` entries, with a space after the colon",
                "sequence start" => "a list",
                _ => "a text",
            };
            format!("{path} has another type; expected {expected}")
        }
        // From this file's own functions.
        Error::Message { msg, .. } => format!("{path} {msg}"),
        Error::DuplicateMappingKey { key, .. } => {
            format!("duplicate key {}", shown(key.as_deref().unwrap_or_default()))
        }
        Error::MergeKeyNotAllowed { .. } => "merge keys are not supported".to_owned(),
        Error::UnsupportedTag { .. }
        | Error::TaggedStructFieldName { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. } => "tags are not supported".to_owned(),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } | Error::MultipleDocuments { .. } => {
            "a second document".to_owned()
        }
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => {
            "too many values, anchors or aliases, or nested too deep".to_owned()
        }
        _ => "not YAML".to_owned(),
    }
}

fn unknown_key(path: &str, key: &str, known: &[&str]) -> String {
    let meant = likeness::meant(key, known.iter().copied());
    let hint = meant.map_or_else(
        || format!("expected one of {}", known.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("unknown key `{path}`; {hint}")
}

/// A text as messages show it: hidden where it could be a key, a hash, or a part of one.
pub(super) fn shown(text: &str) -> String {
    if is_plain(text) { format!("{text:?}") } else { "another value".to_owned() }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    !text.is_empty() && text.len() <= MAX_SHOWN && text.chars().all(is_plain)
}

fn shown_key(key: &str) -> &str {
    if is_plain(key) { key } else { "(hidden)" }
}

fn shown_path(path: &serde_path_to_error::Path) -> String {
    let keys = path.iter().filter_map(|segment| match segment {
        Segment::Map { key } => Some(shown_key(key)),
        _ => None,
    });
    let path = keys.collect::<Vec<_>>().join(".");
    if path.is_empty() { "the file".to_owned() } else { path }
}

/// An error begins with the key that it is about.
fn build(raw: RawWebConfig, file: &Path, files: &mut Files, guesses: &Guesses) -> Result<WebConfig, String> {
    let http = raw.http_server_config.unwrap_or_default();
    if http.http2 == Some(true) {
        tracing::warn!("HTTP/2 is not supported; serving HTTP/1.1");
    }
    let headers = headers(&http.headers.unwrap_or_default())?;
    let (tls, certificates) = tls::server_config(file, &raw.tls_server_config.unwrap_or_default(), files)?;
    if raw.basic_auth_users.as_ref().is_some_and(BTreeMap::is_empty) {
        tracing::warn!("the web configuration names no user in basic_auth_users: no password is asked for");
    }
    let users = Users::new(raw.basic_auth_users.unwrap_or_default(), guesses)
        .map_err(|(name, problem)| format!("basic_auth_users.{} {problem}", shown_key(&name)))?;
    let rate_limit = raw.rate_limit.filter(|limit| !limit.interval.is_zero());
    if rate_limit.is_some_and(|limit| limit.burst == 0) {
        return Err("rate_limit.burst is 0 or missing, so no request would be answered; expected a whole number from 1".to_owned());
    }
    if users.is_none() && certificates == Certificates::Unverified {
        tracing::warn!(
            "the web configuration asks clients for certificates, but admits those without one, or with one that anybody can make"
        );
    }
    if users.is_none() && tls.is_none() {
        tracing::warn!(
            "the web configuration names neither a certificate nor a user: access is unrestricted, over plain HTTP"
        );
    }
    if users.is_some() && tls.is_none() {
        tracing::warn!(
            "the web configuration asks for passwords over plain HTTP, which does not protect them"
        );
    }
    Ok(WebConfig { tls, certificates, headers, users, rate_limit, ..WebConfig::default() })
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
