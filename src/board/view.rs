//! The board at one moment, with the rules of truth applied: what a reader may show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::unread::Reading;
use super::{ClusterState, Discovery, GoodPoll, ProjectState, State};
use crate::model::{
    Budget, Detail, ExportBucket, OrganizationId, PollError, ProjectId, Recovery, Schedule, Target,
    Unexportable,
};

/// The board at one moment, each list sorted by id and name.
#[derive(Debug, Clone)]
pub struct View {
    /// The moment that it is of, on the clock that nobody sets.
    pub at: Instant,
    /// The clusters that may be shown.
    pub clusters: Vec<ClusterView>,
    /// The projects that are watched.
    pub projects: Vec<ProjectView>,
    /// The organizations that are watched.
    pub organizations: Vec<OrganizationView>,
    /// Clusters watched, shown or not.
    pub targets: usize,
    /// When the secrets of service accounts end, by the short forms of their ids.
    pub expiries: BTreeMap<String, Timestamp>,
}

/// One cluster at one moment.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Which cluster.
    pub target: Arc<Target>,
    /// The name of its project.
    pub project: Arc<str>,
    /// Its state; `state.good` may be older than anything that should be shown.
    pub state: Arc<ClusterState>,
    /// Whether the last good poll is young enough for its figures to be shown.
    pub fresh: bool,
    /// When the newest snapshot that its policy exports was taken, as far as its snapshots were read of late.
    pub newest_snapshot: Option<Timestamp>,
    /// How far its bucket is behind its snapshots, as far as both were read of late.
    pub recovery: Option<Recovery>,
    /// When an automatic export failed last, by the events of its project.
    pub failed_event: Option<Timestamp>,
    /// Whether the bucket that its policy exports to is gone; `None` where nobody knows, or it exports nothing by itself.
    pub bucket_missing: Option<bool>,
    /// The details that say something of it, are on, and were neither read recently nor refused.
    pub unread: Vec<Detail>,
}

impl ClusterView {
    /// The last good poll, unless it is stale.
    #[must_use]
    pub fn current(&self) -> Option<&GoodPoll> {
        self.state.good.as_deref().filter(|_| self.fresh)
    }

    /// The error of the last poll, if that failed.
    #[must_use]
    pub fn error(&self) -> Option<&PollError> {
        self.state.last.as_ref()?.error.as_ref()
    }

    /// The longest time from one export to the next.
    #[must_use]
    pub fn expected_interval(&self) -> Option<Duration> {
        self.state.expected.interval_under(self.state.schedule.as_ref())
    }
}

/// How the discovery of a project goes.
#[derive(Debug, Clone)]
pub struct ProjectView {
    /// Which project.
    pub id: ProjectId,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Whether its name, its clusters and all their schedules could be read last; `None` before it was tried.
    pub success: Option<bool>,
    /// What could not be read, and why.
    pub error: Option<PollError>,
    /// When its name and clusters could be read last.
    pub last_success: Option<Timestamp>,
    /// Clusters that are left out, by reason; `None` before the first listing.
    pub left_out: Option<BTreeMap<Unexportable, u64>>,
    /// What is left of its budget.
    pub budget: Option<Budget>,
    /// The last reading of each detail; those that were not requested are not in it.
    pub details: BTreeMap<Detail, DetailView>,
    /// Its events and buckets as far as they are on, and were neither read recently nor refused.
    pub unread: Vec<Detail>,
    /// Its export buckets, if they were read of late.
    pub buckets: Option<Arc<[ExportBucket]>>,
    /// When Atlas said that a secret of a service account ends soon; `None` if it did not, or took it back.
    pub secrets_expiring: Option<Timestamp>,
}

/// The last reading of a detail of a project.
#[derive(Debug, Clone, Default)]
pub struct DetailView {
    /// True if it succeeded: for every cluster, if it is one of clusters.
    pub up: bool,
    /// True if Atlas refused it.
    pub is_refused: bool,
    /// The failure of the last reading.
    pub error: Option<PollError>,
}

impl DetailView {
    fn of(reading: &Reading) -> Option<Self> {
        let Reading { up, is_refused, error, .. } = reading;
        Some(Self { up: (*up)?, is_refused: *is_refused, error: error.clone() })
    }

    /// Both as one.
    fn and(self, other: Self) -> Self {
        let is_refused = self.is_refused || other.is_refused;
        Self { up: self.up && other.up, is_refused, error: self.error.or(other.error) }
    }
}

/// How the discovery of an organization goes.
#[derive(Debug, Clone)]
pub struct OrganizationView {
    /// Which organization.
    pub id: OrganizationId,
    /// How its projects were listed last.
    pub discovery: Discovery,
}

/// What is known of a project for its clusters, and what they tell of it.
#[derive(Debug)]
struct Told<'a> {
    id: &'a ProjectId,
    name: Option<&'a Arc<str>>,
    buckets: Option<&'a [ExportBucket]>,
    /// Those of its events and buckets that are not read.
    unread: Vec<Detail>,
    project: Option<&'a ProjectState>,
    /// The last reading of the snapshots of all.
    snapshots: Option<DetailView>,
    /// Why the first schedule that could not be read could not.
    schedule_error: Option<&'a PollError>,
}

