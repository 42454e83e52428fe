//! Takes in what the collectors read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{EventKind, ExportBucket, ProjectEvent, ProjectId, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Store;
use super::readings::{Read, has_bucket};
use super::records::{ClusterRecord, ProjectRecord, State};
use crate::model::{CollectorKind, ReadingError, Snapshots};

impl Store {
    /// Sets the age at which readings are withdrawn, and which of them are not read at all.
    pub fn set_collectors(&self, stale_after: Duration, off: &[CollectorKind]) {
        let mut state = self.state();
        state.collectors_stale_after = stale_after;
        state.collectors_off = off.to_vec();
    }

    /// Sets when the secrets of service accounts end, by the short forms of their ids.
    pub fn set_expiries(&self, expiries: BTreeMap<String, Timestamp>) {
        self.state().expiries = expiries;
    }

    /// Takes in the snapshots of a cluster, or why they could not be read.
    pub fn record_snapshots(&self, target: &Target, at: Instant, read: Result<Snapshots, ReadingError>) {
        if let Some(cluster) = self.state().cluster_mut(target).filter(|cluster| cluster.exports_itself()) {
            cluster.readings.record_snapshots(at, read);
        }
    }

    /// Takes in the export buckets of a project, or why they could not be read.
    pub fn record_buckets(&self, id: &ProjectId, at: Instant, read: Result<Vec<ExportBucket>, ReadingError>) {
        let mut state = self.state();
        let order = state.next_order();
        let Some(project) = state.projects.get_mut(id) else { return };
        let outcome = read.map(|mut buckets| {
            buckets.sort();
            for (_, cluster) in project.clusters_mut() {
                let is_missing = cluster.bucket().is_some_and(|bucket| !has_bucket(&buckets, bucket));
                cluster.readings.bucket.listed(is_missing, order);
            }
            project.readings.buckets = Some(Read { what: buckets.into(), at });
        });
        project.readings.by_collector.entry(CollectorKind::Buckets).or_default().record(at, outcome);
    }

    /// Returns the clusters whose policy names a bucket that the newest list lacks, and was not read since.
    #[must_use]
    pub fn clusters_with_unconfirmed_bucket(&self, id: &ProjectId) -> Vec<Target> {
        let state = self.state();
        let clusters = state.projects.get(id).into_iter().flat_map(|project| &project.clusters);
        let unconfirmed = clusters.filter(|(_, cluster)| cluster.readings.bucket.is_unconfirmed());
        unconfirmed.map(|(target, _)| Target::clone(target)).collect()
    }

    /// Returns true if the policy of a cluster names a bucket that the newest, older list lacks.
    #[must_use]
    pub fn is_bucket_unlisted(&self, target: &Target) -> bool {
        let state = self.state();
        let (project, cluster) = (state.projects.get(&target.project_id), state.cluster(target));
        project.zip(cluster).is_some_and(|(project, cluster)| is_bucket_unlisted(&state, project, cluster))
    }

    /// Takes in that the events of a project were read, or why they could not be.
    pub fn record_events_outcome(&self, id: &ProjectId, at: Instant, outcome: Result<(), ReadingError>) {
        if let Some(project) = self.state().projects.get_mut(id) {
            project.readings.by_collector.entry(CollectorKind::Events).or_default().record(at, outcome);
        }
    }

    /// Takes in events of a project that are about no cluster.
    pub fn record_project_events(&self, id: &ProjectId, events: &[ProjectEvent]) {
        if let Some(project) = self.state().projects.get_mut(id) {
            let readings = &mut project.readings;
            for event in events {
                let newest = match event.kind {
                    Some(EventKind::SecretsExpiring) => &mut readings.secrets_expiring,
                    Some(EventKind::SecretsNoLongerExpiring) => &mut readings.secrets_no_longer_expiring,
                    _ => continue,
                };
                *newest = (*newest).max(Some(event.created_at));
            }
        }
    }

