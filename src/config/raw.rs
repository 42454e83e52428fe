//! The tables of the configuration file, one struct each.

use std::path::PathBuf;
use std::time::Duration;

use atlas_client::{OrganizationId, ProjectId};
use glob::Pattern;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use url::Url;

use super::cluster_selector::{ClusterSelector, ProjectPattern};
use super::types::{LinkConfig, PollConfig};
use super::value::{CredentialId, ExportExpected, Parsed, ShardIndex};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    pub(super) atlas: RawAtlas,
    pub(super) poll: PollConfig,
    pub(super) discovery: RawDiscovery,
    pub(super) collectors: RawCollectors,
    pub(super) shard: RawShard,
    pub(super) links: LinkConfig,
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
    pub(super) client_id: Parsed<CredentialId>,
    pub(super) client_secret: Option<Parsed<SecretString>>,
    pub(super) client_secret_file: Option<Parsed<PathBuf>>,
    pub(super) expires_at: Option<Parsed<Timestamp>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct RawApiKey {
    pub(super) public_key: Parsed<CredentialId>,
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

/// Returns every table with its keys.
#[must_use]
pub fn tables() -> [(&'static str, Vec<String>); 15] {
    [
        ("", keys::<Raw>()),
        ("atlas", keys::<RawAtlas>()),
        ("atlas.service_account", keys::<RawServiceAccount>()),
        ("atlas.api_key", keys::<RawApiKey>()),
        ("poll", keys::<PollConfig>()),
        ("discovery", keys::<RawDiscovery>()),
        ("collectors", keys::<RawCollectors>()),
        ("shard", keys::<RawShard>()),
        ("links", keys::<LinkConfig>()),
        ("projects", keys::<RawProject>()),
        ("projects.service_account", keys::<RawServiceAccount>()),
        ("projects.api_key", keys::<RawApiKey>()),
        ("organizations", keys::<RawOrganization>()),
        ("organizations.service_account", keys::<RawServiceAccount>()),
        ("organizations.api_key", keys::<RawApiKey>()),
    ]
}

/// Returns the keys of a table, which serde lists in its error about an unknown one.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let unknown = Table::from_iter([("?".to_owned(), Value::Boolean(true))]);
    let error = T::deserialize(unknown).err();
    let list = error.iter().flat_map(|error| error.message().split('`').skip(3).step_by(2));
    list.map(str::to_owned).collect()
}
