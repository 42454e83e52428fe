//! The metric families of the process, named as those of every Prometheus client library.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::own::{NO_LABELS, gauges};
use super::values::{count, seconds};
use crate::process::ProcessStats;

/// Encodes the metrics of the process. The kernel's own start time moves when the clock is set.
pub(super) fn families(
    encoder: &mut DescriptorEncoder<'_>,
    process: &ProcessStats,
    started: Timestamp,
) -> fmt::Result {
    if let Some(cpu_seconds) = process.cpu_seconds {
        let (name, help) = ("process_cpu_seconds", "Total user and system CPU time spent in seconds.");
        let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(cpu_seconds).encode(metric)?;
    }
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            process.resident_bytes.map(count),
        ),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", process.virtual_bytes.map(count)),
        ("process_open_fds", "Number of open file descriptors.", process.open_fds.map(count)),
        ("process_max_fds", "Maximum number of open file descriptors.", process.max_fds.map(count)),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            Some(seconds(started)),
        ),
        ("process_threads", "Number of OS threads in the process.", process.threads.map(count)),
    ] {
        gauges(encoder, name, help, value.into_iter().map(|value| (NO_LABELS, value)))?;
    }
    Ok(())
}
