//! Export jobs, one by one and as they recur.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::snapshot::{Snapshot, object_id};

/// Jobs of a recurring export that stay listed.
const RECURRING_LISTED: i64 = 60;

/// One job of a listing.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A job that lives.
    Job(Job),
    /// JSON to be listed as it is.
    Raw(Value),
}

/// What a job exports.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A replica set with this many collections.
    ReplicaSet(u64),
    /// This many shards: such jobs carry components and no counts.
    Sharded(usize),
}

/// How a job ends.
#[derive(Debug, Clone)]
pub enum End {
    /// Well.
    Successful,
    /// Badly, with a code and a message.
    Failed(String, String),
    /// By someone.
    Cancelled,
    /// Never: every collection is exported, and it goes on.
    Never,
}

/// A job: queued, then running, then ended.
#[derive(Debug, Clone)]
pub struct Job {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The snapshot that it exports.
    pub snapshot_id: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// How long it waits.
    pub queued: Duration,
    /// How long it runs.
    pub running: Duration,
    /// What it exports.
    pub shape: Shape,
    /// How it ends.
    pub end: End,
}

impl Job {
    /// A job that was asked for `age` ago, waited a minute and ran for twenty.
    #[must_use]
    pub fn ended(age: Duration, end: End) -> Self {
        let created_at = Timestamp::now() - age;
        let id = object_id(created_at, fastrand::u64(..));
        Self {
            snapshot_id: snapshot_of(&id),
            id,
            created_at,
            queued: Duration::from_mins(1),
            running: Duration::from_mins(20),
            shape: Shape::ReplicaSet(105),
            end,
        }
    }

    /// A job for `snapshot`, asked for a minute after it was taken.
    #[must_use]
    pub fn of(snapshot: &Snapshot, end: End) -> Self {
        let created_at = snapshot.created_at.unwrap_or_else(Timestamp::now) + Duration::from_mins(1);
        Self {
            id: object_id(created_at, fastrand::u64(..)),
            snapshot_id: snapshot.id.clone(),
            created_at,
            ..Self::ended(Duration::ZERO, end)
        }
    }
}

/// A job every so often, its ends in turn.
#[derive(Debug, Clone)]
pub struct Recurring {
    /// What tells the ids of its jobs from those of others.
    pub salt: u64,
    /// The first one.
    pub since: Timestamp,
    /// From one to the next.
    pub every: Duration,
    /// How long each waits.
    pub queued: Duration,
    /// How long each runs.
    pub running: Duration,
    /// What each exports.
    pub shape: Shape,
    /// How they end, in turn; not empty.
    pub ends: Vec<End>,
}

impl Recurring {
    pub(crate) fn jobs(&self, now: Timestamp) -> impl Iterator<Item = Job> {
        let last = (now.duration_since(self.since).as_secs_f64() / self.every.as_secs_f64()).floor();
        #[allow(clippy::cast_possible_truncation)] // a count of exports since the start
        let last = last as i64;
        ((last - RECURRING_LISTED).max(0)..=last).filter_map(move |number| {
            let created_at = self.since + self.every * u32::try_from(number).ok()?;
            let turn = usize::try_from(number).ok()? % self.ends.len();
            let id = object_id(created_at, self.salt ^ u64::try_from(number).ok()?);
            Some(Job {
                snapshot_id: snapshot_of(&id),
                id,
                created_at,
                queued: self.queued,
                running: self.running,
                shape: self.shape,
                end: self.ends[turn].clone(),
            })
        })
    }

    /// The snapshots of its jobs, each a second older than its job.
    pub(crate) fn snapshots(&self, now: Timestamp, frequency: &str) -> impl Iterator<Item = Snapshot> {
        self.jobs(now).map(move |job| {
            Snapshot::scheduled(job.snapshot_id, job.created_at - Duration::from_secs(1), frequency)
        })
    }
}

/// The id of the snapshot that a job exports, where nobody names one.
fn snapshot_of(job: &str) -> String {
    let (time, unique) = job.split_at(8);
    format!("{unique}{time}")
}
