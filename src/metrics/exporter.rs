//! Families of the exporter, its process, projects and organizations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use super::values::{Plain, count, length, seconds};
use crate::metrics::process::ProcessStats;
use crate::metrics::self_metrics::SelfMetrics;
use crate::store::{Discovery, ProjectView, StoreView};

const NO_LABELS: [(&str, &str); 0] = [];

#[derive(Debug)]
pub(super) struct ExporterCollector {
    pub(super) view: Arc<StoreView>,
    pub(super) metrics: Arc<SelfMetrics>,
    pub(super) poll_interval: Duration,
    pub(super) process: Option<ProcessStats>,
}

/// Source of the samples of a family. A value that is `None` has no sample.
enum Samples {
    Gauge(fn(&ExporterCollector) -> Option<f64>),
    Counter(fn(&ExporterCollector) -> u64),
    /// Gauge of the process; the names are those of every Prometheus client library.
    Process(fn(&ProcessStats) -> Option<f64>),
    PerProject(fn(&ProjectView) -> Option<f64>),
    PerOrganization(fn(&Discovery) -> Option<f64>),
}

use Samples::{Counter, Gauge, PerOrganization, PerProject, Process};

/// Names, help texts and samples of the families whose labels are at most one id.
const FAMILIES: &[(&str, &str, Samples)] = &[
    (
        "mongodbatlas_backup_exporter_targets",
        "Clusters that are watched.",
        Gauge(|exporter| Some(count(exporter.view.targets as u64))),
    ),
    (
        "mongodbatlas_backup_exporter_poll_interval_seconds",
        "Configured time from one poll of a cluster to its next.",
        Gauge(|exporter| Some(length(exporter.poll_interval))),
    ),
    (
        "mongodbatlas_backup_exporter_config_last_reload_successful",
        "1 if the configuration could be used when it was read last, 0 if it was refused and an older one is in force.",
        Gauge(|exporter| Some(f64::from(exporter.metrics.reload().error.is_none()))),
    ),
    (
        "mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was read, in seconds since the epoch.",
        Gauge(|exporter| Some(seconds(exporter.metrics.reload().succeeded_at))),
    ),
    (
        "mongodbatlas_backup_exporter_config_reload_failures",
        "Configurations that were refused when they were read again.",
        Counter(|exporter| exporter.metrics.reload().failures),
    ),
    (
        "mongodbatlas_backup_exporter_listing_pages_read",
        "Pages of export jobs that were read.",
        Counter(|exporter| exporter.metrics.pages.get()),
    ),
    (
        "mongodbatlas_backup_exporter_full_listings",
        "Total number of full export job listings.",
        Counter(|exporter| exporter.metrics.full_listings.get()),
    ),
    (
        "mongodbatlas_backup_exporter_log_lines_dropped",
        "Total number of log lines that were dropped because standard error did not take them in time.",
        Counter(|exporter| exporter.metrics.dropped_log_lines()),
    ),
    (
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        Process(|process| process.resident_bytes.map(count)),
    ),
    (
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        Process(|process| process.virtual_bytes.map(count)),
    ),
    ("process_open_fds", "Number of open file descriptors.", Process(|process| process.open_fds.map(count))),
    (
        "process_max_fds",
        "Maximum number of open file descriptors.",
        Process(|process| process.max_fds.map(count)),
    ),
    (
        "process_threads",
        "Number of OS threads in the process.",
        Process(|process| process.threads.map(count)),
    ),
    (
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        // The start time that the kernel reports moves when the clock is set.
        Gauge(|exporter| exporter.process.as_ref().map(|_| seconds(exporter.metrics.started))),
    ),
    (
        "mongodbatlas_api_ratelimit_limit",
        "Requests for Cloud Backups that a project can save up, as Atlas told last.",
        PerProject(|project| project.quota.map(|quota| count(quota.limit))),
    ),
    (
        "mongodbatlas_api_ratelimit_remaining",
        "Requests for Cloud Backups that were left to a project, as Atlas told last. Everyone who uses the project shares them.",
        PerProject(|project| project.quota.map(|quota| count(quota.remaining))),
    ),
    (
        "mongodbatlas_backup_export_discovery_success",
        "1 if the name of the project, its clusters and all their backup schedules could be read last, 0 if not. What was known before is kept.",
        PerProject(|project| project.success.map(f64::from)),
    ),
    (
        "mongodbatlas_backup_export_last_discovery_success_timestamp_seconds",
        "When the name of the project and its clusters could be read last, in seconds since the epoch.",
        PerProject(|project| project.last_success.map(seconds)),
    ),
    (
        "mongodbatlas_backup_export_organization_discovery_success",
        "1 if the projects of the organization could be listed last, 0 if not. Those known before are kept.",
        PerOrganization(|discovery| discovery.was_tried().then(|| f64::from(discovery.error.is_none()))),
    ),
    (
        "mongodbatlas_backup_export_last_organization_discovery_success_timestamp_seconds",
        "When the projects of the organization could be listed last, in seconds since the epoch.",
        PerOrganization(|discovery| discovery.last_success.map(seconds)),
    ),
    (
        "mongodbatlas_backup_export_secret_expiring_event_timestamp_seconds",
        "When Atlas last told, in an event of the project, that a secret of a service account ends soon, in seconds since the epoch. It tells neither whose nor when. No sample once it told that none does any longer.",
        PerProject(|project| project.secrets_expiring.map(seconds)),
    ),
];

