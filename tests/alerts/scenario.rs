//! Incidents for the alert rules, told in minutes. What the exporter would expose in each minute comes from its own accumulator, store and
//! exposition; what the rules make of it comes from `promtool test rules` (see `promtool.rs`).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use atlas_backup_exporter::metrics::self_metrics::SelfMetrics;
use atlas_backup_exporter::metrics::{Exposition, Format};
use atlas_backup_exporter::model::{
    CollectorKind, ExportExpectation, JobAccumulator, PollError, ProgressTracker, ReadingError, Snapshots,
};
use atlas_backup_exporter::status::{ClusterStatus, Status};
use atlas_backup_exporter::store::{GoodPoll, Store, StoreView};
use atlas_client::{
    Counts, ExportBucket, ExportJob, FailureReason, JobState, ListedCluster, ObjectId, PolicyItems,
    ProjectId, Quota, Schedule, Snapshot, StateReason, Target,
};
use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
pub(crate) const HOUR: i64 = 60;
pub(crate) const DAY: i64 = 24 * HOUR;
const POLL_INTERVAL: Duration = Duration::from_mins(1);

/// How an export job ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    Successful,
    Failed,
    Cancelled,
    /// Every collection is exported within half an hour, and it goes on.
    Never,
}

/// An export job: created, queued for some minutes, then running.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) created: i64,
    /// When its snapshot was taken.
    pub(crate) snapshot: i64,
    pub(crate) queued: i64,
    pub(crate) running: i64,
    pub(crate) collections: Option<u64>,
    pub(crate) end: End,
}

/// Five minutes in the queue, twenty running; its snapshot was taken the minute before.
pub(crate) fn job(created: i64, end: End) -> Job {
    Job { created, snapshot: created - 1, queued: 5, running: 20, collections: Some(100), end }
}

impl Job {
    fn at(&self, minute: i64) -> Option<ExportJob<'static>> {
        let started = self.created + self.queued;
        let ended = started + self.running;
        let state = match self.end {
            _ if minute < self.created => return None,
            _ if minute < started => JobState::Queued,
            End::Successful if minute >= ended => JobState::Successful,
            End::Failed if minute >= ended => JobState::Failed,
            End::Cancelled if minute >= ended => JobState::Cancelled,
            _ => JobState::InProgress,
        };
        let pace = if matches!(self.end, End::Never) { 30 } else { self.running };
        let exported = |total: u64| {
            let share = u64::try_from((minute - started).clamp(0, pace)).unwrap();
            total * share / u64::try_from(pace).unwrap().max(1)
        };
        let code = matches!(state, JobState::Failed).then(|| "EXPORT_BUCKET_ACCESS_DENIED".into());
        Some(ExportJob {
            id: Some(format!("{:024}", self.created + 1_000_000).into()),
            snapshot_id: Some(snapshot_id(self.snapshot).into()),
            created_at: Some(at(self.created)),
            finished_at: state.is_terminal().then(|| at(ended)),
            state,
            counts: Counts { exported: self.collections.map(exported), total: self.collections },
            reason: StateReason { error_code: code, message: None },
        })
    }
}

/// A cluster, and what Atlas lists of it.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) created: i64,
    pub(crate) frequency: &'static str,
    pub(crate) expected: ExportExpectation,
    pub(crate) jobs: Vec<Job>,
    /// Minutes in which it is not watched.
    pub(crate) unwatched: Vec<Range<i64>>,
    pub(crate) paused: Vec<Range<i64>>,
    /// Minutes in which Atlas does not export by itself.
    pub(crate) auto_export_off: Vec<Range<i64>>,
    /// What is read besides its jobs; `None` where details are switched off.
    pub(crate) details: Option<Details>,
}

