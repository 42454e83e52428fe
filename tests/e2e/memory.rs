//! Peak memory of the binary that is shipped, while Atlas, or what stands between, answers with too
//! much.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Fault, FaultKind, Job, JobOutcome, Project, Simulator, TokenBucket};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::process::Command;

use crate::image::built;
use crate::support::atlas::{PROJECT, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::support::fault_proxy::{FOREVER, FaultProxy, ProxyMode, Script, Step};

/// Project and organization whose answers are hostile.
const BAD: &str = "65f1c0ffee5eed0000000bad";
const BAD_ORGANIZATION: &str = "65f1c0ffee5eed0000000d0d";

const HEALTHY: usize = 30;

/// Documented in SECURITY.md and docs/production.md.
const MAX_MIB: u64 = 64;

/// Nearly the size that a body may have.
const NEARLY: usize = 15 << 20;

/// Requests whose first line contains the path get the answer.
struct Attack {
    name: &'static str,
    path: &'static str,
    answer: Answer,
}

enum Answer {
    /// The same one each time.
    Same(fn() -> Vec<u8>),
    /// The same, and then nothing more.
    Stalls(fn() -> Vec<u8>),
    /// Another one for each request, by its number.
    Each(fn(usize) -> Vec<u8>),
}
use Answer::{Each, Same, Stalls};

/// Resources of the hostile project and organization.
const EXPORTS: &str = "0bad/clusters/bad/backup/exports";
const SNAPSHOTS: &str = "0bad/clusters/bad/backup/snapshots";
const SCHEDULE: &str = "0bad/clusters/bad/backup/schedule";
const CLUSTERS: &str = "0bad/clusters?";
const NAME: &str = "0bad HTTP";
const EVENTS: &str = "0bad/events";
const BUCKETS: &str = "0bad/backup/exportBuckets";
const CROWD: &str = "0bad/clusters/bad-";
const PROJECTS: &str = "0d0d/groups";

const ATTACKS: &[Attack] = &[
    Attack {
        name: "export jobs: pages of active jobs without end",
        path: EXPORTS,
        answer: Each(active_jobs),
    },
    Attack { name: "export jobs: a large field that is not read", path: EXPORTS, answer: Same(unread) },
    Attack { name: "export jobs: long ids", path: EXPORTS, answer: Each(|n| jobs(n, 500, 30_000)) },
    Attack { name: "export jobs: pages without end", path: EXPORTS, answer: Each(|n| jobs(n, 500, 24)) },
    Attack {
        name: "export jobs: failures with messages of 700 KB",
        path: EXPORTS,
        answer: Each(long_failures),
    },
    Attack { name: "export jobs: a body that stalls at 15 MiB", path: EXPORTS, answer: Stalls(stalled) },
    Attack { name: "export jobs: a text of 15 MiB with escapes", path: EXPORTS, answer: Same(escapes) },
    Attack { name: "export jobs: gzip that hardly shrinks", path: EXPORTS, answer: Same(noise) },
    Attack { name: "export jobs: a head without end", path: EXPORTS, answer: Stalls(endless_head) },
    Attack { name: "export jobs: an error without end", path: EXPORTS, answer: Stalls(endless_error) },
    Attack { name: "snapshots: a large field that is not read", path: SNAPSHOTS, answer: Same(unread) },
    Attack { name: "snapshots: policy items without end", path: SNAPSHOTS, answer: Same(policy_items) },
    Attack { name: "snapshots: pages without end", path: SNAPSHOTS, answer: Each(snapshots) },
    Attack { name: "schedule: a large field that is not read", path: SCHEDULE, answer: Same(unread) },
    Attack { name: "schedule: policies without end", path: SCHEDULE, answer: Same(policies) },
    Attack { name: "clusters: a large field that is not read", path: CLUSTERS, answer: Same(unread) },
    Attack {
        name: "clusters: large entries that are not read",
        path: CLUSTERS,
        answer: Same(unread_entries),
    },
    Attack { name: "clusters: names of 30 KB", path: CLUSTERS, answer: Each(|n| clusters(n, 30_000)) },
    Attack { name: "clusters: shared ones without end", path: CLUSTERS, answer: Each(|n| clusters(n, 200)) },
    Attack { name: "clusters: regions without end", path: CLUSTERS, answer: Same(regions) },
    Attack { name: "project: a name of 15 MiB", path: NAME, answer: Same(long_name) },
    Attack { name: "project: a large field that is not read", path: NAME, answer: Same(unread) },
    Attack { name: "projects: a large field that is not read", path: PROJECTS, answer: Same(unread) },
    Attack { name: "projects: names of 30 KB, pages without end", path: PROJECTS, answer: Each(projects) },
    Attack { name: "projects: links without end", path: PROJECTS, answer: Same(links) },
    Attack { name: "events: a large field that is not read", path: EVENTS, answer: Same(unread) },
    Attack { name: "events: pages without end", path: EVENTS, answer: Each(events) },
    Attack { name: "buckets: a large field that is not read", path: BUCKETS, answer: Same(unread) },
    Attack { name: "buckets: names of 30 KB, pages without end", path: BUCKETS, answer: Each(buckets) },
];

/// Attacks by many clusters at once.
const CROWDS: &[(Attack, usize)] = &[
    (Attack { name: "clusters whose bodies stall at 15 MiB", path: CROWD, answer: Stalls(stalled) }, 60),
    (Attack { name: "clusters whose bodies stall at 511 KiB", path: CROWD, answer: Stalls(half) }, 500),
    (Attack { name: "clusters whose heads have no end", path: CROWD, answer: Stalls(endless_head) }, 500),
];

fn head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n").into_bytes()
}

