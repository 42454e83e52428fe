//! Servers for `benches/compare`: the exporter with recorded polls, or a simulated Atlas.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use atlas_backup_exporter::config::{
    CollectorConfig, DISCOVERY_INTERVAL, LinkConfig, LinkTemplate, PollConfig,
};
use atlas_backup_exporter::http::{self, AppState};
use atlas_backup_exporter::metrics::self_metrics::SelfMetrics;
use atlas_backup_exporter::model::{ExportExpectation, JobAccumulator, Shard, Snapshots};
use atlas_backup_exporter::poll::PollLimiter;
use atlas_backup_exporter::reloadable_config::ReloadableConfig;
use atlas_backup_exporter::store::{Store, SuccessfulPoll};
use atlas_client::{
    CollectionProgress, ENDPOINTS, ExportJob, JobState, ListedCluster, ObjectId, ProjectId, Schedule,
    Snapshot, StateReason, Target,
};
use atlas_simulator::{Account, AtlasState, Cluster, Project, Scheme, Simulator, TokenBucket, object_id};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use clap::Parser;
use exporter_web::WebConfigWatcher;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The project of the simulated Atlas, the same as in `benches/compare`.
const PROJECT: &str = "32b6e34b3d91647abb20e7b8";

/// Number of daily export jobs of each cluster.
const JOBS: i64 = 60;

/// Number of daily snapshots of each cluster.
const SNAPSHOTS: i64 = 30;
const COLLECTIONS: u64 = 105;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Longer than any measurement, so that nothing becomes stale.
const STALE_AFTER: Duration = Duration::from_hours(24);

#[derive(Debug, Parser)]
struct Arguments {
    /// Serve the exporter with this number of clusters, and print the port. `POST /poll` records a
    /// poll of each cluster
    #[arg(long)]
    clusters: Option<u32>,
    /// Serve an Atlas with this number of clusters, and print its URL
    #[arg(long, conflicts_with = "clusters")]
    simulator: Option<u32>,
    /// Number of daily export jobs of each cluster of the simulator
    #[arg(long, default_value_t = 60)]
    jobs: u32,
    /// Passed by cargo to all benchmarks
    #[arg(long, hide = true)]
    bench: bool,
}

/// Runs until the end of standard input.
fn main() {
    let arguments = Arguments::parse();
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    // The same runtime as in src/main.rs.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match (arguments.clusters, arguments.simulator) {
        (Some(clusters), _) => runtime.block_on(serve(clusters)),
        (_, Some(clusters)) => runtime.block_on(simulate(clusters, arguments.jobs)),
        _ => println!("benches/compare starts this program."),
    }
}

async fn input_ends() {
    let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    let _ = tokio::task::spawn_blocking(read).await;
}

async fn serve(clusters: u32) {
    let clusters = Arc::new(Clusters::new(clusters));
    let (_config, receiver) = watch::channel(Arc::new(config()));
    let state = AppState {
        store: clusters.store.clone(),
        metrics: Arc::new(SelfMetrics::new(&ENDPOINTS, clusters.start)),
        config: receiver,
        telemetry_path: "/metrics".to_owned(),
        reload: None,
        max_requests: 40,
    };
    let poll = Router::new()
        .route("/poll", post(async |State(clusters): State<Arc<Clusters>>| clusters.record_polls()))
        .with_state(clusters);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    let web = WebConfigWatcher::default();
    let router = http::router(state).merge(poll);
    let serving =
        exporter_web::serve(vec![listener], router, web, http::serve_options(), CancellationToken::new());
    tokio::select! {
        () = serving => {}
        () = input_ends() => {}
    }
}

fn config() -> ReloadableConfig {
    ReloadableConfig {
        poll: PollConfig::default(),
        discovery_interval: DISCOVERY_INTERVAL,
        reloads: 0,
        collectors: CollectorConfig::default(),
        shard: Shard::default(),
        atlas_link: LinkTemplate::of_atlas(&"https://cloud.mongodb.com".parse().unwrap()),
        links: LinkConfig::default(),
        project_clients: BTreeMap::new(),
        organization_clients: BTreeMap::new(),
        poll_limiter: PollLimiter::new(1),
        read_limiter: PollLimiter::new(1),
    }
}

/// Clusters whose polls are recorded without requests.
#[derive(Debug)]
struct Clusters {
    store: Arc<Store>,
    targets: Vec<Target>,
    start: Timestamp,
    /// Simulated seconds since the start: one per round of polls.
    seconds: AtomicI64,
}