impl Collector for ExporterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        for (name, help, samples) in FAMILIES {
            self.simple(encoder, name, help, samples)?;
        }
        build(encoder)?;
        self.cpu(encoder)?;
        self.requests(encoder)?;
        self.projects(encoder)?;
        self.credentials(encoder)
    }
}

impl ExporterCollector {
    fn simple(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        samples: &Samples,
    ) -> fmt::Result {
        let single = |value: Option<f64>| value.map(|value| (NO_LABELS, gauge(value)));
        match samples {
            Gauge(value) => family(encoder, name, help, single(value(self))),
            Process(value) => family(encoder, name, help, single(self.process.as_ref().and_then(value))),
            Counter(value) => family(encoder, name, help, [(NO_LABELS, ConstCounter::new(value(self)))]),
            PerProject(value) => {
                let samples = self.view.projects.iter().filter_map(|project| {
                    Some(([("project_id", project.id.as_str())], gauge(value(project)?)))
                });
                family(encoder, name, help, samples)
            }
            PerOrganization(value) => {
                let samples = self.view.organizations.iter().filter_map(|(id, discovery)| {
                    Some(([("organization_id", id.as_str())], gauge(value(discovery)?)))
                });
                family(encoder, name, help, samples)
            }
        }
    }

    fn cpu(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let seconds = self.process.as_ref().and_then(|process| process.cpu_seconds);
        family(
            encoder,
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            seconds.map(|seconds| (NO_LABELS, ConstCounter::new(seconds))),
        )
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let requests = self.metrics.requests();
        family(
            encoder,
            "mongodbatlas_api_requests",
            "Requests to Atlas by endpoint and HTTP status; none where no answer came. With an API key, 401 is a routine challenge.",
            requests.iter().map(|((endpoint, code), requests)| {
                ([("endpoint", *endpoint), ("code", code)], ConstCounter::new(*requests))
            }),
        )?;
        family(
            encoder,
            "mongodbatlas_api_request_duration_seconds",
            "Time from a request to Atlas to the head of its answer, or until it was given up.",
            self.metrics
                .durations()
                .map(|(endpoint, durations)| ([("endpoint", endpoint)], durations.clone())),
        )
    }

    fn projects(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        family(
            encoder,
            "mongodbatlas_backup_export_clusters_excluded",
            "Number of clusters of the project that are not polled because they cannot be exported or are excluded, by reason.",
            self.view.projects.iter().flat_map(|project| {
                project.excluded.iter().flatten().map(|(reason, clusters)| {
                    let labels = [("project_id", project.id.as_str()), ("reason", reason.as_str())];
                    (labels, gauge(count(*clusters)))
                })
            }),
        )?;
        let named = self.view.projects.iter().filter_map(|project| Some((project, project.name.as_deref()?)));
        family(
            encoder,
            "mongodbatlas_backup_export_bucket",
            "An export bucket of the project, as of the last reading of buckets. Always 1.",
            named.flat_map(|(project, name)| {
                project.buckets.iter().flat_map(|buckets| buckets.iter()).map(move |bucket| {
                    let labels = [
                        ("project_id", project.id.as_str()),
                        ("project", name),
                        ("export_bucket_id", bucket.id.as_str()),
                        ("bucket", bucket.name.as_str()),
                        ("cloud_provider", bucket.cloud_provider.as_str()),
                    ];
                    (labels, Info::new(NO_LABELS))
                })
            }),
        )?;
        family(
            encoder,
            "mongodbatlas_backup_export_collector_success",
            "Whether the last run of a collector of the project succeeded (1 for yes, 0 for no). Absent if the collector is disabled.",
            self.view.projects.iter().flat_map(|project| {
                project.readings.iter().map(|(collector, outcome)| {
                    let labels = [("project_id", project.id.as_str()), ("collector", collector.as_str())];
                    (labels, gauge(f64::from(outcome.is_ok())))
                })
            }),
        )
    }

    fn credentials(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        family(
            encoder,
            "mongodbatlas_credential_expiry_timestamp_seconds",
            "When the secret of a service account ends, as configured in expires_at, in seconds since the epoch; by the last six characters of the client id.",
            self.view
                .expiries
                .iter()
                .map(|(client_id, at)| ([("client_id", client_id.as_str())], gauge(seconds(*at)))),
        )
    }
}

fn build(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", env!("BUILD_REVISION")),
        ("rustversion", env!("BUILD_RUST_VERSION")),
    ];
    family(
        encoder,
        "mongodbatlas_backup_exporter_build",
        "The running exporter. Always 1.",
        [(labels, Info::new(NO_LABELS))],
    )
}

fn gauge(value: f64) -> ConstGauge<Plain> {
    ConstGauge::new(Plain(value))
}

/// Encodes a family, unless it has no sample.
fn family<'a, const N: usize, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = ([(&'static str, &'a str); N], M)>,
) -> fmt::Result {
    let mut samples = samples.into_iter().peekable();
    let Some((_, first)) = samples.peek() else { return Ok(()) };
    let mut family = encoder.encode_descriptor(name, help, None, first.metric_type())?;
    for (labels, metric) in samples {
        metric.encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
