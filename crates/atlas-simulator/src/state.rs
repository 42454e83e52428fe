//! Organizations, projects and clusters of the simulated Atlas, and the requests it received.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{Account, Sessions};
use crate::fault::Fault;
use crate::job::{Entry, Job, Recurring};
use crate::snapshot::{PolicyItem, Snapshot, object_id};
use crate::token_bucket::TokenBucket;

/// The organization of projects by default.
pub const ORGANIZATION: &str = "5f0e5a3b9c1d4e6f8a7b0000";

/// The export bucket of projects and schedules by default.
const BUCKET: &str = "5f0e5a3b9c1d4e6f8a7b6c5d";

/// Recorded requests; the oldest are dropped.
const MAX_RECORDED: usize = 10_000;

/// Everything that the simulated Atlas knows; change it at any time.
#[derive(Debug, Default)]
pub struct AtlasState {
    /// Service accounts and API keys.
    pub accounts: Vec<Account>,
    /// Projects by id.
    pub projects: BTreeMap<String, Project>,
    /// Injected faults; the first that matches a request applies.
    pub faults: Vec<Fault>,
    /// Additional headers of every successful response.
    pub headers: Vec<(&'static str, String)>,
    /// The latest requests, in order.
    pub requests: VecDeque<RecordedRequest>,
    /// Number of all requests.
    pub request_count: u64,
    /// Number of requests whose response is pending.
    pub in_flight: usize,
    /// Maximum of `in_flight` so far.
    pub max_in_flight: usize,
    /// Issued tokens and nonces.
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
    /// Method, path and query.
    pub line: String,
    /// The `Accept` header.
    pub accept: String,
    /// The scheme of the `Authorization` header, empty without one.
    pub scheme: String,
    /// The nonce count of a digest.
    pub nonce_count: Option<u32>,
    /// The status of the response.
    pub status: u16,
    /// True if the response was compressed.
    pub gzip: bool,
}

/// A project.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The id of its organization.
    pub organization: String,
    /// Clusters by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Export buckets.
    pub buckets: Vec<ExportBucket>,
    /// Events, in any order.
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

    /// Adds a cluster.
    #[must_use]
    pub fn with(mut self, name: &str, cluster: Cluster) -> Self {
        self.clusters.insert(name.to_owned(), cluster);
        self
    }
}

/// Kind of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClusterKind {
    /// M10 and up.
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
    /// True if snapshots are exported automatically.
    pub auto_export: bool,
    /// Frequency type of the export policy; `None` for no export policy.
    pub frequency: Option<String>,
    /// Id of the export bucket.
    pub bucket: String,
    /// Items of the backup policy; `None` for a response without policies.
    pub items: Option<Vec<PolicyItem>>,
}

impl Default for Schedule {
    /// Daily exports to the default bucket, and the default policy.
    fn default() -> Self {
        Self {
            auto_export: true,
            frequency: Some("daily".to_owned()),
            bucket: BUCKET.to_owned(),
            items: Some(PolicyItem::usual()),
        }
    }
}

/// The order of a listing. Atlas documents none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By creation, newest first.
    #[default]
    NewestFirst,
    /// By creation, oldest first.
    OldestFirst,
    /// The order of the entries in the state.
    AsGiven,
}

/// A cluster, its snapshots and its export jobs.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// Dedicated, shared or flex.
    pub kind: ClusterKind,
    /// True if cloud backup is off.
    pub backup_disabled: bool,
    /// True if the cluster is paused.
    pub paused: bool,
    /// Creation time; in 2024 by default.
    pub created_at: Option<Timestamp>,
    /// Backup schedule.
    pub schedule: Schedule,
    /// Number of shards; 0 for a replica set.
    pub shards: usize,
    /// Snapshots, in any order.
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
}

/// An export bucket.
#[derive(Debug, Clone)]
pub struct ExportBucket {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Name at the cloud provider.
    pub name: String,
    /// `AWS`, `AZURE` or `GCP`.
    pub provider: String,
}

/// An event of a project.
#[derive(Debug, Clone)]
pub struct Event {
    /// 24 hexadecimal digits.
    pub id: String,
    /// Creation time.
    pub created: Timestamp,
    /// Event type name.
    pub kind: String,
    /// The cluster it concerns. Responses do not contain it, but the filter uses it.
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

    /// Returns the creation time to the second, as in responses.
    pub(crate) fn shown(&self) -> Timestamp {
        Timestamp::from_second(self.created.as_second()).unwrap_or(self.created)
    }
}

pub(crate) fn lock(world: &Mutex<AtlasState>) -> MutexGuard<'_, AtlasState> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
