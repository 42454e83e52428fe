//! Supervises tasks: one for each organization, project, cluster, schedule and collector.

mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atlas_client::{Error, ListedCluster, MAX_ENTRIES, OrganizationId, ProjectId, Schedule, Target};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::collectors::{Buckets, CollectorRunner, Events, Snapshots};
use crate::config::Config;
use crate::discovery::clients::{self, Clients, expiries};
use crate::discovery::targets;
use crate::discovery::worker::{DiscoveryWorker, TargetChange};
use crate::metrics::self_metrics::SelfMetrics;
use crate::model::ReadError;
use crate::poll::PollWorker;
use crate::poll::timing::startup_delay;
use crate::reloadable_config::ReloadableConfig;
use crate::store::Store;
use crate::util::failure_log::LogContext;
use tasks::{Cluster, Organization, Project, Tasks, warn};

/// Capacity of the channel for results of discovery.
const MAX_CHANGES: usize = 64;

/// Maximum number of log lines about clusters of a project that are removed together.
const MAX_REMOVALS_LOGGED: usize = 10;

/// Starts and cancels tasks according to the configuration and the results of discovery.
#[derive(Debug)]
pub(crate) struct Supervisor {
    config: Config,
    clients: Clients,
    store: Arc<Store>,
    pub(crate) reloadable_config: watch::Sender<Arc<ReloadableConfig>>,
    changes: mpsc::Receiver<TargetChange>,
    discovery: Arc<DiscoveryWorker>,
    poller: Arc<PollWorker>,
    collectors: Arc<CollectorRunner>,
    reloads: u64,
    organizations: BTreeMap<OrganizationId, Organization>,
    projects: BTreeMap<ProjectId, Project>,
    tasks: Tasks,
}

impl Supervisor {
    pub(crate) fn new(config: Config, store: Arc<Store>, metrics: Arc<SelfMetrics>) -> Result<Self, Error> {
        let clients = Clients::new(metrics.clone(), &config)?;
        let reloadable_config = ReloadableConfig::new(&config, 0, &clients, &BTreeMap::new(), None);
        let (reloadable_config, receiver) = watch::channel(Arc::new(reloadable_config));
        let (sender, changes) = mpsc::channel(MAX_CHANGES);
        let mut supervisor = Self {
            discovery: Arc::new(DiscoveryWorker { receiver: receiver.clone(), changes: sender }),
            poller: Arc::new(PollWorker { store: store.clone(), metrics, receiver: receiver.clone() }),
            collectors: Arc::new(CollectorRunner::new(store.clone(), receiver)),
            reloads: 0,
            config,
            clients,
            store,
            reloadable_config,
            changes,
            organizations: BTreeMap::new(),
            projects: BTreeMap::new(),
            tasks: Tasks::default(),
        };
        supervisor.reconcile();
        Ok(supervisor)
    }

    /// Replaces the configuration. Tasks that are still needed continue.
    ///
    /// On an error, the previous configuration is kept.
    pub(crate) fn reload(&mut self, config: Config) -> Result<(), Error> {
        self.clients.prepare(&config)?;
        self.config = config;
        self.reloads += 1;
        self.reconcile();
        Ok(())
    }

    /// Applies the results of discovery. Returns if a task ends unexpectedly, with the reason.
    pub(crate) async fn run(&mut self) -> String {
        loop {
            tokio::select! {
                Some(change) = self.changes.recv() => self.apply(change),
                reason = self.tasks.ended() => return reason,
            }
        }
    }

    fn apply(&mut self, change: TargetChange) {
        match change {
            TargetChange::Projects { organization_id: id, listed, outcome } => {
                if let (Some(organization), Some(listed)) = (self.organizations.get_mut(&id), listed) {
                    let before = organization.listed.take().unwrap_or_default();
                    organization.listed = Some(targets::merge_projects(listed, before, MAX_ENTRIES));
                    self.reconcile_projects();
                }
                self.store.record_projects_listed(&id, Timestamp::now(), outcome);
            }
            TargetChange::Clusters { project_id: id, listed, outcome } => {
                let Some(project) = self.projects.get_mut(&id) else { return };
                if let Some(listed) = listed {
                    if listed.entries.is_empty() && listed.error.is_none() {
                        tracing::debug!(project_id = %id, "the project has no clusters");
                    }
                    let before = project.listed.take().unwrap_or_default();
                    project.listed = Some(targets::merge_clusters(listed, before, MAX_ENTRIES));
                }
                self.reconcile_clusters(&id);
                self.start_collectors(&id);
                self.store.record_discovery(&id, Timestamp::now(), outcome);
            }
            TargetChange::ProjectName { project_id: id, name } => match name {
                Some(name) => self.store.record_project_name(&id, name),
                // Without a name, the last known one is kept. The id replaces a name never read.
                None if self.store.project_name(&id).is_some() => {}
                None => self.store.record_project_name(&id, id.to_string()),
            },
            TargetChange::Schedule { target, schedule } => self.apply_schedule(&target, schedule),
        }
    }

