//! The part of the configuration that tasks use, replaced as a whole by a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{AtlasClient, OrganizationId, ProjectId};
use tokio::sync::watch;

use crate::config::{CollectorConfig, PollConfig};
use crate::poll::limiter::PollLimiter;

/// Receives the configuration whenever it is replaced.
pub type ConfigReceiver = watch::Receiver<Arc<ReloadableConfig>>;

/// What polls, discovery and collectors use.
#[derive(Debug)]
pub struct ReloadableConfig {
    /// How clusters are polled.
    pub poll: PollConfig,
    /// Interval at which organizations, projects and schedules are read.
    pub discovery_interval: Duration,
    /// How collectors read.
    pub collectors: CollectorConfig,
    /// Number of reloads so far.
    pub reloads: u64,
    /// The client of each project.
    pub project_clients: BTreeMap<ProjectId, AtlasClient>,
    /// The client of each organization.
    pub organization_clients: BTreeMap<OrganizationId, AtlasClient>,
    /// Limits polls.
    pub poll_limiter: Arc<PollLimiter>,
    /// Limits the requests of discovery and collectors.
    pub read_limiter: Arc<PollLimiter>,
}
