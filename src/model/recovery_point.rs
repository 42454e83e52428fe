//! Matches snapshots with export jobs: the newest exported snapshot, and snapshots awaiting export.

use std::collections::HashSet;

use atlas_client::{ObjectId, Schedule, Snapshot};
use jiff::Timestamp;

/// A listing of a cluster's snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshots {
    /// Sorted by id, without duplicates.
    listed: Vec<ListedSnapshot>,
    /// True if the frequency of the export policy is known.
    has_frequency: bool,
    read_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ListedSnapshot {
    id: ObjectId,
    created_at: Timestamp,
    /// True if the export policy exports the snapshot.
    is_due: bool,
}

impl Snapshots {
    /// Creates the listing read at `read_at`, under the export policy of `schedule`.
    #[must_use]
    pub fn new(listed: &[Snapshot], schedule: &Schedule, read_at: Timestamp) -> Self {
        let listed = listed.iter().map(|snapshot| ListedSnapshot {
            id: snapshot.id,
            created_at: snapshot.created_at,
            is_due: schedule.exports(snapshot),
        });
        let mut listed: Vec<_> = listed.collect();
        // Pages can shift while they are read, so a snapshot may be listed twice.
        listed.sort_unstable();
        listed.dedup_by_key(|snapshot| snapshot.id);
        Self { listed, has_frequency: schedule.frequency.is_some(), read_at }
    }

    /// Returns the creation of the newest snapshot that the policy exports.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.listed.iter().filter(|snapshot| snapshot.is_due).map(|snapshot| snapshot.created_at).max()
    }

    fn contains(&self, id: ObjectId) -> bool {
        self.listed.binary_search_by_key(&id, |snapshot| snapshot.id).is_ok()
    }
}

/// The snapshots of a cluster's export jobs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportedSnapshots {
    /// Snapshots with a successful job.
    pub successful: HashSet<ObjectId>,
    /// True after an incremental listing: `successful` lacks the snapshots of older jobs.
    pub is_incremental: bool,
    /// Snapshots with an active job.
    pub active: HashSet<ObjectId>,
    pub newest: Option<NewestExport>,
}

/// The newest successful export job of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestExport {
    pub created_at: Timestamp,
    /// `None` if the job has no valid snapshot id.
    pub snapshot: Option<ObjectId>,
}

/// The newest exported snapshots of earlier matches. Exported snapshots can be deleted in Atlas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportHistory {
    /// Creation of the newest snapshot with a successful job.
    pub newest_snapshot: Option<Timestamp>,
    /// Creation of the newest successful job whose snapshot was listed.
    pub newest_matched_job: Option<Timestamp>,
}

/// The newest exported snapshot, and snapshots awaiting export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryPoint {
    /// Creation of the newest exported snapshot; `None` if the snapshot of a newer successful job
    /// is unknown.
    pub newest_exported: Option<Timestamp>,
    /// Number of newer snapshots that the policy exports and that have no successful or active
    /// job; `None` if the frequency of the policy is unknown.
    pub awaiting: Option<u64>,
    /// Creation of the oldest snapshot awaiting export.
    pub oldest_awaiting: Option<Timestamp>,
}

