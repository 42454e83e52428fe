//! The configuration as it is written: a struct for each table, a parser for each kind of value.

use std::path::PathBuf;
use std::time::Duration;

use atlas_client::{OrganizationId, ProjectId, redact::holds_secret};
use exporter_web::text::trimmed;
use glob::Pattern;
use jiff::{Span, SpanRelativeTo, Timestamp};
use secrecy::SecretString;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};
use url::{Host, Url};

use super::cluster_selector::{pattern, unique};
use super::{ClusterSelector, PollConfig, ProjectPattern};

/// Shorter intervals would send requests without a pause.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    pub(super) atlas: RawAtlas,
    pub(super) poll: PollConfig,
    pub(super) discovery: RawDiscovery,
    pub(super) collectors: RawCollectors,
    pub(super) shard: RawShard,
    pub(super) projects: Vec<RawProject>,
    pub(super) organizations: Vec<RawOrganization>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct RawAtlas {
    pub(super) base_url: Option<Parsed<Url>>,
    pub(super) ca_file: Option<Parsed<PathBuf>>,
    pub(super) service_account: Option<RawServiceAccount>,
    pub(super) api_key: Option<RawApiKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawServiceAccount {
    pub(super) client_id: Parsed<String>,
    pub(super) client_secret: Option<Parsed<SecretString>>,
    pub(super) client_secret_file: Option<Parsed<PathBuf>>,
    pub(super) expires_at: Option<Parsed<Timestamp>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawApiKey {
    pub(super) public_key: Parsed<String>,
    pub(super) private_key: Option<Parsed<SecretString>>,
    pub(super) private_key_file: Option<Parsed<PathBuf>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct RawDiscovery {
    pub(super) interval: Option<Parsed<Duration>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct RawCollectors {
    pub(super) interval: Option<Parsed<Duration>>,
    pub(super) snapshots: Option<Parsed<bool>>,
    pub(super) events: Option<Parsed<bool>>,
    pub(super) buckets: Option<Parsed<bool>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct RawShard {
    pub(super) index: Option<Parsed<ShardIndex>>,
    pub(super) total: Option<Parsed<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawProject {
    pub(super) id: Parsed<ProjectId>,
    pub(super) clusters: Option<Parsed<ClusterSelector>>,
    pub(super) exclude_clusters: Option<Parsed<Vec<Pattern>>>,
    pub(super) expected_interval: Option<Parsed<Duration>>,
    pub(super) export_expected: Option<Parsed<ExportExpected>>,
    pub(super) service_account: Option<RawServiceAccount>,
    pub(super) api_key: Option<RawApiKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawOrganization {
    pub(super) id: Parsed<OrganizationId>,
    pub(super) exclude_projects: Option<Parsed<Vec<ProjectPattern>>>,
    pub(super) exclude_clusters: Option<Parsed<Vec<Pattern>>>,
    pub(super) expected_interval: Option<Parsed<Duration>>,
    pub(super) export_expected: Option<Parsed<ExportExpected>>,
    pub(super) service_account: Option<RawServiceAccount>,
    pub(super) api_key: Option<RawApiKey>,
}

/// `None` is "auto".
pub(super) struct ShardIndex(pub(super) Option<u32>);

/// `None` is "auto".
pub(super) struct ExportExpected(pub(super) Option<bool>);

/// Returns every table with its keys. Tests compare them with the example and the documentation.
pub(super) fn tables() -> [(&'static str, Vec<String>); 14] {
    [
        ("", keys::<Raw>()),
        ("atlas", keys::<RawAtlas>()),
        ("atlas.service_account", keys::<RawServiceAccount>()),
        ("atlas.api_key", keys::<RawApiKey>()),
        ("poll", keys::<PollConfig>()),
        ("discovery", keys::<RawDiscovery>()),
        ("collectors", keys::<RawCollectors>()),
        ("shard", keys::<RawShard>()),
        ("projects", keys::<RawProject>()),
        ("projects.service_account", keys::<RawServiceAccount>()),
        ("projects.api_key", keys::<RawApiKey>()),
        ("organizations", keys::<RawOrganization>()),
        ("organizations.service_account", keys::<RawServiceAccount>()),
        ("organizations.api_key", keys::<RawApiKey>()),
    ]
}

/// Returns the keys of a table, which serde lists where it meets an unknown one.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let unknown = Table::from_iter([("?".to_owned(), Value::Boolean(true))]);
    let error = T::deserialize(unknown).err();
    let list = error.iter().flat_map(|error| error.message().split('`').skip(3).step_by(2));
    list.map(str::to_owned).collect()
}

/// A value that [`FromValue`] reads.
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromValue> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer).map(Self)
    }
}

/// Deserializes a value with [`FromValue`].
pub(super) fn parsed<'de, T: FromValue, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::from_value(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads a value strictly: a number is no text. Numbers and flags can also be texts, since the
/// environment has nothing else.
pub(super) trait FromValue: Sized {
    /// Returns the value, or the problem: what was expected, or a clause that continues the key's
    /// name.
    fn from_value(value: &Value) -> Result<Self, String>;
}

/// Implements [`FromValue`] by a function that returns `None` for what is not expected.
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
    "a day (its first moment, UTC) or a time with its offset, such as \"2027-01-31\" or \"2027-01-31T12:00:00Z\"",
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
from_value!(usize, "a whole number from 1 to 1000", |value| {
    u32::from_value(value).ok().map(|number| number as usize)
});
from_value!(ShardIndex, "the number of this shard, from 0 on, or \"auto\"", |value| {
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
from_value!(String, "the client id or public key, not the secret", |value| {
    filled(value).filter(|text| !holds_secret(text)).map(str::to_owned)
});
from_value!(SecretString, "a text that is not empty", |value| filled(value).map(SecretString::from));
from_value!(PathBuf, "the path of a file", |value| filled(value).map(PathBuf::from));
// Credentials go wherever this points, so plain http is for this machine only.
from_value!(
    Url,
    "an https URL without the path of the API, such as \"https://cloud.mongodb.com\" (http only to this machine)",
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
            return Err("is []; leave it out for every cluster, and name those that should not be watched in exclude_clusters. To watch nothing of a project, leave out its [[projects]], or name it in exclude_projects of its organization".to_owned());
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

/// Returns a text without white space around it, unless it is empty.
fn filled(value: &Value) -> Option<&str> {
    value.as_str().map(trimmed).filter(|text| !text.is_empty())
}

/// Returns names and patterns. Atlas documents the names that it allows in two ways, so only what
/// cannot stand in a path (dots alone) or stems from a slip is refused.
fn names(value: &Value) -> Result<Vec<&str>, String> {
    let is_name = |name: &&str| {
        !matches!(*name, "" | "." | "..") && name.trim() == *name && !name.contains(char::is_control)
    };
    let name = |value| Value::as_str(value).filter(is_name);
    let names = value.as_array().and_then(|values| values.iter().map(name).collect());
    names.ok_or_else(|| "expected a list of names or patterns, such as [\"prod-eu\", \"test-*\"]".to_owned())
}
