//! Which snapshots have left Atlas: what the listing of export jobs alone cannot say.

use std::collections::HashSet;

use atlas_client::{ObjectId, Schedule, Snapshot};
use jiff::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshots {
    /// Sorted by id.
    listed: Vec<ListedSnapshot>,
    /// Whether the export frequency is known.
    has_frequency: bool,
    read_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ListedSnapshot {
    id: ObjectId,
    created_at: Timestamp,
    /// Whether the export policy exports it.
    is_due: bool,
}

impl Snapshots {
    /// A listing of `read_at`, under the export policy of `schedule`.
    #[must_use]
    pub fn new(listed: &[Snapshot], schedule: &Schedule, read_at: Timestamp) -> Self {
        let listed = listed.iter().map(|snapshot| ListedSnapshot {
            id: snapshot.id,
            created_at: snapshot.created_at,
            is_due: schedule.exports(snapshot),
        });
        let mut listed: Vec<_> = listed.collect();
        // Pages shift while they are read, so one may be met twice.
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

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportedSnapshots {
    /// Those with a successful job.
    pub successful: HashSet<ObjectId>,
    /// Whether those of older jobs are left out: they were told before.
    pub partial: bool,
    /// Those with a job that waits or works.
    pub active: HashSet<ObjectId>,
    pub newest: Option<NewestExport>,
}

/// The newest successful export job of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestExport {
    pub created_at: Timestamp,
    /// Its snapshot, if the job names one.
    pub snapshot: Option<ObjectId>,
}

/// What was seen to be in the bucket, whatever is listed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// When the newest snapshot with a successful export was taken.
    pub newest: Option<Timestamp>,
    /// When the newest successful job was asked for whose snapshot was listed.
    pub job: Option<Timestamp>,
}

/// How far the bucket is behind the snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryPoint {
    /// Creation of the newest exported snapshot; `None` if a newer job succeeded whose snapshot is
    /// unknown.
    pub newest_exported: Option<Timestamp>,
    /// Number of newer snapshots that the policy exports, neither exported nor being exported;
    /// `None` if the policy does not say which it exports.
    pub awaiting: Option<u64>,
    /// Creation of the oldest of those.
    pub oldest_awaiting: Option<Timestamp>,
}

impl RecoveryPoint {
    /// Matches a listing of snapshots with the export jobs that were listed after it.
    ///
    /// Exported snapshots stay so when Atlas deletes them, hence `seen`, which is updated.
    #[must_use]
    pub fn of(snapshots: &Snapshots, exports: &ExportedSnapshots, seen: &mut Exported) -> Self {
        let exported = snapshots.listed.iter().filter(|snapshot| exports.successful.contains(&snapshot.id));
        seen.newest = seen.newest.max(exported.map(|snapshot| snapshot.created_at).max());
        if let Some(newest) = exports.newest
            && newest.snapshot.is_some_and(|id| snapshots.contains(id))
        {
            seen.job = seen.job.max(Some(newest.created_at));
        }
        // The newest success may be of a snapshot that is no longer listed. Snapshots that are
        // older than its job may be older than that one, and then they do not await export.
        let unlisted = exports.newest.map(|newest| newest.created_at).filter(|job| seen.job < Some(*job));
        let since = seen.newest.max(unlisted);
        // A job that is younger than the listing may be of a snapshot that is younger, too.
        let newest_exported = seen.newest.filter(|_| unlisted.is_none_or(|job| job > snapshots.read_at));
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
        ExportedSnapshots { successful: ids(successful), active: ids(active), newest, partial: false }
    }

    fn recovery(numbers: &[u8], exports: &ExportedSnapshots) -> (Option<i64>, u64, Option<i64>) {
        let hour = |at: Timestamp| at.as_millisecond() / 3_600_000;
        let recovery = RecoveryPoint::of(&snapshots(numbers), exports, &mut Exported::default());
        let (awaiting, oldest) = (recovery.awaiting.unwrap(), recovery.oldest_awaiting);
        (recovery.newest_exported.map(hour), awaiting, oldest.map(hour))
    }

