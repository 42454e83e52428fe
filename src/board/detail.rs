//! What is known besides the export jobs: snapshots, events, export buckets, and when credentials end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::unread::Reading;
use super::{Board, ClusterState, State};
use crate::model::{
    ClusterReport, Detail, EventKind, ExportBucket, Exported, Exports, ProjectEvent, ProjectId, Recovery,
    Schedule, Snapshots, Target, Unread,
};

/// Something that was read, and when: on the clock that nobody sets.
#[derive(Debug, Clone)]
pub(super) struct Read<T> {
    pub(super) what: T,
    at: Instant,
}

impl<T> Read<T> {
    /// What was read, unless that is too long ago.
    pub(super) fn current(&self, stale_after: Duration, now: Instant) -> Option<&T> {
        (now.duration_since(self.at) <= stale_after).then_some(&self.what)
    }
}

/// What is known of a project besides its clusters.
#[derive(Debug, Default)]
pub(super) struct ProjectDetails {
    /// Its export buckets, all of them.
    buckets: Option<Read<Arc<[ExportBucket]>>>,
    /// The readings of its events and buckets.
    pub(super) readings: BTreeMap<Detail, Reading>,
    /// When it was said last that a secret of a service account ends soon, and that none does any longer.
    expiring: Option<Timestamp>,
    no_longer: Option<Timestamp>,
}

impl ProjectDetails {
    /// Its export buckets, if they were read of late.
    pub(super) fn buckets(&self, stale_after: Duration, now: Instant) -> Option<&Arc<[ExportBucket]>> {
        self.buckets.as_ref()?.current(stale_after, now)
    }

    /// When it was said that a secret ends soon; `None` where that was taken back.
    pub(super) fn secrets_expiring(&self) -> Option<Timestamp> {
        self.expiring.filter(|expiring| self.no_longer.is_none_or(|over| over < *expiring))
    }
}

/// What is known of a cluster besides its export jobs.
#[derive(Debug, Clone, Default)]
pub struct ClusterDetails {
    pub(super) snapshots: Option<Read<Arc<Snapshots>>>,
    /// The readings of its snapshots.
    pub(super) reading: Reading,
    /// Its snapshots against its export jobs, as of the last good poll.
    pub(super) recovery: Option<Recovery>,
    /// What was ever seen exported.
    exported: Exported,
    /// What the export jobs are about, until snapshots were asked for the first time.
    unmatched: Option<Arc<Exports>>,
    /// When an automatic export failed last, by the events of its project.
    pub(super) failed_event: Option<Timestamp>,
    /// Whether failures of it were looked for.
    searched: bool,
    bucket: BucketSeen,
}

/// What of a bucket was heard before what: a policy and a list of buckets that are of different ages prove nothing.
#[derive(Debug, Clone, Copy, Default)]
struct BucketSeen {
    /// When the policy named this bucket first, and when it was read last.
    first: u64,
    last: u64,
    /// When it was missing first from a list that was read after that.
    gone: Option<u64>,
}

impl BucketSeen {
    fn listed(&mut self, gone: bool, order: u64) {
        self.gone = if gone { self.gone.or(Some(order)) } else { None };
    }

    fn named(&mut self, same: bool, order: u64) {
        if !same {
            *self = Self { first: order, ..Self::default() };
        }
        self.last = order;
    }

    /// Returns true if a list that is newer than the last reading of the policy lacks it.
    fn is_unconfirmed(self) -> bool {
        self.gone.is_some_and(|gone| self.last < gone)
    }

    /// Whether the policy still named it after it was gone.
    fn is_gone(self) -> bool {
        self.gone.is_some_and(|gone| self.first < gone && gone < self.last)
    }
}

/// Whether one of the buckets, which are in order, has this id. Every view asks for every cluster.
fn has(buckets: &[ExportBucket], id: &str) -> bool {
    buckets.binary_search_by(|bucket| bucket.id.as_str().cmp(id)).is_ok()
}

impl ClusterDetails {
    /// Takes in that a policy was read, and whether it names the bucket that it named before.
    pub(super) fn name_bucket(&mut self, same: bool, order: u64) {
        self.bucket.named(same, order);
    }

    /// Whether the bucket of the policy is none of `buckets`; `None` where that is not certain.
    pub(super) fn bucket_missing(
        &self,
        schedule: Option<&Schedule>,
        buckets: Option<&[ExportBucket]>,
    ) -> Option<bool> {
        let id = schedule?.bucket()?;
        if has(buckets?, id) {
            return Some(false);
        }
        self.bucket.is_gone().then_some(true)
    }

    /// Matches the snapshots with the jobs of a report, which was read after them; or, `until_read`, when they are read.
    pub(super) fn take_in(&mut self, report: &mut ClusterReport, until_read: bool) {
        // Thousands of ids, which nobody needs once they are matched.
        let mut exports = std::mem::take(&mut report.exports);
        if let (true, Some(whole)) = (exports.partial, &self.unmatched) {
            exports.successful = exports.successful.union(&whole.successful);
        }
        self.match_with(&exports);
        self.unmatched = (until_read && self.reading.up.is_none()).then(|| Arc::new(exports));
    }

    fn match_with(&mut self, exports: &Exports) {
        let exported = &mut self.exported;
        self.recovery = self.snapshots.as_ref().map(|read| Recovery::of(&read.what, exports, exported));
    }

    /// Forgets the snapshots: they are not read any longer, or the policy exports others.
    pub(super) fn forget_snapshots(&mut self) {
        (self.snapshots, self.recovery, self.unmatched) = (None, None, None);
        self.reading = Reading::default();
    }
}

