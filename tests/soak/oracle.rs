//! Expected metrics of a cluster, computed from its jobs, and their history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_simulator::Entry;
use serde_json::{Value, json};

const PREFIX: &str = "mongodbatlas_backup_export_";

const STATES: [&str; 6] = ["Queued", "InProgress", "Successful", "Failed", "Cancelled", "Unknown"];

/// Families whose values depend on one listing of jobs only.
const FAMILIES: [&str; 13] = [
    "jobs",
    "progress_ratio",
    "last_finished_timestamp_seconds",
    "latest_job_state",
    "latest_job_created_timestamp_seconds",
    "latest_job_exported_collections",
    "latest_job_collections",
    "last_success_duration_seconds",
    "last_success_created_timestamp_seconds",
    "failures_since_last_success",
    "oldest_unresolved_failure_created_timestamp_seconds",
    "latest_failure_info",
    "oldest_active_job_created_timestamp_seconds",
];

/// Export job as Atlas lists it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) finished: Option<i64>,
    /// State as of Atlas; the exporter does not know those that are not in [`STATES`].
    pub(crate) state: &'static str,
    /// Number of exported and of all collections.
    pub(crate) counts: Option<(u64, u64)>,
    pub(crate) code: Option<&'static str>,
}

impl Job {
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.state, "Queued" | "InProgress")
    }

    fn key(&self) -> (i64, &str) {
        (self.created, &self.id)
    }

    fn known_state(&self) -> &'static str {
        if STATES.contains(&self.state) { self.state } else { "Unknown" }
    }

    pub(crate) fn entry(&self) -> Entry {
        let time = |second: i64| json!(jiff::Timestamp::from_second(second).unwrap().to_string());
        let mut json = json!({
            "id": self.id, "snapshotId": self.id, "exportBucketId": "5f0e5a3b9c1d4e6f8a7b6c5d",
            "createdAt": time(self.created), "state": self.state, "prefix": "a/b",
        });
        let mut set = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                json[field] = value;
            }
        };
        set("finishedAt", self.finished.map(time));
        let counts = self
            .counts
            .map(|(exported, total)| json!({"exportedCollections": exported, "totalCollections": total}));
        set("exportStatus", counts);
        set("stateReason", self.code.map(|code| json!({"errorCode": code, "message": "A sentence."})));
        Entry::Raw(json)
    }
}

/// Values by metric and labels, without those of the cluster.
pub(crate) type Metrics = BTreeMap<String, f64>;

/// Returns the metrics of a listing.
pub(crate) fn metrics(jobs: &[Job]) -> Metrics {
    let mut metrics = Metrics::new();
    let mut set = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            metrics.insert(name.to_owned(), value);
        }
    };
    let of = |state: &'static str| jobs.iter().filter(move |job| job.known_state() == state);
    for state in STATES {
        let named = |name: &str| format!("{name},state=\"{state}\"");
        set(&named("jobs"), Some(of(state).count() as f64));
        if matches!(state, "Successful" | "Failed" | "Cancelled") {
            let last = of(state).filter_map(|job| job.finished).max();
            set(&named("last_finished_timestamp_seconds"), last.map(|at| at as f64));
        }
        if matches!(state, "Queued" | "InProgress") {
            let oldest = of(state).map(|job| job.created).min();
            set(&named("oldest_active_job_created_timestamp_seconds"), oldest.map(|at| at as f64));
        }
    }
    if let Some(latest) = jobs.iter().max_by_key(|job| job.key()) {
        for state in STATES {
            let is = latest.known_state() == state;
            set(&format!("latest_job_state,state=\"{state}\""), Some(f64::from(is)));
        }
        set("latest_job_created_timestamp_seconds", Some(latest.created as f64));
        if let Some((exported, total)) = latest.counts {
            set("latest_job_exported_collections", Some(exported as f64));
            set("latest_job_collections", Some(total as f64));
            set("progress_ratio", (total > 0).then(|| exported as f64 / total as f64));
        }
    }
    let success = of("Successful").max_by_key(|job| job.key());
    if let Some(success) = success {
        set("last_success_created_timestamp_seconds", Some(success.created as f64));
        set("last_success_duration_seconds", success.finished.map(|at| (at - success.created) as f64));
    }
    let unresolved = || of("Failed").filter(|job| success.is_none_or(|success| job.key() > success.key()));
    set("failures_since_last_success", Some(unresolved().count() as f64));
    let oldest = unresolved().map(|job| job.created).min();
    set("oldest_unresolved_failure_created_timestamp_seconds", oldest.map(|at| at as f64));
    if let Some(newest) = unresolved().max_by_key(|job| job.key()) {
        let code = newest.code.unwrap_or("unknown");
        set(&format!("latest_failure_info,error_code=\"{code}\""), Some(1.0));
    }
    metrics
}

/// Parses the metrics and `up` of each cluster.
pub(crate) fn scraped(text: &str) -> BTreeMap<&str, (Metrics, Option<f64>)> {
    let mut clusters = BTreeMap::<_, (Metrics, Option<f64>)>::new();
    for line in text.lines() {
        let Some((series, value)) = line.strip_prefix(PREFIX).and_then(|line| line.rsplit_once(' ')) else {
            continue;
        };
        let Some((name, labels)) = series.split_once('{') else { continue };
        let Some((cluster, rest)) =
            labels.split_once("cluster_name=\"").and_then(|(_, rest)| rest.split_once('"'))
        else {
            continue;
        };
        let value = value.parse().unwrap();
        let known = clusters.entry(cluster).or_default();
        if name == "up" {
            known.1 = Some(value);
        } else if FAMILIES.contains(&name) {
            assert!(
                known.0.insert(format!("{name}{}", rest.trim_end_matches('}')), value).is_none(),
                "twice: {line}"
            );
        }
    }
    clusters
}

/// Expected metrics of a cluster, each with the time of the change; the last are the current ones.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<(Instant, Arc<Metrics>)>);

impl History {
    /// Adds metrics; the change happened after `since`.
    pub(crate) fn push(&mut self, since: Instant, metrics: Metrics) {
        self.0.push_back((since, Arc::new(metrics)));
    }

    pub(crate) fn now(&self) -> &Metrics {
        &self.0[self.0.len() - 1].1
    }

    /// Returns whether `metrics` were right at some time since `begin`, and forgets older ones.
    ///
    /// A change may happen a little later than recorded.
    pub(crate) fn contains_since(&mut self, metrics: &Metrics, begin: Instant) -> bool {
        let is_over = |next: &(Instant, _)| next.0 + Duration::from_secs(1) < begin;
        while self.0.get(1).is_some_and(is_over) {
            self.0.pop_front();
        }
        self.0.iter().any(|(_, known)| **known == *metrics)
    }
}
