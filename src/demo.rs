//! An embedded Atlas and the exporter watching it: no account, no file.

use std::io::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use atlas_client::{CaBundle, Credentials, OrganizationId, SecretSource};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::app::Options;
use crate::config::{CollectorConfig, Config, OrganizationConfig, PollConfig};
use crate::model::{ExportExpectation, Shard};
use crate::reload::Reloads;
use atlas_simulator::{
    Account, AtlasState, Cluster, ClusterKind, Entry, Event, Job, JobOutcome, ORGANIZATION, Project,
    Recurring, Schedule, Scheme, Simulator, Snapshot, Topology,
};

/// The demo is in a hurry: a poll every two seconds, exports of some seconds.
const POLL: PollConfig = PollConfig {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(2),
    stale_after: Duration::from_secs(30),
    concurrency: 8,
    incremental: true,
    full_listing_interval: Duration::from_mins(1),
};

/// New clusters of the demo are found soon.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);

const COLLECTOR_INTERVAL: Duration = Duration::from_secs(10);

/// A secret that nobody needs to rotate soon.
const SECRET_LIFE: Duration = Duration::from_hours(90 * 24);

const DAY: Duration = Duration::from_hours(24);

/// How long a snapshot has been waiting for an export that Atlas never began.
const FORGOTTEN_FOR: Duration = Duration::from_hours(9);

/// A bucket that no project has.
const GONE: &str = "5f0e5a3b9c1d4e6f8a7b0bad";

/// Ids in the form of Atlas's.
const PAYMENTS: &str = "65f1c0ffee5eed0000000001";
const ANALYTICS: &str = "65f1c0ffee5eed0000000002";

/// Runs the demo until `shutdown`; see [`crate::app::run`].
pub async fn run(
    options: Options,
    listeners: Vec<TcpListener>,
    reloads: Reloads,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    print_addresses(&options, &listeners);
    let now = Timestamp::now();
    let world = world(now);
    let simulator = Simulator::start(TcpListener::bind(("127.0.0.1", 0)).await?, world)?;
    let base_url = Url::parse(simulator.url())?;
    let credentials = Credentials::ServiceAccount {
        client_id: "mdb_sa_id_demo".to_owned(),
        origin: "the demo".to_owned(),
        client_secret: SecretSource::Inline {
            secret: SecretString::from("mdb_sa_sk_demo"),
            origin: "the demo".to_owned(),
        },
        expires_at: Some(now + SECRET_LIFE),
    };
    let organization = |id| OrganizationConfig {
        id,
        exclude_projects: Vec::new(),
        exclude_clusters: Vec::new(),
        expected: ExportExpectation::default(),
        credentials: credentials.clone(),
    };
    let config = Config {
        base_url,
        ca_bundle: CaBundle::default(),
        proxy: None,
        poll: POLL,
        discovery_interval: DISCOVERY_INTERVAL,
        collectors: CollectorConfig { interval: COLLECTOR_INTERVAL, off: Vec::new() },
        projects: Vec::new(),
        organizations: OrganizationId::parse(ORGANIZATION).map(organization).into_iter().collect(),
        shard: Shard::default(),
        warnings: Vec::new(),
    };
    crate::app::run(config, options, listeners, reloads, shutdown).await
}

/// Prints where to look. Where nobody reads standard output, nothing is lost.
fn print_addresses(options: &Options, listeners: &[TcpListener]) {
    let Some(Ok(mut address)) = listeners.first().map(TcpListener::local_addr) else { return };
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if options.web.is_encrypted() { "https" } else { "http" };
    let text = format!(
        "\nA demo: eight clusters of an embedded Atlas whose exports queue, run, end, fail and hang, or are never begun.\n\n  \
         every cluster at a glance   {scheme}://{address}/\n  \
         the metrics                 {scheme}://{address}{path}\n  \
         one figure                  curl -s {scheme}://{address}{path} | grep progress_ratio\n\n\
         Ctrl-C ends it.\n\n",
        path = options.telemetry_path,
    );
    // The thread is not waited for: the demo goes on while standard output is not read.
    tokio::task::spawn_blocking(move || std::io::stdout().lock().write_all(text.as_bytes()));
}

