//! The exporter with a simulated Atlas, without an account or a configuration file.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use atlas_simulator::{
    Account, AtlasState, Cluster, ClusterKind, Entry, Event, Job, JobOutcome, ORGANIZATION, Project,
    Recurring, Schedule, Scheme, Simulator, Snapshot,
};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::Options;
use crate::config::{Config, Source};
use crate::reload::Reloads;

const CLIENT_ID: &str = "mdb_sa_id_demo";
const CLIENT_SECRET: &str = "mdb_sa_sk_demo";

/// Lifetime of the secret, long enough that no alert about its expiry fires.
const SECRET_LIFETIME: Duration = Duration::from_hours(90 * 24);

/// Tables of the configuration that make changes visible within seconds.
const INTERVALS: &str = r#"
[poll]
interval = "2s"
timeout = "2s"
stale_after = "30s"
full_listing_interval = "1m"
[discovery]
interval = "10s"
[collectors]
interval = "10s"
"#;

const DAY: Duration = Duration::from_hours(24);

/// Age of a snapshot whose export has not started.
const MISSING_SINCE: Duration = Duration::from_hours(9);

/// Factor of the rate limits: polls every two seconds send thirty times the requests of polls every
/// minute.
const FASTER: u32 = 30;

/// Runs the demo with the simulated Atlas on `atlas` until `shutdown`; see [`crate::app::run`].
pub async fn run(
    atlas: TcpListener,
    options: Options,
    listeners: Vec<TcpListener>,
    reloads: Reloads,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let simulator = Simulator::start(atlas, atlas_state())?;
    let target = target(simulator.url());
    if let Some(banner) = banner(&options, &listeners, &target) {
        // A standard output that is not read blocks this thread, not the demo.
        tokio::task::spawn_blocking(move || std::io::stdout().lock().write_all(banner.as_bytes()));
    }
    let source = Source { file: PathBuf::from("demo"), shard_index: None };
    let config = Config::parse(&source, &format!("{INTERVALS}{target}"), [])?;
    crate::app::run(config, options, listeners, reloads, shutdown).await
}

/// Returns the configuration of an exporter that polls the simulated Atlas.
fn target(base_url: &str) -> String {
    let base_url = base_url.trim_end_matches('/');
    let expires_at = (Timestamp::now() + SECRET_LIFETIME).strftime("%Y-%m-%d");
    format!(
        r#"[atlas]
base_url = "{base_url}"

[atlas.service_account]
client_id = "{CLIENT_ID}"
client_secret = "{CLIENT_SECRET}"
expires_at = "{expires_at}"

[[organizations]]
id = "{ORGANIZATION}"
"#
    )
}

/// Returns the addresses of the demo, and a configuration for a second exporter.
fn banner(options: &Options, listeners: &[TcpListener], target: &str) -> Option<String> {
    let mut address = listeners.first()?.local_addr().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if options.web.is_encrypted() { "https" } else { "http" };
    let path = &options.telemetry_path;
    Some(format!(
        "
Demo: a simulated Atlas with eight clusters, whose exports succeed, fail, stall
or are missing.

Status page:  {scheme}://{address}/
Metrics:      {scheme}://{address}{path}

Configuration for a second exporter; save it as config.toml:

{target}
Commands for another terminal:

atlas-backup-exporter check --config.file=config.toml
atlas-backup-exporter --config.file=config.toml --web.listen-address=127.0.0.1:10028

Press Ctrl-C to stop the demo.

"
    ))
}

/// Returns an Atlas with a cluster for each status.
fn atlas_state() -> AtlasState {
    let failed = || {
        JobOutcome::Failed(
            "EXPORT_BUCKET_ACCESS_DENIED".to_owned(),
            "Atlas could not write to the export bucket: access denied.".to_owned(),
        )
    };
    let mut missing = daily_exports(MISSING_SINCE + DAY);
    missing.snapshots.push(Snapshot::taken(MISSING_SINCE, "daily"));
    let mut payments = Project::new("payments")
        .with("prod-eu", exporting_every(30, vec![JobOutcome::Successful]))
        .with("prod-us", exporting_every(40, vec![failed()]))
        .with("ledger-sharded", Cluster { shards: 3, ..exporting_every(30, vec![JobOutcome::Successful]) })
        .with("billing", missing)
        .with("archive", exporting_every(20, vec![failed(), JobOutcome::Successful, JobOutcome::Cancelled]));
    payments.events.push(Event::new("CPS_AUTO_EXPORT_FAILED", Some("billing"), MISSING_SINCE));
    let without_exports = Schedule { auto_export: false, frequency: None, ..Schedule::default() };
    // No project has this bucket.
    let bucket_missing = Schedule { bucket: "5f0e5a3b9c1d4e6f8a7b0bad".to_owned(), ..Schedule::default() };
    let queued = exporting(Duration::from_mins(5), DAY);
    let analytics = Project::new("analytics")
        .with("warehouse", exporting(Duration::from_hours(3), Duration::from_mins(1)))
        .with("reporting", Cluster { schedule: bucket_missing, ..queued })
        .with("sandbox", Cluster { paused: true, schedule: without_exports, ..Cluster::default() })
        .with("playground", Cluster { kind: ClusterKind::SharedTier, ..Cluster::default() });
    AtlasState {
        accounts: vec![Account::new(Scheme::ServiceAccount, CLIENT_ID, CLIENT_SECRET)],
        projects: [
            ("65f1c0ffee5eed0000000001".to_owned(), payments.with_faster_refill(FASTER)),
            ("65f1c0ffee5eed0000000002".to_owned(), analytics.with_faster_refill(FASTER)),
        ]
        .into(),
        ..AtlasState::default()
    }
}

/// Returns a cluster with daily exports for a month, the last one `age` ago.
fn daily_exports(age: Duration) -> Cluster {
    Cluster::exported((0..30u32).rev().map(|days| Snapshot::taken(age + DAY * days, "daily")))
}

/// Returns a cluster with daily exports, and one from `age` ago that stays in progress.
fn exporting(age: Duration, queued: Duration) -> Cluster {
    // A job is created a minute after its snapshot.
    let snapshot = Snapshot::taken(age + Duration::from_mins(1), "daily");
    let mut cluster = daily_exports(DAY);
    cluster.jobs.push(Entry::Job(Job { queued, ..Job::of(&snapshot, JobOutcome::Never) }));
    cluster.snapshots.push(snapshot);
    cluster
}

/// Returns a cluster with daily exports, then short exports at an interval.
fn exporting_every(seconds: u64, outcomes: Vec<JobOutcome>) -> Cluster {
    let first = Job {
        queued: Duration::from_secs(4),
        running: Duration::from_secs((seconds - 4) / 2),
        ..Job::ended(Duration::ZERO, JobOutcome::Successful)
    };
    let recurring = Recurring { first, interval: Duration::from_secs(seconds), outcomes };
    Cluster { recurring: Some(recurring), ..daily_exports(DAY) }
}
