//! Every metric family of clusters, in the order of the exposition, with the HELP that people read.

use std::collections::BTreeMap;

use super::values::{count, length, seconds, whole_seconds};
use crate::board::{ClusterView, GoodPoll};
use crate::model::{ClusterReport, FailedJob, FailureReason, JobState};

/// Error codes of at most this length are label values as they are.
const LONGEST_CODE: usize = 64;

/// A metric family whose samples carry the labels of a cluster.
#[derive(Debug)]
pub(super) struct Family {
    /// Its name; that of a counter without `_total`, that of an info without `_info`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) figure: Figure,
}

/// How the samples of a cluster are found.
#[derive(Debug)]
pub(super) enum Figure {
    /// A gauge: at most one sample.
    Cluster(fn(&ClusterView) -> Option<f64>),
    /// A gauge: at most one sample, from a report that is young enough.
    Report(fn(&ClusterReport) -> Option<f64>),
    /// A gauge: at most one sample a state, from a report that is young enough.
    State(fn(&ClusterReport, JobState) -> Option<f64>),
    /// An info: at most one sample, always 1, whose label is the news.
    Info(&'static str, fn(&ClusterView) -> Option<&str>),
    /// A counter.
    Counter(fn(&ClusterView) -> u64),
    /// A counter: one sample a reason.
    Reasons(fn(&ClusterView) -> &BTreeMap<FailureReason, u64>),
}

impl Figure {
    /// Its type in `OpenMetrics`, and what its samples have after the name of their family.
    pub(super) fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::Counter(_) | Self::Reasons(_) => ("counter", "_total"),
            Self::Info(..) => ("info", "_info"),
            Self::Cluster(_) | Self::Report(_) | Self::State(_) => ("gauge", ""),
        }
    }

    /// Figures of a cluster.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::State(_) => JobState::ALL.len(),
            _ => 1,
        }
    }
}

/// Every family, in two sections: the figures of one are held while it is written, and half of all are of jobs.
pub(super) const SECTIONS: [&[&[Family]]; 2] = [&[JOBS], &[EXPECTATION, super::details::CLUSTERS, POLLS]];

/// What the listings say. A cluster without a report that is young enough has no sample here.
const JOBS: &[Family] = &[
    by_state(
        "mongodbatlas_backup_export_jobs",
        "Export jobs listed by Atlas, by state, as of the last good poll.",
        |report, state| Some(count(report.jobs[state])),
    ),
    per_report(
        "mongodbatlas_backup_export_progress_ratio",
        "Exported over all collections of the newest job, 0 to 1, as of the last good poll. No sample where Atlas gives no counts, as for sharded clusters, or nothing to export. 1 does not mean finished.",
        |report| report.latest.as_ref()?.counts.ratio(),
    ),
    by_state(
        "mongodbatlas_backup_export_last_finished_timestamp_seconds",
        "When the last job to end in this state ended, in seconds since the epoch, as of the last good poll.",
        |report, state| report.last_finished(state).map(seconds),
    ),
    by_state(
        "mongodbatlas_backup_export_latest_job_state",
        "1 for the state of the newest job, 0 for the others, as of the last good poll. Newest is by creation, then id.",
        |report, state| Some(f64::from(report.latest.as_ref()?.state == state)),
    ),
    per_report(
        "mongodbatlas_backup_export_latest_job_created_timestamp_seconds",
        "When the newest job was created, in seconds since the epoch, as of the last good poll.",
        |report| report.latest.as_ref().map(|latest| seconds(latest.key.created_at)),
    ),
    per_report(
        "mongodbatlas_backup_export_latest_job_exported_collections",
        "Collections that the newest job has exported, as of the last good poll.",
        |report| report.latest.as_ref()?.counts.exported.map(count),
    ),
    per_report(
        "mongodbatlas_backup_export_latest_job_collections",
        "Collections that the newest job is to export, as of the last good poll.",
        |report| report.latest.as_ref()?.counts.total.map(count),
    ),
    per_report(
        "mongodbatlas_backup_export_last_success_duration_seconds",
        "Creation to end of the newest successful job, time in the queue included, as of the last good poll.",
        |report| report.last_success_seconds.map(whole_seconds),
    ),
    per_report(
        "mongodbatlas_backup_export_last_success_created_timestamp_seconds",
        "When the newest successful job was created, in seconds since the epoch, as of the last good poll.",
        |report| report.last_success_created.map(seconds),
    ),
    per_report(
        "mongodbatlas_backup_export_failures_since_last_success",
        "Failed jobs newer than the newest successful one, as of the last good poll. Cancelled jobs neither count nor reset.",
        |report| Some(count(report.failures_since_success)),
    ),
    per_report(
        "mongodbatlas_backup_export_oldest_unresolved_failure_created_timestamp_seconds",
        "When the oldest failed job that is newer than the newest successful one was created, in seconds since the epoch, as of the last good poll. No sample while there is none.",
        |report| report.oldest_failure_created.map(seconds),
    ),
    info(
        "mongodbatlas_backup_export_latest_failure",
        "Error code of the newest failed job that no newer success has made good, as of the last good poll; unknown if Atlas gives none, other if it is no short word. The message is in the log.",
        "error_code",
        |cluster| Some(error_code(cluster.current()?.report.unresolved().next()?)),
    ),
    by_state(
        "mongodbatlas_backup_export_oldest_active_job_created_timestamp_seconds",
        "When the oldest job in this state was created, in seconds since the epoch, as of the last good poll. Queued and InProgress only.",
        |report, state| report.oldest_active_created(state).map(seconds),
    ),
    per_cluster(
        "mongodbatlas_backup_export_last_progress_timestamp_seconds",
        "When the active job that has not moved for longest last changed its state or counts, in seconds since the epoch, as of the last good poll; its creation until a movement was seen. No sample while no job is active.",
        |cluster| current(cluster, |good| good.last_progress).map(seconds),
    ),
];

