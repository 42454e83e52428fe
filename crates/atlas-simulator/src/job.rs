//! Export jobs, single and recurring.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::snapshot::{Snapshot, object_id};

/// Number of jobs of a recurring export that stay listed.
const RECURRING_LISTED: i64 = 60;

/// One entry of a listing of jobs.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A job whose state depends on the time.
    Job(Job),
    /// JSON that is listed unchanged.
    Raw(Value),
}

/// The topology of the exported cluster.
#[derive(Debug, Clone, Copy)]
pub enum Topology {
    /// A replica set with this number of collections.
    ReplicaSet(u64),
    /// A sharded cluster with this number of shards: its jobs have components and no counts.
    Sharded(usize),
}

/// Outcome of a job.
#[derive(Debug, Clone)]
pub enum JobOutcome {
    /// Success.
    Successful,
    /// Failure, with an error code and a message.
    Failed(String, String),
    /// Cancellation.
    Cancelled,
    /// None: the job stays in progress with all collections exported.
    Never,
}

/// An export job: queued, then in progress, then finished.
#[derive(Debug, Clone)]
pub struct Job {
    /// 24 hexadecimal digits.
    pub id: String,
    /// The snapshot that it exports.
    pub snapshot_id: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time in the queue.
    pub queued: Duration,
    /// Time in progress.
    pub running: Duration,
    /// Topology of the cluster.
    pub topology: Topology,
    /// Outcome of the job.
    pub outcome: JobOutcome,
}

impl Job {
    /// A job created `age` ago that is queued for one minute and in progress for 20 minutes.
    #[must_use]
    pub fn ended(age: Duration, outcome: JobOutcome) -> Self {
        let created_at = Timestamp::now() - age;
        let id = object_id(created_at, fastrand::u64(..));
        Self {
            snapshot_id: snapshot_of(&id),
            id,
            created_at,
            queued: Duration::from_mins(1),
            running: Duration::from_mins(20),
            topology: Topology::ReplicaSet(105),
            outcome,
        }
    }

    /// A job for `snapshot`, created one minute after it.
    #[must_use]
    pub fn of(snapshot: &Snapshot, outcome: JobOutcome) -> Self {
        let created_at = snapshot.created_at.unwrap_or_else(Timestamp::now) + Duration::from_mins(1);
        Self {
            id: object_id(created_at, fastrand::u64(..)),
            snapshot_id: snapshot.id.clone(),
            created_at,
            ..Self::ended(Duration::ZERO, outcome)
        }
    }
}

/// Export jobs at an interval.
#[derive(Debug, Clone)]
pub struct Recurring {
    /// Makes the ids of its jobs unique.
    pub salt: u64,
    /// Creation time of the first job.
    pub since: Timestamp,
    /// Interval between jobs.
    pub every: Duration,
    /// Time of each job in the queue.
    pub queued: Duration,
    /// Time of each job in progress.
    pub running: Duration,
    /// Topology of the cluster.
    pub topology: Topology,
    /// Outcomes of the jobs, in turn; not empty.
    pub outcomes: Vec<JobOutcome>,
}

impl Recurring {
    pub(crate) fn jobs(&self, now: Timestamp) -> impl Iterator<Item = Job> {
        let last = (now.duration_since(self.since).as_secs_f64() / self.every.as_secs_f64()).floor();
        #[allow(clippy::cast_possible_truncation)] // a count of exports since the start
        let last = last as i64;
        ((last - RECURRING_LISTED).max(0)..=last).filter_map(move |number| {
            let created_at = self.since + self.every * u32::try_from(number).ok()?;
            let turn = usize::try_from(number).ok()? % self.outcomes.len();
            let id = object_id(created_at, self.salt ^ u64::try_from(number).ok()?);
            Some(Job {
                snapshot_id: snapshot_of(&id),
                id,
                created_at,
                queued: self.queued,
                running: self.running,
                topology: self.topology,
                outcome: self.outcomes[turn].clone(),
            })
        })
    }

    /// The snapshots of its jobs, each one second older than its job.
    pub(crate) fn snapshots(&self, now: Timestamp, frequency: &str) -> impl Iterator<Item = Snapshot> {
        self.jobs(now).map(move |job| {
            Snapshot::scheduled(job.snapshot_id, job.created_at - Duration::from_secs(1), frequency)
        })
    }
}

fn snapshot_of(job: &str) -> String {
    let (time, unique) = job.split_at(8);
    format!("{unique}{time}")
}
