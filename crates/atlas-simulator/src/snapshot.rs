//! What a backup consists of besides export jobs: snapshots, the buckets they go to, and what was
//! noted about them.

use std::time::Duration;

use jiff::Timestamp;

/// An id as Atlas makes them: the time in seconds, then what makes it unique.
#[must_use]
pub fn object_id(at: Timestamp, unique: u64) -> String {
    format!("{:08x}{unique:016x}", at.as_second() & 0xffff_ffff)
}

/// A snapshot of a cluster.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// 24 hexadecimal digits.
    pub id: String,
    /// When it was taken; `None` while it is not.
    pub created_at: Option<Timestamp>,
    /// `hourly`, `daily`, `ondemand` and the like: one word, though several items may have taken
    /// it.
    pub frequency: String,
    /// The ids of all policy items that it belongs to; an answer without any leaves them out.
    pub items: Vec<String>,
    /// `scheduled`, `onDemand` or `fallback`.
    pub kind: String,
    /// `queued`, `inProgress`, `completed` or `failed`.
    pub status: String,
}

impl Snapshot {
    /// A completed snapshot that an item of the usual policy took `age` ago.
    #[must_use]
    pub fn taken(age: Duration, frequency: &str) -> Self {
        let at = Timestamp::now() - age;
        Self::scheduled(object_id(at, fastrand::u64(..)), at, frequency)
    }

    pub(crate) fn scheduled(id: String, at: Timestamp, frequency: &str) -> Self {
        Self {
            id,
            created_at: Some(at),
            items: PolicyItem::usual()
                .into_iter()
                .filter(|item| item.frequency.eq_ignore_ascii_case(frequency))
                .map(|item| item.id)
                .collect(),
            frequency: frequency.to_owned(),
            kind: "scheduled".to_owned(),
            status: "completed".to_owned(),
        }
    }
}

/// An item of a backup policy, which takes snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyItem {
    /// 24 hexadecimal digits.
    pub id: String,
    /// `hourly`, `daily`, `weekly`, `monthly` or `yearly`.
    pub frequency: String,
}

impl PolicyItem {
    /// One item of each frequency, as Atlas's own policy has them.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        ["hourly", "daily", "weekly", "monthly", "yearly"].map(Self::of).into()
    }

    /// The usual item of a frequency, whose id follows from the word.
    #[must_use]
    pub fn of(frequency: &str) -> Self {
        let id = format!("65a1f0b2c3d4e5f607182{:03x}", frequency.bytes().map(u32::from).sum::<u32>());
        Self { id, frequency: frequency.to_owned() }
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
        let created = Timestamp::now() - age;
        Self {
            id: object_id(created, fastrand::u64(..)),
            created,
            kind: kind.to_owned(),
            cluster: cluster.map(str::to_owned),
        }
    }

    /// When it happened, as answers show it: to the second.
    pub(crate) fn shown(&self) -> Timestamp {
        Timestamp::from_second(self.created.as_second()).unwrap_or(self.created)
    }
}
