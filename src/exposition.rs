//! The board as metrics: a pure function of a [`View`], so that what is gone is gone.
//!
//! `prometheus-client` writes what there is once or once a project. What there is of each cluster is a hundred times as much: [`Pieces`]
//! writes it from a table of families, a piece at a time, in a sixth of the time and without ever holding it as a whole.
//!
//! No figure is invented: a value that is not known has no sample, and a family without samples has no header.

mod details;
mod families;
mod lines;
mod own;
mod pieces;
mod process;
mod text;
mod values;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{self, DescriptorEncoder};
use prometheus_client::registry::Registry;

use crate::board::View;
use crate::process::ProcessStats;
use crate::self_metrics::SelfMetrics;
pub use pieces::Pieces;
pub use text::Text;

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

    /// What ends an exposition in it.
    #[must_use]
    pub fn end(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::OpenMetrics => "# EOF\n",
        }
    }
}

/// Renders a view, the poll interval that it was made under, and what the exporter counts of itself, as a whole. Without
/// `process_*`: where files are collected, they would collide with those of the collecting process.
pub fn render(
    view: Arc<View>,
    metrics: Arc<SelfMetrics>,
    poll_interval: Duration,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut text = Text::default();
    text.push_str(&own(view.clone(), metrics, poll_interval, None, format)?);
    let mut pieces = clusters(view, format);
    while pieces.fill(&mut text) {}
    text.push_str(format.end());
    String::from_utf8(text.into()).map_err(|_| fmt::Error)
}

/// The first part of an exposition: the exporter itself, its process, and what it knows of projects and organizations.
pub fn own(
    view: Arc<View>,
    metrics: Arc<SelfMetrics>,
    poll_interval: Duration,
    process: Option<ProcessStats>,
    format: Format,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Own { view, metrics, poll_interval, process }));
    let mut out = String::new();
    match format {
        Format::Text => encoding::prometheus_text::encode(&mut out, &registry)?,
        Format::OpenMetrics => encoding::text::encode_registry(&mut out, &registry)?,
    }
    Ok(out)
}

/// The second part: the clusters, a piece at a time. [`Format::end`] comes after them.
#[must_use]
pub fn clusters(view: Arc<View>, format: Format) -> Pieces {
    Pieces::new(view, format)
}

#[derive(Debug)]
struct Own {
    view: Arc<View>,
    metrics: Arc<SelfMetrics>,
    poll_interval: Duration,
    process: Option<ProcessStats>,
}

impl Collector for Own {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        own::exporter(&mut encoder, &self.view, &self.metrics, self.poll_interval)?;
        if let Some(process) = &self.process {
            process::families(&mut encoder, process, self.metrics.started())?;
        }
        own::requests(&mut encoder, &self.view, &self.metrics)?;
        own::discovery(&mut encoder, &self.view)?;
        details::projects(&mut encoder, &self.view)
    }
}

#[cfg(test)]
mod tests;
