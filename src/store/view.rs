//! The store at one moment, with the rules of truth applied: what a reader may show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{ExportBucket, FailureReason, OrganizationId, ProjectId, Quota, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::readings::{Reading, has_bucket};
use super::records::{ClusterRecord, Discovery, GoodPoll, ProjectRecord, State};
use crate::model::{CollectorKind, ExclusionReason, PollError, RecoveryPoint};

/// The store at one moment, each list sorted by id and name.
#[derive(Debug, Clone)]
pub struct StoreView {
    /// The time of the view, on the monotonic clock.
    pub at: Instant,
    /// The clusters that may be shown.
    pub clusters: Vec<ClusterView>,
    pub projects: Vec<ProjectView>,
    pub organizations: Vec<OrganizationView>,
    pub targets: usize,
    /// When the secrets of service accounts end, by the short forms of their ids.
    pub expiries: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone)]
pub struct ClusterView {
    pub target: Arc<Target>,
    pub project: Arc<str>,
    /// Its state; `state.good` may be older than anything that should be shown.
    pub state: Arc<ClusterRecord>,
    /// Whether the last good poll is young enough for its figures to be shown.
    pub fresh: bool,
    /// When the newest snapshot that its policy exports was taken, as far as its snapshots were read of late.
    pub newest_snapshot: Option<Timestamp>,
    /// How far its bucket is behind its snapshots, as far as both were read of late.
    pub recovery: Option<RecoveryPoint>,
    /// When an automatic export failed last, by the events of its project.
    pub failed_event: Option<Timestamp>,
    /// Whether the bucket that its policy exports to is gone; `None` where nobody knows, or it exports nothing by itself.
    pub bucket_missing: Option<bool>,
    /// The collectors that say something of it, are on, and were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
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
        self.state.expected.effective_interval(self.state.schedule.as_ref())
    }
}

/// How the discovery of a project goes.
#[derive(Debug, Clone)]
pub struct ProjectView {
    pub id: ProjectId,
    pub name: Option<Arc<str>>,
    /// Whether its name, its clusters and all their schedules could be read last; `None` before it was tried.
    pub success: Option<bool>,
    /// What could not be read, and why.
    pub error: Option<PollError>,
    /// When its name and clusters could be read last.
    pub last_success: Option<Timestamp>,
    /// Clusters that are left out, by reason; `None` before the first listing.
    pub excluded: Option<BTreeMap<ExclusionReason, u64>>,
    /// What is left of its quota.
    pub quota: Option<Quota>,
    /// The last reading of each collector; those that were not requested are not in it.
    pub readings: BTreeMap<CollectorKind, CollectorView>,
    /// Its events and buckets as far as they are on, and were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
    /// Its export buckets, if they were read of late.
    pub buckets: Option<Arc<[ExportBucket]>>,
    /// When Atlas said that a secret of a service account ends soon; `None` if it did not, or took it back.
    pub secrets_expiring: Option<Timestamp>,
}

/// The last reading of a collector of a project.
#[derive(Debug, Clone, Default)]
pub struct CollectorView {
    /// True if it succeeded: for every cluster, if it is one of clusters.
    pub up: bool,
    /// The failure of the last reading.
    pub error: Option<PollError>,
}

impl CollectorView {
    fn new(reading: &Reading) -> Option<Self> {
        Some(Self { up: reading.up?, error: reading.error.clone() })
    }

    fn and(self, other: Self) -> Self {
        Self { up: self.up && other.up, error: self.error.or(other.error) }
    }
}

/// How the discovery of an organization goes.
#[derive(Debug, Clone)]
pub struct OrganizationView {
    pub id: OrganizationId,
    /// How its projects were listed last.
    pub discovery: Discovery,
}

/// The store, and the time of the view.
#[derive(Clone, Copy)]
struct Source<'a> {
    state: &'a State,
    now: Instant,
}