impl Clusters {
    /// Creates the store after discovery, collectors and a first round of polls.
    fn new(clusters: u32) -> Self {
        let store = Arc::new(Store::new(STALE_AFTER));
        let start = Timestamp::now();
        let projects: Vec<_> = (0..(clusters / 100).max(4))
            .map(|number| ProjectId::parse(&format!("65f1c0ffee5eed{number:010x}")).unwrap())
            .collect();
        for (number, id) in projects.iter().enumerate() {
            store.add_project(id);
            store.record_project_name(id, format!("team-{number}"));
        }
        let targets = (0..clusters)
            .zip(projects.iter().cycle())
            .map(|(number, id)| Target { project_id: id.clone(), cluster_name: format!("cluster-{number}") });
        let targets: Vec<_> = targets.collect();
        for (index, target) in targets.iter().enumerate() {
            let created_at = second(start - DAY * 400 + SignedDuration::from_mins(number(index)));
            let listed = ListedCluster {
                name: target.cluster_name.clone(),
                unexportable: None,
                paused: Some(false),
                created_at: Some(created_at),
                sharded: false,
            };
            let schedule = Schedule {
                auto_export: Some(true),
                frequency: Some("daily".to_owned()),
                bucket_id: Some("5f0e5a3b9c1d4e6f8a7b6c5d".to_owned()),
                ..Schedule::default()
            };
            store.add_cluster(target, ExportExpectation::default());
            store.record_listed_cluster(target, Some(&listed), true);
            store.record_schedule(target, Ok(schedule.clone()));
            let snapshots: Vec<_> = (0..SNAPSHOTS).map(|day| snapshot(index, day, start)).collect();
            let read = Snapshots::new(&snapshots, &schedule, start);
            store.record_snapshots(target, Instant::now(), Ok(read));
        }
        let clusters = Self { store, targets, start, seconds: AtomicI64::new(0) };
        clusters.record_polls();
        clusters
    }

    fn record_polls(&self) {
        let seconds = self.seconds.fetch_add(1, Ordering::Relaxed) + 1;
        for index in 0..self.targets.len() {
            self.record_poll(index, seconds);
        }
    }

    /// Records a successful poll. Its times have as many digits as those of a real poll.
    fn record_poll(&self, index: usize, seconds: i64) {
        let mut accumulator = JobAccumulator::default();
        for day in 0..JOBS {
            accumulator.add(job(index, day, self.start, seconds));
        }
        let summary = accumulator.finish();
        let finished_at = self.start
            + SignedDuration::from_secs(seconds)
            + SignedDuration::from_nanos(fastrand::i64(0..1_000_000_000));
        let poll = SuccessfulPoll {
            last_progress: summary.active.first().map(|_| finished_at),
            summary,
            finished_at,
            finished: Instant::now(),
        };
        let duration = Duration::from_nanos(fastrand::u64(80_000_000..400_000_000));
        self.store.record_poll(&self.targets[index], finished_at, duration, Ok(poll));
    }
}

/// Returns the creation time of a day's snapshot in whole seconds, as Atlas reports it.
fn taken_at(index: usize, day: i64, start: Timestamp) -> Timestamp {
    let since = SignedDuration::from_secs(3 * 3600 + number(index) * 37 % 7200);
    second(start - DAY * i32::try_from(day).unwrap() - since)
}

fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap()
}

fn number(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}

fn unique(index: usize, kind: u64) -> u64 {
    (index as u64) << 8 | kind
}

fn snapshot(index: usize, day: i64, start: Timestamp) -> Snapshot {
    let created_at = taken_at(index, day, start);
    let id = ObjectId::parse(&object_id(created_at, unique(index, 0))).unwrap();
    let frequency = Some("daily".to_owned());
    Snapshot { id, created_at, frequency, policy_items: Vec::new() }
}

/// Returns the export job of a day.
///
/// One in ten clusters has a job in progress, one in fifty a failure today, and one in five an
/// earlier failure.
fn job(index: usize, day: i64, start: Timestamp, seconds: i64) -> ExportJob<'static> {
    let taken_at = taken_at(index, day, start);
    let created_at = taken_at + SignedDuration::from_secs(30);
    let state = match day {
        0 if index % 10 == 3 => JobState::InProgress,
        0 if index % 50 == 7 => JobState::Failed,
        25 if index % 5 == 1 => JobState::Failed,
        _ => JobState::Successful,
    };
    let exported = match state {
        JobState::InProgress => u64::try_from(seconds).unwrap() % COLLECTIONS,
        JobState::Failed => 0,
        _ => COLLECTIONS,
    };
    let reason = StateReason {
        error_code: Some("EXPORT_BUCKET_ACCESS_DENIED".into()),
        message: Some("Atlas could not write to the export bucket: access denied.".into()),
    };
    ExportJob {
        id: Some(object_id(created_at, unique(index, 1)).into()),
        snapshot_id: Some(object_id(taken_at, unique(index, 0)).into()),
        created_at: Some(created_at),
        finished_at: state
            .is_terminal()
            .then(|| created_at + SignedDuration::from_secs(1200 + (number(index) + day) * 53 % 900)),
        state,
        counts: CollectionProgress { exported: Some(exported), total: Some(COLLECTIONS) },
        reason: if state == JobState::Failed { reason } else { StateReason::default() },
    }
}

async fn simulate(clusters: u32, jobs: u32) {
    let mut project = Project::new("payments");
    for number in 0..clusters {
        let taken = |day| atlas_simulator::Snapshot::taken(Duration::from_hours(24) * day, "daily");
        let cluster = Cluster::exported((0..jobs).map(taken));
        project = project.with(&format!("cluster-{number}"), cluster);
    }
    // Two programs poll more often than the rate limits of Atlas allow.
    project.budget = TokenBucket::new(1_000_000, 1_000_000);
    let state = AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "bench", "bench")],
        projects: [(PROJECT.to_owned(), project)].into(),
        ..AtlasState::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let simulator = Simulator::start(listener, state).unwrap();
    println!("{}", simulator.url());
    input_ends().await;
}
