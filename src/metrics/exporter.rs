//! Metric families of the exporter, its process, projects and organizations.

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

impl Collector for ExporterCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let families = &mut Families(encoder);
        self.exporter(families)?;
        if let Some(process) = &self.process {
            self.process(process, families)?;
        }
        self.requests(families)?;
        self.projects(families)?;
        self.collectors(families)?;
        self.organizations(families)
    }
}

impl ExporterCollector {
    fn exporter(&self, families: &mut Families<'_>) -> fmt::Result {
        let reload = self.metrics.reload();
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", env!("BUILD_REVISION")),
            ("rustversion", env!("BUILD_RUST_VERSION")),
        ];
        families.add(
            "mongodbatlas_backup_exporter_build",
            "Build information of the running exporter. Always 1.",
            [(build, Info::new(NO_LABELS))],
        )?;
        families.gauge(
            "mongodbatlas_backup_exporter_targets",
            "Number of monitored clusters.",
            Some(count(self.view.targets as u64)),
        )?;
        families.gauge(
            "mongodbatlas_backup_exporter_poll_interval_seconds",
            "Configured interval between polls of a cluster in seconds.",
            Some(length(self.poll_interval)),
        )?;
        families.gauge(
            "mongodbatlas_backup_exporter_config_last_reload_successful",
            "Whether the last configuration reload was successful (1 for yes, 0 for no).",
            Some(f64::from(reload.error.is_none())),
        )?;
        families.gauge(
            "mongodbatlas_backup_exporter_config_last_reload_success_timestamp_seconds",
            "Unix timestamp of the last successful configuration reload.",
            Some(seconds(reload.succeeded_at)),
        )?;
        families.counter(
            "mongodbatlas_backup_exporter_config_reload_failures",
            "Total number of failed configuration reloads.",
            reload.failures,
        )?;
        families.counter(
            "mongodbatlas_backup_exporter_listing_pages_read",
            "Total number of pages read of export job listings.",
            self.metrics.pages.get(),
        )?;
        families.counter(
            "mongodbatlas_backup_exporter_full_listings",
            "Total number of full export job listings.",
            self.metrics.full_listings.get(),
        )?;
        families.counter(
            "mongodbatlas_backup_exporter_log_lines_dropped",
            "Total number of log lines dropped because standard error did not accept them in time.",
            self.metrics.dropped_log_lines(),
        )?;
        families.add(
            "mongodbatlas_credential_expiry_timestamp_seconds",
            "Unix timestamp of the expiry of a service account's secret, as configured in expires_at. \
                client_id is the last six characters of the id.",
            self.view
                .expiries
                .iter()
                .map(|(client_id, at)| ([("client_id", client_id.as_str())], gauge(seconds(*at)))),
        )
    }

    /// Adds the standard `process_*` families of Prometheus client libraries.
    fn process(&self, process: &ProcessStats, families: &mut Families<'_>) -> fmt::Result {
        families.add(
            "process_cpu_seconds",
            "Total user and system CPU time spent in seconds.",
            process.cpu_seconds.map(|seconds| (NO_LABELS, ConstCounter::new(seconds))),
        )?;
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory size in bytes.", process.resident_bytes),
            ("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual_bytes),
            ("process_open_fds", "Number of open file descriptors.", process.open_fds),
            ("process_max_fds", "Maximum number of open file descriptors.", process.max_fds),
            ("process_threads", "Number of OS threads in the process.", process.threads),
        ] {
            families.gauge(name, help, value.map(count))?;
        }
        families.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            // The start time reported by the kernel changes when the system clock is set.
            Some(seconds(self.metrics.started)),
        )
    }

    fn requests(&self, families: &mut Families<'_>) -> fmt::Result {
        let requests = self.metrics.requests();
        families.add(
            "mongodbatlas_api_requests",
            "Total number of requests to Atlas, by endpoint and HTTP status code (none without a \
                response). With API keys, 401 is a routine challenge.",
            requests.iter().map(|((endpoint, code), requests)| {
                ([("endpoint", *endpoint), ("code", code)], ConstCounter::new(*requests))
            }),
        )?;
        families.add(
            "mongodbatlas_api_request_duration_seconds",
            "Duration of requests to Atlas in seconds, until the response headers or the failure.",
            self.metrics
                .durations()
                .map(|(endpoint, durations)| ([("endpoint", endpoint)], durations.clone())),
        )
    }

    fn projects(&self, families: &mut Families<'_>) -> fmt::Result {
        let projects = |value: fn(&ProjectView) -> Option<f64>| {
            self.view.projects.iter().filter_map(move |project| {
                Some(([("project_id", project.id.as_str())], gauge(value(project)?)))
            })
        };
        families.add(
            "mongodbatlas_api_ratelimit_limit",
            "Capacity of the project's rate limit for Cloud Backups in requests, as last reported by Atlas.",
            projects(|project| project.quota.map(|quota| count(quota.limit))),
        )?;
        families.add(
            "mongodbatlas_api_ratelimit_remaining",
            "Number of requests remaining in the project's rate limit for Cloud Backups, as last \
                reported by Atlas. All clients of the project share it.",
            projects(|project| project.quota.map(|quota| count(quota.remaining))),
        )?;
        families.add(
            "mongodbatlas_backup_export_discovery_success",
            "Whether the last discovery of the project (name, clusters, backup schedules) succeeded (1 \
                for yes, 0 for no). A failure keeps the last known state.",
            projects(|project| project.success.map(f64::from)),
        )?;
        families.add(
            "mongodbatlas_backup_export_last_discovery_success_timestamp_seconds",
            "Unix timestamp of the last successful discovery of the project's name and clusters.",
            projects(|project| project.last_success.map(seconds)),
        )?;
        families.add(
            "mongodbatlas_backup_export_secret_expiring_event_timestamp_seconds",
            "Unix timestamp of the last event about an expiring service account secret in the project. \
                Absent once Atlas reports that no secret expires soon.",
            projects(|project| project.secrets_expiring.map(seconds)),
        )?;
        families.add(
            "mongodbatlas_backup_export_clusters_excluded",
            "Number of clusters of the project that are not polled because they cannot be exported or \
                are excluded, by reason.",
            self.view.projects.iter().flat_map(|project| {
                project.excluded.iter().flatten().map(|(reason, clusters)| {
                    let labels = [("project_id", project.id.as_str()), ("reason", reason.as_str())];
                    (labels, gauge(count(*clusters)))
                })
            }),
        )
    }

    fn collectors(&self, families: &mut Families<'_>) -> fmt::Result {
        let named = self.view.projects.iter().filter_map(|project| Some((project, project.name.as_deref()?)));
        families.add(
            "mongodbatlas_backup_export_bucket",
            "Export bucket of the project. Always 1.",
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
        families.add(
            "mongodbatlas_backup_export_collector_success",
            "Whether the last run of a collector of the project succeeded (1 for yes, 0 for no). Absent \
                if the collector is disabled.",
            self.view.projects.iter().flat_map(|project| {
                project.readings.iter().map(|(collector, outcome)| {
                    let labels = [("project_id", project.id.as_str()), ("collector", collector.as_str())];
                    (labels, gauge(f64::from(outcome.is_ok())))
                })
            }),
        )
    }

    fn organizations(&self, families: &mut Families<'_>) -> fmt::Result {
        let organizations = |value: fn(&Discovery) -> Option<f64>| {
            self.view.organizations.iter().filter_map(move |(id, discovery)| {
                Some(([("organization_id", id.as_str())], gauge(value(discovery)?)))
            })
        };
        families.add(
            "mongodbatlas_backup_export_organization_discovery_success",
            "Whether the last listing of the organization's projects succeeded (1 for yes, 0 for no). A \
                failure keeps the last known projects.",
            organizations(|discovery| discovery.was_tried().then(|| f64::from(discovery.error.is_none()))),
        )?;
        families.add(
            "mongodbatlas_backup_export_last_organization_discovery_success_timestamp_seconds",
            "Unix timestamp of the last successful listing of the organization's projects.",
            organizations(|discovery| discovery.last_success.map(seconds)),
        )
    }
}

fn gauge(value: f64) -> ConstGauge<Plain> {
    ConstGauge::new(Plain(value))
}

struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        self.add(name, help, value.map(|value| (NO_LABELS, gauge(value))))
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.add(name, help, [(NO_LABELS, ConstCounter::new(value))])
    }

    /// Encodes a family, unless it has no samples.
    fn add<'a, const N: usize, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, &'a str); N], M)>,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        let Some((_, first)) = samples.peek() else { return Ok(()) };
        let mut family = self.0.encode_descriptor(name, help, None, first.metric_type())?;
        for (labels, metric) in samples {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
