//! The part of the configuration that tasks use, replaced as a whole by a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{AtlasClient, OrganizationId, ProjectId};
use tokio::sync::watch;

use crate::config::{CollectorConfig, Config, LinkConfig, LinkTemplate, PollConfig, ProjectTarget};
use crate::discovery::clients::Clients;
use crate::model::Shard;
use crate::poll::limiter::PollLimiter;

pub type ConfigReceiver = watch::Receiver<Arc<ReloadableConfig>>;

/// Settings and clients of polls, discovery and collectors.
#[derive(Debug)]
pub struct ReloadableConfig {
    pub poll: PollConfig,
    /// Interval at which organizations, projects and schedules are read.
    pub discovery_interval: Duration,
    pub collectors: CollectorConfig,
    pub shard: Shard,
    /// Address of a cluster in Atlas.
    pub atlas_link: LinkTemplate,
    pub links: LinkConfig,
    /// Number of reloads so far.
    pub reloads: u64,
    pub project_clients: BTreeMap<ProjectId, AtlasClient>,
    pub organization_clients: BTreeMap<OrganizationId, AtlasClient>,
    pub poll_limiter: Arc<PollLimiter>,
    /// Limits the requests of discovery and collectors.
    pub read_limiter: Arc<PollLimiter>,
}

impl ReloadableConfig {
    /// Keeps the limiters of `previous` if the concurrency is the same.
    pub(crate) fn new(
        config: &Config,
        reloads: u64,
        clients: &Clients,
        targets: &BTreeMap<ProjectId, ProjectTarget>,
        previous: Option<&Self>,
    ) -> Self {
        let Config { poll, discovery_interval, collectors, organizations, .. } = config;
        let (poll_limiter, read_limiter) = match previous {
            Some(previous) if previous.poll.concurrency == poll.concurrency => {
                (previous.poll_limiter.clone(), previous.read_limiter.clone())
            }
            _ => (PollLimiter::new(poll.concurrency), PollLimiter::new(poll.concurrency)),
        };
        Self {
            poll: poll.clone(),
            discovery_interval: *discovery_interval,
            collectors: collectors.clone(),
            shard: config.shard,
            atlas_link: LinkTemplate::of_atlas(&config.base_url),
            links: config.links.clone(),
            reloads,
            project_clients: targets
                .iter()
                .filter_map(|(id, target)| Some((id.clone(), clients.of(&target.credentials)?)))
                .collect(),
            organization_clients: organizations
                .iter()
                .filter_map(|entry| Some((entry.id.clone(), clients.of(&entry.credentials)?)))
                .collect(),
            poll_limiter,
            read_limiter,
        }
    }
}
