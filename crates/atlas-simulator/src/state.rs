//! What exists in the simulated Atlas, and what its export jobs look like at a given time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::auth::{Account, Sessions};
use crate::fault::Fault;
use crate::token_bucket::Bucket;

pub use crate::job::{End, Entry, Job, Recurring, Shape};
pub use crate::snapshot::{Event, ExportBucket, PolicyItem, Snapshot, object_id};

/// The organization of a project that names no other.
pub const ORGANIZATION: &str = "5f0e5a3b9c1d4e6f8a7b0000";

/// The bucket of a project that names no other.
const BUCKET: &str = "5f0e5a3b9c1d4e6f8a7b6c5d";

/// Requests that are remembered; the oldest are forgotten.
const MOST_SEEN: usize = 10_000;

/// The simulated Atlas.
#[derive(Debug, Default)]
pub struct World {
    /// Who may ask.
    pub accounts: Vec<Account>,
    /// By project id.
    pub projects: BTreeMap<String, Project>,
    /// What goes wrong at present; the first that matches a request is played.
    pub faults: Vec<Fault>,
    /// Headers that every good answer carries besides its own.
    pub headers: Vec<(&'static str, String)>,
    /// The last requests, in order.
    pub seen: VecDeque<Seen>,
    /// All requests there ever were.
    pub answered: u64,
    /// Requests that wait for their answer.
    pub under_way: usize,
    /// The most there ever were of those.
    pub most_under_way: usize,
    /// Tokens and nonces that are out.
    pub sessions: Sessions,
}

impl World {
    pub(crate) fn remember(&mut self, seen: Seen) {
        if self.seen.len() == MOST_SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
        self.answered += 1;
    }
}

/// A request as it arrived, credentials left out.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method, path and query.
    pub line: String,
    /// The `Accept` header.
    pub accept: String,
    /// The scheme of the `Authorization` header, empty without one.
    pub scheme: String,
    /// The nonce count of a digest.
    pub nonce_count: Option<u32>,
    /// The status answered.
    pub status: u16,
    /// Whether the answer was compressed.
    pub gzip: bool,
}

/// A project.
#[derive(Debug)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The id of its organization.
    pub organization: String,
    /// By name.
    pub clusters: BTreeMap<String, Cluster>,
    /// The buckets that it exports to.
    pub buckets: Vec<ExportBucket>,
    /// What happened in it, in any order.
    pub events: Vec<Event>,
    /// The request budget of its Cloud Backup endpoints.
    pub budget: Bucket,
    /// The request budget of its cluster endpoints.
    pub clusters_budget: Bucket,
    /// The request budget of its events.
    pub events_budget: Bucket,
}

impl Project {
    /// A project of [`ORGANIZATION`] with a bucket and without clusters, and with the budgets that
    /// Atlas documents.
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
            budget: Bucket::new(1200, 500),
            clusters_budget: Bucket::new(10_000, 5000),
            events_budget: Bucket::new(300, 100),
        }
    }

    /// The project with one cluster more.
    #[must_use]
    pub fn with(mut self, name: &str, cluster: Cluster) -> Self {
        self.clusters.insert(name.to_owned(), cluster);
        self
    }
}

/// What a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// M10 and up.
    #[default]
    Dedicated,
    /// On servers that are shared with others; it has no exports.
    SharedTier,
    /// Not listed among the clusters, and refused by every endpoint of a cluster.
    Flex,
}

/// A cluster's backup schedule, as far as exports go.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Whether snapshots are exported by themselves.
    pub auto_export: bool,
    /// How often, in Atlas's word; `None` for no export policy.
    pub frequency: Option<String>,
    /// The id of the bucket that is exported to.
    pub bucket: String,
    /// The items of the backup policy; `None` for an answer without policies.
    pub items: Option<Vec<PolicyItem>>,
}

impl Default for Schedule {
    /// Daily exports to the bucket of every project, and the usual policy.
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
    /// As the entries stand.
    AsGiven,
}

/// A cluster, its snapshots and its export jobs.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// What it is.
    pub kind: Kind,
    /// Whether cloud backup is off.
    pub backup_disabled: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// When it was created; a while ago if nobody says.
    pub created_at: Option<Timestamp>,
    /// When it is backed up and exported.
    pub schedule: Schedule,
    /// How many shards it has; 0 for a replica set.
    pub shards: usize,
    /// Its snapshots, in any order.
    pub snapshots: Vec<Snapshot>,
    /// Its jobs, in any order.
    pub jobs: Vec<Entry>,
    /// Jobs that begin by themselves.
    pub recurring: Option<Recurring>,
    /// How jobs and snapshots are listed.
    pub order: Order,
    /// `totalCount` of the jobs where it should lie.
    pub total_count: Option<i64>,
    /// Whether pages of jobs come without links.
    pub unlinked: bool,
    /// How many jobs of each page stand on the next one again, as when jobs appear while a listing
    /// is read.
    pub overlap: usize,
}

impl Cluster {
    /// A cluster with these jobs.
    #[must_use]
    pub fn with(jobs: impl IntoIterator<Item = Job>) -> Self {
        Self { jobs: jobs.into_iter().map(Entry::Job).collect(), ..Self::default() }
    }
}

pub(crate) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