/// One cluster for each thing that can be seen.
fn world(now: Timestamp) -> AtlasState {
    let failed = || {
        JobOutcome::Failed(
            "EXPORT_BUCKET_ACCESS_DENIED".to_owned(),
            "Atlas could not write to the export bucket: access denied.".to_owned(),
        )
    };
    let with_history = |recurring| Cluster { recurring: Some(recurring), ..backed_up(now, DAY) };
    let payments = Project::new("payments")
        .with("prod-eu", with_history(every(now, 30, vec![JobOutcome::Successful])))
        .with("prod-us", with_history(every(now, 40, vec![failed()])))
        .with(
            "ledger-sharded",
            Cluster {
                shards: 3,
                ..with_history(Recurring {
                    topology: Topology::Sharded(3),
                    ..every(now, 30, vec![JobOutcome::Successful])
                })
            },
        )
        .with("billing", forgotten(now))
        .with(
            "archive",
            with_history(every(now, 20, vec![failed(), JobOutcome::Successful, JobOutcome::Cancelled])),
        );
    let analytics = Project::new("analytics")
        .with(
            "warehouse",
            and_one(now, Job { outcome: JobOutcome::Never, ..job(now, Duration::from_hours(3)) }),
        )
        .with(
            "reporting",
            Cluster {
                schedule: Schedule { bucket: GONE.to_owned(), ..Schedule::default() },
                ..and_one(now, Job { queued: DAY, ..job(now, Duration::from_mins(5)) })
            },
        )
        .with("sandbox", Cluster { paused: true, schedule: never(), ..Cluster::default() })
        .with("playground", Cluster { kind: ClusterKind::SharedTier, ..Cluster::default() });
    let mut payments = unhurried(payments);
    payments.events.push(Event::new("CPS_AUTO_EXPORT_FAILED", Some("billing"), FORGOTTEN_FOR));
    AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, "mdb_sa_id_demo", "mdb_sa_sk_demo")],
        projects: [(PAYMENTS.to_owned(), payments), (ANALYTICS.to_owned(), unhurried(analytics))].into(),
        ..AtlasState::default()
    }
}

fn never() -> Schedule {
    Schedule { auto_export: false, frequency: None, ..Schedule::default() }
}

/// Polls every two seconds are thirty times what Atlas grants; the demo's Atlas grants as much
/// more.
fn unhurried(mut project: Project) -> Project {
    project.budget.per_minute *= 30;
    project.events_budget.per_minute *= 30;
    project
}

/// A month of daily snapshots with their exports, the last one `age` ago.
fn backed_up(now: Timestamp, age: Duration) -> Cluster {
    let jobs = (0..30u32).rev().map(|days| job(now, age + DAY * days));
    let mut cluster = Cluster::with(jobs);
    let exported = cluster.jobs.iter().filter_map(|entry| match entry {
        Entry::Job(job) => Some(snapshot_of(job)),
        Entry::Raw(_) => None,
    });
    cluster.snapshots = exported.collect();
    cluster
}

fn and_one(now: Timestamp, last: Job) -> Cluster {
    let mut cluster = backed_up(now, DAY);
    cluster.snapshots.push(snapshot_of(&last));
    cluster.jobs.push(Entry::Job(last));
    cluster
}

/// The newest snapshot was taken hours ago, and Atlas has never begun to export it.
fn forgotten(now: Timestamp) -> Cluster {
    let mut cluster = backed_up(now, FORGOTTEN_FOR + DAY);
    cluster.snapshots.push(Snapshot::taken(FORGOTTEN_FOR, "daily"));
    cluster
}

/// The snapshot of a job, taken right before it.
fn snapshot_of(job: &Job) -> Snapshot {
    let created_at = Some(job.created_at - Duration::from_secs(30));
    Snapshot { id: job.snapshot_id.clone(), created_at, ..Snapshot::taken(Duration::ZERO, "daily") }
}

/// A job of ordinary length that was asked for `age` ago.
fn job(now: Timestamp, age: Duration) -> Job {
    Job {
        created_at: now - age,
        queued: Duration::from_mins(2),
        running: Duration::from_mins(22),
        ..Job::ended(age, JobOutcome::Successful)
    }
}

/// Short exports, one after the other: a few seconds in the queue, half of the rest running.
fn every(now: Timestamp, seconds: u64, outcomes: Vec<JobOutcome>) -> Recurring {
    Recurring {
        salt: fastrand::u64(..),
        since: now,
        every: Duration::from_secs(seconds),
        queued: Duration::from_secs(4),
        running: Duration::from_secs((seconds - 4) / 2),
        topology: Topology::ReplicaSet(105),
        outcomes,
    }
}
