//! Every metric family, in the order of the exposition, with the HELP that people read.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, GaugeValueEncoder, LabelSetEncoder,
    MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::board::{ClusterView, GoodPoll};
use crate::model::{ClusterReport, FailedJob, JobState};

/// Labels beyond those of the cluster, where there are none.
pub(super) const NO_LABELS: [(&str, &str); 0] = [];

/// Error codes of at most this length are label values as they are.
const LONGEST_CODE: usize = 64;

/// What the listings say. A cluster without a report that is young enough has no sample here.
pub(super) fn jobs(encoder: &mut DescriptorEncoder<'_>, clusters: &[ClusterView]) -> fmt::Result {
    let mut out = Families { encoder, clusters };
    out.by_state(
        "mongodbatlas_backup_export_jobs",
        "Export jobs listed by Atlas, by state, as of the last good poll.",
        |report, state| Some(count(report.jobs[state])),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_progress_ratio",
        "Exported over all collections of the newest job, 0 to 1, as of the last good poll. No sample where Atlas gives no counts, as for sharded clusters, or nothing to export. 1 does not mean finished.",
        |report| report.latest.as_ref()?.counts.ratio(),
    )?;
    out.by_state(
        "mongodbatlas_backup_export_last_finished_timestamp_seconds",
        "When the last job to end in this state ended, in seconds since the epoch, as of the last good poll.",
        |report, state| report.last_finished[state].map(seconds),
    )?;
    out.by_state(
        "mongodbatlas_backup_export_latest_job_state",
        "1 for the state of the newest job, 0 for the others, as of the last good poll. Newest is by creation, then id.",
        |report, state| Some(f64::from(report.latest.as_ref()?.state == state)),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_latest_job_created_timestamp_seconds",
        "When the newest job was created, in seconds since the epoch, as of the last good poll.",
        |report| report.latest.as_ref().map(|latest| seconds(latest.key.created_at)),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_latest_job_exported_collections",
        "Collections that the newest job has exported, as of the last good poll.",
        |report| report.latest.as_ref()?.counts.exported.map(count),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_latest_job_collections",
        "Collections that the newest job is to export, as of the last good poll.",
        |report| report.latest.as_ref()?.counts.total.map(count),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_last_success_duration_seconds",
        "Creation to end of the newest successful job, time in the queue included, as of the last good poll.",
        |report| report.last_success_seconds.map(whole_seconds),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_last_success_created_timestamp_seconds",
        "When the newest successful job was created, in seconds since the epoch, as of the last good poll.",
        |report| report.last_success_created.map(seconds),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_failures_since_last_success",
        "Failed jobs newer than the newest successful one, as of the last good poll. Cancelled jobs neither count nor reset.",
        |report| Some(count(report.failures_since_success)),
    )?;
    out.per_report(
        "mongodbatlas_backup_export_oldest_unresolved_failure_created_timestamp_seconds",
        "When the oldest failed job that is newer than the newest successful one was created, in seconds since the epoch, as of the last good poll. No sample while there is none.",
        |report| report.oldest_failure_created.map(seconds),
    )?;
    out.info(
        "mongodbatlas_backup_export_latest_failure",
        "Error code of the newest failed job that no newer success has made good, as of the last good poll; unknown if Atlas gives none, other if it is no short word. The message is in the log.",
        "error_code",
        |cluster| Some(error_code(cluster.current()?.report.unresolved().next()?)),
    )?;
    out.by_state(
        "mongodbatlas_backup_export_oldest_active_job_created_timestamp_seconds",
        "When the oldest job in this state was created, in seconds since the epoch, as of the last good poll. Queued and InProgress only.",
        |report, state| report.oldest_active_created[state].map(seconds),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_last_progress_timestamp_seconds",
        "When the active job that has not moved for longest last changed its state or counts, in seconds since the epoch, as of the last good poll; its creation until a movement was seen. No sample while no job is active.",
        |cluster| current(cluster, |good| good.last_progress).map(seconds),
    )
}

/// What a cluster is held to. As of the last discovery; it does not go stale with the polls.
pub(super) fn expectation(encoder: &mut DescriptorEncoder<'_>, clusters: &[ClusterView]) -> fmt::Result {
    let mut out = Families { encoder, clusters };
    out.per_cluster(
        "mongodbatlas_backup_export_auto_export_enabled",
        "1 if Atlas exports snapshots of the cluster by itself, 0 if not, as of the last discovery. No sample while its backup schedule was not read.",
        |cluster| Some(f64::from(cluster.state.schedule.as_ref()?.auto_export?)),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_expected_interval_seconds",
        "Longest time from one export to the next: as configured, or that of the export policy as of the last discovery. No sample where it is unknown, or where auto export is off and nothing is configured.",
        |cluster| Some(cluster.expected_interval()?.as_secs_f64()),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_export_expected",
        "1 if the configuration expects exports of the cluster even without auto export, 0 if it does not. No sample where it leaves that open.",
        |cluster| cluster.state.expected.export.map(f64::from),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_cluster_paused",
        "1 if the cluster is paused, 0 if not, as of the last discovery.",
        |cluster| cluster.state.paused.map(f64::from),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_cluster_created_timestamp_seconds",
        "When the cluster was created, in seconds since the epoch, as of the last discovery.",
        |cluster| cluster.state.created_at.map(seconds),
    )
}

