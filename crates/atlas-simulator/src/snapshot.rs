//! Snapshots and the policy items that take them.

use std::time::Duration;

use jiff::Timestamp;

/// An id in Atlas's form: 8 hexadecimal digits of the time in seconds, then 16 unique ones.
#[must_use]
pub fn object_id(at: Timestamp, unique: u64) -> String {
    format!("{:08x}{unique:016x}", at.as_second() & 0xffff_ffff)
}

/// A snapshot of a cluster.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Creation time; `None` before the snapshot is taken.
    pub created_at: Option<Timestamp>,
    /// `hourly`, `daily`, `ondemand` and so on; one value, even if several policy items took it.
    pub frequency: String,
    /// Ids of its policy items; omitted from responses if empty.
    pub items: Vec<String>,
    /// `scheduled`, `onDemand` or `fallback`.
    pub kind: String,
    /// `queued`, `inProgress`, `completed` or `failed`.
    pub status: String,
}

impl Snapshot {
    /// A completed snapshot that an item of the default policy took `age` ago.
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

/// An item of a backup policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyItem {
    /// 24 hexadecimal digits.
    pub id: String,
    /// `hourly`, `daily`, `weekly`, `monthly` or `yearly`.
    pub frequency: String,
}

impl PolicyItem {
    /// One item of each frequency, as in Atlas's default policy.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        ["hourly", "daily", "weekly", "monthly", "yearly"].map(Self::of).into()
    }

    /// The default item of a frequency; its id is derived from the frequency.
    #[must_use]
    pub fn of(frequency: &str) -> Self {
        let id = format!("65a1f0b2c3d4e5f607182{:03x}", frequency.bytes().map(u32::from).sum::<u32>());
        Self { id, frequency: frequency.to_owned() }
    }
}
