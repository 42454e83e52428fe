//! The board as metrics: a pure function of a [`View`], so that a removed cluster leaves no series.
//!
//! A value that is not known has no sample, and a family without samples has no header.

mod encoder;
mod families;
mod own;
mod values;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding;
use prometheus_client::registry::Registry;

use crate::board::View;
use crate::process::ProcessStats;
use crate::self_metrics::SelfMetrics;
use families::{FAMILIES, MetricFamily};
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

/// Initial capacity of buffers. The allocator of musl gets large ones from the system and returns them, so that
/// small buffers which grow, or one for each family, took longer than the encoding.
const BUFFER: usize = 64 * 1024;

/// The metrics of a view, to be written.
#[derive(Debug)]
pub struct Exposition {
    /// The text of the exporter, its projects and organizations.
    own: String,
    view: Arc<View>,
    /// Those of each cluster.
    labels: Vec<String>,
    format: Format,
}

impl Exposition {
    /// Prepares an exposition. `process` is `None` where files are collected: there its metrics would collide with
    /// those of the collecting process.
    pub fn new(
        view: Arc<View>,
        metrics: Arc<SelfMetrics>,
        poll_interval: Duration,
        process: Option<ProcessStats>,
        format: Format,
    ) -> Result<Self, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Own { view: view.clone(), metrics, poll_interval, process }));
        let mut own = String::with_capacity(BUFFER);
        match format {
            Format::Text => encoding::prometheus_text::encode(&mut own, &registry)?,
            Format::OpenMetrics => encoding::text::encode_registry(&mut own, &registry)?,
        }
        let labels = view.clusters.iter().map(encoder::labels).collect();
        Ok(Self { own, view, labels, format })
    }

    /// Writes all of it, every family through one buffer.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.own.as_bytes())?;
        let mut text = String::with_capacity(BUFFER);
        for family in FAMILIES {
            text.clear();
            self.encode(family, &mut text);
            out.write_all(text.as_bytes())?;
        }
        out.write_all(self.format.end().as_bytes())
    }

    /// Returns it in pieces, none of them empty, for a body that is sent while it is rendered.
    pub fn pieces(mut self) -> impl Iterator<Item = String> {
        let (own, end) = (std::mem::take(&mut self.own), self.format.end().to_owned());
        let families = FAMILIES.iter().map(move |family| {
            let mut text = String::new();
            self.encode(family, &mut text);
            text
        });
        std::iter::once(own).chain(families).chain([end]).filter(|piece| !piece.is_empty())
    }

    fn encode(&self, family: &MetricFamily, out: &mut String) {
        encoder::encode(family, &self.view.clusters, &self.labels, self.format, out);
    }
}

#[cfg(test)]
mod tests;