fn plain(body: &str) -> Vec<u8> {
    [&head("")[..], body.as_bytes()].concat()
}

fn zipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(head("content-encoding: gzip\r\n"), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// `item` as often as fits into a body, with commas.
fn many(item: &str) -> String {
    vec![item; NEARLY / (item.len() + 1)].join(",")
}

fn unread() -> Vec<u8> {
    let body = |items| format!(r#"{{"name":"n","results":[],"unread":[{items}]}}"#);
    zipped(body(many("[]")).as_bytes())
}

fn unread_entries() -> Vec<u8> {
    let entry = |items| format!(r#"{{"results":[{{"name":"a","backupEnabled":false,"unread":[{items}]}}]}}"#);
    zipped(entry(many(r#"{"":0}"#)).as_bytes())
}

fn policy_items() -> Vec<u8> {
    let entry = |items| {
        format!(
            r#"{{"results":[{{"id":"65a1f0b2c3d4e5f60718293a","createdAt":"2026-01-02T03:04:05Z","status":"completed","policyItems":[{items}]}}]}}"#
        )
    };
    zipped(entry(many("\"\"")).as_bytes())
}

fn policies() -> Vec<u8> {
    let body = |items| {
        format!(
            r#"{{"autoExportEnabled":true,"export":{{"frequencyType":"daily"}},"policies":[{{"policyItems":[{items}]}}]}}"#
        )
    };
    zipped(body(many("{}")).as_bytes())
}

fn regions() -> Vec<u8> {
    let body = |items| {
        format!(
            r#"{{"results":[{{"name":"a","backupEnabled":false,"replicationSpecs":[{{"regionConfigs":[{items}]}}]}}]}}"#
        )
    };
    zipped(body(many("{}")).as_bytes())
}

fn links() -> Vec<u8> {
    let body = |items| format!(r#"{{"results":[],"links":[{items}]}}"#);
    zipped(body(many("{}")).as_bytes())
}

fn long_name() -> Vec<u8> {
    let body = |items| format!(r#"{{"name":"{items}"}}"#);
    zipped(body("n".repeat(NEARLY)).as_bytes())
}

fn escapes() -> Vec<u8> {
    let body = |items| format!(r#"{{"results":[{{"id":"a","state":"{items}"}}]}}"#);
    zipped(body("\\n".repeat(NEARLY / 2)).as_bytes())
}

fn noise() -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..NEARLY / 2).flat_map(|_| format!("{:02x}", fastrand::u8(..)).into_bytes()).collect();
    zipped(&[b"{\"a\":\"", &bytes[..], b"\",\"results\":[]}"].concat())
}

fn stalled() -> Vec<u8> {
    plain(&" ".repeat(NEARLY))
}

fn half() -> Vec<u8> {
    plain(&" ".repeat(511 << 10))
}

fn endless_head() -> Vec<u8> {
    ["HTTP/1.1 200 OK\r\nx-long: ".as_bytes(), &b"a".repeat(NEARLY)].concat()
}

fn endless_error() -> Vec<u8> {
    ["HTTP/1.1 503 x\r\n\r\n{\"detail\":\"".as_bytes(), &b"a".repeat(NEARLY)].concat()
}

/// A page with a promise of another one.
fn page(items: &[String]) -> Vec<u8> {
    zipped(format!(r#"{{"links":[{{"rel":"next"}}],"results":[{}]}}"#, items.join(",")).as_bytes())
}

/// The number of an entry that no other page has.
fn numbers(request: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| request * 1000 + index)
}

fn job(id: usize, padding: usize, rest: &str) -> String {
    format!(
        r#"{{"id":"{id:0padding$x}","snapshotId":"{id:024x}","createdAt":"2026-01-02T03:04:05Z",{rest}}}"#
    )
}

fn jobs(request: usize, count: usize, padding: usize) -> Vec<u8> {
    let rest = r#""state":"Successful","finishedAt":"2026-01-02T03:04:05Z""#;
    page(&numbers(request, count).map(|id| job(id, padding, rest)).collect::<Vec<_>>())
}

fn active_jobs(request: usize) -> Vec<u8> {
    let rest = r#""state":"InProgress","exportStatus":{"exportedCollections":1,"totalCollections":2}"#;
    page(&numbers(request, 500).map(|id| job(id, 24, rest)).collect::<Vec<_>>())
}

fn long_failures(request: usize) -> Vec<u8> {
    let text = "long ".repeat(140_000);
    let rest = format!(r#""state":"Failed","stateReason":{{"errorCode":"E{request}","message":"{text}"}}"#);
    let jobs: Vec<_> = numbers(request, 20).map(|id| job(id, 24, &rest)).collect();
    zipped(format!(r#"{{"results":[{}]}}"#, jobs.join(",")).as_bytes())
}

fn snapshots(request: usize) -> Vec<u8> {
    let rest = r#""status":"completed","frequencyType":"daily""#;
    page(&numbers(request, 500).map(|id| job(id, 24, rest)).collect::<Vec<_>>())
}

fn clusters(request: usize, length: usize) -> Vec<u8> {
    let provider = r#"[{"regionConfigs":[{"providerName":"TENANT"}]}]"#;
    let cluster =
        |id| format!(r#"{{"id":"{id:024x}","name":"{id:0length$x}","replicationSpecs":{provider}}}"#);
    page(&numbers(request, 500).map(cluster).collect::<Vec<_>>())
}

fn projects(request: usize) -> Vec<u8> {
    let name = "n".repeat(30_000);
    let project = |id| format!(r#"{{"id":"none-{id}","name":"{name}"}}"#);
    page(&numbers(request, 500).map(project).collect::<Vec<_>>())
}

fn events(request: usize) -> Vec<u8> {
    let event = |id| {
        format!(
            r#"{{"id":"{id:024x}","created":"2026-01-02T03:04:05Z","eventTypeName":"CPS_EXPORT_FAILED"}}"#
        )
    };
    page(&numbers(request, 500).map(event).collect::<Vec<_>>())
}

fn buckets(request: usize) -> Vec<u8> {
    let name = "n".repeat(30_000);
    let bucket = |id| format!(r#"{{"_id":"{id:024x}","bucketName":"{name}","cloudProvider":"AWS"}}"#);
    page(&numbers(request, 500).map(bucket).collect::<Vec<_>>())
}

/// The simulator with healthy clusters in one project, and `bad` ones in another.
async fn healthy_and(bad: usize) -> Simulator {
    let cluster = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]);
    let mut state = atlas_state([]);
    let mut healthy = Project::new("healthy");
    for number in 0..HEALTHY {
        healthy = healthy.with(&format!("healthy-{number}"), cluster());
    }
    state.projects.insert(PROJECT.to_owned(), healthy);
    let mut hostile = Project::new("bad").with("bad", cluster());
    for number in 1..bad {
        hostile = hostile.with(&format!("bad-{number}"), cluster());
    }
    state.projects.insert(BAD.to_owned(), hostile);
    simulator(state).await
}

/// Starts the exporter. The kernel ends it if it takes more memory than its group may.
async fn run(binary: &str, setup: &ExporterBuilder, limit: Option<&Cgroup>) -> Exporter {
    let folder = tempfile::tempdir().unwrap();
    setup.write(&folder);
    let mut command = match limit {
        Some(cgroup) => cgroup.command(binary),
        None => command_of(binary),
    };
    command.current_dir(folder.path()).arg("--web.listen-address=127.0.0.1:0");
    Exporter::spawn(command, folder).await
}

/// A control group with a limit of memory, buffers of sockets and files included.
struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one; `None` where the system does not allow it.
    fn new(mib: u64) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let (parent, limit) = if v1.is_dir() {
            (v1, "memory.limit_in_bytes")
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max")
        };
        let folder = tempfile::Builder::new().prefix("atlas-backup-exporter-").tempdir_in(parent).ok()?;
        let cgroup = Self(folder.keep());
        // Without the file there is no controller of memory here.
        let file = std::fs::OpenOptions::new().write(true).open(cgroup.0.join(limit));
        file.ok()?.write_all((mib << 20).to_string().as_bytes()).ok()?;
        Some(cgroup)
    }

    /// The binary in the group.
    fn command(&self, binary: &str) -> Command {
        let mut command = command_of("/bin/sh");
        // Some systems let nothing into the group: the peak is asserted all the same.
        command.args(["-c", "echo $$ >\"$0\"; exec \"$@\""]).arg(self.0.join("cgroup.procs")).arg(binary);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The group cannot be removed before its process is gone.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The exporter behind a server that answers as `attacks` say; returns the peak in MiB and the
/// polls of the healthy cluster that has fewest in `time`.
async fn attacked(
    binary: &str,
    attacks: &[&Attack],
    clusters: usize,
    time: Duration,
    limit: Option<&Cgroup>,
) -> (u64, f64) {
    let simulator = healthy_and(clusters).await;
    let proxy = FaultProxy::start(&simulator, ProxyMode::Plain).await;
    let mut paths: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for attack in attacks {
        let steps: Box<dyn Fn(usize) -> Vec<Step> + Send + Sync> = match attack.answer {
            Same(make) | Stalls(make) => {
                let mut steps = vec![Step::Send(make())];
                steps.extend(matches!(attack.answer, Stalls(_)).then_some(FOREVER));
                Box::new(move |_| steps.clone())
            }
            Each(make) => Box::new(move |request| vec![Step::Send(make(request))]),
        };
        paths.entry(attack.path).or_default().push(steps);
    }
    let mut asked = BTreeMap::new();
    for (path, answers) in paths {
        let count = Arc::new(AtomicUsize::new(0));
        asked.insert(path, (answers.len(), count.clone()));
        // Several attacks at one path take turns.
        let script: Script = Arc::new(move |_| {
            let request = count.fetch_add(1, Ordering::Relaxed);
            answers[request % answers.len()](request)
        });
        proxy.respond(path, Some(script));
    }
    let setup = ExporterBuilder::new(&simulator)
        .base_url(&proxy.plain_url())
        .set("poll.interval", "1s")
        .set("poll.timeout", "3s")
        .set("poll.stale_after", "10m")
        .set("discovery.interval", "2s")
        .set("collectors.interval", "2s")
        .targets(format!(
            "[[projects]]\nid = \"{PROJECT}\"\n[[projects]]\nid = \"{BAD}\"\nclusters = [\"bad\", \"*\"]\n\
         [[organizations]]\nid = \"{BAD_ORGANIZATION}\"\n"
        ));
    let exporter = run(binary, &setup, limit).await;
    let start = Instant::now();
    let is_over = || asked.values().all(|(attacks, count)| count.load(Ordering::Relaxed) >= *attacks);
    while start.elapsed() < time || !is_over() {
        assert!(start.elapsed() < 8 * time, "not asked for: {asked:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        exporter.scrape().await;
    }
    let scrape = exporter.scrape().await;
    let polls =
        |number: usize| scrape.value("polls_total", &format!("healthy-{number}"), "").unwrap_or_default();
    let fewest = (0..HEALTHY).map(polls).fold(f64::MAX, f64::min);
    (exporter.peak_memory(), fewest / start.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints a table, of the build that MEMORY_EXPORTER names"]
#[allow(clippy::print_stdout)]
async fn table() {
    // It takes six minutes, and the tests below assert the bounds.
    let Ok(binary) = std::env::var("MEMORY_EXPORTER") else { return };
    let only = std::env::var("MEMORY_ATTACK").unwrap_or_default();
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(&only)) {
        let (peak, polls) = attacked(&binary, &[attack], 1, Duration::from_secs(8), None).await;
        println!("| {} | {peak} MiB | {polls:.2} |", attack.name);
    }
    for (attack, clusters) in CROWDS {
        if attack.name.contains(&only) {
            let (peak, polls) = attacked(&binary, &[attack], *clusters, Duration::from_secs(40), None).await;
            println!("| {clusters} {} | {peak} MiB | {polls:.2} |", attack.name);
        }
    }
    if only.is_empty() || only == "silence" {
        let minute = Duration::from_mins(1);
        let (peak, took) = silence(&binary, minute, minute, None).await;
        println!("| {MANY} clusters while nothing is answered for a minute | {peak} MiB | {took:.1?} |");
    }
    if only.is_empty() || only == "valid" {
        let minute = Duration::from_mins(1);
        let (_simulator, exporter) = with_many(&binary, (10_000, 30), minute, None).await;
        all_polled(&exporter, 10_000, 0.0, 4 * minute).await;
        let first = exporter.peak_memory();
        let took = all_polled(&exporter, 10_000, now() + 60.0, 4 * minute).await;
        let resident = exporter.scrape().await.0["process_resident_memory_bytes"] / 1_048_576.0;
        println!("| 10,000 valid clusters | {first} MiB at first, {resident:.0} MiB after {took:.0?} |");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds what is shipped: musl-tools and its target of Rust; tests/run installs them"]
async fn hostile_answers_stay_within_the_documented_memory() {
    let binary = built().await;
    let cgroup = Cgroup::new(MAX_MIB);
    // Schedules and snapshots are read where the clusters can be listed, and snapshots where the
    // schedule can be read.
    let single = |attack: &Attack| !matches!(attack.answer, Each(_));
    let alone = |attack: &Attack| [CLUSTERS, SNAPSHOTS].contains(&attack.path);
    let rounds: [&dyn Fn(&Attack) -> bool; 5] = [
        &|attack| single(attack) && !alone(attack),
        &|attack| !single(attack) && !alone(attack) || single(attack) && attack.path == SNAPSHOTS,
        &|attack| single(attack) && attack.path == CLUSTERS,
        &|attack| !single(attack) && attack.path == CLUSTERS,
        &|attack| !single(attack) && attack.path == SNAPSHOTS,
    ];
    for round in rounds {
        let mut attacks: Vec<_> = ATTACKS.iter().filter(|attack| round(attack)).collect();
        // The pages of one listing are of one kind.
        attacks.dedup_by(|one, other| one.path == other.path && !single(one) && !single(other));
        let (peak, polls) = attacked(&binary, &attacks, 1, Duration::from_secs(6), cgroup.as_ref()).await;
        let names: Vec<_> = attacks.iter().map(|attack| attack.name).collect();
        assert!(peak <= MAX_MIB, "{peak} MiB: {names:?}");
        assert!(polls > 0.5, "{polls} polls a second of healthy clusters: {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "builds what is shipped: musl-tools and its target of Rust; tests/run installs them"]
async fn hanging_atlas_stays_within_the_documented_memory() {
    let interval = Duration::from_secs(15);
    let cgroup = Cgroup::new(MAX_MIB_OF_MANY);
    let (peak, took) = silence(&built().await, interval, 2 * interval, cgroup.as_ref()).await;
    assert!(peak <= MAX_MIB_OF_MANY, "{peak} MiB");
    assert!(took <= 2 * interval, "{took:?} until each cluster was polled again");
}

/// Clusters of the exporter while Atlas hangs.
const MANY: usize = 4_000;

/// Documented for so many.
const MAX_MIB_OF_MANY: u64 = 128;

/// The exporter of so many clusters with as many daily jobs, in projects of four hundred.
async fn with_many(
    binary: &str,
    (clusters, jobs): (usize, u32),
    interval: Duration,
    limit: Option<&Cgroup>,
) -> (Simulator, Exporter) {
    let mut state = atlas_state([]);
    for first in (0..clusters).step_by(400) {
        let mut project = Project::new("p");
        for number in first..clusters.min(first + 400) {
            let jobs =
                (1..=jobs).map(|day| Job::ended(Duration::from_hours(24) * day, JobOutcome::Successful));
            project = project.with(&format!("c{number}"), Cluster::with(jobs));
        }
        project.budget = TokenBucket::new(1_000_000, 1_000_000);
        state.projects.insert(format!("65f1c0ffee5eed00000{first:05}"), project);
    }
    let projects: Vec<_> = state.projects.keys().map(|id| format!("[[projects]]\nid = \"{id}\"\n")).collect();
    let simulator = simulator(state).await;
    let seconds = interval.as_secs();
    let setup = ExporterBuilder::at(simulator.url())
        .set("poll.interval", format!("{seconds}s"))
        .set("poll.timeout", format!("{}s", seconds / 2))
        .set("poll.stale_after", "1h")
        .targets(projects.concat());
    let exporter = run(binary, &setup, limit).await;
    (simulator, exporter)
}

/// Waits until each of so many clusters has been polled well after `since`, in seconds of Unix
/// time; returns how long that took.
async fn all_polled(exporter: &Exporter, clusters: usize, since: f64, patience: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let scrape = exporter.scrape().await;
        let successes = scrape.of("mongodbatlas_backup_export_last_poll_success_timestamp_seconds");
        let late = successes.iter().filter(|(_, at)| *at < since).count();
        if successes.len() == clusters && late == 0 {
            return start.elapsed();
        }
        let log = || exporter.log();
        assert!(start.elapsed() < patience, "{} clusters, {late} late: {}", successes.len(), log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

/// An exporter of many clusters lives through a time in which Atlas answers nothing; returns the
/// peak in MiB and the time after it until each cluster has been polled again.
async fn silence(
    binary: &str,
    interval: Duration,
    time: Duration,
    limit: Option<&Cgroup>,
) -> (u64, Duration) {
    let (simulator, exporter) = with_many(binary, (MANY, 1), interval, limit).await;
    all_polled(&exporter, MANY, 0.0, 4 * interval).await;
    simulator.state().faults = vec![Fault::lasting("", FaultKind::Hang)];
    tokio::time::sleep(time).await;
    simulator.state().faults.clear();
    let took = all_polled(&exporter, MANY, now(), 3 * interval).await;
    (exporter.peak_memory(), took)
}