impl<'a> Told<'a> {
    fn new(state: &'a State, id: &'a ProjectId, now: Instant) -> Self {
        let known = state.projects.get(id);
        let buckets = known.and_then(|known| known.details.buckets(state.detail_stale_after, now));
        let name = known.and_then(|known| known.name.as_ref());
        let unread = known.map(|known| state.unread_of(known, now)).unwrap_or_default();
        let buckets = buckets.map(|buckets| &**buckets);
        Self { id, name, buckets, unread, project: known, snapshots: None, schedule_error: None }
    }

    fn add(&mut self, cluster: &'a ClusterState) {
        if let Some(snapshots) = DetailView::of(&cluster.details.reading) {
            let others = self.snapshots.take();
            self.snapshots = Some(match others {
                Some(others) => others.and(snapshots),
                None => snapshots,
            });
        }
        self.schedule_error = self.schedule_error.or(cluster.schedule_error.as_ref());
    }

    /// The collectors of a cluster of the project that are not read, or not certain.
    fn unread(
        &self,
        state: &State,
        cluster: &ClusterState,
        bucket_missing: Option<bool>,
        now: Instant,
    ) -> Vec<Detail> {
        let mut unread = self.unread.clone();
        let Some(project) = self.project else { return unread };
        let bucket = cluster.schedule.as_ref().and_then(Schedule::bucket);
        let is_uncertain = bucket_missing.is_none() && bucket.is_some() && self.buckets.is_some();
        if is_uncertain && !unread.contains(&Detail::Buckets) && state.may_read_buckets(project) {
            unread.push(Detail::Buckets);
        }
        if state.are_snapshots_unread(cluster, project, now) {
            unread.push(Detail::Snapshots);
        }
        unread
    }
}

impl View {
    pub(super) fn of(state: &State, now: Instant) -> Self {
        let (mut clusters, mut told) = (Vec::new(), Vec::<Told<'_>>::new());
        // One after another, and each once: they lie scattered in memory, and they come project by project.
        for (target, cluster) in &state.clusters {
            if told.last().is_none_or(|told| *told.id != target.project_id) {
                told.push(Told::new(state, &target.project_id, now));
            }
            let Some(told) = told.last_mut() else { continue };
            told.add(cluster);
            let Some(project) = told.name.cloned() else { continue };
            let good = cluster.good.as_ref();
            let fresh = good.is_some_and(|good| now.duration_since(good.finished) <= state.stale_after);
            let bucket_missing = cluster.details.bucket_missing(cluster.schedule.as_ref(), told.buckets);
            let snapshots = cluster.details.snapshots.as_ref();
            let snapshots = snapshots.and_then(|read| read.current(state.detail_stale_after, now));
            clusters.push(ClusterView {
                target: target.clone(),
                project,
                state: cluster.clone(),
                fresh,
                newest_snapshot: snapshots.and_then(|snapshots| snapshots.newest()),
                recovery: cluster.details.recovery.filter(|_| fresh && snapshots.is_some()),
                failed_event: cluster.failed_event(),
                bucket_missing,
                unread: told.unread(state, cluster, bucket_missing, now),
            });
        }
        let project = |(id, project): (&ProjectId, &ProjectState)| {
            let told = told.binary_search_by_key(&id, |told| told.id).ok().map(|index| &told[index]);
            let error = project.discovery.error.as_ref().or(told.and_then(|told| told.schedule_error));
            ProjectView {
                id: id.clone(),
                name: project.name.clone(),
                success: project.discovery.was_tried().then_some(error.is_none()),
                error: error.cloned(),
                last_success: project.discovery.last_success,
                left_out: project.left_out.clone(),
                budget: project.budget,
                details: project
                    .details
                    .readings
                    .iter()
                    .filter_map(|(detail, reading)| Some((*detail, DetailView::of(reading)?)))
                    .chain(told.and_then(|told| Some((Detail::Snapshots, told.snapshots.clone()?))))
                    .collect(),
                unread: state.unread_of(project, now),
                buckets: project.details.buckets(state.detail_stale_after, now).cloned(),
                secrets_expiring: project.details.secrets_expiring(),
            }
        };
        let organization = |(id, discovery): (&OrganizationId, &Discovery)| OrganizationView {
            id: id.clone(),
            discovery: discovery.clone(),
        };
        let projects = state.projects.iter().map(project).collect();
        Self {
            at: now,
            clusters,
            projects,
            organizations: state.organizations.iter().map(organization).collect(),
            targets: state.clusters.len(),
            expiries: state.expiries.clone(),
        }
    }

    /// Number of details that are on and were neither read recently nor refused.
    #[must_use]
    pub fn unread(&self) -> usize {
        let of_clusters = self.clusters.iter().map(|cluster| cluster.unread.len());
        of_clusters.chain(self.projects.iter().map(|project| project.unread.len())).sum()
    }

    /// Returns true if nothing is wrong: there are clusters, every last poll and discovery was good, what is on was read or refused, and no bucket
    /// is missing.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.targets > 0
            && self.unread() == 0
            && self.clusters.iter().all(|cluster| cluster.bucket_missing != Some(true))
            && self.clusters.len() == self.targets
            && self.clusters.iter().all(|cluster| cluster.state.last.is_some() && cluster.error().is_none())
            && self.projects.iter().all(|project| project.success == Some(true))
            && self.organizations.iter().all(|organization| {
                organization.discovery.last_success.is_some() && organization.discovery.error.is_none()
            })
    }
}
