//! Results of the collectors: snapshots, events and export buckets.

use std::sync::Arc;

use atlas_client::ExportBucket;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{
    CollectorKind, ExportHistory, ExportedSnapshots, JobSummary, ReadError, RecoveryPoint, Snapshots,
};

/// The state of a collector of one project or cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// Outcome of the last reading; `None` before the first.
    pub(super) outcome: Option<Result<(), ReadError>>,
    /// True from a refusal by Atlas until the next successful reading.
    pub(super) is_refused: bool,
    /// Time of the last successful reading.
    pub(super) read_at: Option<Instant>,
}

impl Reading {
    pub(super) fn record(&mut self, at: Instant, outcome: Result<(), ReadError>) {
        match &outcome {
            Ok(()) => (self.read_at, self.is_refused) = (Some(at), false),
            Err(error) => self.is_refused |= error.is_refused,
        }
        self.outcome = Some(outcome);
    }
}

#[derive(Debug, Default)]
pub(super) struct ProjectReadings {
    pub(super) events: Reading,
    pub(super) buckets: Reading,
    /// Sorted by id, as `has_bucket` requires.
    pub(super) listed_buckets: Option<Arc<[ExportBucket]>>,
    /// Time of the last event about service account secrets that expire soon.
    pub(super) secrets_expiring: Option<Timestamp>,
    /// Time of the last event that no secret expires soon any longer.
    pub(super) secrets_no_longer_expiring: Option<Timestamp>,
}

impl ProjectReadings {
    pub(super) fn by_collector(&self) -> impl Iterator<Item = (CollectorKind, &Reading)> {
        [(CollectorKind::Events, &self.events), (CollectorKind::Buckets, &self.buckets)].into_iter()
    }
}

#[derive(Debug, Clone, Default)]
pub struct ClusterReadings {
    pub(super) snapshots: Option<Arc<Snapshots>>,
    pub(super) snapshots_reading: Reading,
    /// The match of snapshots and export jobs, as of the last successful poll.
    pub(super) recovery: Option<RecoveryPoint>,
    export_history: ExportHistory,
    /// The exports of the last summary, until the first reading of snapshots.
    unmatched_exports: Option<Arc<ExportedSnapshots>>,
    /// Time of the last export failure event.
    pub(super) last_failure_event: Option<Timestamp>,
    /// True once export failure events of the cluster were searched.
    pub(super) events_searched: bool,
    pub(super) bucket_absence: BucketAbsence,
}

impl ClusterReadings {
    /// Matches the jobs of a summary with the last known snapshots.
    ///
    /// If `keep_unmatched`, the first reading of snapshots is matched with these jobs, too.
    pub(super) fn record_jobs(&mut self, summary: &mut JobSummary, keep_unmatched: bool) {
        // The ids, which can be thousands, are not needed after the match.
        let mut exports = std::mem::take(&mut summary.exports);
        if exports.is_incremental
            && let Some(full) = &self.unmatched_exports
        {
            exports.successful.extend(&full.successful);
        }
        self.match_snapshots(&exports);
        let is_unread = self.snapshots_reading.outcome.is_none();
        self.unmatched_exports = (keep_unmatched && is_unread).then(|| Arc::new(exports));
    }

    fn match_snapshots(&mut self, exports: &ExportedSnapshots) {
        let history = &mut self.export_history;
        self.recovery =
            self.snapshots.as_ref().map(|snapshots| RecoveryPoint::of(snapshots, exports, history));
    }

    pub(super) fn record_snapshots(&mut self, at: Instant, read: Result<Snapshots, ReadError>) {
        let outcome = read.map(|snapshots| self.snapshots = Some(Arc::new(snapshots)));
        self.snapshots_reading.record(at, outcome);
        if let Some(exports) = self.unmatched_exports.take() {
            self.match_snapshots(&exports);
        }
    }

    /// Removes the snapshots, which are no longer read or belong to an earlier policy.
    pub(super) fn remove_snapshots(&mut self) {
        (self.snapshots, self.recovery, self.unmatched_exports) = (None, None, None);
        self.snapshots_reading = Reading::default();
    }
}

/// The absence of a policy's bucket in the lists of buckets.
///
/// Policies and lists are read independently, so an older list or an older policy proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BucketAbsence {
    #[default]
    None,
    /// The bucket is missing in a list that is newer than the last reading of the policy.
    Unconfirmed,
    /// A later reading of the policy still names the bucket.
    Confirmed,
}

impl BucketAbsence {
    pub(super) fn record_list(&mut self, is_missing: bool) {
        match (is_missing, *self) {
            (false, _) => *self = Self::None,
            (true, Self::None) => *self = Self::Unconfirmed,
            (true, _) => {}
        }
    }

    /// Records a reading of the policy. `is_same_bucket` is about the reading before.
    pub(super) fn record_policy(&mut self, is_same_bucket: bool) {
        match (is_same_bucket, *self) {
            (false, _) => *self = Self::None,
            (true, Self::Unconfirmed) => *self = Self::Confirmed,
            (true, _) => {}
        }
    }
}

/// Returns true if `buckets`, which must be sorted by id, contains the bucket `id`.
pub(super) fn has_bucket(buckets: &[ExportBucket], id: &str) -> bool {
    buckets.binary_search_by(|bucket| bucket.id.as_str().cmp(id)).is_ok()
}
