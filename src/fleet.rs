//! Who is watched: keeps one task for each organization, project, cluster and schedule that the configuration and the findings of
//! discovery ask for, and ends the others.

mod watched;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::atlas::{Error, MAX_ENTRIES};
use crate::board::Board;
use crate::clients::{self, Clients, expiries};
use crate::config::Config;
use crate::detail::{Reader, Subject};
use crate::discovery::{Finding, Scout};
use crate::model::{ListedCluster, OrganizationId, ProjectId, Target};
use crate::plan::{self, ListedProjects, Project};
use crate::poll::Poller;
use crate::self_metrics::SelfMetrics;
use crate::settings::{Follow, Lanes, Settings, first_delay};
use crate::telling::Place;
use watched::{SaidOfExclusions, Tasks, Watched, complain, log_few};

/// Findings that may wait to be taken in.
const WAITING: usize = 64;

/// Everyone who is watched.
#[derive(Debug)]
pub struct Fleet {
    config: Config,
    clients: Clients,
    board: Arc<Board>,
    settings: watch::Sender<Arc<Settings>>,
    findings: mpsc::Receiver<Finding>,
    scout: Arc<Scout>,
    poller: Arc<Poller>,
    reader: Arc<Reader>,
    /// How often the configuration was read anew.
    reloads: u64,
    /// The projects of each organization, as they were listed last.
    organizations: BTreeMap<OrganizationId, ListedProjects>,
    /// The logged exclusions of each organization.
    said: BTreeMap<OrganizationId, SaidOfExclusions>,
    /// The projects that are watched.
    projects: BTreeMap<ProjectId, Watched>,
    listing: BTreeMap<OrganizationId, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Fleet {
    /// Begins to watch what `config` names.
    pub fn new(config: Config, board: Arc<Board>, metrics: Arc<SelfMetrics>) -> Result<Self, Error> {
        let clients = Clients::new(metrics, &config)?;
        let settings = Settings {
            poll: config.poll.clone(),
            discovery_interval: config.discovery_interval,
            reloads: 0,
            detail: config.detail.clone(),
            projects: BTreeMap::new(),
            organizations: BTreeMap::new(),
            polls: Lanes::new(config.poll.concurrency),
            readings: Lanes::new(config.poll.concurrency),
        };
        let (sender, follow) = watch::channel(Arc::new(settings));
        let (found, findings) = mpsc::channel(WAITING);
        let mut fleet = Self {
            scout: Arc::new(Scout::new(board.clone(), follow.clone(), found)),
            poller: Arc::new(Poller::new(board.clone(), follow.clone())),
            reader: Arc::new(Reader::new(board.clone(), follow)),
            reloads: 0,
            config,
            clients,
            board,
            settings: sender,
            findings,
            organizations: BTreeMap::new(),
            said: BTreeMap::new(),
            projects: BTreeMap::new(),
            listing: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        fleet.follow_config();
        Ok(fleet)
    }

    /// Follows another configuration. Clusters that stay keep their state; an error changes nothing.
    pub fn reload(&mut self, config: Config) -> Result<(), Error> {
        self.clients.prepare(&config)?;
        self.config = config;
        self.reloads += 1;
        self.follow_config();
        Ok(())
    }

    /// Takes in what is found, for ever; returns when a task has ended, which none should.
    pub async fn run(&mut self) -> Result<(), JoinError> {
        loop {
            tokio::select! {
                Some(finding) = self.findings.recv() => self.take_in(finding),
                ended = ended(&mut self.tasks) => return ended,
            }
        }
    }

    /// What every task follows.
    #[must_use]
    pub fn settings(&self) -> Follow {
        self.settings.subscribe()
    }

    /// Ends every task.
    pub fn stop(&mut self) {
        self.tasks.abort_all();
    }

    fn take_in(&mut self, finding: Finding) {
        match finding {
            Finding::Projects { organization_id: id, listed, outcome } => {
                if let Some(listed) = listed
                    && self.listing.contains_key(&id)
                {
                    let known = self.organizations.entry(id.clone()).or_default();
                    let before = std::mem::replace(known, listed.found.into_iter().collect());
                    for (id, name) in before {
                        let has_room = known.len() < MAX_ENTRIES;
                        match known.entry(id) {
                            // A name once read stays, or an excluded project would be watched now and then.
                            Entry::Occupied(mut project) if project.get().is_none() => {
                                project.insert(name);
                            }
                            // An entry that could not be read may stand for anything that is missing.
                            Entry::Vacant(place) if listed.flaw.is_some() && has_room => {
                                place.insert(name);
                            }
                            _ => {}
                        }
                    }
                    self.follow_projects();
                }
                self.board.list_projects(&id, Timestamp::now().into(), outcome);
            }
            Finding::Clusters { project_id: id, listed, outcome } => {
                if let (Some(project), Some(listed)) = (self.projects.get_mut(&id), listed) {
                    if listed.found.is_empty() && listed.flaw.is_none() {
                        tracing::debug!(project_id = %id, "the project has no clusters");
                    }
                    let before = project.listed.replace(listed.found).unwrap_or_default();
                    if listed.flaw.is_some() {
                        plan::keep_missing(project.listed.get_or_insert_default(), before, MAX_ENTRIES);
                    }
                    self.follow_clusters(&id);
                }
                self.read_details(&id);
                self.board.discover(&id, Timestamp::now().into(), outcome);
            }
            Finding::Schedule { target, auto_export } => {
                let project = self.projects.get_mut(&target.project_id);
                if let Some(tasks) = project.and_then(|project| project.clusters.get_mut(&target)) {
                    tasks.follow_snapshots(&self.reader, &mut self.tasks, &target, auto_export);
                }
            }
        }
    }

    fn follow_config(&mut self) {
        self.board.set_stale_after(self.config.poll.stale_after);
        self.board.set_details(self.config.detail.stale_after(), &self.config.detail.off);
        self.board.set_expiries(expiries(&self.config));
        for (credentials, at) in clients::ended(&self.config, Timestamp::now()) {
            tracing::warn!(credentials, expired_at = %at, "the secret has expired, by expires_at");
        }
        let wanted: BTreeSet<_> = self.config.organizations.iter().map(|entry| entry.id.clone()).collect();
        self.organizations.retain(|id, _| wanted.contains(id));
        self.said.retain(|id, _| wanted.contains(id));
        self.follow_projects();
        self.listing.retain(|id, task| {
            let stays = wanted.contains(id);
            if !stays {
                task.abort();
                self.board.forget_organization(id);
            }
            stays
        });
        for id in wanted {
            if !self.listing.contains_key(&id) {
                self.board.watch_organization(&id);
                let task = self.tasks.spawn(self.scout.clone().watch_organization(id.clone()));
                self.listing.insert(id, task);
            }
        }
    }

    /// Brings the watched projects, and what everyone follows, up to date.
    fn follow_projects(&mut self) {
        let plans = plan::projects(&self.config, &self.organizations);
        self.publish_settings(&plans);
        let gone: Vec<_> = self.projects.keys().filter(|id| !plans.contains_key(id)).cloned().collect();
        let others =
            log_few(&gone, |id| tracing::info!(project_id = %id, "the project is watched no longer"));
        if others > 0 {
            tracing::info!(projects = others, "further projects are watched no longer");
        }
        for id in gone {
            self.forget_project(&id);
        }
        let fresh = plans.keys().filter(|id| !self.projects.contains_key(id)).count();
        let mut begun = 0;
        for (id, plan) in plans {
            if let Some(project) = self.projects.get_mut(&id) {
                project.plan = plan;
            } else {
                self.board.watch_project(&id);
                let delay = first_delay(begun, fresh, self.config.discovery_interval);
                begun += 1;
                let task = self.tasks.spawn(self.scout.clone().watch_project(id.clone(), delay));
                self.projects.insert(id.clone(), Watched::new(plan, task));
            }
            self.follow_clusters(&id);
        }
        self.check_exclusions();
    }

    /// Says what the organizations exclude, and which of their exclusions match nothing.
    fn check_exclusions(&mut self) {
        for organization in &self.config.organizations {
            let id = &organization.id;
            let Some(listed) = self.organizations.get(id) else { continue };
            let said = self.said.entry(id.clone()).or_default();
            let excluded = plan::excluded(&self.config, organization, listed);
            if std::mem::replace(&mut said.excluded, excluded) != excluded {
                tracing::info!(organization_id = %id, listed = listed.len(), excluded, "projects are excluded by exclude_projects");
            }
            let projects =
                self.projects.values().filter(|project| project.plan.organization.as_ref() == Some(id));
            let clusters: Option<Vec<_>> = projects.map(|project| project.listed.as_ref()).collect();
            let names = clusters.map(|clusters| {
                clusters.into_iter().flatten().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>()
            });
            let found = plan::organization_complaints(organization, listed, names.as_deref());
            let place = Place { organization: Some(id), ..Place::default() };
            complain(place, found, &mut said.complaints);
        }
    }

    fn publish_settings(&self, plans: &BTreeMap<ProjectId, Project>) {
        let Config { poll, discovery_interval, detail, organizations, .. } = &self.config;
        let before = self.settings.borrow().clone();
        let lanes = |before: &Arc<Lanes>| {
            if before.width() == poll.concurrency { before.clone() } else { Lanes::new(poll.concurrency) }
        };
        let client = |credentials| self.clients.of(credentials);
        self.settings.send_replace(Arc::new(Settings {
            poll: poll.clone(),
            discovery_interval: *discovery_interval,
            reloads: self.reloads,
            detail: detail.clone(),
            projects: plans
                .iter()
                .filter_map(|(id, plan)| Some((id.clone(), client(&plan.credentials)?)))
                .collect(),
            organizations: organizations
                .iter()
                .filter_map(|entry| Some((entry.id.clone(), client(&entry.credentials)?)))
                .collect(),
            polls: lanes(&before.polls),
            readings: lanes(&before.readings),
        }));
    }

    /// Brings the watched clusters of a project up to date.
    fn follow_clusters(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.get_mut(id) else { return };
        let listed = project.listed.as_deref();
        let selected = plan::clusters(&project.plan.selection, listed);
        if let Some(listed) = listed {
            let organization = project.plan.organization.as_ref();
            let found = plan::complaints(&project.plan.selection, listed, &selected, organization);
            complain(Place { project: Some(id), ..Place::default() }, found, &mut project.said);
            self.board.leave_out(id, selected.counts());
        }
        let target = |name: &str| Target { project_id: id.clone(), cluster_name: name.to_owned() };
        let mut wanted: BTreeMap<Target, Option<&ListedCluster>> =
            selected.watched.iter().map(|(name, listed)| (target(name), *listed)).collect();
        wanted.retain(|target, _| self.config.shard.holds(target));

        let (board, scout, poller) = (&self.board, &self.scout, &self.poller);
        let gone: Vec<_> =
            project.clusters.extract_if(.., |target, _| !wanted.contains_key(target)).collect();
        let others = log_few(&gone, |(target, _)| {
            tracing::info!(project_id = %id, cluster_name = target.cluster_name, "the cluster is watched no longer");
        });
        if others > 0 {
            tracing::info!(project_id = %id, clusters = others, "further clusters are watched no longer");
        }
        for (target, tasks) in gone {
            tasks.end();
            board.forget(&target);
        }
        let (count, mut begun) = (wanted.len(), 0);
        for (index, (target, listed)) in wanted.into_iter().enumerate() {
            board.watch(&target, project.plan.expected);
            let delay = first_delay(index, count, self.config.poll.interval);
            let tasks = project.clusters.entry(target.clone()).or_insert_with(|| {
                begun += 1;
                Tasks::new(self.tasks.spawn(poller.clone().watch(target.clone(), delay)))
            });
            let scheduled = listed.is_some_and(|listed| listed.unexportable.is_none());
            tasks.sharded = listed.is_some_and(|listed| listed.sharded);
            board.describe(&target, listed, scheduled);
            match (&tasks.schedule, scheduled) {
                (None, true) => {
                    let watch = scout.clone().watch_schedule(target.clone(), delay);
                    tasks.schedule = Some(self.tasks.spawn(watch));
                }
                (Some(task), false) => {
                    task.abort();
                    tasks.schedule = None;
                }
                _ => {}
            }
            let exports = scheduled && tasks.snapshots.is_some();
            tasks.follow_snapshots(&self.reader, &mut self.tasks, &target, exports);
        }
        if begun > 0 {
            let left_out = selected.left_out.len();
            tracing::info!(project_id = %id, clusters = begun, left_out, "watching further clusters");
        }
    }

    /// Has the events and buckets of a project read, once its clusters are known.
    fn read_details(&mut self, id: &ProjectId) {
        if let Some(project) = self.projects.get_mut(id).filter(|project| project.details.is_empty()) {
            let reader = &self.reader;
            project.details = vec![
                self.tasks.spawn(reader.clone().watch(Subject::Buckets(id.clone()))),
                self.tasks.spawn(reader.clone().watch(Subject::Events(id.clone()))),
            ];
        }
    }

    fn forget_project(&mut self, id: &ProjectId) {
        let Some(project) = self.projects.remove(id) else { return };
        project.end();
        self.board.forget_project(id);
    }
}

/// How the next task ends by itself; those that are ended do not count.
async fn ended(tasks: &mut JoinSet<()>) -> Result<(), JoinError> {
    loop {
        match tasks.join_next().await {
            Some(Err(error)) if error.is_cancelled() => {}
            Some(ended) => return ended,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_task_that_returns_or_panics_is_noticed_and_one_that_is_ended_is_not() {
        let mut tasks = JoinSet::new();
        tasks.spawn(std::future::pending()).abort();
        tasks.spawn(std::future::pending());
        let soon = Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, ended(&mut tasks)).await.is_err());
        tasks.spawn(async {});
        assert!(ended(&mut tasks).await.is_ok());
        tasks.spawn(async { panic!("a poll task died") });
        assert!(ended(&mut tasks).await.unwrap_err().to_string().contains("a poll task died"));
    }
}