/// What is read of a cluster besides its jobs.
#[derive(Clone, Default)]
pub(crate) struct Details {
    /// When snapshots of its policy's frequency were taken.
    pub(crate) snapshots: Vec<i64>,
    /// When events told of a failed export.
    pub(crate) events: Vec<i64>,
    /// Minutes in which the bucket of its policy is gone.
    pub(crate) bucket_gone: Vec<Range<i64>>,
    /// Minutes in which none of this can be read.
    pub(crate) unread: Vec<Range<i64>>,
}

/// The one item of every backup policy.
fn policy_item() -> Option<ObjectId> {
    ObjectId::parse("65a1f0b2c3d4e5f60718293d")
}

/// A detail that Atlas did not answer for.
fn unread() -> ReadingError {
    let error = PollError { reason: FailureReason::ServerError, text: String::new() };
    ReadingError { is_refused: false, error }
}

fn snapshot_id(taken: i64) -> String {
    format!("{:024x}", taken + 1_000_000)
}

/// A daily cluster, a year old.
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
    /// Whether auto export was on within a day, and is off, and nobody said that this is as it should be, or what to expect then.
    fn was_switched_off(&self, minute: i64) -> bool {
        let within_a_day =
            |off: &Range<i64>| off.contains(&minute) && off.start > 0 && minute - off.start < DAY;
        self.expected == ExportExpectation::default() && self.auto_export_off.iter().any(within_a_day)
    }
}

/// Successful exports of every day in `days`, at two o'clock.
pub(crate) fn daily(days: Range<i64>) -> impl Iterator<Item = Job> {
    days.map(|day| job(day * DAY + 2 * HOUR, End::Successful))
}

/// An exporter that is scraped.
#[derive(Clone)]
pub(crate) struct Exporter {
    pub(crate) instance: &'static str,
    /// Minutes in which it cannot be scraped; it starts anew after each.
    pub(crate) down: Vec<Range<i64>>,
    /// Minutes in which its polls fail.
    pub(crate) failing: Vec<(Range<i64>, FailureReason)>,
    /// From when on Prometheus does not know the target any more.
    pub(crate) gone: i64,
    /// The clusters it watches; empty for all.
    pub(crate) shard: &'static [&'static str],
}

pub(crate) fn exporter(instance: &'static str) -> Exporter {
    Exporter { instance, down: Vec::new(), failing: Vec::new(), gone: i64::MAX, shard: &[] }
}

impl Exporter {
    /// Whether it is there all the time, and sees.
    pub(crate) fn is_well(&self) -> bool {
        self.down.is_empty() && self.failing.is_empty() && self.gone == i64::MAX
    }
}

/// What Prometheus should say: an alert that fires from its first minute on, and no more in its last.
pub(crate) struct Firing {
    pub(crate) labels: String,
    pub(crate) minutes: Range<i64>,
}

/// An alert about a cluster.
pub(crate) fn fires(alert: &str, severity: &str, cluster: &str, minutes: Range<i64>) -> Firing {
    let about = format!("cluster_name=\"{cluster}\",project_id=\"{PROJECT}\"");
    fires_with(alert, severity, &about, minutes)
}

pub(crate) fn fires_with(alert: &str, severity: &str, labels: &str, minutes: Range<i64>) -> Firing {
    let component = if alert.starts_with("AtlasBackupExporter") { "exporter" } else { "backup-export" };
    let labels = format!(
        "alertname=\"{alert}\",alertstate=\"firing\",component=\"{component}\",{labels},severity=\"{severity}\""
    );
    Firing { labels, minutes }
}

/// An incident: who watches what, for how long, and every alert that fires in it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) minutes: i64,
    /// From one scrape and evaluation to the next.
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

/// What an exporter keeps from poll to poll, and loses when it ends.
struct Running {
    store: Store,
    tracker: BTreeMap<&'static str, ProgressTracker>,
}

