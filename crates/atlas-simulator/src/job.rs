//! Export jobs, single and recurring.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::snapshot::{Snapshot, object_id};

/// Number of jobs of a recurring export that stay listed.
const RECURRING_LISTED: u32 = 60;

/// One entry of a listing of jobs.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A job whose state depends on the time.
    Job(Job),
    /// JSON that is listed unchanged.
    Raw(Value),
}

#[derive(Debug, Clone)]
pub enum JobOutcome {
    Successful,
    /// Failure, with an error code and a message.
    Failed(String, String),
    Cancelled,
    /// None: the job stays in progress with all collections exported.
    Never,
}

/// An export job: queued, then in progress, then finished.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: String,
    pub snapshot_id: String,
    pub created_at: Timestamp,
    pub queued: Duration,
    pub running: Duration,
    /// Number of collections; jobs of sharded clusters do not report it.
    pub collections: u64,
    pub outcome: JobOutcome,
}

impl Job {
    /// A job created `age` ago that is queued for one minute and in progress for 20 minutes.
    #[must_use]
    pub fn ended(age: Duration, outcome: JobOutcome) -> Self {
        let created_at = Timestamp::now() - age;
        Self {
            id: object_id(created_at, fastrand::u64(..)),
            snapshot_id: object_id(created_at, fastrand::u64(..)),
            created_at,
            queued: Duration::from_mins(1),
            running: Duration::from_mins(20),
            collections: 105,
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
    /// The first job. Later ones differ in time and outcome.
    pub first: Job,
    /// Interval between jobs; at least a second.
    pub interval: Duration,
    /// Outcomes of the jobs, in turn; not empty.
    pub outcomes: Vec<JobOutcome>,
}

impl Recurring {
    pub(crate) fn jobs(&self, now: Timestamp) -> impl Iterator<Item = Job> {
        let elapsed = Duration::try_from(now.duration_since(self.first.created_at)).unwrap_or_default();
        let last = u32::try_from(elapsed.as_secs() / self.interval.as_secs()).unwrap_or(u32::MAX);
        let outcomes = self.outcomes.iter().cycle();
        let numbered = (0..=last).zip(outcomes).skip(last.saturating_sub(RECURRING_LISTED) as usize);
        numbered.map(|(number, outcome)| {
            let created_at = self.first.created_at + self.interval * number;
            let at_that_time = |id: &str| format!("{:08x}{}", created_at.as_second(), &id[8..]);
            Job {
                id: at_that_time(&self.first.id),
                snapshot_id: at_that_time(&self.first.snapshot_id),
                created_at,
                outcome: outcome.clone(),
                ..self.first.clone()
            }
        })
    }

    /// The snapshots of its jobs, each one second older than its job.
    pub(crate) fn snapshots(&self, now: Timestamp, frequency: &str) -> impl Iterator<Item = Snapshot> {
        self.jobs(now).map(move |job| Snapshot {
            id: job.snapshot_id,
            created_at: Some(job.created_at - Duration::from_secs(1)),
            ..Snapshot::taken(Duration::ZERO, frequency)
        })
    }
}
