//! Metrics of a [`StoreView`], rendered from nothing else: a removed cluster leaves no series.
//!
//! An unknown value has no sample, and a family without samples has no header.

mod cluster;
mod encoder;
mod exporter;
mod format;
pub mod process;
pub mod self_metrics;
mod values;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding;
use prometheus_client::registry::Registry;

use self::process::ProcessStats;
use crate::metrics::self_metrics::SelfMetrics;
use crate::store::StoreView;
use cluster::{FAMILIES, MetricFamily};
use encoder::Encoder;
use exporter::ExporterCollector;
pub use format::Format;

/// Minimum size of a chunk in bytes.
///
/// Larger buffers, or one for each family, cost more time than the encoding: musl's allocator gets
/// them from the system and returns them.
const MIN_CHUNK_SIZE: usize = 32 * 1024;

/// The exposition of a view, rendered in chunks.
#[derive(Debug)]
pub struct Exposition {
    view: Arc<StoreView>,
    format: Format,
    /// The next chunk. The first one has the families of the exporter, projects and organizations.
    chunk: String,
    labels: Vec<String>,
    families: std::slice::Iter<'static, MetricFamily>,
    encoder: Option<Encoder>,
    /// Number of clusters already encoded for the current family.
    encoded: usize,
}

impl Exposition {
    /// Prepares the exposition of a view.
    ///
    /// `process` is `None` for `--once`: in a textfile collector, the `process_*` metrics would
    /// collide with those of the collecting process.
    pub fn new(
        view: Arc<StoreView>,
        metrics: Arc<SelfMetrics>,
        poll_interval: Duration,
        process: Option<ProcessStats>,
        format: Format,
    ) -> Result<Self, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(ExporterCollector {
            view: view.clone(),
            metrics,
            poll_interval,
            process,
        }));
        let mut chunk = String::with_capacity(2 * MIN_CHUNK_SIZE);
        match format {
            Format::Text => encoding::prometheus_text::encode(&mut chunk, &registry)?,
            Format::OpenMetrics => encoding::text::encode_registry(&mut chunk, &registry)?,
        }
        let labels = view.clusters.iter().map(encoder::labels).collect();
        let mut families = FAMILIES.iter();
        let encoder = families.next().map(|family| Encoder::new(family, format));
        Ok(Self { view, format, chunk, labels, families, encoder, encoded: 0 })
    }

    /// Writes the whole exposition and reuses one buffer for all chunks.
    pub fn write_to(mut self, out: &mut impl Write) -> io::Result<()> {
        while !self.chunk.is_empty() {
            out.write_all(self.chunk.as_bytes())?;
            self.chunk.clear();
            self.fill();
        }
        Ok(())
    }

    /// Returns the chunks, for a body that is sent while it is rendered.
    pub fn chunks(mut self) -> impl Iterator<Item = String> {
        std::iter::from_fn(move || {
            let next = String::with_capacity(2 * MIN_CHUNK_SIZE);
            let chunk = std::mem::replace(&mut self.chunk, next);
            self.fill();
            Some(chunk).filter(|chunk| !chunk.is_empty())
        })
    }

    /// Appends samples until the chunk has its minimum size or the exposition ends.
    fn fill(&mut self) {
        while self.chunk.len() < MIN_CHUNK_SIZE
            && let Some(encoder) = &mut self.encoder
        {
            if let Some(cluster) = self.view.clusters.get(self.encoded) {
                encoder.add_cluster(cluster, &self.labels[self.encoded], &mut self.chunk);
                self.encoded += 1;
            } else {
                self.encoder = self.families.next().map(|family| Encoder::new(family, self.format));
                self.encoded = 0;
                if self.encoder.is_none() {
                    self.chunk.push_str(self.format.end());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
