//! What the collectors found: snapshots, events, export buckets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::ExportBucket;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{
    CollectorKind, Exported, ExportedSnapshots, JobSummary, PollError, ReadingError, RecoveryPoint, Snapshots,
};

/// Something that was read, and when, on the monotonic clock.
#[derive(Debug, Clone)]
pub(super) struct Read<T> {
    pub(super) what: T,
    pub(super) at: Instant,
}

impl<T> Read<T> {
    /// Returns what was read, unless that is too long ago.
    pub(super) fn current(&self, stale_after: Duration, now: Instant) -> Option<&T> {
        (now.duration_since(self.at) <= stale_after).then_some(&self.what)
    }
}

/// Outcome of the last reading of a collector of a project or a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// True if the last reading succeeded; `None` before the first.
    pub(super) up: Option<bool>,
    /// The failure of the last reading.
    pub(super) error: Option<PollError>,
    /// True if Atlas refused it, and it was not read since.
    pub(super) is_refused: bool,
    /// Time of the last successful reading.
    read_at: Option<Instant>,
}

impl Reading {
    pub(super) fn record(&mut self, at: Instant, outcome: Result<(), ReadingError>) {
        match outcome {
            Ok(()) => *self = Self { up: Some(true), read_at: Some(at), ..Self::default() },
            Err(ReadingError { is_refused, error }) => {
                self.up = Some(false);
                self.is_refused |= is_refused;
                self.error = Some(error);
            }
        }
    }

    /// Returns true if it was neither read recently nor refused.
    pub(super) fn is_unread(&self, stale_after: Duration, now: Instant) -> bool {
        !self.is_refused && self.read_at.is_none_or(|at| now.duration_since(at) > stale_after)
    }
}

/// What the collectors found of a project.
#[derive(Debug, Default)]
pub(super) struct ProjectReadings {
    /// All its export buckets, sorted.
    pub(super) buckets: Option<Read<Arc<[ExportBucket]>>>,
    /// The readings of its events and buckets.
    pub(super) by_collector: BTreeMap<CollectorKind, Reading>,
    /// When Atlas last reported that a secret of a service account ends soon, and that none does any longer.
    pub(super) secrets_expiring: Option<Timestamp>,
    pub(super) secrets_no_longer_expiring: Option<Timestamp>,
}

impl ProjectReadings {
    /// Returns true if its buckets were read, or failed to be, without a refusal.
    pub(super) fn has_bucket_reading(&self) -> bool {
        self.by_collector.get(&CollectorKind::Buckets).is_some_and(|reading| !reading.is_refused)
    }
}

/// What the collectors found of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterReadings {
    pub(super) snapshots: Option<Read<Arc<Snapshots>>>,
    pub(super) reading: Reading,
    /// Its snapshots against its export jobs, as of the last good poll.
    pub(super) recovery: Option<RecoveryPoint>,
    exported: Exported,
    /// The exports of the last summary, until snapshots are requested for the first time.
    unmatched: Option<Arc<ExportedSnapshots>>,
    /// When an automatic export failed last, by the events of its project.
    pub(super) failed_event: Option<Timestamp>,
    /// Whether failures of it were looked for.
    pub(super) searched: bool,
    pub(super) bucket: BucketHistory,
}

impl ClusterReadings {
    /// Matches the snapshots with the jobs of a summary, which was read after them; or, `until_read`, when they are read.
    pub(super) fn record(&mut self, summary: &mut JobSummary, until_read: bool) {
        // Thousands of ids, which nothing needs once they are matched.
        let mut exports = std::mem::take(&mut summary.exports);
        if exports.partial
            && let Some(whole) = &self.unmatched
        {
            exports.successful = exports.successful.union(&whole.successful);
        }
        self.match_with(&exports);
        self.unmatched = (until_read && self.reading.up.is_none()).then(|| Arc::new(exports));
    }

    fn match_with(&mut self, exports: &ExportedSnapshots) {
        let exported = &mut self.exported;
        self.recovery = self.snapshots.as_ref().map(|read| RecoveryPoint::of(&read.what, exports, exported));
    }

    /// Takes in the snapshots, or why they could not be read.
    pub(super) fn record_snapshots(&mut self, at: Instant, read: Result<Snapshots, ReadingError>) {
        let outcome = read.map(|read| self.snapshots = Some(Read { what: Arc::new(read), at }));
        self.reading.record(at, outcome);
        if let Some(exports) = self.unmatched.take() {
            self.match_with(&exports);
        }
    }

    /// Forgets the snapshots: they are not read any longer, or the policy exports others.
    pub(super) fn remove_snapshots(&mut self) {
        (self.snapshots, self.recovery, self.unmatched) = (None, None, None);
        self.reading = Reading::default();
    }
}

/// The order in which the policy and the lists of buckets were read. One that is older than the other proves nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BucketHistory {
    /// When the policy named this bucket first, and when it was read last.
    first_named: u64,
    last_named: u64,
    /// When a list that was read after that lacked the bucket for the first time.
    pub(super) missing_since: Option<u64>,
}

impl BucketHistory {
    /// Takes in that a list of buckets was read.
    pub(super) fn listed(&mut self, is_missing: bool, order: u64) {
        self.missing_since = is_missing.then(|| self.missing_since.unwrap_or(order));
    }

    /// Takes in that the policy was read, and whether it names the same bucket as before.
    pub(super) fn named(&mut self, is_same: bool, order: u64) {
        if !is_same {
            *self = Self { first_named: order, ..Self::default() };
        }
        self.last_named = order;
    }

    /// Returns true if a list that is newer than the last reading of the policy lacks the bucket.
    pub(super) fn is_unconfirmed(self) -> bool {
        self.missing_since.is_some_and(|missing| self.last_named < missing)
    }

    /// Returns true if the policy still named the bucket after it was missing.
    pub(super) fn is_missing(self) -> bool {
        self.missing_since.is_some_and(|missing| self.first_named < missing && missing < self.last_named)
    }
}

/// Returns true if one of the buckets, which are sorted, has this id.
pub(super) fn has_bucket(buckets: &[ExportBucket], id: &str) -> bool {
    buckets.binary_search_by(|bucket| bucket.id.as_str().cmp(id)).is_ok()
}