/// How the polls go. These stay when the figures above are withdrawn.
pub(super) fn polls(encoder: &mut DescriptorEncoder<'_>, clusters: &[ClusterView]) -> fmt::Result {
    let mut out = Families { encoder, clusters };
    out.per_cluster(
        "mongodbatlas_backup_export_up",
        "1 if the last poll of the cluster was good, 0 if it failed. No sample until the first has finished.",
        |cluster| Some(f64::from(cluster.state.last.as_ref()?.error.is_none())),
    )?;
    out.info(
        "mongodbatlas_backup_export_last_poll_error",
        "Why the last poll of the cluster failed. No sample while the last poll was good.",
        "reason",
        |cluster| Some(cluster.error()?.reason.as_str()),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_last_poll_timestamp_seconds",
        "When the last poll of the cluster finished, well or badly, in seconds since the epoch.",
        |cluster| Some(seconds(cluster.state.last.as_ref()?.finished_at)),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_last_poll_success_timestamp_seconds",
        "When the last good poll of the cluster finished, in seconds since the epoch. The figures of its jobs are as of then.",
        |cluster| Some(seconds(cluster.state.good.as_ref()?.finished_at)),
    )?;
    out.per_cluster(
        "mongodbatlas_backup_export_last_poll_duration_seconds",
        "How long the last poll of the cluster took, all pages and retries.",
        |cluster| Some(cluster.state.last.as_ref()?.duration.as_secs_f64()),
    )?;
    out.counters(
        "mongodbatlas_backup_export_polls",
        "Polls of the cluster that have finished, well or badly.",
        |cluster| vec![(None, cluster.state.polls)],
    )?;
    out.counters(
        "mongodbatlas_backup_export_poll_failures",
        "Polls of the cluster that have failed, by reason. A reason appears when it first occurs.",
        |cluster| {
            let failures = cluster.state.failures.iter();
            failures.map(|(reason, count)| (Some(("reason", reason.as_str())), *count)).collect()
        },
    )
}

/// Writes families whose samples carry the labels of a cluster.
pub(super) struct Families<'a, 'e> {
    pub(super) encoder: &'a mut DescriptorEncoder<'e>,
    pub(super) clusters: &'a [ClusterView],
}

impl<'a> Families<'a, '_> {
    /// At most one sample a cluster.
    pub(super) fn per_cluster(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ClusterView) -> Option<f64>,
    ) -> fmt::Result {
        let samples = self.clusters.iter().filter_map(|cluster| Some((cluster, None, value(cluster)?)));
        self.write(name, help, MetricType::Gauge, samples, |value, metric| {
            ConstGauge::new(Plain(value)).encode(metric)
        })
    }

    /// At most one sample a cluster, from its report.
    fn per_report(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ClusterReport) -> Option<f64>,
    ) -> fmt::Result {
        self.per_cluster(name, help, |cluster| current(cluster, |good| value(&good.report)))
    }

    /// At most one sample a cluster and state, from its report.
    fn by_state(
        &mut self,
        name: &str,
        help: &str,
        value: impl Fn(&ClusterReport, JobState) -> Option<f64>,
    ) -> fmt::Result {
        let samples = self.clusters.iter().flat_map(|cluster| {
            let value = &value;
            JobState::ALL.into_iter().filter_map(move |state| {
                let value = current(cluster, |good| value(&good.report, state))?;
                Some((cluster, Some(("state", state.as_str())), value))
            })
        });
        self.write(name, help, MetricType::Gauge, samples, |value, metric| {
            ConstGauge::new(Plain(value)).encode(metric)
        })
    }

    /// At most one sample a cluster, always 1, whose label is the news.
    fn info(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        value: impl Fn(&'a ClusterView) -> Option<&'a str>,
    ) -> fmt::Result {
        let samples =
            self.clusters.iter().filter_map(|cluster| Some((cluster, Some((label, value(cluster)?)), ())));
        self.write(name, help, MetricType::Info, samples, |(), mut metric| metric.encode_info(&NO_LABELS))
    }

    /// Any number of counters a cluster. `name` is without `_total`, which the encoder appends.
    fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl Fn(&'a ClusterView) -> Vec<(Option<(&'static str, &'a str)>, u64)>,
    ) -> fmt::Result {
        let samples = self.clusters.iter().flat_map(|cluster| {
            values(cluster).into_iter().map(move |(label, value)| (cluster, label, value))
        });
        self.write(name, help, MetricType::Counter, samples, |value, metric| {
            ConstCounter::new(value).encode(metric)
        })
    }

    fn write<V>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: impl Iterator<Item = (&'a ClusterView, Option<(&'static str, &'a str)>, V)>,
        encode: impl Fn(V, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for (cluster, extra, value) in samples {
            encode(value, family.encode_family(&Labels { cluster, extra })?)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Labels<'a> {
    cluster: &'a ClusterView,
    extra: Option<(&'static str, &'a str)>,
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let ClusterView { target, project, .. } = self.cluster;
        [
            ("project_id", target.project_id.as_str()),
            ("project", project),
            ("cluster_name", &target.cluster_name),
        ]
        .encode(encoder)?;
        match self.extra {
            Some(extra) => [extra].encode(encoder),
            None => Ok(()),
        }
    }
}

/// A value that is written as people write it: `1`, not `1.0`.
#[derive(Debug)]
pub(super) struct Plain(pub(super) f64);

impl EncodeGaugeValue for Plain {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        // Whole numbers of a double are exact up to here.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if self.0.fract() == 0.0 && self.0.abs() < EXACT {
            #[allow(clippy::cast_possible_truncation)] // whole and small enough, as just seen
            return (self.0 as i64).encode(encoder);
        }
        self.0.encode(encoder)
    }
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

pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 jobs or collections
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_precision_loss)] // exact up to 2^53 seconds
fn whole_seconds(number: i64) -> f64 {
    number as f64
}
