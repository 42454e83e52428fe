//! The store at one moment, with the rules of truth applied: what a reader may show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{ExportBucket, FailureReason, OrganizationId, ProjectId, Quota, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::readings::{BucketAbsence, Reading, has_bucket};
use super::records::{ClusterRecord, Discovery, GoodPoll, ProjectRecord, State};
use crate::model::{CollectorKind, ExclusionReason, ReadError, RecoveryPoint};

/// The store at one moment, each list sorted by id and name.
#[derive(Debug, Clone)]
pub struct StoreView {
    pub at: Instant,
    pub clusters: Vec<ClusterView>,
    pub projects: Vec<ProjectView>,
    pub organizations: BTreeMap<OrganizationId, Discovery>,
    pub targets: usize,
    /// When the secrets of service accounts end, by the short forms of their ids.
    pub expiries: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone)]
pub struct ClusterView {
    pub target: Arc<Target>,
    pub project: Arc<str>,
    /// Its state; `state.last_good_poll` may be older than anything that should be shown.
    pub state: Arc<ClusterRecord>,
    /// Whether the last good poll is young enough for its figures to be shown.
    pub fresh: bool,
    /// Creation of the newest snapshot that the policy exports, if read recently.
    pub newest_snapshot: Option<Timestamp>,
    /// How far the bucket is behind the snapshots, if both were read recently.
    pub recovery: Option<RecoveryPoint>,
    /// When an automatic export failed last, by the events of its project.
    pub last_failure_event: Option<Timestamp>,
    /// Whether the bucket of the policy is missing; `None` if unknown, or without auto export.
    pub bucket_missing: Option<bool>,
    /// The collectors that say something of it, are on, and were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
    /// Whether one of those was not requested yet, or needs a second answer to be certain.
    pending: bool,
}

impl ClusterView {
    #[must_use]
    pub fn current(&self) -> Option<&GoodPoll> {
        self.state.last_good_poll.as_deref().filter(|_| self.fresh)
    }

    #[must_use]
    pub fn error(&self) -> Option<&ReadError> {
        self.state.last.as_ref()?.error.as_ref()
    }

    #[must_use]
    pub fn expected_interval(&self) -> Option<Duration> {
        self.state.expected.effective_interval(self.state.schedule.as_ref())
    }
}

#[derive(Debug, Clone)]
pub struct ProjectView {
    pub id: ProjectId,
    pub name: Option<Arc<str>>,
    /// Whether name, clusters and schedules could be read last; `None` before the first time.
    pub success: Option<bool>,
    pub error: Option<ReadError>,
    pub last_success: Option<Timestamp>,
    /// Clusters that are left out, by reason; `None` before the first listing.
    pub excluded: Option<BTreeMap<ExclusionReason, u64>>,
    pub quota: Option<Quota>,
    /// The last outcome of each collector that was requested, for all clusters of the project.
    pub readings: BTreeMap<CollectorKind, Result<(), ReadError>>,
    /// Its events and buckets as far as they are on, and were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
    /// Its export buckets, if they were read of late.
    pub buckets: Option<Arc<[ExportBucket]>>,
    /// Time of the event that a secret of a service account expires soon, unless it was taken back.
    pub secrets_expiring: Option<Timestamp>,
}

impl State {
    pub(super) fn view(&self, now: Instant) -> StoreView {
        let (mut clusters, mut projects) = (Vec::new(), Vec::new());
        for (id, project) in &self.projects {
            let view = self.project_view(id, project, now);
            if let Some(name) = &project.name {
                clusters.extend(
                    project.clusters.iter().map(|(target, cluster)| {
                        self.cluster_view(target, name, cluster, project, &view, now)
                    }),
                );
            }
            projects.push(view);
        }
        StoreView {
            at: now,
            clusters,
            projects,
            organizations: self.organizations.clone(),
            targets: self.projects.values().map(|project| project.clusters.len()).sum(),
            expiries: self.expiries.clone(),
        }
    }

    fn project_view(&self, id: &ProjectId, project: &ProjectRecord, now: Instant) -> ProjectView {
        let (discovery, readings) = (&project.discovery, &project.readings);
        let clusters = || project.clusters.values();
        let error = discovery
            .error
            .as_ref()
            .or_else(|| clusters().find_map(|cluster| cluster.schedule_error.as_ref()));
        let own = || readings.by_collector().filter(|(collector, _)| self.is_on(*collector));
        let outcomes = own().filter_map(|(collector, reading)| Some((collector, reading.outcome.clone()?)));
        let of_clusters = clusters().filter_map(|cluster| cluster.readings.snapshots_reading.outcome.clone());
        let of_clusters = of_clusters.reduce(Result::and).filter(|_| self.is_on(CollectorKind::Snapshots));
        let unread = own().filter(|(_, reading)| self.is_unread(reading, now));
        let are_buckets_current =
            self.is_on(CollectorKind::Buckets) && self.is_current(&readings.buckets, now);
        ProjectView {
            id: id.clone(),
            name: project.name.clone(),
            success: discovery.was_tried().then_some(error.is_none()),
            error: error.cloned(),
            last_success: discovery.last_success,
            excluded: project.excluded.clone(),
            quota: project.quota,
            readings: outcomes.chain(of_clusters.map(|all| (CollectorKind::Snapshots, all))).collect(),
            unread: unread.map(|(collector, _)| collector).collect(),
            buckets: readings.listed_buckets.clone().filter(|_| are_buckets_current),
            secrets_expiring: readings.secrets_expiring.filter(|expiring| {
                self.is_on(CollectorKind::Events) && Some(*expiring) > readings.secrets_no_longer_expiring
            }),
        }
    }

