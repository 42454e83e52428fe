//! The latest state of all targets.
//!
//! Tasks record the results of their requests. Pages read a [`StoreView`], which omits stale
//! summaries, and clusters whose project name was not requested yet.

mod collected;
mod readings;
mod records;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atlas_client::{ListedCluster, OrganizationId, ProjectId, Quota, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{CollectorKind, ExclusionReason, ExportExpectation, ReadError};
pub use readings::ClusterReadings;
pub use records::{ClusterRecord, Discovery, LastPoll, SuccessfulPoll};
use records::{ProjectRecord, State};
pub use view::{ClusterView, ProjectView, StoreView};

#[derive(Debug)]
pub struct Store(Mutex<State>);

impl Store {
    /// Creates an empty store, which withdraws summaries older than `stale_after`.
    #[must_use]
    pub fn new(stale_after: Duration) -> Self {
        Self(Mutex::new(State { stale_after, collectors_stale_after: stale_after, ..State::default() }))
    }

    pub fn set_stale_after(&self, stale_after: Duration) {
        self.state().stale_after = stale_after;
    }

    pub fn add_organization(&self, id: &OrganizationId) {
        self.state().organizations.entry(id.clone()).or_default();
    }

    pub fn remove_organization(&self, id: &OrganizationId) {
        self.state().organizations.remove(id);
    }

    pub fn add_project(&self, id: &ProjectId) {
        self.state().projects.entry(id.clone()).or_default();
    }

    pub fn remove_project(&self, id: &ProjectId) {
        self.state().projects.remove(id);
    }

    /// Adds a cluster of a known project, or updates the expectation of a known cluster.
    pub fn add_cluster(&self, target: &Target, expected: ExportExpectation) {
        self.update_project(&target.project_id, |project| {
            let cluster = project.clusters.entry(Arc::new(target.clone())).or_default();
            Arc::make_mut(cluster).expected = expected;
        });
    }

    pub fn remove_cluster(&self, target: &Target) {
        self.update_project(&target.project_id, |project| drop(project.clusters.remove(target)));
    }

    pub fn record_projects_listed(&self, id: &OrganizationId, at: Timestamp, outcome: Result<(), ReadError>) {
        if let Some(discovery) = self.state().organizations.get_mut(id) {
            discovery.record(at, outcome);
        }
    }

    pub fn record_discovery(&self, id: &ProjectId, at: Timestamp, outcome: Result<(), ReadError>) {
        self.update_project(id, |project| project.discovery.record(at, outcome));
    }

    pub fn record_excluded(&self, id: &ProjectId, excluded: BTreeMap<ExclusionReason, u64>) {
        self.update_project(id, |project| project.excluded = Some(excluded));
    }

    /// Records the entry of a cluster in the listing of its project.
    ///
    /// `has_schedule` is false if the cluster cannot be exported, so that its schedule is not read.
    pub fn record_listed_cluster(&self, target: &Target, listed: Option<&ListedCluster>, has_schedule: bool) {
        self.update_cluster(target, |cluster| {
            cluster.paused = listed.and_then(|listed| listed.paused);
            let created_at = listed.and_then(|listed| listed.created_at);
            if cluster.created_at.is_some() && created_at.is_some() && cluster.created_at != created_at {
                // The cluster was deleted and another one has its name.
                cluster.readings = ClusterReadings::default();
            }
            cluster.created_at = created_at;
            cluster.has_schedule = has_schedule;
            if !has_schedule {
                (cluster.schedule, cluster.schedule_error) = (None, None);
                cluster.readings.remove_snapshots();
            }
        });
    }

    /// Records the backup schedule of a cluster. An error keeps the last known schedule.
    pub fn record_schedule(&self, target: &Target, outcome: Result<Schedule, ReadError>) {
        self.update_cluster(target, |cluster| match outcome {
            // The schedule is no longer read; this is the result of an earlier request.
            _ if !cluster.has_schedule => {}
            Ok(schedule) => {
                if cluster.schedule.as_ref().is_some_and(|before| !before.exports_same_snapshots(&schedule)) {
                    cluster.readings.remove_snapshots();
                }
                let before = cluster.bucket();
                let is_same_bucket = before.is_some() && before == schedule.bucket();
                cluster.readings.bucket_absence.record_policy(is_same_bucket);
                (cluster.schedule, cluster.schedule_error) = (Some(schedule), None);
            }
            Err(error) => cluster.schedule_error = Some(error),
        });
    }

    pub fn record_quota(&self, id: &ProjectId, quota: Option<Quota>) {
        self.update_project(id, |project| project.quota = quota);
    }

    pub fn record_project_name(&self, id: &ProjectId, name: String) {
        self.update_project(id, |project| project.name = Some(name.into()));
    }

    /// Returns the display name of a project; `None` before its first request.
    #[must_use]
    pub fn project_name(&self, id: &ProjectId) -> Option<Arc<str>> {
        self.state().projects.get(id)?.name.clone()
    }

    pub fn record_poll(
        &self,
        target: &Target,
        finished_at: Timestamp,
        duration: Duration,
        outcome: Result<SuccessfulPoll, ReadError>,
    ) {
        let mut state = self.state();
        let is_collector_enabled = state.is_enabled(CollectorKind::Snapshots);
        let Some(cluster) = state.cluster_mut(target) else { return };
        cluster.polls += 1;
        let error = match outcome {
            Ok(mut poll) => {
                let may_auto_export = cluster.schedule.as_ref().is_none_or(Schedule::has_auto_export);
                cluster.readings.record_jobs(&mut poll.summary, is_collector_enabled && may_auto_export);
                cluster.last_successful_poll = Some(Arc::new(poll));
                None
            }
            Err(error) => {
                *cluster.failures.entry(error.reason).or_default() += 1;
                Some(error)
            }
        };
        cluster.last = Some(LastPoll { finished_at, duration, error });
    }

    /// Sets the due time of the next poll of a cluster. It is on the status page only.
    pub fn record_next_poll(&self, target: &Target, next: Instant) {
        self.update_cluster(target, |cluster| cluster.next_poll = Some(next));
    }

    /// Returns true once every target was requested, successfully or not.
    ///
    /// It stays true: a new cluster must not make the exporter unready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let mut state = self.state();
        state.ready = state.ready || state.is_complete();
        state.ready
    }

    #[must_use]
    pub fn view(&self, now: Instant) -> StoreView {
        self.state().view(now)
    }

    fn update_project(&self, id: &ProjectId, update: impl FnOnce(&mut ProjectRecord)) {
        if let Some(project) = self.state().projects.get_mut(id) {
            update(project);
        }
    }

    fn update_cluster(&self, target: &Target, update: impl FnOnce(&mut ClusterRecord)) {
        if let Some(cluster) = self.state().cluster_mut(target) {
            update(cluster);
        }
    }

    /// Ignores poisoning: a panic in a task ends the process soon, and updates do not panic midway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