impl RecoveryPoint {
    /// Matches a listing of snapshots with the export jobs that were listed after it.
    ///
    /// `history` is updated.
    #[must_use]
    pub fn of(snapshots: &Snapshots, exports: &ExportedSnapshots, history: &mut ExportHistory) -> Self {
        let exported = snapshots.listed.iter().filter(|snapshot| exports.successful.contains(&snapshot.id));
        let newest_snapshot = exported.map(|snapshot| snapshot.created_at).max();
        history.newest_snapshot = history.newest_snapshot.max(newest_snapshot);
        if let Some(newest) = exports.newest
            && newest.snapshot.is_some_and(|id| snapshots.contains(id))
        {
            history.newest_matched_job = history.newest_matched_job.max(Some(newest.created_at));
        }
        // The snapshot of the newest successful job may no longer be listed. Snapshots older than
        // the job may be older than this snapshot too, and then do not await export.
        let newest_job = exports.newest.map(|newest| newest.created_at);
        let unmatched_job = newest_job.filter(|job| history.newest_matched_job < Some(*job));
        let since = history.newest_snapshot.max(unmatched_job);
        // The snapshot of a job newer than the listing may be newer than the listing, too.
        let is_known = unmatched_job.is_none_or(|job| job > snapshots.read_at);
        let newest_exported = history.newest_snapshot.filter(|_| is_known);
        let awaiting = snapshots
            .listed
            .iter()
            .filter(|snapshot| snapshot.is_due && !exports.active.contains(&snapshot.id))
            .map(|snapshot| snapshot.created_at)
            .filter(|created_at| snapshots.has_frequency && Some(*created_at) > since);
        Self {
            newest_exported,
            awaiting: snapshots.has_frequency.then_some(awaiting.clone().count() as u64),
            oldest_awaiting: awaiting.min(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn id(number: u8) -> ObjectId {
        ObjectId::parse(&format!("{number:02x}").repeat(12)).unwrap()
    }

    /// Daily snapshots, number `n` taken in hour `n`; those above 100 are on demand.
    fn snapshots(numbers: &[u8]) -> Snapshots {
        let snapshot = |number: &u8| Snapshot {
            id: id(*number),
            created_at: at(i64::from(*number)),
            frequency: Some(if *number > 100 { "ondemand" } else { "DAILY" }.to_owned()),
            policy_items: Vec::new(),
        };
        let daily = Schedule { frequency: Some("daily".to_owned()), ..Schedule::default() };
        Snapshots::new(&numbers.iter().map(snapshot).collect::<Vec<_>>(), &daily, at(110))
    }

    fn exports(successful: &[u8], active: &[u8], newest: Option<(u8, Option<u8>)>) -> ExportedSnapshots {
        let ids = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect();
        let newest = newest
            .map(|(hour, number)| NewestExport { created_at: at(i64::from(hour)), snapshot: number.map(id) });
        ExportedSnapshots { successful: ids(successful), active: ids(active), newest, is_incremental: false }
    }

    fn recovery(numbers: &[u8], exports: &ExportedSnapshots) -> (Option<i64>, u64, Option<i64>) {
        let hour = |at: Timestamp| at.as_millisecond() / 3_600_000;
        let recovery = RecoveryPoint::of(&snapshots(numbers), exports, &mut ExportHistory::default());
        let (awaiting, oldest) = (recovery.awaiting.unwrap(), recovery.oldest_awaiting);
        (recovery.newest_exported.map(hour), awaiting, oldest.map(hour))
    }

    #[test]
    fn newer_snapshots_without_success_or_active_job_await_export() {
        let check =
            |numbers: &[u8], exports: &ExportedSnapshots, expected: (Option<i64>, u64, Option<i64>)| {
                assert_eq!(recovery(numbers, exports), expected, "{numbers:?} {exports:?}");
            };
        check(&[], &exports(&[], &[], None), (None, 0, None));
        check(&[1, 2, 3], &exports(&[], &[], None), (None, 3, Some(1)));
        check(&[2, 1, 2, 2], &exports(&[], &[], None), (None, 2, Some(1)));
        check(&[1, 2, 3], &exports(&[3], &[], Some((3, Some(3)))), (Some(3), 0, None));
        check(&[3, 1, 2, 4], &exports(&[1], &[3], Some((1, Some(1)))), (Some(1), 2, Some(2)));
        // An older snapshot does not await export after a newer one was exported.
        check(&[1, 2, 3], &exports(&[2], &[], Some((2, Some(2)))), (Some(2), 1, Some(3)));
        // An on-demand snapshot is a recovery point once exported, but does not await export.
        check(&[1, 101], &exports(&[1], &[], Some((1, Some(1)))), (Some(1), 0, None));
        check(&[1, 101], &exports(&[101], &[], Some((101, Some(101)))), (Some(101), 0, None));
        // After a success of a deleted snapshot, older snapshots do not await export.
        check(&[4, 5, 9], &exports(&[6], &[], Some((7, Some(6)))), (None, 1, Some(9)));
        check(&[4, 5, 9], &exports(&[], &[], Some((7, None))), (None, 1, Some(9)));
        check(&[4, 5, 9], &exports(&[4], &[], Some((7, Some(6)))), (None, 1, Some(9)));
        // A manual export of an old snapshot does not change the snapshots awaiting export.
        check(&[1, 4, 5, 9], &exports(&[4, 1], &[], Some((10, Some(1)))), (Some(4), 2, Some(5)));
    }

    #[test]
    fn exported_snapshot_stays_exported_after_its_deletion() {
        let mut history = ExportHistory::default();
        let four = exports(&[4], &[], Some((4, Some(4))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[4]), &four, &mut history).newest_exported, Some(at(4)));
        let deleted = RecoveryPoint::of(&snapshots(&[5, 6]), &four, &mut history);
        assert_eq!(deleted.newest_exported, Some(at(4)));
        assert_eq!((deleted.awaiting, deleted.oldest_awaiting), (Some(2), Some(at(5))));
        let newer = exports(&[4, 5], &[], Some((6, Some(5))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[5, 6]), &newer, &mut history).newest_exported, Some(at(5)));
        // A success of a snapshot that was never listed makes the recovery point unknown.
        let unseen = exports(&[4, 5], &[], Some((8, Some(7))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[5, 6]), &unseen, &mut history).newest_exported, None);
        // Unless the job is newer than the listing.
        let later = exports(&[4, 5], &[], Some((111, Some(100))));
        let late = RecoveryPoint::of(&snapshots(&[5, 6]), &later, &mut history);
        assert_eq!((late.newest_exported, late.awaiting.unwrap()), (Some(at(5)), 0));
    }

    #[test]
    fn unknown_frequency_makes_awaiting_snapshots_unknown() {
        let frequency = Some("daily".to_owned());
        let listed = [Snapshot { id: id(1), created_at: at(1), frequency, policy_items: Vec::new() }];
        let unknown = Snapshots::new(&listed, &Schedule::default(), at(110));
        assert_eq!(unknown.newest(), None);
        let recovery = RecoveryPoint::of(&unknown, &exports(&[1], &[], None), &mut ExportHistory::default());
        assert_eq!(recovery, RecoveryPoint { newest_exported: Some(at(1)), ..RecoveryPoint::default() });
        assert_eq!(snapshots(&[2, 101]).newest(), Some(at(2)));
    }
}
