//! An embedded Atlas and the exporter watching it: no account, no file.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::{Config, Credentials, DetailConfig, OrganizationConfig, PollConfig, SecretSource};
use crate::model::{Expected, OrganizationId, Shard};
use crate::reload::Reloads;
use crate::run::{Error, Options};
use crate::simulator::{
    Account, Cluster, End, Entry, Job, Kind, ORGANIZATION, Project, Recurring, Schedule, Scheme, Shape,
    Simulator, World,
};

/// The demo is in a hurry: a poll every two seconds, exports of some seconds.
const POLL: PollConfig = PollConfig {
    interval: Duration::from_secs(2),
    timeout: Duration::from_secs(2),
    stale_after: Duration::from_secs(30),
    concurrency: 8,
};

/// New clusters of the demo are found soon.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// So are new snapshots.
const DETAIL_INTERVAL: Duration = Duration::from_secs(10);

/// A secret that nobody needs to rotate soon.
const SECRET_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

const DAY: Duration = Duration::from_hours(24);

/// Ids in the form of Atlas's.
const PAYMENTS: &str = "65f1c0ffee5eed0000000001";
const ANALYTICS: &str = "65f1c0ffee5eed0000000002";

/// Runs the demo until `shutdown`; see [`crate::run()`].
pub async fn run(
    options: Options,
    listeners: Vec<TcpListener>,
    reloads: Reloads,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let now = Timestamp::now();
    let world = world(now);
    let simulator = Simulator::start(TcpListener::bind(("127.0.0.1", 0)).await?, world)?;
    let base_url = Url::parse(simulator.url()).map_err(std::io::Error::other)?;
    let credentials = Credentials::ServiceAccount {
        client_id: "mdb_sa_id_demo".to_owned(),
        client_secret: SecretSource::Inline {
            secret: SecretString::from("mdb_sa_sk_demo"),
            origin: "the demo".to_owned(),
        },
        expires_at: Some(now + SECRET_LIFE),
    };
    let organization =
        |id| OrganizationConfig { id, expected: Expected::default(), credentials: credentials.clone() };
    let config = Config {
        base_url,
        poll: POLL,
        discovery_interval: DISCOVERY_INTERVAL,
        detail: DetailConfig { interval: DETAIL_INTERVAL, off: Vec::new() },
        projects: Vec::new(),
        organizations: OrganizationId::parse(ORGANIZATION).map(organization).into_iter().collect(),
        shard: Shard::default(),
    };
    crate::run(config, options, listeners, reloads, shutdown).await
}

/// One cluster for each thing that can be seen.
fn world(now: Timestamp) -> World {
    let failed = || {
        End::Failed(
            "EXPORT_BUCKET_ACCESS_DENIED".to_owned(),
            "Atlas could not write to the export bucket: access denied.".to_owned(),
        )
    };
    let with_history = |recurring| Cluster { recurring: Some(recurring), ..Cluster::with(history(now)) };
    let payments = Project::new("payments")
        .with("prod-eu", with_history(every(now, 30, vec![End::Successful])))
        .with("prod-us", with_history(every(now, 40, vec![failed()])))
        .with(
            "ledger-sharded",
            with_history(Recurring { shape: Shape::Sharded(3), ..every(now, 30, vec![End::Successful]) }),
        )
        .with("archive", with_history(every(now, 20, vec![failed(), End::Successful, End::Cancelled])));
    let analytics = Project::new("analytics")
        .with("warehouse", and_one(now, Job { end: End::Never, ..job(now, Duration::from_hours(3)) }))
        .with("reporting", and_one(now, Job { queued: DAY, ..job(now, Duration::from_mins(5)) }))
        .with("sandbox", Cluster { paused: true, schedule: never(), ..Cluster::default() })
        .with("playground", Cluster { kind: Kind::SharedTier, ..Cluster::default() });
    World {
        accounts: vec![Account::new(Scheme::ServiceAccount, "mdb_sa_id_demo", "mdb_sa_sk_demo")],
        projects: [(PAYMENTS.to_owned(), unhurried(payments)), (ANALYTICS.to_owned(), unhurried(analytics))]
            .into(),
        ..World::default()
    }
}

/// No exports by themselves.
fn never() -> Schedule {
    Schedule { auto_export: false, frequency: None, ..Schedule::default() }
}

/// Polls every two seconds are thirty times what Atlas grants; the demo's Atlas grants as much more.
fn unhurried(mut project: Project) -> Project {
    project.budget.per_minute *= 30;
    project
}

/// A month of daily exports, the last one a day ago.
fn history(now: Timestamp) -> impl Iterator<Item = Job> {
    (1..=30u32).rev().map(move |days| job(now, DAY * days))
}

fn and_one(now: Timestamp, last: Job) -> Cluster {
    let mut cluster = Cluster::with(history(now));
    cluster.jobs.push(Entry::Job(last));
    cluster
}

/// A job of ordinary length that was asked for `age` ago.
fn job(now: Timestamp, age: Duration) -> Job {
    let created_at = now - SignedDuration::try_from(age).unwrap_or_default();
    Job {
        created_at,
        queued: Duration::from_mins(2),
        running: Duration::from_mins(22),
        ..Job::ended(age, End::Successful)
    }
}

/// Short exports, one after the other: a few seconds in the queue, half of the rest running.
fn every(now: Timestamp, seconds: u64, ends: Vec<End>) -> Recurring {
    Recurring {
        salt: fastrand::u64(..),
        since: now,
        every: Duration::from_secs(seconds),
        queued: Duration::from_secs(4),
        running: Duration::from_secs((seconds - 4) / 2),
        shape: Shape::ReplicaSet(105),
        ends,
    }
}
