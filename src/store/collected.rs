//! Methods of the store for collectors of snapshots, events and export buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use atlas_client::{EventKind, ExportBucket, ProjectEvent, ProjectId, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Store;
use super::readings::{BucketAbsence, has_bucket};
use crate::model::{CollectorKind, ReadError, Snapshots};

impl Store {
    pub fn set_collectors(&self, stale_after: Duration, disabled: &[CollectorKind]) {
        let mut state = self.state();
        state.collectors_stale_after = stale_after;
        state.disabled_collectors = disabled.to_vec();
    }

    pub fn set_expiries(&self, expiries: BTreeMap<String, Timestamp>) {
        self.state().expiries = expiries;
    }

    pub fn record_snapshots(&self, target: &Target, at: Instant, read: Result<Snapshots, ReadError>) {
        self.update_cluster(target, |cluster| {
            if cluster.has_auto_export() {
                cluster.readings.record_snapshots(at, read);
            }
        });
    }

    pub fn record_buckets(&self, id: &ProjectId, at: Instant, read: Result<Vec<ExportBucket>, ReadError>) {
        self.update_project(id, |project| {
            let outcome = read.map(|mut buckets| {
                buckets.sort();
                for (_, cluster) in project.clusters_mut() {
                    let is_missing = cluster.bucket().is_some_and(|bucket| !has_bucket(&buckets, bucket));
                    cluster.readings.bucket_absence.record_list(is_missing);
                }
                project.readings.listed_buckets = Some(buckets.into());
            });
            project.readings.buckets.record(at, outcome);
        });
    }

    /// Returns the clusters whose bucket is missing in the newest list, and whose policy was not
    /// read since.
    #[must_use]
    pub fn clusters_with_unconfirmed_bucket(&self, id: &ProjectId) -> Vec<Target> {
        let state = self.state();
        let clusters = state.projects.get(id).into_iter().flat_map(|project| &project.clusters);
        let unconfirmed =
            clusters.filter(|(_, cluster)| cluster.readings.bucket_absence == BucketAbsence::Unconfirmed);
        unconfirmed.map(|(target, _)| Target::clone(target)).collect()
    }

    /// Returns true if the bucket of a cluster's policy is missing in the newest list, and the list
    /// is older than the policy.
    #[must_use]
    pub fn is_bucket_unlisted(&self, target: &Target) -> bool {
        let state = self.state();
        let Some(project) = state.projects.get(&target.project_id) else { return false };
        let (buckets, cluster) = (&project.readings.listed_buckets, project.clusters.get(target));
        let bucket = cluster.and_then(|cluster| cluster.bucket());
        state.is_enabled(CollectorKind::Buckets)
            && cluster.is_some_and(|cluster| cluster.readings.bucket_absence == BucketAbsence::None)
            && buckets.as_ref().zip(bucket).is_some_and(|(buckets, bucket)| !has_bucket(buckets, bucket))
    }

    pub fn record_events_outcome(&self, id: &ProjectId, at: Instant, outcome: Result<(), ReadError>) {
        self.update_project(id, |project| project.readings.events.record(at, outcome));
    }

    /// Records the events of a project that are not about a cluster.
    pub fn record_project_events(&self, id: &ProjectId, events: &[ProjectEvent]) {
        self.update_project(id, |project| {
            for event in events {
                let newest = match event.kind {
                    Some(EventKind::SecretsExpiring) => &mut project.readings.secrets_expiring,
                    Some(EventKind::SecretsNoLongerExpiring) => {
                        &mut project.readings.secrets_no_longer_expiring
                    }
                    _ => continue,
                };
                *newest = (*newest).max(Some(event.created_at));
            }
        });
    }

    pub fn record_failure_event(&self, target: &Target, at: Timestamp) {
        self.update_cluster(target, |cluster| {
            cluster.readings.last_failure_event = cluster.readings.last_failure_event.max(Some(at));
        });
    }

    /// Returns the time of the last export failure event of a cluster.
    #[must_use]
    pub fn last_failure_event(&self, target: &Target) -> Option<Timestamp> {
        self.state().cluster(target)?.last_failure_event()
    }

    /// Returns the names of the clusters of a project, known and new, and marks all as known.
    ///
    /// Clusters are new until their events were searched for the first time.
    #[must_use]
    pub fn take_clusters_to_search(&self, id: &ProjectId) -> (Vec<String>, Vec<String>) {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        self.update_project(id, |project| {
            for (target, cluster) in project.clusters_mut() {
                let was_searched = std::mem::replace(&mut cluster.readings.events_searched, true);
                if was_searched { &mut known } else { &mut new }.push(target.cluster_name.clone());
            }
        });
        (known, new)
    }

    /// Returns the schedule of a cluster; `None` if it has no auto export or is unknown.
    #[must_use]
    pub fn exporting_schedule(&self, target: &Target) -> Option<Schedule> {
        self.state().cluster(target)?.schedule.clone().filter(Schedule::has_auto_export)
    }
}