    /// Takes in that an event told at `at` of an export of a cluster that failed.
    pub fn record_failure_event(&self, target: &Target, at: Timestamp) {
        if let Some(cluster) = self.state().cluster_mut(target) {
            cluster.readings.failed_event = cluster.readings.failed_event.max(Some(at));
        }
    }

    /// Returns the time of a cluster's last failed export, by the events of its project.
    #[must_use]
    pub fn last_failure_event(&self, target: &Target) -> Option<Timestamp> {
        self.state().cluster(target)?.failed_event()
    }

    /// Forgets what a collector of a project said: it is switched off.
    pub fn remove_readings(&self, id: &ProjectId, collector: CollectorKind) {
        let mut state = self.state();
        let Some(project) = state.projects.get_mut(id) else { return };
        let readings = &mut project.readings;
        readings.by_collector.remove(&collector);
        match collector {
            CollectorKind::Buckets => readings.buckets = None,
            CollectorKind::Events => {
                (readings.secrets_expiring, readings.secrets_no_longer_expiring) = (None, None);
                for (_, cluster) in project.clusters_mut() {
                    (cluster.readings.failed_event, cluster.readings.searched) = (None, false);
                }
            }
            CollectorKind::Snapshots => {}
        }
    }

    /// Forgets the snapshots of a cluster: they are read no longer.
    pub fn remove_snapshots(&self, target: &Target) {
        if let Some(cluster) = self.state().cluster_mut(target) {
            cluster.readings.remove_snapshots();
        }
    }

    /// Returns the names of a project's clusters: those whose failures were looked for before, and those that are new. From now on
    /// all of them count as the former.
    #[must_use]
    pub fn clusters_to_search(&self, id: &ProjectId) -> (Vec<String>, Vec<String>) {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        if let Some(project) = self.state().projects.get_mut(id) {
            for (target, cluster) in project.clusters_mut() {
                let before = std::mem::replace(&mut cluster.readings.searched, true);
                if before { &mut known } else { &mut new }.push(target.cluster_name.clone());
            }
        }
        (known, new)
    }

    /// Returns the schedule by which Atlas exports the snapshots of a cluster; `None` if it exports none, or that is unknown.
    #[must_use]
    pub fn schedule(&self, target: &Target) -> Option<Schedule> {
        self.state().cluster(target)?.schedule.clone().filter(Schedule::exports_itself)
    }

    /// Returns the number of readings that were not requested yet, or need a second answer to be certain.
    #[must_use]
    pub fn pending_reads(&self) -> usize {
        let state = self.state();
        let of_project = |project: &ProjectRecord| {
            let is_unasked = |collector: &CollectorKind| {
                state.is_on(*collector) && !project.readings.by_collector.contains_key(collector)
            };
            [CollectorKind::Events, CollectorKind::Buckets]
                .iter()
                .filter(|collector| is_unasked(collector))
                .count()
        };
        let of_cluster = |project: &ProjectRecord, cluster: &Arc<ClusterRecord>| {
            let is_unasked = state.is_on(CollectorKind::Snapshots)
                && cluster.exports_itself()
                && cluster.readings.reading.up.is_none();
            let is_bucket_uncertain = is_bucket_unlisted(&state, project, cluster)
                || state.is_on(CollectorKind::Buckets) && cluster.readings.bucket.is_unconfirmed();
            usize::from(is_unasked) + usize::from(is_bucket_uncertain)
        };
        let of_all = state.projects.values().map(|project| {
            let clusters = project.clusters.values().map(|cluster| of_cluster(project, cluster));
            of_project(project) + clusters.sum::<usize>()
        });
        of_all.sum()
    }
}

fn is_bucket_unlisted(state: &State, project: &ProjectRecord, cluster: &ClusterRecord) -> bool {
    let (Some(bucket), Some(buckets)) = (cluster.bucket(), &project.readings.buckets) else { return false };
    state.is_on(CollectorKind::Buckets)
        && !has_bucket(&buckets.what, bucket)
        && cluster.readings.bucket.missing_since.is_none()
}
