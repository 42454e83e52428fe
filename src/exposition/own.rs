//! The metric families of the exporter itself: what it is, what it asks of Atlas, what it discovers.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::values::{Plain, count, length, seconds};
use crate::board::View;
use crate::self_metrics::SelfMetrics;

/// Labels beyond those of a family, where there are none.
pub(super) const NO_LABELS: [(&str, &str); 0] = [];

/// What it is and how it is configured.
pub(super) fn exporter(
    encoder: &mut DescriptorEncoder<'_>,
    view: &View,
    metrics: &SelfMetrics,
    poll_interval: Duration,
) -> fmt::Result {
    let build = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("BUILD_REVISION")),
        ("rustversion", env!("BUILD_RUST_VERSION")),
    ];
    encoder
        .encode_descriptor(
            "mongodbatlas_backup_exporter_build",
            "The running exporter. Always 1.",
            None,
            MetricType::Info,
        )?
        .encode_info(&build)?;
    let reload = metrics.reload();
    let mut gauge = |name, help, value: f64| {
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(Plain(value)).encode(metric)
    };
    gauge("mongodbatlas_backup_exporter_targets", "Clusters that are watched.", count(view.targets as u64))?;
    gauge(
        "mongodbatlas_backup_exporter_poll_interval_seconds",
        "Configured time from one poll of a cluster to its next.",
        length(poll_interval),
    )?;
    gauge(
        "mongodbatlas_backup_exporter_config_last_reload_successful",
        "1 if the configuration could be used when it was read last, 0 if it was refused and an older one is in force.",
        f64::from(reload.error.is_none()),
    )?;
    gauge(
        "mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was read, in seconds since the epoch.",
        seconds(reload.succeeded_at),
    )?;
    counter(
        encoder,
        "mongodbatlas_backup_exporter_config_reload_failures",
        "Configurations that were refused when they were read again.",
        reload.failures,
    )?;
    counter(
        encoder,
        "mongodbatlas_backup_exporter_listing_pages_read",
        "Pages of export jobs that were read.",
        metrics.pages(),
    )?;
    counter(
        encoder,
        "mongodbatlas_backup_exporter_full_walks",
        "Listings of export jobs that were read to their end, jobs that ended long ago included. A listing that is no longer than a small page always is.",
        metrics.full_walks(),
    )?;
    counter(
        encoder,
        "mongodbatlas_backup_exporter_log_lines_dropped",
        "Total number of log lines that were dropped because standard error did not take them in time.",
        metrics.dropped_log_lines(),
    )
}

/// What it asks of Atlas.
pub(super) fn requests(
    encoder: &mut DescriptorEncoder<'_>,
    view: &View,
    metrics: &SelfMetrics,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "mongodbatlas_api_requests",
        "Requests to Atlas by endpoint and HTTP status; none where no answer came. With an API key, 401 is a routine challenge.",
        None,
        MetricType::Counter,
    )?;
    for ((endpoint, code), requests) in metrics.requests() {
        let labels = [("endpoint", endpoint), ("code", code.as_str())];
        ConstCounter::new(requests).encode(family.encode_family(&labels)?)?;
    }
    let mut family = encoder.encode_descriptor(
        "mongodbatlas_api_request_duration_seconds",
        "Time from a request to Atlas to the head of its answer, or until it was given up.",
        None,
        MetricType::Histogram,
    )?;
    for (endpoint, durations) in metrics.durations() {
        durations.encode(family.encode_family(&[("endpoint", endpoint)])?)?;
    }
    let budgets = || view.projects.iter().filter_map(|project| Some((project.id.as_str(), project.budget?)));
    by_id(
        encoder,
        "mongodbatlas_api_ratelimit_limit",
        "Requests for Cloud Backups that a project can save up, as Atlas told last.",
        "project_id",
        budgets().map(|(id, budget)| (id, count(budget.limit))),
    )?;
    by_id(
        encoder,
        "mongodbatlas_api_ratelimit_remaining",
        "Requests for Cloud Backups that were left to a project, as Atlas told last. Everyone who uses the project shares them.",
        "project_id",
        budgets().map(|(id, budget)| (id, count(budget.remaining))),
    )
}

/// What it discovers.
pub(super) fn discovery(encoder: &mut DescriptorEncoder<'_>, view: &View) -> fmt::Result {
    let projects = || view.projects.iter();
    by_id(
        encoder,
        "mongodbatlas_backup_export_discovery_success",
        "1 if the name of the project, its clusters and all their backup schedules could be read last, 0 if not. What was known before is kept.",
        "project_id",
        projects().filter_map(|project| Some((project.id.as_str(), f64::from(project.success?)))),
    )?;
    by_id(
        encoder,
        "mongodbatlas_backup_export_last_discovery_success_timestamp_seconds",
        "When the name of the project and its clusters could be read last, in seconds since the epoch.",
        "project_id",
        projects().filter_map(|project| Some((project.id.as_str(), seconds(project.last_success?)))),
    )?;
    let organizations = || view.organizations.iter();
    by_id(
        encoder,
        "mongodbatlas_backup_export_organization_discovery_success",
        "1 if the projects of the organization could be listed last, 0 if not. Those known before are kept.",
        "organization_id",
        organizations().filter(|organization| organization.discovery.was_tried()).map(|organization| {
            (organization.id.as_str(), f64::from(organization.discovery.error.is_none()))
        }),
    )?;
    by_id(
        encoder,
        "mongodbatlas_backup_export_last_organization_discovery_success_timestamp_seconds",
        "When the projects of the organization could be listed last, in seconds since the epoch.",
        "organization_id",
        organizations().filter_map(|organization| {
            Some((organization.id.as_str(), seconds(organization.discovery.last_success?)))
        }),
    )?;
    let left_out = projects()
        .filter_map(|project| Some((project.id.as_str(), project.left_out.as_ref()?)))
        .flat_map(|(id, counts)| counts.iter().map(move |(reason, clusters)| (id, reason, clusters)));
    gauges(
        encoder,
        "mongodbatlas_backup_export_clusters_left_out",
        "Clusters of the project that would be watched but cannot be exported or are excluded, by reason, as of the last discovery.",
        left_out.map(|(id, reason, clusters)| {
            ([("project_id", id), ("reason", reason.as_str())], count(*clusters))
        }),
    )
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstCounter::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
}

/// A gauge with an id as its only label; without samples, nothing.
pub(super) fn by_id<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    samples: impl Iterator<Item = (&'a str, f64)>,
) -> fmt::Result {
    gauges(encoder, name, help, samples.map(|(id, value)| ([(label, id)], value)))
}

/// Gauges with these labels; without samples, nothing.
pub(super) fn gauges<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = ([(&'static str, &'a str); N], f64)>,
) -> fmt::Result {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        ConstGauge::new(Plain(value)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
