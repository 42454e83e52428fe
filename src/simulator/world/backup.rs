//! What a backup consists of besides export jobs: snapshots, the buckets they go to, and what was noted about them.

use std::time::Duration;

use jiff::Timestamp;

use super::{object_id, signed};

/// A snapshot of a cluster.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// 24 hexadecimal digits.
    pub id: String,
    /// When it was taken; `None` while it is not.
    pub created_at: Option<Timestamp>,
    /// `hourly`, `daily`, `ondemand` and the like.
    pub frequency: String,
    /// `scheduled`, `onDemand` or `fallback`.
    pub kind: String,
    /// `queued`, `inProgress`, `completed` or `failed`.
    pub status: String,
}

impl Snapshot {
    /// A completed snapshot that the schedule took `age` ago.
    #[must_use]
    pub fn taken(age: Duration, frequency: &str) -> Self {
        let at = Timestamp::now() - signed(age);
        Self::scheduled(object_id(at, fastrand::u64(..)), at, frequency)
    }

    pub(super) fn scheduled(id: String, at: Timestamp, frequency: &str) -> Self {
        Self {
            id,
            created_at: Some(at),
            frequency: frequency.to_owned(),
            kind: "scheduled".to_owned(),
            status: "completed".to_owned(),
        }
    }
}

/// A bucket that snapshots are exported to.
#[derive(Debug, Clone)]
pub struct ExportBucket {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Its name at its provider.
    pub name: String,
    /// `AWS`, `AZURE` or `GCP`.
    pub provider: String,
}

/// Something that happened in a project.
#[derive(Debug, Clone)]
pub struct Event {
    /// 24 hexadecimal digits.
    pub id: String,
    /// When it happened.
    pub created: Timestamp,
    /// Its type, in Atlas's word.
    pub kind: String,
    /// The cluster that it is about; no answer says so, but the filter knows.
    pub cluster: Option<String>,
}

impl Event {
    /// An event of `age` ago.
    #[must_use]
    pub fn new(kind: &str, cluster: Option<&str>, age: Duration) -> Self {
        let created = Timestamp::now() - signed(age);
        Self {
            id: object_id(created, fastrand::u64(..)),
            created,
            kind: kind.to_owned(),
            cluster: cluster.map(str::to_owned),
        }
    }

    /// When it happened, as answers show it: to the second.
    pub(in super::super) fn shown(&self) -> Timestamp {
        Timestamp::from_second(self.created.as_second()).unwrap_or(self.created)
    }
}