impl State {
    fn is_bucket_unlisted(&self, target: &Target, cluster: &ClusterState) -> bool {
        let is_unlisted = || {
            let bucket = cluster.schedule.as_ref()?.bucket()?;
            let buckets = self.projects.get(&target.project_id)?.details.buckets.as_ref()?;
            Some(!has(&buckets.what, bucket) && cluster.details.bucket.gone.is_none())
        };
        !self.details_off.contains(&Detail::Buckets) && is_unlisted() == Some(true)
    }

    /// Returns true if a bucket may be missing, and a second request will decide.
    pub(super) fn is_bucket_uncertain(&self, target: &Target, cluster: &ClusterState) -> bool {
        self.is_bucket_unlisted(target, cluster)
            || !self.details_off.contains(&Detail::Buckets) && cluster.details.bucket.is_unconfirmed()
    }
}

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
        let mut state = self.state();
        let Some(cluster) = state.cluster(target).filter(|cluster| exports_itself(cluster)) else {
            return;
        };
        let outcome = read.map(|read| cluster.details.snapshots = Some(Read { what: Arc::new(read), at }));
        cluster.details.reading.take_in(at, outcome);
        if let Some(exports) = cluster.details.unmatched.take() {
            cluster.details.match_with(&exports);
        }
    }

    /// Takes in the export buckets of a project, or why they could not be read.
    pub fn export_buckets(&self, id: &ProjectId, at: Instant, read: Result<Vec<ExportBucket>, Unread>) {
        let mut state = self.state();
        let order = state.next();
        let Some(project) = state.projects.get_mut(id) else { return };
        let reading = project.details.readings.entry(Detail::Buckets).or_default();
        let buckets: Arc<[ExportBucket]> = match read {
            Ok(mut buckets) => {
                buckets.sort();
                buckets.into()
            }
            Err(unread) => return reading.take_in(at, Err(unread)),
        };
        reading.take_in(at, Ok(()));
        project.details.buckets = Some(Read { what: buckets.clone(), at });
        for (_, cluster) in state.clusters_of(id) {
            let bucket = cluster.schedule.as_ref().and_then(Schedule::bucket);
            let gone = bucket.is_some_and(|bucket| !has(&buckets, bucket));
            cluster.details.bucket.listed(gone, order);
        }
    }

    /// The clusters whose policy names a bucket that the newest list lacks, and was not read since.
    #[must_use]
    pub fn unconfirmed_buckets(&self, id: &ProjectId) -> Vec<Target> {
        let state = self.state();
        let unconfirmed = state.of_project(id).filter(|(_, cluster)| cluster.details.bucket.is_unconfirmed());
        unconfirmed.map(|(target, _)| (**target).clone()).collect()
    }

    /// Returns true if the policy of a cluster names a bucket that the newest, older list lacks.
    #[must_use]
    pub fn is_bucket_unlisted(&self, target: &Target) -> bool {
        let state = self.state();
        let cluster = state.clusters.get(target);
        cluster.is_some_and(|cluster| state.is_bucket_unlisted(target, cluster))
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
            let newest = |kind| {
                let of_kind = events.iter().filter(move |event| event.kind == Some(kind));
                of_kind.map(|event| event.created_at).max()
            };
            let details = &mut project.details;
            details.expiring = details.expiring.max(newest(EventKind::SecretsExpiring));
            details.no_longer = details.no_longer.max(newest(EventKind::SecretsNoLongerExpiring));
        }
    }

    /// Takes in that an event told at `at` of an export of a cluster that failed.
    pub fn failed_event(&self, target: &Target, at: Timestamp) {
        if let Some(cluster) = self.state().cluster(target) {
            cluster.details.failed_event = cluster.details.failed_event.max(Some(at));
        }
    }

    /// Returns the time of a cluster's last failed export, by the events of its project.
    #[must_use]
    pub fn last_failed_event(&self, target: &Target) -> Option<Timestamp> {
        self.state().clusters.get(target)?.failed_event()
    }

    /// Forgets what a detail of a project said: it is switched off.
    pub fn forget_detail(&self, id: &ProjectId, detail: Detail) {
        let mut state = self.state();
        if let Some(project) = state.projects.get_mut(id) {
            project.details.readings.remove(&detail);
            match detail {
                Detail::Buckets => project.details.buckets = None,
                Detail::Events => (project.details.expiring, project.details.no_longer) = (None, None),
                Detail::Snapshots => {}
            }
        }
        if detail == Detail::Events {
            for (_, cluster) in state.clusters_of(id) {
                (cluster.details.failed_event, cluster.details.searched) = (None, false);
            }
        }
    }

    /// Forgets the snapshots of a cluster: they are read no longer.
    pub fn forget_snapshots(&self, target: &Target) {
        if let Some(cluster) = self.state().cluster(target) {
            cluster.details.forget_snapshots();
        }
    }

    /// The names of the clusters of a project that are watched: those that failures were looked for before, and those that are new
    /// here. From now on all of them count as the former.
    #[must_use]
    pub fn search_events_of(&self, id: &ProjectId) -> (Vec<String>, Vec<String>) {
        let mut state = self.state();
        let (mut known, mut fresh) = (Vec::new(), Vec::new());
        for (target, cluster) in state.clusters_of(id) {
            let before = std::mem::replace(&mut cluster.details.searched, true);
            if before { &mut known } else { &mut fresh }.push(target.cluster_name.clone());
        }
        (known, fresh)
    }

    /// The schedule by which Atlas exports the snapshots of a cluster; `None` if it exports none, or that is unknown.
    #[must_use]
    pub fn export_schedule(&self, target: &Target) -> Option<Schedule> {
        let state = self.state();
        state.clusters.get(target)?.schedule.clone().filter(Schedule::exports_itself)
    }
}

fn exports_itself(cluster: &ClusterState) -> bool {
    cluster.schedule.as_ref().is_some_and(Schedule::exports_itself)
}
