//! Incidents for the alert rules, in minutes.
//!
//! The exporter's own modules compute the series of each minute; `promtool test rules` evaluates
//! the rules (see `promtool.rs`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use atlas_backup_exporter::metrics::self_metrics::SelfMetrics;
use atlas_backup_exporter::metrics::{Exposition, Format};
use atlas_backup_exporter::model::{
    CollectorKind, ExportExpectation, JobAccumulator, ProgressTracker, ReadError, Snapshots,
};
use atlas_backup_exporter::status::{ClusterStatus, Status};
use atlas_backup_exporter::store::{Store, StoreView, SuccessfulPoll};
use atlas_client::{
    CollectionProgress, ExportBucket, ExportJob, FailureReason, JobState, ListedCluster, ObjectId,
    PolicyItems, ProjectId, Quota, Schedule, Snapshot, StateReason, Target,
};
use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
pub(crate) const HOUR: i64 = 60;
pub(crate) const DAY: i64 = 24 * HOUR;
const POLL_INTERVAL: Duration = Duration::from_mins(1);

#[derive(Clone, Copy)]
pub(crate) enum JobEnd {
    Successful,
    Failed,
    Cancelled,
    /// The job exports every collection within half an hour and does not end.
    Never,
}

/// Export job that is created, queued for some minutes, and then running.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) created: i64,
    pub(crate) snapshot_taken: i64,
    pub(crate) queued: i64,
    pub(crate) running: i64,
    pub(crate) collections: Option<u64>,
    pub(crate) end: JobEnd,
}

/// Returns a job that is queued for five minutes and runs for twenty, with a snapshot of the minute
/// before.
pub(crate) fn job(created: i64, end: JobEnd) -> Job {
    Job { created, snapshot_taken: created - 1, queued: 5, running: 20, collections: Some(100), end }
}

impl Job {
    fn at(&self, minute: i64) -> Option<ExportJob<'static>> {
        let started = self.created + self.queued;
        let ended = started + self.running;
        let state = match self.end {
            _ if minute < self.created => return None,
            _ if minute < started => JobState::Queued,
            JobEnd::Successful if minute >= ended => JobState::Successful,
            JobEnd::Failed if minute >= ended => JobState::Failed,
            JobEnd::Cancelled if minute >= ended => JobState::Cancelled,
            _ => JobState::InProgress,
        };
        let pace = if matches!(self.end, JobEnd::Never) { 30 } else { self.running };
        let exported = |total: u64| {
            let share = u64::try_from((minute - started).clamp(0, pace)).unwrap();
            total * share / u64::try_from(pace).unwrap().max(1)
        };
        let code = matches!(state, JobState::Failed).then(|| "EXPORT_BUCKET_ACCESS_DENIED".into());
        Some(ExportJob {
            id: Some(format!("{:024}", self.created + 1_000_000).into()),
            snapshot_id: Some(snapshot_id(self.snapshot_taken).into()),
            created_at: Some(at(self.created)),
            finished_at: state.is_terminal().then(|| at(ended)),
            state,
            counts: CollectionProgress { exported: self.collections.map(exported), total: self.collections },
            reason: StateReason { error_code: code, message: None },
        })
    }
}

/// Cluster with what Atlas lists of it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) created: i64,
    pub(crate) frequency: &'static str,
    pub(crate) expected: ExportExpectation,
    pub(crate) jobs: Vec<Job>,
    /// Minutes in which it is not polled.
    pub(crate) unwatched: Vec<Range<i64>>,
    pub(crate) paused: Vec<Range<i64>>,
    /// Minutes in which auto export is disabled.
    pub(crate) auto_export_off: Vec<Range<i64>>,
    /// Readings of the collectors; `None` where they are switched off.
    pub(crate) details: Option<Details>,
}

#[derive(Clone, Default)]
pub(crate) struct Details {
    /// Times of snapshots with the export frequency.
    pub(crate) snapshots: Vec<i64>,
    /// Times of events about failed exports.
    pub(crate) events: Vec<i64>,
    /// Minutes in which the bucket of its policy is missing.
    pub(crate) bucket_gone: Vec<Range<i64>>,
    /// Minutes in which the collectors fail.
    pub(crate) unread: Vec<Range<i64>>,
}

