//! The data of the store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{FailureReason, OrganizationId, ProjectId, Quota, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::readings::{ClusterReadings, ProjectReadings};
use crate::model::{CollectorKind, ExclusionReason, ExportExpectation, JobSummary, ReadError};

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) stale_after: Duration,
    pub(super) collectors_stale_after: Duration,
    pub(super) disabled_collectors: Vec<CollectorKind>,
    /// Expiry of each service account's secret, by the short form of the client id.
    pub(super) expiries: BTreeMap<String, Timestamp>,
    /// True once every target was requested. It stays true when targets are added.
    pub(super) ready: bool,
    pub(super) organizations: BTreeMap<OrganizationId, Discovery>,
    pub(super) projects: BTreeMap<ProjectId, ProjectRecord>,
}

impl State {
    pub(super) fn is_enabled(&self, collector: CollectorKind) -> bool {
        !self.disabled_collectors.contains(&collector)
    }

    pub(super) fn cluster(&self, target: &Target) -> Option<&ClusterRecord> {
        self.projects.get(&target.project_id)?.clusters.get(target).map(|cluster| &**cluster)
    }

    pub(super) fn cluster_mut(&mut self, target: &Target) -> Option<&mut ClusterRecord> {
        self.projects.get_mut(&target.project_id)?.clusters.get_mut(target).map(Arc::make_mut)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.organizations.values().all(Discovery::was_tried)
            && self.projects.values().all(|project| {
                project.name.is_some()
                    && project.discovery.was_tried()
                    && project.clusters.values().all(|cluster| cluster.was_tried())
            })
    }
}

#[derive(Debug, Default)]
pub(super) struct ProjectRecord {
    /// `None` before the first request.
    pub(super) name: Option<Arc<str>>,
    pub(super) discovery: Discovery,
    pub(super) excluded: Option<BTreeMap<ExclusionReason, u64>>,
    pub(super) quota: Option<Quota>,
    pub(super) readings: ProjectReadings,
    /// Shared with the views; an update while a view is in use changes a copy.
    pub(super) clusters: BTreeMap<Arc<Target>, Arc<ClusterRecord>>,
}

impl ProjectRecord {
    pub(super) fn clusters_mut(&mut self) -> impl Iterator<Item = (&Target, &mut ClusterRecord)> {
        self.clusters.iter_mut().map(|(target, cluster)| (&**target, Arc::make_mut(cluster)))
    }
}

#[derive(Debug, Clone, Default)]
pub struct ClusterRecord {
    pub last_successful_poll: Option<Arc<SuccessfulPoll>>,
    /// `None` until the first poll has finished.
    pub last: Option<LastPoll>,
    /// Due time of the next poll; `None` until the first poll has finished.
    pub next_poll: Option<Instant>,
    pub polls: u64,
    pub failures: BTreeMap<FailureReason, u64>,
    pub expected: ExportExpectation,
    /// True if the backup schedule of the cluster is read.
    pub has_schedule: bool,
    /// The last known backup schedule.
    pub schedule: Option<Schedule>,
    /// Error of the last reading of the schedule; `None` if it succeeded or was not requested.
    pub schedule_error: Option<ReadError>,
    pub paused: Option<bool>,
    pub created_at: Option<Timestamp>,
    pub readings: ClusterReadings,
}

impl ClusterRecord {
    fn was_tried(&self) -> bool {
        let was_schedule_tried = self.schedule.is_some() || self.schedule_error.is_some();
        self.last.is_some() && (was_schedule_tried || !self.has_schedule)
    }

    pub(super) fn has_auto_export(&self) -> bool {
        self.schedule.as_ref().is_some_and(Schedule::has_auto_export)
    }

    pub(super) fn bucket(&self) -> Option<&str> {
        self.schedule.as_ref()?.bucket()
    }

    /// Returns the time of the last export failure event of this cluster.
    ///
    /// An earlier event than the creation is about a deleted cluster of the same name.
    pub(super) fn last_failure_event(&self) -> Option<Timestamp> {
        self.readings.last_failure_event.filter(|at| self.created_at.is_none_or(|created| created <= *at))
    }
}

#[derive(Debug, Clone)]
pub struct SuccessfulPoll {
    pub summary: JobSummary,
    /// The earliest last progress of all active jobs.
    pub last_progress: Option<Timestamp>,
    pub finished_at: Timestamp,
    /// `finished_at` on the monotonic clock, on which staleness is measured.
    pub finished: Instant,
}

#[derive(Debug, Clone)]
pub struct LastPoll {
    pub finished_at: Timestamp,
    pub duration: Duration,
    pub error: Option<ReadError>,
}

/// Outcome of the last listing of projects or clusters.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    pub error: Option<ReadError>,
    pub last_success: Option<Timestamp>,
}

impl Discovery {
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.error.is_some() || self.last_success.is_some()
    }

    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.last_success.is_some() && self.error.is_none()
    }

    pub(super) fn record(&mut self, at: Timestamp, outcome: Result<(), ReadError>) {
        self.error = outcome.err();
        if self.error.is_none() {
            self.last_success = Some(at);
        }
    }
}
