//! Strict parsers for the values of keys.

use std::path::PathBuf;
use std::time::Duration;

use atlas_client::redact::holds_secret;
use atlas_client::{OrganizationId, ProjectId};
use exporter_web::text::trimmed;
use glob::Pattern;
use jiff::{Span, SpanRelativeTo, Timestamp};
use secrecy::SecretString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;
use url::{Host, Url};

use super::cluster_selector::{ClusterSelector, ProjectPattern, pattern, unique};

/// Minimum of durations. Shorter intervals would send requests without a pause.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// A client id or public key.
pub(super) struct CredentialId(pub(super) String);

/// Index of a shard; `None` for "auto".
pub(super) struct ShardIndex(pub(super) Option<u32>);

/// Expectation of exports; `None` for "auto".
pub(super) struct ExportExpected(pub(super) Option<bool>);

pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromValue> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Self)
    }
}

pub(super) fn parsed<'de, T: FromValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_value(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A value of one type. Numbers and booleans can also be strings, because environment variables
/// are.
pub(super) trait FromValue: Sized {
    /// Parses a value. The error begins with "expected", or continues the name of the key.
    fn from_value(value: &Value) -> Result<Self, String>;
}

/// Implements [`FromValue`] with a function that returns `None` for an invalid value.
macro_rules! from_value {
    ($type:ty, $expected:literal, $parse:expr) => {
        impl FromValue for $type {
            fn from_value(value: &Value) -> Result<Self, String> {
                let parse: fn(&Value) -> Option<Self> = $parse;
                parse(value).ok_or_else(|| format!("expected {}", $expected))
            }
        }
    };
}

// Days are 24 hours; months and years have no fixed length and are refused.
from_value!(
    Duration,
    "a duration of at least 100ms with its unit, such as \"30s\", \"1m 30s\" or \"1d\"",
    |value| {
        let span: Span = value.as_str()?.trim().parse().ok()?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(duration).ok().filter(|duration| *duration >= MIN_INTERVAL)
    }
);
from_value!(
    Timestamp,
    "a date (midnight UTC) or a time with an offset, such as \"2027-01-31\" or \"2027-01-31T12:00:00Z\"",
    |value| {
        let text = match value {
            Value::Datetime(time) => time.to_string(),
            value => value.as_str()?.trim().to_owned(),
        };
        text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
    }
);
from_value!(bool, "true or false", |value| value.as_bool().or_else(|| value.as_str()?.trim().parse().ok()));
from_value!(u32, "a whole number from 1 to 1000", |value| {
    whole_number(value).filter(|number| (1..=1000).contains(number))
});
from_value!(ShardIndex, "the index of this shard, starting at 0, or \"auto\"", |value| {
    let is_auto = value.as_str().is_some_and(|text| text.trim() == "auto");
    if is_auto { Some(ShardIndex(None)) } else { Some(ShardIndex(Some(whole_number(value)?))) }
});
from_value!(ExportExpected, "\"auto\", true or false", |value| {
    let is_auto = value.as_str() == Some("auto");
    if is_auto { Some(ExportExpected(None)) } else { Some(ExportExpected(Some(value.as_bool()?))) }
});
from_value!(
    ProjectId,
    "a project id: 24 lower-case hexadecimal digits, as in the project's address in Atlas",
    |value| ProjectId::parse(value.as_str()?)
);
from_value!(
    OrganizationId,
    "an organization id: 24 lower-case hexadecimal digits, as in the organization's address in Atlas",
    |value| OrganizationId::parse(value.as_str()?)
);
from_value!(CredentialId, "the client id or public key, not the secret", |value| {
    filled(value).filter(|text| !holds_secret(text)).map(|text| CredentialId(text.to_owned()))
});
from_value!(SecretString, "a non-empty string", |value| filled(value).map(SecretString::from));
from_value!(PathBuf, "the path of a file", |value| filled(value).map(PathBuf::from));
// Credentials are sent to this URL, so plain http is for this machine only.
from_value!(
    Url,
    "an https URL without the path of the API, such as \"https://cloud.mongodb.com\" \
     (http only to this machine)",
    |value| {
        let mut url = Url::parse(value.as_str()?).ok()?;
        let is_loopback = match url.host()? {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        let is_secure = url.scheme() == "https" || url.scheme() == "http" && is_loopback;
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        let is_root = url.query().is_none() && url.fragment().is_none() && !url.path().contains("/api/");
        if !is_secure || has_credentials || !is_root {
            return None;
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Some(url)
    }
);

impl FromValue for ClusterSelector {
    fn from_value(value: &Value) -> Result<Self, String> {
        let names = names(value)?;
        if names.is_empty() {
            return Err("is []; omit the key to poll all clusters, or exclude some with exclude_clusters \
                        (to poll none, remove the [[projects]] entry, or add the project to \
                        exclude_projects of its organization)"
                .to_owned());
        }
        Self::parse(names)
    }
}

impl FromValue for Vec<Pattern> {
    fn from_value(value: &Value) -> Result<Self, String> {
        unique(names(value)?, pattern)
    }
}

impl FromValue for Vec<ProjectPattern> {
    fn from_value(value: &Value) -> Result<Self, String> {
        unique(names(value)?, ProjectPattern::parse)
    }
}

fn whole_number(value: &Value) -> Option<u32> {
    match value {
        Value::Integer(number) => u32::try_from(*number).ok(),
        value => value.as_str()?.trim().parse().ok(),
    }
}

/// Returns a string without white space around it, unless it is empty.
fn filled(value: &Value) -> Option<&str> {
    value.as_str().map(trimmed).filter(|text| !text.is_empty())
}

/// Returns names and patterns. Atlas documents valid names inconsistently, so only obvious mistakes
/// and path segments of dots are refused.
fn names(value: &Value) -> Result<Vec<&str>, String> {
    let is_name = |name: &&str| {
        !matches!(*name, "" | "." | "..") && name.trim() == *name && !name.contains(char::is_control)
    };
    let name = |value| Value::as_str(value).filter(is_name);
    let names = value.as_array().and_then(|values| values.iter().map(name).collect());
    names.ok_or_else(|| "expected a list of names or patterns, such as [\"prod-eu\", \"test-*\"]".to_owned())
}