    fn apply_schedule(&mut self, target: &Target, schedule: Result<Schedule, ReadError>) {
        let Some(project) = self.projects.get_mut(&target.project_id) else { return };
        let Some(cluster) = project.clusters.get_mut(target) else { return };
        let exports = schedule.as_ref().ok().map(Schedule::has_auto_export);
        if let Ok(known @ Schedule { auto_export: Some(true), frequency: Some(word), .. }) = &schedule
            && known.export_period().is_none()
            && self.store.exporting_schedule(target).and_then(|before| before.frequency).as_ref()
                != Some(word)
        {
            tracing::warn!(
                project_id = %target.project_id,
                cluster_name = target.cluster_name,
                frequency = word,
                "unknown frequency of the export policy; set `expected_interval` for the project"
            );
        }
        self.store.record_schedule(target, schedule);
        if self.store.is_bucket_unlisted(target) {
            project.bucket_unlisted.notify_one();
        }
        match exports {
            Some(true) if cluster.snapshots.is_none() => {
                let snapshots = Snapshots { target: target.clone(), sharded: cluster.sharded };
                cluster.snapshots = Some(self.tasks.spawn(self.collectors.clone().watch(snapshots)));
            }
            Some(false) => cluster.snapshots = None,
            _ => {}
        }
    }

    fn reconcile(&mut self) {
        self.store.set_stale_after(self.config.poll.stale_after);
        self.store.set_collectors(self.config.collectors.stale_after(), &self.config.collectors.disabled);
        self.store.set_expiries(expiries(&self.config));
        for (credentials, at) in clients::expired(&self.config, Timestamp::now()) {
            tracing::warn!(credentials, expired_at = %at, "the secret has expired according to `expires_at`");
        }
        let configured: BTreeSet<_> = self.config.organizations.iter().map(|entry| &entry.id).collect();
        for (id, _) in self.organizations.extract_if(.., |id, _| !configured.contains(id)) {
            self.store.remove_organization(&id);
        }
        for id in configured {
            self.organizations.entry(id.clone()).or_insert_with(|| {
                self.store.add_organization(id);
                Organization {
                    _discovery: self.tasks.spawn(self.discovery.clone().watch_organization(id.clone())),
                    listed: None,
                    excluded: 0,
                    warned: BTreeSet::new(),
                }
            });
        }
        self.reconcile_projects();
    }

    fn reconcile_projects(&mut self) {
        let listed = |id: &OrganizationId| self.organizations.get(id)?.listed.as_ref();
        let targets = targets::select_projects(&self.config, listed);
        let before = self.reloadable_config.borrow().clone();
        let reloadable_config =
            ReloadableConfig::new(&self.config, self.reloads, &self.clients, &targets, Some(&before));
        self.reloadable_config.send_replace(Arc::new(reloadable_config));

        for (id, _) in self.projects.extract_if(.., |id, _| !targets.contains_key(id)) {
            tracing::info!(project_id = %id, "stopped monitoring project");
            self.store.remove_project(&id);
        }
        let count = targets.len();
        for (index, (id, target)) in targets.into_iter().enumerate() {
            if let Some(project) = self.projects.get_mut(&id) {
                project.target = target;
            } else {
                self.store.add_project(&id);
                let delay = startup_delay(index, count, self.config.discovery_interval);
                let project = Project {
                    target,
                    _discovery: self.tasks.spawn(self.discovery.clone().watch_project(id.clone(), delay)),
                    collectors: Vec::new(),
                    bucket_unlisted: Arc::default(),
                    listed: None,
                    clusters: BTreeMap::new(),
                    warned: BTreeSet::new(),
                };
                self.projects.insert(id.clone(), project);
            }
            self.reconcile_clusters(&id);
        }
        self.check_exclusions();
    }

