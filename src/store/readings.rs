//! What the collectors found: snapshots, events, export buckets.

use std::sync::Arc;

use atlas_client::ExportBucket;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{
    CollectorKind, Exported, ExportedSnapshots, JobSummary, ReadError, RecoveryPoint, Snapshots,
};

/// Outcome of the last reading of a collector of a project or a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// `None` before the first.
    pub(super) outcome: Option<Result<(), ReadError>>,
    /// True if Atlas refused it, and it was not read since.
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
    /// All its export buckets, sorted.
    pub(super) listed_buckets: Option<Arc<[ExportBucket]>>,
    /// Times of the last events that a secret of a service account expires soon, and that none
    /// does.
    pub(super) secrets_expiring: Option<Timestamp>,
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
    /// Its snapshots against its export jobs, as of the last good poll.
    pub(super) recovery: Option<RecoveryPoint>,
    exported: Exported,
    /// The exports of the last summary, until snapshots are requested for the first time.
    unmatched: Option<Arc<ExportedSnapshots>>,
    /// When an automatic export failed last, by the events of its project.
    pub(super) last_failure_event: Option<Timestamp>,
    /// Whether failures of it were looked for.
    pub(super) searched: bool,
    pub(super) bucket_absence: BucketAbsence,
}

impl ClusterReadings {
    /// Matches the snapshots with the jobs of a summary, now or, if `until_read`, when they are
    /// read.
    pub(super) fn record(&mut self, summary: &mut JobSummary, until_read: bool) {
        // Thousands of ids, which nothing needs once they are matched.
        let mut exports = std::mem::take(&mut summary.exports);
        if exports.partial
            && let Some(whole) = &self.unmatched
        {
            exports.successful.extend(&whole.successful);
        }
        self.match_with(&exports);
        self.unmatched = (until_read && self.snapshots_reading.outcome.is_none()).then(|| Arc::new(exports));
    }

    fn match_with(&mut self, exports: &ExportedSnapshots) {
        let exported = &mut self.exported;
        self.recovery =
            self.snapshots.as_ref().map(|snapshots| RecoveryPoint::of(snapshots, exports, exported));
    }

    pub(super) fn record_snapshots(&mut self, at: Instant, read: Result<Snapshots, ReadError>) {
        let outcome = read.map(|snapshots| self.snapshots = Some(Arc::new(snapshots)));
        self.snapshots_reading.record(at, outcome);
        if let Some(exports) = self.unmatched.take() {
            self.match_with(&exports);
        }
    }

    /// Forgets the snapshots: they are not read any longer, or the policy exports others.
    pub(super) fn remove_snapshots(&mut self) {
        (self.snapshots, self.recovery, self.unmatched) = (None, None, None);
        self.snapshots_reading = Reading::default();
    }
}

/// Whether the lists of buckets lack the bucket of a policy. Policies and lists are read
/// independently, and one that is older than the other proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum BucketAbsence {
    #[default]
    None,
    /// A list that is newer than the last reading of the policy lacks it.
    Unconfirmed,
    /// The policy still named it after that.
    Confirmed,
}

impl BucketAbsence {
    pub(super) fn listed(&mut self, is_missing: bool) {
        match (is_missing, *self) {
            (false, _) => *self = Self::None,
            (true, Self::None) => *self = Self::Unconfirmed,
            (true, _) => {}
        }
    }

    /// Takes in that the policy was read, and whether it names the same bucket as before.
    pub(super) fn named(&mut self, is_same: bool) {
        match (is_same, *self) {
            (false, _) => *self = Self::None,
            (true, Self::Unconfirmed) => *self = Self::Confirmed,
            (true, _) => {}
        }
    }
}

/// Returns true if one of the buckets, which are sorted, has this id.
pub(super) fn has_bucket(buckets: &[ExportBucket], id: &str) -> bool {
    buckets.binary_search_by(|bucket| bucket.id.as_str().cmp(id)).is_ok()
}