/// Returns the only item of every backup policy.
fn policy_item() -> Option<ObjectId> {
    ObjectId::parse("65a1f0b2c3d4e5f60718293d")
}

/// Returns the error of a collector that failed.
fn unread() -> ReadError {
    ReadError { reason: FailureReason::ServerError, text: String::new(), is_refused: false }
}

fn snapshot_id(taken: i64) -> String {
    format!("{:024x}", taken + 1_000_000)
}

/// Returns a cluster with daily exports that is a year old.
pub(crate) fn cluster(name: &'static str, jobs: impl IntoIterator<Item = Job>) -> Cluster {
    Cluster {
        name,
        created: -365 * DAY,
        frequency: "daily",
        expected: ExportExpectation::default(),
        jobs: jobs.into_iter().collect(),
        unwatched: Vec::new(),
        paused: Vec::new(),
        auto_export_off: Vec::new(),
        details: None,
    }
}

impl Cluster {
    /// Returns true if auto export was disabled within a day and no expectation is configured.
    fn was_switched_off(&self, minute: i64) -> bool {
        let within_a_day =
            |off: &Range<i64>| off.contains(&minute) && off.start > 0 && minute - off.start < DAY;
        self.expected == ExportExpectation::default() && self.auto_export_off.iter().any(within_a_day)
    }
}

/// Returns successful exports of every day in `days`, at two o'clock.
pub(crate) fn daily(days: Range<i64>) -> impl Iterator<Item = Job> {
    days.map(|day| job(day * DAY + 2 * HOUR, JobEnd::Successful))
}

#[derive(Clone)]
pub(crate) struct Exporter {
    pub(crate) instance: &'static str,
    /// Minutes in which it is down; it restarts after each.
    pub(crate) down: Vec<Range<i64>>,
    /// Minutes in which its polls fail.
    pub(crate) failing: Vec<(Range<i64>, FailureReason)>,
    /// Minute from which Prometheus does not know the target.
    pub(crate) gone: i64,
    /// Clusters that it polls; empty for all.
    pub(crate) shard: &'static [&'static str],
}

pub(crate) fn exporter(instance: &'static str) -> Exporter {
    Exporter { instance, down: Vec::new(), failing: Vec::new(), gone: i64::MAX, shard: &[] }
}

impl Exporter {
    /// Returns true if it is up all the time and no poll fails.
    pub(crate) fn is_healthy(&self) -> bool {
        self.down.is_empty() && self.failing.is_empty() && self.gone == i64::MAX
    }
}

/// Expected alert that fires in these minutes.
pub(crate) struct Firing {
    pub(crate) labels: String,
    pub(crate) minutes: Range<i64>,
}

/// Returns an alert about a cluster.
pub(crate) fn fires(alert: &str, severity: &str, cluster: &str, minutes: Range<i64>) -> Firing {
    let about = format!("cluster_name=\"{cluster}\",project_id=\"{PROJECT}\"");
    fires_with(alert, severity, &about, minutes)
}

pub(crate) fn fires_with(alert: &str, severity: &str, labels: &str, minutes: Range<i64>) -> Firing {
    let component = if alert.starts_with("AtlasBackupExporter") { "exporter" } else { "backup-export" };
    let labels = format!(
        "alertname=\"{alert}\",alertstate=\"firing\",component=\"{component}\",\
        {labels},severity=\"{severity}\""
    );
    Firing { labels, minutes }
}

/// Incident with its exporters, its clusters, and every alert that fires.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) minutes: i64,
    /// Minutes between scrapes and evaluations.
    pub(crate) step: i64,
    pub(crate) exporters: Vec<Exporter>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) firing: Vec<Firing>,
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn within(ranges: &[Range<i64>], minute: i64) -> bool {
    ranges.iter().any(|range| range.contains(&minute))
}

