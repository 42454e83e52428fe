//! A consistent copy of the store without stale or uncertain values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{ExportBucket, FailureReason, OrganizationId, ProjectId, Quota, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::readings::{BucketAbsence, Reading, has_bucket};
use super::records::{ClusterRecord, Discovery, ProjectRecord, State, SuccessfulPoll};
use crate::model::{CollectorKind, ExclusionReason, ReadError, RecoveryPoint};

/// The store at one time. Lists are sorted by id and name.
#[derive(Debug, Clone)]
pub struct StoreView {
    pub at: Instant,
    pub clusters: Vec<ClusterView>,
    pub projects: Vec<ProjectView>,
    pub organizations: BTreeMap<OrganizationId, Discovery>,
    pub targets: usize,
    /// Expiry of each service account's secret, by the short form of the client id.
    pub expiries: BTreeMap<String, Timestamp>,
}

#[derive(Debug, Clone)]
pub struct ClusterView {
    pub target: Arc<Target>,
    pub project: Arc<str>,
    /// The record of the store. Its last successful poll may be stale; see [`Self::current`].
    pub state: Arc<ClusterRecord>,
    is_fresh: bool,
    /// Creation of the newest snapshot that the policy exports; `None` if stale.
    pub newest_snapshot: Option<Timestamp>,
    /// The match of snapshots and export jobs; `None` if either is stale.
    pub recovery: Option<RecoveryPoint>,
    /// Time of the last export failure event.
    pub last_failure_event: Option<Timestamp>,
    /// True if the bucket of the policy is missing; `None` if unknown, or without auto export.
    pub bucket_missing: Option<bool>,
    /// Enabled collectors of the cluster that were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
    /// True if one of them was not requested yet, or needs a second response to be certain.
    pending: bool,
}

impl ClusterView {
    /// Returns the last successful poll, unless it is stale.
    #[must_use]
    pub fn current(&self) -> Option<&SuccessfulPoll> {
        self.state.last_successful_poll.as_deref().filter(|_| self.is_fresh)
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
    /// True if the last readings of name, clusters and schedules succeeded; `None` before them.
    pub success: Option<bool>,
    pub error: Option<ReadError>,
    pub last_success: Option<Timestamp>,
    /// Number of excluded clusters by reason; `None` before the first listing.
    pub excluded: Option<BTreeMap<ExclusionReason, u64>>,
    pub quota: Option<Quota>,
    /// Outcome of the last reading of each collector that has run, over all clusters.
    pub readings: BTreeMap<CollectorKind, Result<(), ReadError>>,
    /// Enabled collectors of the project that were neither read recently nor refused.
    pub unread: Vec<CollectorKind>,
    /// The export buckets; `None` if stale.
    pub buckets: Option<Arc<[ExportBucket]>>,
    /// Time of the last event about expiring secrets; `None` after an event that none expires.
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
        let own = || readings.by_collector().filter(|(collector, _)| self.is_enabled(*collector));
        let outcomes = own().filter_map(|(collector, reading)| Some((collector, reading.outcome.clone()?)));
        let of_clusters = clusters().filter_map(|cluster| cluster.readings.snapshots_reading.outcome.clone());
        let of_clusters = of_clusters.reduce(Result::and);
        let of_clusters = of_clusters.filter(|_| self.is_enabled(CollectorKind::Snapshots));
        let unread = own().filter(|(_, reading)| self.is_unread(reading, now));
        let are_buckets_current =
            self.is_enabled(CollectorKind::Buckets) && self.is_current(&readings.buckets, now);
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
                let is_resolved = Some(*expiring) <= readings.secrets_no_longer_expiring;
                self.is_enabled(CollectorKind::Events) && !is_resolved
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
        let poll = cluster.last_successful_poll.as_ref();
        let is_fresh = poll.is_some_and(|poll| now.duration_since(poll.finished) <= self.stale_after);
        let are_snapshots_enabled = self.is_enabled(CollectorKind::Snapshots);
        let are_snapshots_current =
            are_snapshots_enabled && self.is_current(&readings.snapshots_reading, now);
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
        let are_snapshots_unread = are_snapshots_enabled && self.are_snapshots_unread(cluster, project, now);
        if are_snapshots_unread {
            unread.push(CollectorKind::Snapshots);
        }
        let is_unrequested = cluster.has_auto_export() && readings.snapshots_reading.outcome.is_none();
        ClusterView {
            target: target.clone(),
            project: project_name.clone(),
            state: cluster.clone(),
            is_fresh,
            newest_snapshot: snapshots.and_then(|snapshots| snapshots.newest()),
            recovery: readings.recovery.filter(|_| is_fresh && snapshots.is_some()),
            last_failure_event: cluster
                .last_failure_event()
                .filter(|_| self.is_enabled(CollectorKind::Events)),
            bucket_missing,
            unread,
            pending: is_bucket_uncertain || are_snapshots_unread && is_unrequested,
        }
    }

    /// Returns true if snapshots may be expected, and were neither read recently nor refused.
    fn are_snapshots_unread(&self, cluster: &ClusterRecord, project: &ProjectRecord, now: Instant) -> bool {
        // A refused schedule already has a banner.
        let not_refused =
            |error: Option<&ReadError>| error.is_none_or(|error| error.reason != FailureReason::Forbidden);
        match &cluster.schedule {
            Some(_) => cluster.has_auto_export() && self.is_unread(&cluster.readings.snapshots_reading, now),
            None if cluster.has_schedule => not_refused(cluster.schedule_error.as_ref()),
            // The first listing shows which clusters have a schedule.
            None => project.discovery.last_success.is_none() && not_refused(project.discovery.error.as_ref()),
        }
    }

    fn is_current(&self, reading: &Reading, now: Instant) -> bool {
        reading.read_at.is_some_and(|at| now.duration_since(at) <= self.collectors_stale_after)
    }

    fn is_unread(&self, reading: &Reading, now: Instant) -> bool {
        !reading.is_refused && !self.is_current(reading, now)
    }
}

/// Returns true if the bucket of the policy is missing; `None` if that is not certain.
fn bucket_missing(cluster: &ClusterRecord, project: &ProjectView) -> Option<bool> {
    if has_bucket(project.buckets.as_ref()?, cluster.bucket()?) {
        return Some(false);
    }
    (cluster.readings.bucket_absence == BucketAbsence::Confirmed).then_some(true)
}

impl StoreView {
    /// Returns the number of readings that were not requested yet, or need a second response to be
    /// certain.
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
    pub fn is_healthy(&self) -> bool {
        let is_cluster_healthy = |cluster: &ClusterView| {
            let was_polled = cluster.state.last.is_some() && cluster.error().is_none();
            was_polled && cluster.unread.is_empty() && cluster.bucket_missing != Some(true)
        };
        self.targets > 0
            && self.clusters.len() == self.targets
            && self.clusters.iter().all(is_cluster_healthy)
            && self.projects.iter().all(|project| project.success == Some(true) && project.unread.is_empty())
            && self.organizations.values().all(Discovery::succeeded)
    }
}
