//! The validated configuration.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use atlas_client::{CaBundle, Credentials, OrganizationId, ProjectId, Proxy};
use glob::Pattern;
use serde::Deserialize;
use url::Url;

use super::cluster_selector::{ClusterSelector, ProjectPattern};
use super::link_template::LinkTemplate;
use super::value;
use crate::model::{CollectorKind, ExportExpectation, Shard};

pub(super) const BASE_URL: &str = "https://cloud.mongodb.com";

/// Prefix of environment variables; two underscores follow it.
pub const ENV_PREFIX: &str = "ATLAS_BACKUP_EXPORTER";

/// The flag that overrides `shard.index`.
pub(super) const SHARD_FLAG: &str = "--shard.index";

#[derive(Debug, Clone)]
pub struct Config {
    /// Root of the API, without query and credentials. The path ends with a slash.
    pub base_url: Url,
    /// Certificate authorities in addition to those of the system.
    pub ca_bundle: CaBundle,
    pub proxy: Option<Proxy>,
    pub poll: PollConfig,
    /// Interval between readings of organizations, projects and schedules.
    pub discovery_interval: Duration,
    pub collectors: CollectorConfig,
    /// Projects to poll, without duplicates. They override the same projects of `organizations`.
    pub projects: Vec<ProjectTarget>,
    /// Organizations whose projects to poll, without duplicates.
    pub organizations: Vec<OrganizationConfig>,
    pub shard: Shard,
    pub links: LinkConfig,
    pub warnings: Vec<Warning>,
}

/// An environment variable without effect that resembles one with an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub variable: String,
    /// Problem of the variable, without its value.
    pub problem: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ignored: {}", self.variable, self.problem)
    }
}

/// Source of a configuration, with the flag that overrides it.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: PathBuf,
    pub shard_index: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct PollConfig {
    /// Interval between polls of a cluster.
    #[serde(deserialize_with = "value::parsed")]
    pub interval: Duration,
    /// Timeout of a poll of a cluster, with all pages and retries.
    #[serde(deserialize_with = "value::parsed")]
    pub timeout: Duration,
    /// Age at which metrics are withdrawn.
    #[serde(deserialize_with = "value::parsed")]
    pub stale_after: Duration,
    /// Maximum number of polls that start concurrently, 1 to 1000.
    #[serde(deserialize_with = "value::parsed")]
    pub concurrency: u32,
    /// True to read only the newest jobs between full listings.
    #[serde(deserialize_with = "value::parsed")]
    pub incremental: bool,
    /// Interval between full listings of a cluster.
    #[serde(deserialize_with = "value::parsed")]
    pub full_listing_interval: Duration,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            stale_after: Duration::from_mins(15),
            concurrency: 8,
            incremental: true,
            full_listing_interval: Duration::from_hours(1),
        }
    }
}

pub const DISCOVERY_INTERVAL: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorConfig {
    /// Interval between readings of a collector.
    pub interval: Duration,
    pub disabled: Vec<CollectorKind>,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self { interval: Duration::from_mins(10), disabled: Vec::new() }
    }
}

impl CollectorConfig {
    /// Returns the age at which results are withdrawn: after three missed readings.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.interval * 3
    }
}

/// Addresses that the status page links to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LinkConfig {
    /// Address of `alerts/RUNBOOKS.md`, without the name of an alert.
    pub runbooks: Option<LinkTemplate>,
    /// Address of the dashboard of a cluster.
    pub dashboard: Option<LinkTemplate>,
}

#[derive(Debug, Clone)]
pub struct ProjectTarget {
    pub id: ProjectId,
    /// Organization that lists it; `None` for a `[[projects]]` entry.
    pub organization: Option<OrganizationId>,
    pub selection: ClusterSelector,
    pub expected: ExportExpectation,
    pub credentials: Credentials,
}

#[derive(Debug, Clone)]
pub struct OrganizationConfig {
    pub id: OrganizationId,
    pub exclude_projects: Vec<ProjectPattern>,
    /// Patterns of clusters to exclude.
    pub exclude_clusters: Vec<Pattern>,
    /// Expectation for the clusters of all projects.
    pub expected: ExportExpectation,
    pub credentials: Credentials,
}

impl OrganizationConfig {
    /// Returns true if a project is excluded. An unknown name matches no pattern.
    #[must_use]
    pub fn excludes(&self, id: &ProjectId, name: Option<&str>) -> bool {
        self.exclude_projects.iter().any(|pattern| pattern.matches(id, name))
    }
}

impl Config {
    /// Returns the credentials of all entries, with duplicates.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        let of_projects = self.projects.iter().map(|project| &project.credentials);
        of_projects.chain(self.organizations.iter().map(|organization| &organization.credentials))
    }
}