/// State of an exporter, which a restart loses.
struct ExporterState {
    store: Store,
    tracker: BTreeMap<&'static str, ProgressTracker>,
}

impl ExporterState {
    /// Switches the collectors on if `detailed`.
    fn start(detailed: bool) -> Self {
        let store = Store::new(Duration::from_mins(15));
        store.set_collectors(Duration::from_mins(30), if detailed { &[] } else { &CollectorKind::ALL });
        let project = ProjectId::parse(PROJECT).unwrap();
        store.add_project(&project);
        store.record_project_name(&project, "payments".to_owned());
        store.record_quota(&project, Some(Quota { limit: 1200, remaining: 1100 }));
        Self { store, tracker: BTreeMap::new() }
    }

    /// Polls and discovers `cluster`, or removes it while it is not polled.
    fn poll(&mut self, cluster: &Cluster, minute: i64, now: Instant, failing: Option<FailureReason>) {
        let project_id = ProjectId::parse(PROJECT).unwrap();
        let target = Target { project_id: project_id.clone(), cluster_name: cluster.name.to_owned() };
        if within(&cluster.unwatched, minute) {
            self.tracker.remove(cluster.name);
            return self.store.remove_cluster(&target);
        }
        self.store.add_cluster(&target, cluster.expected);
        self.store.record_discovery(&project_id, at(minute), Ok(()));
        let listed = ListedCluster {
            name: cluster.name.to_owned(),
            unexportable: None,
            paused: Some(within(&cluster.paused, minute)),
            created_at: Some(at(cluster.created)),
            sharded: false,
        };
        self.store.record_listed_cluster(&target, Some(&listed), true);
        let auto_export = Some(!within(&cluster.auto_export_off, minute));
        let frequency = Some(cluster.frequency.to_owned());
        let bucket_id = cluster.details.is_some().then(|| "bucket".to_owned());
        let items = PolicyItems::new(&[(policy_item(), frequency.clone())], cluster.frequency);
        let schedule = Schedule { auto_export, frequency, bucket_id, items };
        self.store.record_schedule(&target, Ok(schedule.clone()));
        if let Some(details) = &cluster.details {
            self.read(details, &target, &schedule, minute, now);
        }
        let outcome = if let Some(reason) = failing {
            Err(ReadError { reason, ..unread() })
        } else {
            let mut accumulator = JobAccumulator::default();
            for job in cluster.jobs.iter().filter_map(|job| job.at(minute)) {
                accumulator.add(job);
            }
            let summary = accumulator.finish();
            let tracker = self.tracker.entry(cluster.name).or_default();
            let last_progress = tracker.observe(&summary.active, at(minute));
            Ok(SuccessfulPoll { summary, last_progress, finished_at: at(minute), finished: now })
        };
        self.store.record_poll(&target, at(minute), Duration::from_millis(250), outcome);
    }
}

impl ExporterState {
    /// Runs the collectors of a cluster.
    fn read(&self, details: &Details, target: &Target, schedule: &Schedule, minute: i64, now: Instant) {
        let readable = !within(&details.unread, minute);
        let taken = details.snapshots.iter().filter(|taken| **taken <= minute).map(|taken| Snapshot {
            id: ObjectId::parse(&snapshot_id(*taken)).unwrap(),
            created_at: at(*taken),
            // The frequency of a snapshot may differ from the one that is exported.
            frequency: Some("daily".to_owned()),
            policy_items: vec![policy_item()],
        });
        let snapshots = Snapshots::new(&taken.collect::<Vec<_>>(), schedule, at(minute));
        self.store.record_snapshots(target, now, readable.then_some(snapshots).ok_or_else(unread));
        let id = if within(&details.bucket_gone, minute) { "another" } else { "bucket" };
        let bucket =
            ExportBucket { id: id.to_owned(), name: "backups".to_owned(), cloud_provider: "AWS".to_owned() };
        self.store.record_buckets(&target.project_id, now, readable.then(|| vec![bucket]).ok_or_else(unread));
        self.store.record_events_outcome(&target.project_id, now, readable.then_some(()).ok_or_else(unread));
        for event in details.events.iter().filter(|event| readable && **event <= minute) {
            self.store.record_failure_event(target, at(*event));
        }
    }
}

