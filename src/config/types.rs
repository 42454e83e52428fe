//! The configuration as the exporter uses it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use atlas_client::{CaBundle, Credentials, OrganizationId, ProjectId, Proxy};
use glob::Pattern;
use serde::Deserialize;
use url::Url;

use super::cluster_selector::{ClusterSelector, ProjectPattern};
use super::value;
use crate::model::{CollectorKind, ExportExpectation, Shard};

pub(super) const BASE_URL: &str = "https://cloud.mongodb.com";

/// Prefix of every variable of the environment layer; two underscores follow it.
pub const ENV_PREFIX: &str = "ATLAS_BACKUP_EXPORTER";

/// The flag that wins over `shard.index`.
pub(super) const SHARD_FLAG: &str = "--shard.index";

#[derive(Debug, Clone)]
pub struct Config {
    /// The root of the API, with neither query nor credentials in it; its path ends in a slash.
    pub base_url: Url,
    /// Authorities that are trusted besides those of the system.
    pub ca_bundle: CaBundle,
    /// The proxy for requests to Atlas.
    pub proxy: Option<Proxy>,
    pub poll: PollConfig,
    /// How often organizations, projects and schedules are read.
    pub discovery_interval: Duration,
    /// What is read besides the export jobs.
    pub collectors: CollectorConfig,
    /// What to watch; each project once. They win over `organizations` where both name a project.
    pub projects: Vec<ProjectTarget>,
    /// What to watch as a whole; each organization once.
    pub organizations: Vec<OrganizationConfig>,
    /// Which of all clusters are this exporter's.
    pub shard: Shard,
    /// Variables of the environment without effect.
    pub warnings: Vec<Warning>,
}

/// A variable of the environment that has no effect, though it seems to be meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    pub variable: String,
    /// The problem with it. Its value is not repeated.
    pub problem: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ignored: {}", self.variable, self.problem)
    }
}

/// Where a configuration is read from, and what the command line adds to it.
#[derive(Debug, Clone)]
pub struct Source {
    pub file: PathBuf,
    pub shard_index: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct PollConfig {
    /// From one poll of a cluster to its next.
    #[serde(deserialize_with = "value::parsed")]
    pub interval: Duration,
    /// One poll of one cluster, all pages and retries.
    #[serde(deserialize_with = "value::parsed")]
    pub timeout: Duration,
    /// Age at which figures are withdrawn.
    #[serde(deserialize_with = "value::parsed")]
    pub stale_after: Duration,
    /// Polls begun at once; at least 1.
    #[serde(deserialize_with = "value::parsed")]
    pub concurrency: u32,
    /// Whether polls read only the newest jobs between full listings.
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
    /// Interval at which a collector reads.
    pub interval: Duration,
    /// The collectors that are disabled.
    pub off: Vec<CollectorKind>,
}

impl Default for CollectorConfig {
    fn default() -> Self {
        Self { interval: Duration::from_mins(10), off: Vec::new() }
    }
}

impl CollectorConfig {
    /// Age at which what was read is withdrawn: two readings may fail.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.interval * 3
    }
}

/// A project that is watched, and how.
#[derive(Debug, Clone)]
pub struct ProjectTarget {
    pub id: ProjectId,
    /// The organization that it was found in; `None` for a `[[projects]]` entry.
    pub organization: Option<OrganizationId>,
    pub selection: ClusterSelector,
    pub expected: ExportExpectation,
    pub credentials: Credentials,
}

#[derive(Debug, Clone)]
pub struct OrganizationConfig {
    pub id: OrganizationId,
    pub exclude_projects: Vec<ProjectPattern>,
    /// Clusters of its projects that are not watched.
    pub exclude_clusters: Vec<Pattern>,
    /// What is expected of the clusters of its projects.
    pub expected: ExportExpectation,
    pub credentials: Credentials,
}

impl OrganizationConfig {
    /// Returns true if a project is excluded, as far as its name is known.
    #[must_use]
    pub fn excludes(&self, id: &ProjectId, name: Option<&str>) -> bool {
        self.exclude_projects.iter().any(|pattern| pattern.matches(id, name))
    }
}

impl Config {
    /// Returns the credentials of every entry, each as often as it is configured.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        let of_projects = self.projects.iter().map(|project| &project.credentials);
        of_projects.chain(self.organizations.iter().map(|organization| &organization.credentials))
    }
}
