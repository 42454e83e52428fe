//! Takes in what the collectors read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{EventKind, ExportBucket, ProjectEvent, ProjectId, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::Board;
use super::detail::{Read, has_bucket};
use super::known::{ClusterState, ProjectState, State};
use crate::model::{Detail, Snapshots, Unread};

impl Board {
    /// Sets the age at which details are withdrawn, and which of them are not read at all.
    pub fn set_details(&self, stale_after: Duration, off: &[Detail]) {
        let mut state = self.state();
        state.detail_stale_after = stale_after;
        state.details_off = off.to_vec();
    }

    /// Sets when the secrets of service accounts end, by the short forms of their ids.
    pub fn set_expiries(&self, expiries: BTreeMap<String, Timestamp>) {
        self.state().expiries = expiries;
    }

    /// Takes in the snapshots of a cluster, or why they could not be read.
    pub fn snapshots(&self, target: &Target, at: Instant, read: Result<Snapshots, Unread>) {
        if let Some(cluster) = self.state().cluster_mut(target).filter(|cluster| cluster.exports_itself()) {
            cluster.details.take_in_snapshots(at, read);
        }
    }

    /// Takes in the export buckets of a project, or why they could not be read.
    pub fn export_buckets(&self, id: &ProjectId, at: Instant, read: Result<Vec<ExportBucket>, Unread>) {
        let mut state = self.state();
        let order = state.next_order();
        let Some(project) = state.projects.get_mut(id) else { return };
        let outcome = read.map(|mut buckets| {
            buckets.sort();
            for (_, cluster) in project.clusters_mut() {
                let is_missing = cluster.bucket().is_some_and(|bucket| !has_bucket(&buckets, bucket));
                cluster.details.bucket.listed(is_missing, order);
            }
            project.details.buckets = Some(Read { what: buckets.into(), at });
        });
        project.details.readings.entry(Detail::Buckets).or_default().take_in(at, outcome);
    }

    /// Returns the clusters whose policy names a bucket that the newest list lacks, and was not read since.
    #[must_use]
    pub fn unconfirmed_buckets(&self, id: &ProjectId) -> Vec<Target> {
        let state = self.state();
        let clusters = state.projects.get(id).into_iter().flat_map(|project| &project.clusters);
        let unconfirmed = clusters.filter(|(_, cluster)| cluster.details.bucket.is_unconfirmed());
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
    pub fn events_read(&self, id: &ProjectId, at: Instant, outcome: Result<(), Unread>) {
        if let Some(project) = self.state().projects.get_mut(id) {
            project.details.readings.entry(Detail::Events).or_default().take_in(at, outcome);
        }
    }

    /// Takes in events of a project that are about no cluster.
    pub fn project_events(&self, id: &ProjectId, events: &[ProjectEvent]) {
        if let Some(project) = self.state().projects.get_mut(id) {
            let details = &mut project.details;
            for event in events {
                let newest = match event.kind {
                    Some(EventKind::SecretsExpiring) => &mut details.secrets_expiring,
                    Some(EventKind::SecretsNoLongerExpiring) => &mut details.secrets_no_longer_expiring,
                    _ => continue,
                };
                *newest = (*newest).max(Some(event.created_at));
            }
        }
    }

    /// Takes in that an event told at `at` of an export of a cluster that failed.
    pub fn failed_event(&self, target: &Target, at: Timestamp) {
        if let Some(cluster) = self.state().cluster_mut(target) {
            cluster.details.failed_event = cluster.details.failed_event.max(Some(at));
        }
    }

    /// Returns the time of a cluster's last failed export, by the events of its project.
    #[must_use]
    pub fn last_failed_event(&self, target: &Target) -> Option<Timestamp> {
        self.state().cluster(target)?.failed_event()
    }

    /// Forgets what a detail of a project said: it is switched off.
    pub fn forget_detail(&self, id: &ProjectId, detail: Detail) {
        let mut state = self.state();
        let Some(project) = state.projects.get_mut(id) else { return };
        let details = &mut project.details;
        details.readings.remove(&detail);
        match detail {
            Detail::Buckets => details.buckets = None,
            Detail::Events => {
                (details.secrets_expiring, details.secrets_no_longer_expiring) = (None, None);
                for (_, cluster) in project.clusters_mut() {
                    (cluster.details.failed_event, cluster.details.searched) = (None, false);
                }
            }
            Detail::Snapshots => {}
        }
    }

    /// Forgets the snapshots of a cluster: they are read no longer.
    pub fn forget_snapshots(&self, target: &Target) {
        if let Some(cluster) = self.state().cluster_mut(target) {
            cluster.details.forget_snapshots();
        }
    }

    /// Returns the names of a project's clusters: those whose failures were looked for before, and those that are new. From now on
    /// all of them count as the former.
    #[must_use]
    pub fn search_events_of(&self, id: &ProjectId) -> (Vec<String>, Vec<String>) {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        if let Some(project) = self.state().projects.get_mut(id) {
            for (target, cluster) in project.clusters_mut() {
                let before = std::mem::replace(&mut cluster.details.searched, true);
                if before { &mut known } else { &mut new }.push(target.cluster_name.clone());
            }
        }
        (known, new)
    }

    /// Returns the schedule by which Atlas exports the snapshots of a cluster; `None` if it exports none, or that is unknown.
    #[must_use]
    pub fn export_schedule(&self, target: &Target) -> Option<Schedule> {
        self.state().cluster(target)?.schedule.clone().filter(Schedule::exports_itself)
    }

    /// Returns the number of details that were not requested yet, or need a second answer to be certain.
    #[must_use]
    pub fn unasked(&self) -> usize {
        let state = self.state();
        let of_project = |project: &ProjectState| {
            let is_unasked =
                |detail: &Detail| state.is_on(*detail) && !project.details.readings.contains_key(detail);
            [Detail::Events, Detail::Buckets].iter().filter(|detail| is_unasked(detail)).count()
        };
        let of_cluster = |project: &ProjectState, cluster: &Arc<ClusterState>| {
            let is_unasked = state.is_on(Detail::Snapshots)
                && cluster.exports_itself()
                && cluster.details.reading.up.is_none();
            let is_bucket_uncertain = is_bucket_unlisted(&state, project, cluster)
                || state.is_on(Detail::Buckets) && cluster.details.bucket.is_unconfirmed();
            usize::from(is_unasked) + usize::from(is_bucket_uncertain)
        };
        let of_all = state.projects.values().map(|project| {
            let clusters = project.clusters.values().map(|cluster| of_cluster(project, cluster));
            of_project(project) + clusters.sum::<usize>()
        });
        of_all.sum()
    }
}

fn is_bucket_unlisted(state: &State, project: &ProjectState, cluster: &ClusterState) -> bool {
    let (Some(bucket), Some(buckets)) = (cluster.bucket(), &project.details.buckets) else { return false };
    state.is_on(Detail::Buckets)
        && !has_bucket(&buckets.what, bucket)
        && cluster.details.bucket.missing_since.is_none()
}
