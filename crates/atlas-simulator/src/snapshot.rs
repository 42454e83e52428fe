//! Snapshots of clusters.

use std::time::Duration;

use jiff::Timestamp;

/// An id in Atlas's form: 8 hexadecimal digits of the time in seconds, then 16 unique ones.
#[must_use]
pub fn object_id(at: Timestamp, unique: u64) -> String {
    format!("{:08x}{unique:016x}", at.as_second() & 0xffff_ffff)
}

/// Frequencies of Atlas's default backup policy, which has one item of each.
pub const FREQUENCIES: [&str; 5] = ["hourly", "daily", "weekly", "monthly", "yearly"];

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub id: String,
    /// Creation time; `None` before the snapshot is taken.
    pub created_at: Option<Timestamp>,
    /// `hourly`, `daily`, `ondemand` and so on; one value, even if several policy items took it.
    pub frequency: String,
    /// Frequencies of its policy items; omitted from responses if empty.
    pub items: Vec<&'static str>,
    /// Snapshot type: `scheduled`, `onDemand` or `fallback`.
    pub kind: &'static str,
    /// Status: `queued`, `inProgress`, `completed` or `failed`.
    pub status: &'static str,
}

impl Snapshot {
    /// A completed snapshot that an item of the default policy took `age` ago.
    #[must_use]
    pub fn taken(age: Duration, frequency: &str) -> Self {
        let created_at = Timestamp::now() - age;
        Self {
            id: object_id(created_at, fastrand::u64(..)),
            created_at: Some(created_at),
            frequency: frequency.to_owned(),
            items: FREQUENCIES.into_iter().filter(|item| item.eq_ignore_ascii_case(frequency)).collect(),
            kind: "scheduled",
            status: "completed",
        }
    }
}