/// What a cluster is held to. As of the last discovery; it does not go stale with the polls.
const EXPECTATION: &[Family] = &[
    per_cluster(
        "mongodbatlas_backup_export_auto_export_enabled",
        "1 if Atlas exports snapshots of the cluster by itself, 0 if not, as of the last discovery. No sample while its backup schedule was not read.",
        |cluster| Some(f64::from(cluster.state.schedule.as_ref()?.auto_export?)),
    ),
    per_cluster(
        "mongodbatlas_backup_export_expected_interval_seconds",
        "Longest time from one export to the next: as configured, or that of the export policy as of the last discovery. No sample where it is unknown, or where auto export is off and nothing is configured.",
        |cluster| cluster.expected_interval().map(length),
    ),
    per_cluster(
        "mongodbatlas_backup_export_export_expected",
        "1 if the configuration expects exports of the cluster even without auto export, 0 if it does not. No sample where it leaves that open.",
        |cluster| cluster.state.expected.export.map(f64::from),
    ),
    per_cluster(
        "mongodbatlas_backup_export_cluster_paused",
        "1 if the cluster is paused, 0 if not, as of the last discovery.",
        |cluster| cluster.state.paused.map(f64::from),
    ),
    per_cluster(
        "mongodbatlas_backup_export_cluster_created_timestamp_seconds",
        "When the cluster was created, in seconds since the epoch, as of the last discovery.",
        |cluster| cluster.state.created_at.map(seconds),
    ),
];

/// How the polls go. These stay when the figures above are withdrawn.
const POLLS: &[Family] = &[
    per_cluster(
        "mongodbatlas_backup_export_up",
        "1 if the last poll of the cluster was good, 0 if it failed. No sample until the first has finished.",
        |cluster| Some(f64::from(cluster.state.last.as_ref()?.error.is_none())),
    ),
    info(
        "mongodbatlas_backup_export_last_poll_error",
        "Why the last poll of the cluster failed. No sample while the last poll was good.",
        "reason",
        |cluster| Some(cluster.error()?.reason.as_str()),
    ),
    per_cluster(
        "mongodbatlas_backup_export_last_poll_timestamp_seconds",
        "When the last poll of the cluster finished, well or badly, in seconds since the epoch.",
        |cluster| Some(seconds(cluster.state.last.as_ref()?.finished_at)),
    ),
    per_cluster(
        "mongodbatlas_backup_export_last_poll_success_timestamp_seconds",
        "When the last good poll of the cluster finished, in seconds since the epoch. The figures of its jobs are as of then.",
        |cluster| Some(seconds(cluster.state.good.as_ref()?.finished_at)),
    ),
    per_cluster(
        "mongodbatlas_backup_export_last_poll_duration_seconds",
        "How long the last poll of the cluster took, all pages and retries.",
        |cluster| Some(length(cluster.state.last.as_ref()?.duration)),
    ),
    counter(
        "mongodbatlas_backup_export_polls",
        "Polls of the cluster that have finished, well or badly.",
        |cluster| cluster.state.polls,
    ),
    by_reason(
        "mongodbatlas_backup_export_poll_failures",
        "Polls of the cluster that have failed, by reason. A reason appears when it first occurs.",
        |cluster| &cluster.state.failures,
    ),
];

pub(super) const fn per_cluster(
    name: &'static str,
    help: &'static str,
    figure: fn(&ClusterView) -> Option<f64>,
) -> Family {
    Family { name, help, figure: Figure::Cluster(figure) }
}

const fn per_report(
    name: &'static str,
    help: &'static str,
    figure: fn(&ClusterReport) -> Option<f64>,
) -> Family {
    Family { name, help, figure: Figure::Report(figure) }
}

const fn by_state(
    name: &'static str,
    help: &'static str,
    figure: fn(&ClusterReport, JobState) -> Option<f64>,
) -> Family {
    Family { name, help, figure: Figure::State(figure) }
}

const fn counter(name: &'static str, help: &'static str, figure: fn(&ClusterView) -> u64) -> Family {
    Family { name, help, figure: Figure::Counter(figure) }
}

const fn by_reason(
    name: &'static str,
    help: &'static str,
    figure: fn(&ClusterView) -> &BTreeMap<FailureReason, u64>,
) -> Family {
    Family { name, help, figure: Figure::Reasons(figure) }
}

const fn info(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    word: fn(&ClusterView) -> Option<&str>,
) -> Family {
    Family { name, help, figure: Figure::Info(label, word) }
}

fn current<T>(cluster: &ClusterView, value: impl Fn(&GoodPoll) -> Option<T>) -> Option<T> {
    value(cluster.current()?)
}

/// The code as a label value: bounded, because it is free text of a server.
fn error_code(job: &FailedJob) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    match job.reason.error_code.as_deref() {
        None | Some("") => "unknown",
        Some(code) if code.len() <= LONGEST_CODE && code.bytes().all(plain) => code,
        Some(_) => "other",
    }
}