    #[test]
    fn newer_snapshots_without_a_hopeful_job_await_export() {
        let check =
            |numbers: &[u8], exports: &ExportedSnapshots, expected: (Option<i64>, u64, Option<i64>)| {
                assert_eq!(recovery(numbers, exports), expected, "{numbers:?} {exports:?}");
            };
        check(&[], &exports(&[], &[], None), (None, 0, None));
        check(&[1, 2, 3], &exports(&[], &[], None), (None, 3, Some(1)));
        check(&[2, 1, 2, 2], &exports(&[], &[], None), (None, 2, Some(1)));
        check(&[1, 2, 3], &exports(&[3], &[], Some((3, Some(3)))), (Some(3), 0, None));
        check(&[3, 1, 2, 4], &exports(&[1], &[3], Some((1, Some(1)))), (Some(1), 2, Some(2)));
        // An older one that was left behind is not awaited: its successor is in the bucket.
        check(&[1, 2, 3], &exports(&[2], &[], Some((2, Some(2)))), (Some(2), 1, Some(3)));
        // On demand: in the bucket it is a recovery point, but nobody awaits it there.
        check(&[1, 101], &exports(&[1], &[], Some((1, Some(1)))), (Some(1), 0, None));
        check(&[1, 101], &exports(&[101], &[], Some((101, Some(101)))), (Some(101), 0, None));
        // A success whose snapshot is gone leaves no older one awaited.
        check(&[4, 5, 9], &exports(&[6], &[], Some((7, Some(6)))), (None, 1, Some(9)));
        check(&[4, 5, 9], &exports(&[], &[], Some((7, None))), (None, 1, Some(9)));
        check(&[4, 5, 9], &exports(&[4], &[], Some((7, Some(6)))), (None, 1, Some(9)));
        // An old snapshot exported by hand hides none.
        check(&[1, 4, 5, 9], &exports(&[4, 1], &[], Some((10, Some(1)))), (Some(4), 2, Some(5)));
    }

    #[test]
    fn exported_snapshot_stays_exported_after_its_deletion() {
        let mut seen = Exported::default();
        let four = exports(&[4], &[], Some((4, Some(4))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[4]), &four, &mut seen).newest_exported, Some(at(4)));
        let gone = RecoveryPoint::of(&snapshots(&[5, 6]), &four, &mut seen);
        assert_eq!(gone.newest_exported, Some(at(4)));
        assert_eq!((gone.awaiting, gone.oldest_awaiting), (Some(2), Some(at(5))));
        let newer = exports(&[4, 5], &[], Some((6, Some(5))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[5, 6]), &newer, &mut seen).newest_exported, Some(at(5)));
        // One that was never seen leaves the recovery point unknown: it is newer than any that is known.
        let unseen = exports(&[4, 5], &[], Some((8, Some(7))));
        assert_eq!(RecoveryPoint::of(&snapshots(&[5, 6]), &unseen, &mut seen).newest_exported, None);
        // Unless its snapshot may have been taken since they were listed.
        let later = exports(&[4, 5], &[], Some((111, Some(100))));
        let late = RecoveryPoint::of(&snapshots(&[5, 6]), &later, &mut seen);
        assert_eq!((late.newest_exported, late.awaiting.unwrap()), (Some(at(5)), 0));
    }

    #[test]
    fn unknown_frequency_leaves_awaited_snapshots_unknown() {
        let frequency = Some("daily".to_owned());
        let listed = [Snapshot { id: id(1), created_at: at(1), frequency, policy_items: Vec::new() }];
        let unknown = Snapshots::new(&listed, &Schedule::default(), at(110));
        assert_eq!(unknown.newest(), None);
        let recovery = RecoveryPoint::of(&unknown, &exports(&[1], &[], None), &mut Exported::default());
        assert_eq!(recovery, RecoveryPoint { newest_exported: Some(at(1)), ..RecoveryPoint::default() });
        assert_eq!(snapshots(&[2, 101]).newest(), Some(at(2)));
    }
}