impl Running {
    /// Reads details if `detailed`; otherwise they are switched off.
    fn start(detailed: bool) -> Self {
        let store = Store::new(Duration::from_mins(15));
        store.set_collectors(Duration::from_mins(30), if detailed { &[] } else { &CollectorKind::ALL });
        let project = ProjectId::parse(PROJECT).unwrap();
        store.add_project(&project);
        store.record_project_name(&project, "payments".to_owned());
        store.record_quota(&project, Some(Quota { limit: 1200, remaining: 1100 }));
        Self { store, tracker: BTreeMap::new() }
    }

    /// Polls and discovers `cluster`, and forgets it while it is not watched.
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
            Err(PollError { reason, text: String::new() })
        } else {
            let mut accumulator = JobAccumulator::default();
            for job in cluster.jobs.iter().filter_map(|job| job.at(minute)) {
                accumulator.add(job);
            }
            let report = accumulator.finish();
            let tracker = self.tracker.entry(cluster.name).or_default();
            let last_progress = tracker.observe(&report.active, at(minute));
            Ok(GoodPoll { report, last_progress, finished_at: at(minute), finished: now })
        };
        self.store.record_poll(&target, at(minute), Duration::from_millis(250), outcome);
    }
}

impl Running {
    /// Reads the details of a cluster. One that is not read any longer is forgotten half an hour later.
    fn read(&self, details: &Details, target: &Target, schedule: &Schedule, minute: i64, now: Instant) {
        let readable = !within(&details.unread, minute);
        let taken = details.snapshots.iter().filter(|taken| **taken <= minute).map(|taken| Snapshot {
            id: ObjectId::parse(&snapshot_id(*taken)).unwrap(),
            created_at: at(*taken),
            // Atlas's one word for a snapshot may be another than the one that is exported.
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
    /// Every series that the rules can see, one value a step; `None` where there is none.
    pub(crate) fn series(&self, rules: &str) -> BTreeMap<String, Vec<Option<String>>> {
        let steps = usize::try_from(self.minutes / self.step + 1).unwrap();
        let metrics = Arc::new(SelfMetrics::new(&["exports"], at(0)));
        let mut series: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        let mut set = |name: String, step: usize, value: String| {
            series.entry(name).or_insert_with(|| vec![None; steps])[step] = Some(value);
        };
        for exporter in &self.exporters {
            let target = format!("job=\"atlas-backup-exporter\",instance=\"{}\"", exporter.instance);
            self.live(exporter, |step, _, view| {
                set(format!("up{{{target}}}"), step, u8::from(view.is_some()).to_string());
                let Some(view) = view else { return };
                let text: String = Exposition::new(view, metrics.clone(), POLL_INTERVAL, None, Format::Text)
                    .unwrap()
                    .pieces()
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

    /// What the status page of the one exporter says of each cluster at these minutes, and what it would if it remembered that auto export
    /// was on before, as Prometheus does; nothing of minutes in which it is down, nor if there are several.
    pub(crate) fn verdicts(&self, minutes: &[i64]) -> BTreeMap<i64, Vec<(String, ClusterStatus)>> {
        let mut said = BTreeMap::new();
        let [exporter] = &self.exporters[..] else { return said };
        self.live(exporter, |_, now, view| {
            if let Some(view) = view.filter(|_| minutes.contains(&now)) {
                let status = Status::of(&view, None, POLL_INTERVAL, at(now));
                let off =
                    |name| self.clusters.iter().any(|one| one.name == name && one.was_switched_off(now));
                let said_of = status.clusters.iter().map(|one| {
                    let remembered = if off(one.cluster_name) {
                        ClusterStatus::AutoExportDisabled
                    } else {
                        ClusterStatus::Healthy
                    };
                    (one.cluster_name.to_owned(), one.status.min(remembered))
                });
                said.insert(now, said_of.collect());
            }
        });
        said
    }

    /// Lives through the story as an exporter, step by step: with what its store shows then, `None` while it is down.
    fn live(&self, exporter: &Exporter, mut each: impl FnMut(usize, i64, Option<Arc<StoreView>>)) {
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
            let running = running.get_or_insert_with(|| Running::start(detailed));
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