    fn cluster_view(
        &self,
        target: &Arc<Target>,
        project_name: &Arc<str>,
        cluster: &Arc<ClusterRecord>,
        project: &ProjectRecord,
        project_view: &ProjectView,
        now: Instant,
    ) -> ClusterView {
        let readings = &cluster.readings;
        let good = cluster.last_good_poll.as_ref();
        let fresh = good.is_some_and(|good| now.duration_since(good.finished) <= self.stale_after);
        let are_snapshots_on = self.is_on(CollectorKind::Snapshots);
        let are_snapshots_current = are_snapshots_on && self.is_current(&readings.snapshots_reading, now);
        let snapshots = readings.snapshots.as_ref().filter(|_| are_snapshots_current);
        let bucket_missing = bucket_missing(cluster, project_view);

        let mut unread = project_view.unread.clone();
        let is_bucket_uncertain = bucket_missing.is_none()
            && cluster.bucket().is_some()
            && project_view.buckets.is_some()
            && !project.readings.buckets.is_refused;
        if is_bucket_uncertain {
            unread.push(CollectorKind::Buckets);
        }
        let are_snapshots_unread = are_snapshots_on && self.are_snapshots_unread(cluster, project, now);
        if are_snapshots_unread {
            unread.push(CollectorKind::Snapshots);
        }
        let is_unasked = cluster.exports_itself() && readings.snapshots_reading.outcome.is_none();
        ClusterView {
            target: target.clone(),
            project: project_name.clone(),
            state: cluster.clone(),
            fresh,
            newest_snapshot: snapshots.and_then(|snapshots| snapshots.newest()),
            recovery: readings.recovery.filter(|_| fresh && snapshots.is_some()),
            last_failure_event: cluster.last_failure_event().filter(|_| self.is_on(CollectorKind::Events)),
            bucket_missing,
            unread,
            pending: is_bucket_uncertain || are_snapshots_unread && is_unasked,
        }
    }

    /// Returns true if snapshots are expected, or may be, and were neither read recently nor
    /// refused.
    fn are_snapshots_unread(&self, cluster: &ClusterRecord, project: &ProjectRecord, now: Instant) -> bool {
        // A refused schedule has a banner; it is unknown then whether snapshots are expected.
        let is_open =
            |error: Option<&ReadError>| error.is_none_or(|error| error.reason != FailureReason::Forbidden);
        match &cluster.schedule {
            Some(_) => cluster.exports_itself() && self.is_unread(&cluster.readings.snapshots_reading, now),
            None if cluster.scheduled => is_open(cluster.schedule_error.as_ref()),
            // Before the first listing, it is unknown whether it has a schedule.
            None => project.discovery.last_success.is_none() && is_open(project.discovery.error.as_ref()),
        }
    }

    /// Returns true if it was read recently.
    fn is_current(&self, reading: &Reading, now: Instant) -> bool {
        reading.read_at.is_some_and(|at| now.duration_since(at) <= self.collectors_stale_after)
    }

    /// Returns true if it was neither read recently nor refused.
    fn is_unread(&self, reading: &Reading, now: Instant) -> bool {
        !reading.is_refused && !self.is_current(reading, now)
    }
}

/// Whether the bucket of the policy is missing; `None` if that is not certain.
fn bucket_missing(cluster: &ClusterRecord, project: &ProjectView) -> Option<bool> {
    if has_bucket(project.buckets.as_ref()?, cluster.bucket()?) {
        return Some(false);
    }
    (cluster.readings.bucket_absence == BucketAbsence::Confirmed).then_some(true)
}

impl StoreView {
    /// Number of readings that were not requested yet, or need a second answer to be certain.
    #[must_use]
    pub fn pending(&self) -> usize {
        let of_project = |project: &ProjectView| {
            project.unread.iter().filter(|collector| !project.readings.contains_key(collector)).count()
        };
        self.projects.iter().map(of_project).sum::<usize>()
            + self.clusters.iter().filter(|cluster| cluster.pending).count()
    }

    /// Returns true if there are clusters, every last poll and discovery succeeded, every collector
    /// was read or refused, and no bucket is missing.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let is_cluster_well = |cluster: &ClusterView| {
            let was_polled = cluster.state.last.is_some() && cluster.error().is_none();
            was_polled && cluster.unread.is_empty() && cluster.bucket_missing != Some(true)
        };
        self.targets > 0
            && self.clusters.len() == self.targets
            && self.clusters.iter().all(is_cluster_well)
            && self.projects.iter().all(|project| project.success == Some(true) && project.unread.is_empty())
            && self.organizations.values().all(Discovery::succeeded)
    }
}
