//! The metric families of what is read besides the export jobs.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use super::families::{Family, per_cluster};
use super::own::{NO_LABELS, by_id, gauges};
use super::values::{count, seconds};
use crate::board::View;

/// What is known of clusters.
pub(super) const CLUSTERS: &[Family] = &[
    per_cluster(
        "mongodbatlas_backup_export_newest_exported_snapshot_timestamp_seconds",
        "When the newest snapshot with a successful export was taken, in seconds since the epoch: the recovery point in the bucket, as of the last good poll. Clusters with auto export only.",
        |cluster| cluster.recovery?.newest_exported.map(seconds),
    ),
    per_cluster(
        "mongodbatlas_backup_export_snapshots_awaiting_export",
        "Snapshots that the export policy exports and that are newer than the newest exported one, but have neither a successful nor an active export job, as of the last good poll.",
        |cluster| Some(count(cluster.recovery?.awaiting?.count)),
    ),
    per_cluster(
        "mongodbatlas_backup_export_oldest_snapshot_awaiting_export_timestamp_seconds",
        "When the oldest of the snapshots awaiting export was taken, in seconds since the epoch, as of the last good poll. No sample while there is none.",
        |cluster| cluster.recovery?.awaiting?.oldest.map(seconds),
    ),
    per_cluster(
        "mongodbatlas_backup_export_newest_snapshot_timestamp_seconds",
        "When the newest snapshot that the export policy exports was taken, in seconds since the epoch, as of the last reading of snapshots. Clusters with auto export only.",
        |cluster| cluster.newest_snapshot.map(seconds),
    ),
    per_cluster(
        "mongodbatlas_backup_export_last_auto_export_failure_event_timestamp_seconds",
        "When Atlas last told, in an event of the project, that an export of the cluster failed, in seconds since the epoch: even where there never was a job. As of the last reading of events, which begins a month before the start.",
        |cluster| cluster.failed_event.map(seconds),
    ),
    per_cluster(
        "mongodbatlas_backup_export_bucket_missing",
        "1 if the export bucket of the cluster's export policy is none of the project's, 0 if it is there, as of the last reading of buckets. No sample without auto export.",
        |cluster| cluster.bucket_missing.map(f64::from),
    ),
    per_cluster(
        "mongodbatlas_backup_export_collectors_unread",
        "Number of collectors (snapshots, events, buckets) of the cluster or its project that are switched on and were neither read recently nor refused. No sample while there is none.",
        |cluster| Some(cluster.unread.len()).filter(|unread| *unread > 0).map(|unread| count(unread as u64)),
    ),
];

/// What is known of projects and credentials.
pub(super) fn projects(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let mut buckets = view
        .projects
        .iter()
        .filter_map(|project| {
            Some((project.id.as_str(), project.name.as_deref()?, project.buckets.as_ref()?))
        })
        .flat_map(|(id, name, buckets)| buckets.iter().map(move |bucket| (id, name, bucket)))
        .peekable();
    if buckets.peek().is_some() {
        let mut family = encoder.encode_descriptor(
            "mongodbatlas_backup_export_bucket",
            "An export bucket of the project, as of the last reading of buckets. Always 1.",
            None,
            MetricType::Info,
        )?;
        for (project_id, project, bucket) in buckets {
            let labels = [
                ("project_id", project_id),
                ("project", project),
                ("export_bucket_id", &bucket.id),
                ("bucket", &bucket.name),
                ("cloud_provider", &bucket.cloud_provider),
            ];
            family.encode_family(&labels)?.encode_info(&NO_LABELS)?;
        }
    }
    let details = view.projects.iter().flat_map(|project| {
        project.details.iter().map(|(detail, view)| (project.id.as_str(), detail, view.up))
    });
    gauges(
        encoder,
        "mongodbatlas_backup_export_detail_up",
        "1 if this detail of the project (snapshots, events, buckets) could be read last, 0 if not, as where a role for it is missing. No sample where it is switched off.",
        details.map(|(id, detail, up)| ([("project_id", id), ("detail", detail.as_str())], f64::from(up))),
    )?;
    by_id(
        encoder,
        "mongodbatlas_backup_export_secret_expiring_event_timestamp_seconds",
        "When Atlas last told, in an event of the project, that a secret of a service account ends soon, in seconds since the epoch. It tells neither whose nor when. No sample once it told that none does any longer.",
        "project_id",
        view.projects
            .iter()
            .filter_map(|project| Some((project.id.as_str(), seconds(project.secrets_expiring?)))),
    )?;
    by_id(
        encoder,
        "mongodbatlas_credential_expiry_timestamp_seconds",
        "When the secret of a service account ends, as configured in expires_at, in seconds since the epoch; by the last six characters of the client id.",
        "client_id",
        view.expiries.iter().map(|(client_id, at)| (client_id.as_str(), seconds(*at))),
    )
}