impl Source<'_> {
    fn project(self, id: &ProjectId, project: &ProjectRecord) -> ProjectView {
        let (discovery, readings) = (&project.discovery, &project.readings);
        let clusters = || project.clusters.values();
        let error = discovery
            .error
            .as_ref()
            .or_else(|| clusters().find_map(|cluster| cluster.schedule_error.as_ref()));
        let of_project = readings
            .by_collector
            .iter()
            .filter_map(|(collector, reading)| Some((*collector, CollectorView::new(reading)?)));
        let of_clusters = clusters().filter_map(|cluster| CollectorView::new(&cluster.readings.reading));
        let snapshots = of_clusters.reduce(CollectorView::and).map(|view| (CollectorKind::Snapshots, view));
        let is_unread = |collector: &CollectorKind| {
            let reading = readings.by_collector.get(collector);
            self.state.is_on(*collector) && reading.is_none_or(|reading| self.is_unread(reading))
        };
        let buckets = readings.buckets.as_ref();
        ProjectView {
            id: id.clone(),
            name: project.name.clone(),
            success: discovery.was_tried().then_some(error.is_none()),
            error: error.cloned(),
            last_success: discovery.last_success,
            excluded: project.excluded.clone(),
            quota: project.quota,
            readings: of_project.chain(snapshots).collect(),
            unread: [CollectorKind::Events, CollectorKind::Buckets].into_iter().filter(is_unread).collect(),
            buckets: buckets
                .and_then(|read| read.current(self.state.collectors_stale_after, self.now))
                .cloned(),
            secrets_expiring: readings
                .secrets_expiring
                .filter(|expiring| Some(*expiring) > readings.secrets_no_longer_expiring),
        }
    }

    /// Returns the clusters of a project, unless its name was not asked for yet.
    fn clusters(self, project: &ProjectRecord, view: &ProjectView) -> impl Iterator<Item = ClusterView> {
        let named = project.name.iter().flat_map(|name| project.clusters.iter().map(move |it| (name, it)));
        named.map(move |(name, (target, cluster))| {
            let State { stale_after, collectors_stale_after, .. } = self.state;
            let good = cluster.good.as_ref();
            let fresh = good.is_some_and(|good| self.now.duration_since(good.finished) <= *stale_after);
            let snapshots = cluster.readings.snapshots.as_ref();
            let snapshots = snapshots.and_then(|read| read.current(*collectors_stale_after, self.now));
            let bucket_missing = bucket_missing(cluster, view);
            ClusterView {
                target: target.clone(),
                project: name.clone(),
                state: cluster.clone(),
                fresh,
                newest_snapshot: snapshots.and_then(|snapshots| snapshots.newest()),
                recovery: cluster.readings.recovery.filter(|_| fresh && snapshots.is_some()),
                failed_event: cluster.failed_event(),
                bucket_missing,
                unread: self.unread(cluster, project, view, bucket_missing),
            }
        })
    }

    /// Returns the collectors of a cluster that were not read, or whose answer is not certain.
    fn unread(
        self,
        cluster: &ClusterRecord,
        project: &ProjectRecord,
        view: &ProjectView,
        bucket_missing: Option<bool>,
    ) -> Vec<CollectorKind> {
        let mut unread = view.unread.clone();
        let is_uncertain = bucket_missing.is_none() && cluster.bucket().is_some() && view.buckets.is_some();
        if is_uncertain
            && !unread.contains(&CollectorKind::Buckets)
            && self.state.is_on(CollectorKind::Buckets)
            && project.readings.has_bucket_reading()
        {
            unread.push(CollectorKind::Buckets);
        }
        if self.state.is_on(CollectorKind::Snapshots) && self.are_snapshots_unread(cluster, project) {
            unread.push(CollectorKind::Snapshots);
        }
        unread
    }

    /// Returns true if the snapshots of a cluster should be read, or may be, and were neither read recently nor refused.
    fn are_snapshots_unread(self, cluster: &ClusterRecord, project: &ProjectRecord) -> bool {
        // A refused schedule has a banner; it is unknown then whether snapshots are expected.
        let is_open =
            |error: Option<&PollError>| error.is_none_or(|error| error.reason != FailureReason::Forbidden);
        match &cluster.schedule {
            Some(_) => cluster.exports_itself() && self.is_unread(&cluster.readings.reading),
            None if cluster.scheduled => is_open(cluster.schedule_error.as_ref()),
            // Before the first listing, it is unknown whether it has a schedule.
            None => project.discovery.last_success.is_none() && is_open(project.discovery.error.as_ref()),
        }
    }

    fn is_unread(self, reading: &Reading) -> bool {
        reading.is_unread(self.state.collectors_stale_after, self.now)
    }
}

/// Whether the bucket of a cluster's policy is none of its project; `None` where that is not certain.
fn bucket_missing(cluster: &ClusterRecord, project: &ProjectView) -> Option<bool> {
    if has_bucket(project.buckets.as_ref()?, cluster.bucket()?) {
        return Some(false);
    }
    cluster.readings.bucket.is_missing().then_some(true)
}

impl StoreView {
    pub(super) fn new(state: &State, now: Instant) -> Self {
        let source = Source { state, now };
        let (mut clusters, mut projects) = (Vec::new(), Vec::new());
        for (id, project) in &state.projects {
            let view = source.project(id, project);
            clusters.extend(source.clusters(project, &view));
            projects.push(view);
        }
        let organizations = state.organizations.iter();
        let organization = |(id, discovery): (&OrganizationId, &Discovery)| OrganizationView {
            id: id.clone(),
            discovery: discovery.clone(),
        };
        Self {
            at: now,
            clusters,
            projects,
            organizations: organizations.map(organization).collect(),
            targets: state.projects.values().map(|project| project.clusters.len()).sum(),
            expiries: state.expiries.clone(),
        }
    }

    /// Number of collectors that are on and were neither read recently nor refused.
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