impl Scenario {
    /// Returns every series that the rules use, with one value per step.
    pub(crate) fn series(&self, rules: &str) -> BTreeMap<String, Vec<Option<String>>> {
        let steps = usize::try_from(self.minutes / self.step + 1).unwrap();
        let metrics = Arc::new(SelfMetrics::new(&["exports"], at(0)));
        let mut series: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        let mut set = |name: String, step: usize, value: String| {
            series.entry(name).or_insert_with(|| vec![None; steps])[step] = Some(value);
        };
        for exporter in &self.exporters {
            let target = format!("job=\"atlas-backup-exporter\",instance=\"{}\"", exporter.instance);
            self.run(exporter, |step, _, view| {
                set(format!("up{{{target}}}"), step, u8::from(view.is_some()).to_string());
                let Some(view) = view else { return };
                let text: String = Exposition::new(view, metrics.clone(), POLL_INTERVAL, None, Format::Text)
                    .unwrap()
                    .chunks()
                    .collect();
                for line in text.lines().filter(|line| !line.starts_with('#')) {
                    let (name, value) = line.rsplit_once(' ').unwrap();
                    let (family, labels) = name.split_once('{').unwrap_or((name, "}"));
                    if rules.contains(family) {
                        let comma = if labels == "}" { "" } else { "," };
                        set(format!("{family}{{{target}{comma}{labels}"), step, value.to_owned());
                    }
                }
            });
        }
        series
    }

    /// Returns the status of each cluster on the status page at these minutes, with
    /// `AutoExportDisabled` for a day after auto export was disabled, as the alert has it.
    ///
    /// Empty for several exporters; without minutes in which the exporter is down.
    pub(crate) fn page_statuses(&self, minutes: &[i64]) -> BTreeMap<i64, Vec<(String, ClusterStatus)>> {
        let mut statuses = BTreeMap::new();
        let [exporter] = &self.exporters[..] else { return statuses };
        self.run(exporter, |_, now, view| {
            if let Some(view) = view.filter(|_| minutes.contains(&now)) {
                let status = Status::of(&view, None, POLL_INTERVAL, at(now));
                let off =
                    |name| self.clusters.iter().any(|one| one.name == name && one.was_switched_off(now));
                let statuses_now = status.clusters.iter().map(|one| {
                    let remembered = if off(one.cluster_name) {
                        ClusterStatus::AutoExportDisabled
                    } else {
                        ClusterStatus::Healthy
                    };
                    (one.cluster_name.to_owned(), one.status.min(remembered))
                });
                statuses.insert(now, statuses_now.collect());
            }
        });
        statuses
    }

    /// Runs an exporter step by step; its view is `None` while it is down.
    fn run(&self, exporter: &Exporter, mut each: impl FnMut(usize, i64, Option<Arc<StoreView>>)) {
        let start = Instant::now();
        let detailed = self.clusters.iter().any(|cluster| cluster.details.is_some());
        let mut running = None;
        for step in 0..=self.minutes / self.step {
            let minute = step * self.step;
            let step = usize::try_from(step).unwrap();
            if minute >= exporter.gone {
                break;
            }
            if within(&exporter.down, minute) {
                running = None;
                each(step, minute, None);
                continue;
            }
            let running = running.get_or_insert_with(|| ExporterState::start(detailed));
            let now = start + Duration::from_mins(u64::try_from(minute).unwrap());
            let failing = exporter.failing.iter().find(|(range, _)| range.contains(&minute));
            for cluster in &self.clusters {
                if exporter.shard.is_empty() || exporter.shard.contains(&cluster.name) {
                    running.poll(cluster, minute, now, failing.map(|(_, reason)| *reason));
                }
            }
            each(step, minute, Some(Arc::new(running.store.view(now))));
        }
    }
}
