//! The strict YAML parser of web configuration files: structure, errors and limits.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Error, MergeKeyPolicy, Options, with_deserializer_from_str_with_options};

use crate::client_cert::ClientAuthType;
use crate::error::{shown, shown_key, unknown_key};
use crate::rate_limit::RateLimit;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RawWebConfig {
    pub(crate) tls_server_config: Option<TlsServerConfig>,
    pub(crate) http_server_config: Option<HttpServerConfig>,
    #[serde(deserialize_with = "present")]
    pub(crate) basic_auth_users: Option<BTreeMap<String, SecretString>>,
    pub(crate) rate_limit: Option<RateLimit>,
}

#[derive(Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TlsServerConfig {
    pub(crate) cert: Option<String>,
    pub(crate) cert_file: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) key_file: Option<String>,
    pub(crate) client_ca: Option<String>,
    pub(crate) client_ca_file: Option<String>,
    #[serde(deserialize_with = "non_empty")]
    pub(crate) client_auth_type: Option<ClientAuthType>,
    #[serde(deserialize_with = "present")]
    pub(crate) client_allowed_sans: Option<Vec<String>>,
    pub(crate) min_version: Option<TlsVersion>,
    pub(crate) max_version: Option<TlsVersion>,
    pub(crate) cipher_suites: Option<Vec<String>>,
    pub(crate) prefer_server_cipher_suites: Option<bool>,
    pub(crate) curve_preferences: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpServerConfig {
    pub(crate) http2: Option<bool>,
    pub(crate) headers: Option<BTreeMap<String, String>>,
}

/// Distinguishes a key without a value from a missing key.
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

/// Parses a file. The error begins with line and column, and contains no text of the parser, which
/// can contain a secret.
pub(crate) fn parse(text: &str) -> Result<RawWebConfig, String> {
    // Some parsers and editors treat the last two as line ends.
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
        let is_indented_by_tab = line_text.trim_start_matches(' ').starts_with('\t');
        let hint = if is_indented_by_tab { "; indent with spaces instead of tabs" } else { "" };
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

/// Describes an error; `rest` is the line from its column on.
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
        // From the deserializer of rate_limit.interval.
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

fn shown_path(path: &serde_path_to_error::Path) -> String {
    let keys = path.iter().filter_map(|segment| match segment {
        Segment::Map { key } => Some(shown_key(key)),
        _ => None,
    });
    let path = keys.collect::<Vec<_>>().join(".");
    if path.is_empty() { "the file".to_owned() } else { path }
}
