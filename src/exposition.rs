//! The board as metrics: a pure function of a [`View`], so that a removed cluster leaves no series.
//!
//! A value that is not known has no sample, and a family without samples has no header.

mod encoder;
mod families;
mod own;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding;
use prometheus_client::registry::Registry;

use crate::board::View;
use crate::process::ProcessStats;
use crate::self_metrics::SelfMetrics;
use families::FAMILIES;
use own::Own;

/// The formats that Prometheus reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of the format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Returns the last line of an exposition.
    #[must_use]
    pub fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// Renders a view in pieces: one for the exporter, its projects and organizations, then one for each family of the clusters.
///
/// `process` is `None` where files are collected: there its metrics would collide with those of the collecting process.
pub fn render(
    view: Arc<View>,
    metrics: Arc<SelfMetrics>,
    poll_interval: Duration,
    process: Option<ProcessStats>,
    format: Format,
) -> Result<impl Iterator<Item = String> + Send + use<>, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Own { view: view.clone(), metrics, poll_interval, process }));
    let mut own = String::new();
    match format {
        Format::Text => encoding::prometheus_text::encode(&mut own, &registry)?,
        Format::OpenMetrics => encoding::text::encode_registry(&mut own, &registry)?,
    }
    let labels: Vec<_> = view.clusters.iter().map(encoder::labels).collect();
    let clusters =
        FAMILIES.iter().map(move |family| encoder::encode(family, &view.clusters, &labels, format));
    let pieces = std::iter::once(own).chain(clusters).chain([format.end().to_owned()]);
    Ok(pieces.filter(|piece| !piece.is_empty()))
}

#[cfg(test)]
mod tests;
