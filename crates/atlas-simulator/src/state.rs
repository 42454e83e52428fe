//! Organizations, projects and clusters of the simulated Atlas, and the requests it received.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{Account, Sessions};
use crate::fault::Fault;
use crate::job::{Entry, Job, JobOutcome, Recurring};
use crate::snapshot::{FREQUENCIES, Snapshot, object_id};
use crate::token_bucket::TokenBucket;

/// The organization of projects by default.
pub const ORGANIZATION: &str = "5f0e5a3b9c1d4e6f8a7b0000";

/// The export bucket of projects and schedules by default.
const BUCKET: &str = "5f0e5a3b9c1d4e6f8a7b6c5d";

/// Maximum number of recorded requests; the oldest are dropped.
const MAX_RECORDED: usize = 10_000;

/// State of the simulated Atlas, which can change at any time.
#[derive(Debug, Default)]
pub struct AtlasState {
    pub accounts: Vec<Account>,
    pub projects: BTreeMap<String, Project>,
    /// Injected faults; the first that matches a request applies.
    pub faults: Vec<Fault>,
    /// Additional headers of every successful response.
    pub headers: Vec<(&'static str, String)>,
    /// The latest requests, in order.
    pub requests: VecDeque<RecordedRequest>,
    pub request_count: u64,
    /// Number of requests whose response is pending.
    pub in_flight: usize,
    /// Maximum of `in_flight` so far.
    pub max_in_flight: usize,
    pub sessions: Sessions,
}

impl AtlasState {
    pub(crate) fn record(&mut self, request: RecordedRequest) {
        if self.requests.len() == MAX_RECORDED {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        self.request_count += 1;
    }
}

/// A request without its credentials.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    pub line: String,
    pub accept: String,
    pub nonce_count: Option<u32>,
    pub status: u16,
    pub gzip: bool,
}

#[derive(Debug)]
pub struct Project {
    pub name: String,
    pub organization: String,
    pub clusters: BTreeMap<String, Cluster>,
    pub buckets: Vec<ExportBucket>,
    pub events: Vec<Event>,
    /// Rate limit of its Cloud Backup endpoints.
    pub budget: TokenBucket,
    /// Rate limit of its cluster endpoints.
    pub clusters_budget: TokenBucket,
    /// Rate limit of its events.
    pub events_budget: TokenBucket,
}

impl Project {
    /// A project of [`ORGANIZATION`] with one export bucket, no clusters, and Atlas's documented
    /// rate limits.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            organization: ORGANIZATION.to_owned(),
            clusters: BTreeMap::new(),
            buckets: vec![ExportBucket {
                id: BUCKET.to_owned(),
                name: format!("backups-{name}"),
                provider: "AWS".to_owned(),
            }],
            events: Vec::new(),
            budget: TokenBucket::new(1200, 500),
            clusters_budget: TokenBucket::new(10_000, 5000),
            events_budget: TokenBucket::new(300, 100),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, cluster: Cluster) -> Self {
        self.clusters.insert(name.to_owned(), cluster);
        self
    }

    /// Refills all rate limits `factor` times as fast.
    #[must_use]
    pub fn with_faster_refill(mut self, factor: u32) -> Self {
        for budget in [&mut self.budget, &mut self.clusters_budget, &mut self.events_budget] {
            budget.per_minute *= factor;
        }
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClusterKind {
    /// A dedicated cluster, M10 or larger.
    #[default]
    Dedicated,
    /// On shared servers; it has no exports.
    SharedTier,
    /// Not in the listing of clusters, and refused by every endpoint of a cluster.
    Flex,
}

/// The part of a cluster's backup schedule that concerns exports.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub auto_export: bool,
    /// Frequency type of the export policy; `None` for no export policy.
    pub frequency: Option<String>,
    pub bucket: String,
    /// Frequencies of the backup policy's items; `None` for a response without policies.
    pub items: Option<Vec<&'static str>>,
}

impl Default for Schedule {
    /// Daily exports to the default bucket, and the default policy.
    fn default() -> Self {
        Self {
            auto_export: true,
            frequency: Some("daily".to_owned()),
            bucket: BUCKET.to_owned(),
            items: Some(FREQUENCIES.into()),
        }
    }
}

/// The order of a listing. Atlas documents none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
    /// The order of the entries in the state.
    AsGiven,
}

/// A cluster, its snapshots and its export jobs.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    pub kind: ClusterKind,
    /// True if cloud backup is off.
    pub backup_disabled: bool,
    pub paused: bool,
    /// Creation time; in 2024 by default.
    pub created_at: Option<Timestamp>,
    pub schedule: Schedule,
    /// Number of shards; 0 for a replica set.
    pub shards: usize,
    pub snapshots: Vec<Snapshot>,
    /// Export jobs, in any order.
    pub jobs: Vec<Entry>,
    /// Export jobs that start at an interval.
    pub recurring: Option<Recurring>,
    /// Order of the listings of jobs and snapshots.
    pub order: Order,
    /// A wrong `totalCount` of the jobs.
    pub total_count: Option<i64>,
    /// True if pages of jobs have no links.
    pub unlinked: bool,
    /// Number of jobs of each page that are repeated on the next one, as when jobs are created
    /// between two pages.
    pub overlap: usize,
}

impl Cluster {
    /// A cluster with these export jobs.
    #[must_use]
    pub fn with(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { jobs: jobs.into_iter().map(Entry::Job).collect(), ..Self::default() }
    }

    /// A cluster with these snapshots, all of them exported.
    #[must_use]
    pub fn exported(snapshots: impl IntoIterator<Item = Snapshot>) -> Self {
        let snapshots: Vec<_> = snapshots.into_iter().collect();
        let jobs = snapshots.iter().map(|snapshot| Job::of(snapshot, JobOutcome::Successful));
        Self { snapshots: snapshots.clone(), ..Self::with(jobs) }
    }
}

#[derive(Debug, Clone)]
pub struct ExportBucket {
    pub id: String,
    /// Name of the bucket at the cloud provider.
    pub name: String,
    /// Cloud provider: `AWS`, `AZURE` or `GCP`.
    pub provider: String,
}

#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub created: Timestamp,
    pub kind: String,
    /// The cluster it concerns. Responses do not contain it, but the filter uses it.
    pub cluster: Option<String>,
}

impl Event {
    /// Creates an event that happened `age` ago.
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
}

pub(crate) fn lock(world: &Mutex<AtlasState>) -> MutexGuard<'_, AtlasState> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
