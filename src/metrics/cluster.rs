//! Every metric family that has samples for each cluster, in the order of the exposition.

use std::collections::BTreeMap;

use atlas_client::{FailureReason, JobState};

use super::values::{count, length, seconds};
use crate::model::{FailedJob, JobSummary};
use crate::store::ClusterView;
use Samples::{Counter, Info, PerCluster, PerReason, PerState, PerSummary};

/// Longer error codes are not label values.
const MAX_ERROR_CODE: usize = 64;

/// A metric family whose samples have the labels of a cluster.
#[derive(Debug)]
pub(super) struct MetricFamily {
    /// Without the suffix of its samples (`_total`, `_info`).
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Samples,
}

/// The type of a family, and the source of its samples. A value that is `None` has no sample.
#[derive(Debug)]
pub(super) enum Samples {
    PerCluster(fn(&ClusterView) -> Option<f64>),
    /// A gauge of the last listing of export jobs, unless that is too old.
    PerSummary(fn(&JobSummary) -> Option<f64>),
    /// The same for each state of a job, with the label `state`.
    PerState(fn(&JobSummary, JobState) -> Option<f64>),
    /// An info with one label.
    Info(&'static str, fn(&ClusterView) -> Option<&str>),
    Counter(fn(&ClusterView) -> u64),
    /// A counter with the label `reason`.
    PerReason(fn(&ClusterView) -> &BTreeMap<FailureReason, u64>),
}

pub(super) const FAMILIES: &[MetricFamily] = &[
    // Export jobs. A cluster whose last successful poll is too old has no sample here.
    MetricFamily {
        name: "mongodbatlas_backup_export_jobs",
        help: "Export jobs listed by Atlas, by state, as of the last good poll.",
        samples: PerState(|summary, state| Some(count(summary.jobs[state]))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_progress_ratio",
        help: "Exported over all collections of the newest job, 0 to 1, as of the last good poll. No sample where Atlas gives no counts, as for sharded clusters, or nothing to export. 1 does not mean finished.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.ratio()),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_finished_timestamp_seconds",
        help: "When the last job to end in this state ended, in seconds since the epoch, as of the last good poll.",
        samples: PerState(|summary, state| summary.last_finished[state].map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_state",
        help: "1 for the state of the newest job, 0 for the others, as of the last good poll. Newest is by creation, then id.",
        samples: PerState(|summary, state| Some(f64::from(summary.latest.as_ref()?.state == state))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_created_timestamp_seconds",
        help: "When the newest job was created, in seconds since the epoch, as of the last good poll.",
        samples: PerSummary(|summary| summary.latest.as_ref().map(|latest| seconds(latest.key.created_at))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_exported_collections",
        help: "Collections that the newest job has exported, as of the last good poll.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.exported.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_collections",
        help: "Collections that the newest job is to export, as of the last good poll.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.total.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_success_duration_seconds",
        help: "Creation to end of the newest successful job, time in the queue included, as of the last good poll.",
        samples: PerSummary(|summary| summary.last_success_seconds.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_success_created_timestamp_seconds",
        help: "When the newest successful job was created, in seconds since the epoch, as of the last good poll.",
        samples: PerSummary(|summary| summary.last_success_created.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_failures_since_last_success",
        help: "Failed jobs newer than the newest successful one, as of the last good poll. Cancelled jobs neither count nor reset.",
        samples: PerSummary(|summary| Some(count(summary.failures_since_success))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_unresolved_failure_created_timestamp_seconds",
        help: "When the oldest failed job that is newer than the newest successful one was created, in seconds since the epoch, as of the last good poll. No sample while there is none.",
        samples: PerSummary(|summary| summary.oldest_failure_created.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_failure",
        help: "Error code of the newest failed job that no newer success has made good, as of the last good poll; unknown if Atlas gives none, other if it is no short word. The message is in the log.",
        samples: Info("error_code", |cluster| {
            Some(error_code(cluster.current()?.summary.unresolved().next()?))
        }),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_active_job_created_timestamp_seconds",
        help: "When the oldest job in this state was created, in seconds since the epoch, as of the last good poll. Queued and InProgress only.",
        samples: PerState(|summary, state| summary.oldest_active_created[state].map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_progress_timestamp_seconds",
        help: "When the active job that has not moved for longest last changed its state or counts, in seconds since the epoch, as of the last good poll; its creation until a movement was seen. No sample while no job is active.",
        samples: PerCluster(|cluster| cluster.current()?.last_progress.map(seconds)),
    },
    // Expectations, as of the last discovery. They do not go stale with the polls.
    MetricFamily {
        name: "mongodbatlas_backup_export_auto_export_enabled",
        help: "1 if Atlas exports snapshots of the cluster by itself, 0 if not, as of the last discovery. No sample while its backup schedule was not read.",
        samples: PerCluster(|cluster| Some(f64::from(cluster.state.schedule.as_ref()?.auto_export?))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_expected_interval_seconds",
        help: "Longest time from one export to the next: as configured, or that of the export policy as of the last discovery. No sample where it is unknown, or where auto export is off and nothing is configured.",
        samples: PerCluster(|cluster| cluster.expected_interval().map(length)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_export_expected",
        help: "1 if the configuration expects exports of the cluster even without auto export, 0 if it does not. No sample where it leaves that open.",
        samples: PerCluster(|cluster| cluster.state.expected.export.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_cluster_paused",
        help: "1 if the cluster is paused, 0 if not, as of the last discovery.",
        samples: PerCluster(|cluster| cluster.state.paused.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_cluster_created_timestamp_seconds",
        help: "When the cluster was created, in seconds since the epoch, as of the last discovery.",
        samples: PerCluster(|cluster| cluster.state.created_at.map(seconds)),
    },
    // Snapshots, events and export buckets.
    MetricFamily {
        name: "mongodbatlas_backup_export_newest_exported_snapshot_timestamp_seconds",
        help: "When the newest snapshot with a successful export was taken, in seconds since the epoch: the recovery point in the bucket, as of the last good poll. Clusters with auto export only.",
        samples: PerCluster(|cluster| cluster.recovery?.newest_exported.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_snapshots_awaiting_export",
        help: "Snapshots that the export policy exports and that are newer than the newest exported one, but have neither a successful nor an active export job, as of the last good poll.",
        samples: PerCluster(|cluster| Some(count(cluster.recovery?.awaiting?))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_snapshot_awaiting_export_timestamp_seconds",
        help: "When the oldest of the snapshots awaiting export was taken, in seconds since the epoch, as of the last good poll. No sample while there is none.",
        samples: PerCluster(|cluster| cluster.recovery?.oldest_awaiting.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_newest_snapshot_timestamp_seconds",
        help: "When the newest snapshot that the export policy exports was taken, in seconds since the epoch, as of the last reading of snapshots. Clusters with auto export only.",
        samples: PerCluster(|cluster| cluster.newest_snapshot.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_auto_export_failure_event_timestamp_seconds",
        help: "When Atlas last told, in an event of the project, that an export of the cluster failed, in seconds since the epoch: even where there never was a job. As of the last reading of events, which begins a month before the start.",
        samples: PerCluster(|cluster| cluster.last_failure_event.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_bucket_missing",
        help: "1 if the export bucket of the cluster's export policy is none of the project's, 0 if it is there, as of the last reading of buckets. No sample without auto export.",
        samples: PerCluster(|cluster| cluster.bucket_missing.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_collectors_unread",
        help: "Number of collectors (snapshots, events, buckets) of the cluster or its project that are switched on and were neither read recently nor refused. No sample while there is none.",
        samples: PerCluster(|cluster| {
            Some(cluster.unread.len()).filter(|unread| *unread > 0).map(|unread| count(unread as u64))
        }),
    },
    // Polls. These stay when the values above are withdrawn.
    MetricFamily {
        name: "mongodbatlas_backup_export_up",
        help: "1 if the last poll of the cluster was good, 0 if it failed. No sample until the first has finished.",
        samples: PerCluster(|cluster| Some(f64::from(cluster.state.last.as_ref()?.error.is_none()))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_error",
        help: "Why the last poll of the cluster failed. No sample while the last poll was good.",
        samples: Info("reason", |cluster| Some(cluster.error()?.reason.as_str())),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_timestamp_seconds",
        help: "When the last poll of the cluster finished, well or badly, in seconds since the epoch.",
        samples: PerCluster(|cluster| Some(seconds(cluster.state.last.as_ref()?.finished_at))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_success_timestamp_seconds",
        help: "When the last good poll of the cluster finished, in seconds since the epoch. The figures of its jobs are as of then.",
        samples: PerCluster(|cluster| Some(seconds(cluster.state.last_good_poll.as_ref()?.finished_at))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_duration_seconds",
        help: "How long the last poll of the cluster took, all pages and retries.",
        samples: PerCluster(|cluster| Some(length(cluster.state.last.as_ref()?.duration))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_polls",
        help: "Polls of the cluster that have finished, well or badly.",
        samples: Counter(|cluster| cluster.state.polls),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_poll_failures",
        help: "Polls of the cluster that have failed, by reason. A reason appears when it first occurs.",
        samples: PerReason(|cluster| &cluster.state.failures),
    },
];

/// The error code as a label value. Atlas's code is free text, so it is bounded.
fn error_code(job: &FailedJob) -> &str {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    match job.reason.error_code.as_deref() {
        None | Some("") => "unknown",
        Some(code) if code.len() <= MAX_ERROR_CODE && code.bytes().all(is_plain) => code,
        Some(_) => "other",
    }
}