    /// Starts the collectors of a project, whose clusters must be in the store: the search for
    /// events needs their names.
    fn start_collectors(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else { return };
        if project.collectors.is_empty() {
            let buckets = Buckets { project_id: id.clone(), unlisted: project.bucket_unlisted.clone() };
            project.collectors = vec![
                self.tasks.spawn(self.collectors.clone().watch(buckets)),
                self.tasks.spawn(self.collectors.clone().watch(Events::new(id.clone()))),
            ];
        }
    }

    /// Logs the number of projects excluded by each organization, and patterns without a match.
    fn check_exclusions(&mut self) {
        for entry in &self.config.organizations {
            let id = &entry.id;
            let Some(organization) = self.organizations.get_mut(id) else { continue };
            let Some(listed) = &organization.listed else { continue };
            let excluded = targets::excluded_projects(&self.config, entry, listed);
            if std::mem::replace(&mut organization.excluded, excluded) != excluded {
                let listed = listed.len();
                let message = "projects excluded by `exclude_projects`";
                tracing::info!(organization_id = %id, listed, excluded, "{message}");
            }
            let projects =
                self.projects.values().filter(|project| project.target.organization.as_ref() == Some(id));
            let clusters: Option<Vec<_>> = projects.map(|project| project.listed.as_ref()).collect();
            let names = clusters.map(|clusters| {
                clusters.into_iter().flatten().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>()
            });
            let warnings = targets::organization_warnings(entry, listed, names.as_deref());
            warn(LogContext::organization(id), warnings, &mut organization.warned);
        }
    }

    fn reconcile_clusters(&mut self, id: &ProjectId) {
        let Self { config, store, discovery, poller, collectors, tasks, .. } = self;
        let Some(project) = self.projects.get_mut(id) else { return };
        let listed = project.listed.as_deref();
        let selected = targets::select_clusters(&project.target.selection, listed);
        if let Some(listed) = listed {
            let warnings = targets::selection_warnings(&project.target, listed, &selected);
            warn(LogContext::project(id), warnings, &mut project.warned);
            store.record_excluded(id, selected.counts());
        }
        let wanted: BTreeMap<Target, Option<&ListedCluster>> = selected
            .watched
            .iter()
            .map(|(name, listed)| {
                (Target { project_id: id.clone(), cluster_name: (*name).to_owned() }, *listed)
            })
            .filter(|(target, _)| config.shard.contains(target))
            .collect();

        let mut removed = 0;
        for (target, _) in project.clusters.extract_if(.., |target, _| !wanted.contains_key(target)) {
            removed += 1;
            if removed <= MAX_REMOVALS_LOGGED {
                let cluster_name = target.cluster_name.as_str();
                tracing::info!(project_id = %id, cluster_name, "stopped monitoring cluster");
            }
            store.remove_cluster(&target);
        }
        let others = removed.saturating_sub(MAX_REMOVALS_LOGGED);
        if others > 0 {
            tracing::info!(project_id = %id, clusters = others, "stopped monitoring more clusters");
        }
        let (count, before) = (wanted.len(), project.clusters.len());
        for (index, (target, listed)) in wanted.into_iter().enumerate() {
            store.add_cluster(&target, project.target.expected);
            let delay = startup_delay(index, count, config.poll.interval);
            let sharded = listed.is_some_and(|listed| listed.sharded);
            let cluster = project.clusters.entry(target.clone()).or_insert_with(|| {
                let poll = tasks.spawn(poller.clone().watch(target.clone(), delay));
                Cluster { _poll: poll, schedule: None, snapshots: None, sharded }
            });
            let is_scheduled = listed.is_some_and(|listed| listed.unexportable.is_none());
            store.record_listed_cluster(&target, listed, is_scheduled);
            if !is_scheduled {
                (cluster.schedule, cluster.snapshots) = (None, None);
            } else if cluster.schedule.is_none() {
                let watch = discovery.clone().watch_schedule(target.clone(), delay);
                cluster.schedule = Some(tasks.spawn(watch));
            }
            if cluster.sharded != sharded && cluster.snapshots.is_some() {
                let snapshots = Snapshots { target, sharded };
                cluster.snapshots = Some(tasks.spawn(collectors.clone().watch(snapshots)));
            }
            cluster.sharded = sharded;
        }
        let added = project.clusters.len() - before;
        if added > 0 {
            let excluded = selected.excluded.len();
            tracing::info!(project_id = %id, clusters = added, excluded, "started monitoring clusters");
        }
    }
}
