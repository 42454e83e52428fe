//! The metric families of clusters, in the order of the exposition.

use std::collections::BTreeMap;

use atlas_client::{FailureReason, JobState};

use super::values::{count, length, seconds};
use crate::model::{FailedJob, JobSummary};
use crate::store::ClusterView;
use Samples::{Counter, Info, PerCluster, PerReason, PerState, PerSummary};

/// Maximum length of an error code as a label value.
const MAX_ERROR_CODE: usize = 64;

/// A metric family whose samples have the labels of a cluster.
#[derive(Debug)]
pub(super) struct MetricFamily {
    /// The name without the suffix of its samples (`_total`, `_info`).
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Samples,
}

/// The type of a family and the function that returns its values. `None` means no sample.
#[derive(Debug)]
pub(super) enum Samples {
    PerCluster(fn(&ClusterView) -> Option<f64>),
    /// A gauge of the last successful poll; no sample once the poll is stale.
    PerSummary(fn(&JobSummary) -> Option<f64>),
    /// Like `PerSummary`, with one sample for each job state and the label `state`.
    PerState(fn(&JobSummary, JobState) -> Option<f64>),
    /// An info metric with one label of this name.
    Info(&'static str, fn(&ClusterView) -> Option<&str>),
    Counter(fn(&ClusterView) -> u64),
    /// A counter with the label `reason`.
    PerReason(fn(&ClusterView) -> &BTreeMap<FailureReason, u64>),
}

pub(super) const FAMILIES: &[MetricFamily] = &[
    // Export jobs. Withdrawn when the last successful poll is stale.
    MetricFamily {
        name: "mongodbatlas_backup_export_jobs",
        help: "Number of export jobs listed by Atlas, by state.",
        samples: PerState(|summary, state| Some(count(summary.jobs[state]))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_progress_ratio",
        help: "Ratio of exported to all collections of the newest export job, 0 to 1; 1 does not mean \
            finished. Absent if Atlas reports no counts, as for sharded clusters, or no collections.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.ratio()),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_finished_timestamp_seconds",
        help: "Unix timestamp of the end of the last export job that ended in this state.",
        samples: PerState(|summary, state| summary.last_finished[state].map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_state",
        help: "Whether the newest export job is in this state (1 for yes, 0 for no). Newest is by creation \
            time, then id.",
        samples: PerState(|summary, state| Some(f64::from(summary.latest.as_ref()?.state == state))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_created_timestamp_seconds",
        help: "Unix timestamp of the creation of the newest export job.",
        samples: PerSummary(|summary| summary.latest.as_ref().map(|latest| seconds(latest.key.created_at))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_exported_collections",
        help: "Number of collections that the newest export job has exported.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.exported.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_job_collections",
        help: "Number of collections of the newest export job, exported or not.",
        samples: PerSummary(|summary| summary.latest.as_ref()?.counts.total.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_success_duration_seconds",
        help: "Duration of the newest successful export job in seconds, from creation to end, including the \
            queue.",
        samples: PerSummary(|summary| summary.last_success_seconds.map(count)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_success_created_timestamp_seconds",
        help: "Unix timestamp of the creation of the newest successful export job.",
        samples: PerSummary(|summary| summary.last_success_created.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_failures_since_last_success",
        help: "Number of failed export jobs newer than the newest successful one. Cancelled jobs neither \
            count nor reset it.",
        samples: PerSummary(|summary| Some(count(summary.failures_since_success))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_unresolved_failure_created_timestamp_seconds",
        help: "Unix timestamp of the creation of the oldest failed export job newer than the newest \
            successful one. Absent if there is none.",
        samples: PerSummary(|summary| summary.oldest_failure_created.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_latest_failure",
        help: "Error code of the newest unresolved failed export job: unknown if Atlas reports none, other \
            if it is too long or has special characters. Always 1.",
        samples: Info("error_code", |cluster| {
            Some(error_code(cluster.current()?.summary.unresolved().next()?))
        }),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_active_job_created_timestamp_seconds",
        help: "Unix timestamp of the creation of the oldest export job in this state, which is Queued or \
            InProgress.",
        samples: PerState(|summary, state| summary.oldest_active_created[state].map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_progress_timestamp_seconds",
        help: "Unix timestamp of the last progress (or creation) of the active export job that has made no \
            progress for longest. Absent if no job is active.",
        samples: PerCluster(|cluster| cluster.current()?.last_progress.map(seconds)),
    },
    // Expectations, as of the last discovery. They do not become stale with the polls.
    MetricFamily {
        name: "mongodbatlas_backup_export_auto_export_enabled",
        help: "Whether Atlas exports snapshots of the cluster automatically (1 for yes, 0 for no). Absent \
            if the backup schedule is unknown.",
        samples: PerCluster(|cluster| Some(f64::from(cluster.state.schedule.as_ref()?.auto_export?))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_expected_interval_seconds",
        help: "Expected interval between exports in seconds, as configured or by the export policy. Absent \
            if unknown, or if nothing is configured and auto export is disabled.",
        samples: PerCluster(|cluster| cluster.expected_interval().map(length)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_export_expected",
        help: "Whether the configuration expects exports of the cluster even without auto export (1 for \
            yes, 0 for no). Absent if not configured.",
        samples: PerCluster(|cluster| cluster.state.expected.export.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_cluster_paused",
        help: "Whether the cluster is paused (1 for yes, 0 for no).",
        samples: PerCluster(|cluster| cluster.state.paused.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_cluster_created_timestamp_seconds",
        help: "Unix timestamp of the creation of the cluster.",
        samples: PerCluster(|cluster| cluster.state.created_at.map(seconds)),
    },
    // Snapshots, events and export buckets, as of the last successful reading of their collector.
    MetricFamily {
        name: "mongodbatlas_backup_export_newest_exported_snapshot_timestamp_seconds",
        help: "Unix timestamp of the newest successfully exported snapshot: the recovery point in the \
            bucket. Clusters with auto export only.",
        samples: PerCluster(|cluster| cluster.recovery?.newest_exported.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_snapshots_awaiting_export",
        help: "Number of snapshots due for export that are newer than the newest exported one and have no \
            successful or active export job.",
        samples: PerCluster(|cluster| Some(count(cluster.recovery?.awaiting?))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_oldest_snapshot_awaiting_export_timestamp_seconds",
        help: "Unix timestamp of the oldest snapshot awaiting export. Absent if there is none.",
        samples: PerCluster(|cluster| cluster.recovery?.oldest_awaiting.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_newest_snapshot_timestamp_seconds",
        help: "Unix timestamp of the newest snapshot that the export policy exports. Clusters with auto \
            export only.",
        samples: PerCluster(|cluster| cluster.newest_snapshot.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_auto_export_failure_event_timestamp_seconds",
        help: "Unix timestamp of the last export failure event of the cluster, with or without an export \
            job. Events are read from one month before the start on.",
        samples: PerCluster(|cluster| cluster.last_failure_event.map(seconds)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_bucket_missing",
        help: "Whether the bucket of the export policy is missing among the export buckets of the project \
            (1 for yes, 0 for no). Absent without auto export.",
        samples: PerCluster(|cluster| cluster.bucket_missing.map(f64::from)),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_collectors_unread",
        help: "Number of enabled collectors of the cluster or its project that were neither read recently \
            nor refused. Absent if there is none.",
        samples: PerCluster(|cluster| {
            Some(cluster.unread.len()).filter(|unread| *unread > 0).map(|unread| count(unread as u64))
        }),
    },
    // Polls. Never withdrawn.
    MetricFamily {
        name: "mongodbatlas_backup_export_up",
        help: "Whether the last poll of the cluster succeeded (1 for yes, 0 for no). Absent until the first \
            poll has finished.",
        samples: PerCluster(|cluster| Some(f64::from(cluster.state.last.as_ref()?.error.is_none()))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_error",
        help: "Reason for the failure of the last poll of the cluster. Absent if it succeeded. Always 1.",
        samples: Info("reason", |cluster| Some(cluster.error()?.reason.as_str())),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_timestamp_seconds",
        help: "Unix timestamp of the end of the last poll of the cluster, successful or not.",
        samples: PerCluster(|cluster| Some(seconds(cluster.state.last.as_ref()?.finished_at))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_success_timestamp_seconds",
        help: "Unix timestamp of the end of the last successful poll of the cluster. Metrics of export jobs \
            are as of this time.",
        samples: PerCluster(|cluster| {
            Some(seconds(cluster.state.last_successful_poll.as_ref()?.finished_at))
        }),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_last_poll_duration_seconds",
        help: "Duration of the last poll of the cluster in seconds, including all pages and retries.",
        samples: PerCluster(|cluster| Some(length(cluster.state.last.as_ref()?.duration))),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_polls",
        help: "Total number of finished polls of the cluster, successful or not.",
        samples: Counter(|cluster| cluster.state.polls),
    },
    MetricFamily {
        name: "mongodbatlas_backup_export_poll_failures",
        help: "Total number of failed polls of the cluster, by reason. A reason is absent before its first \
            failure.",
        samples: PerReason(|cluster| &cluster.state.failures),
    },
];

/// Returns the error code as a label value. Atlas's codes are free text, so they are restricted.
fn error_code(job: &FailedJob) -> &str {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    match job.reason.error_code.as_deref() {
        None | Some("") => "unknown",
        Some(code) if code.len() <= MAX_ERROR_CODE && code.bytes().all(is_plain) => code,
        Some(_) => "other",
    }
}
