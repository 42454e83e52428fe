//! The store as metrics: a pure function of a [`StoreView`], so that a removed cluster leaves no series.
//!
//! A value that is not known has no sample, and a family without samples has no header.

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

/// Length from which a piece is complete. Larger buffers, and one for each family, took longer than the encoding:
/// the allocator of musl gets them from the system and returns them.
const PIECE: usize = 32 * 1024;

/// The text of a view, rendered piece by piece.
#[derive(Debug)]
pub struct Exposition {
    view: Arc<StoreView>,
    format: Format,
    /// The next piece. The first one has the exporter, its projects and organizations.
    piece: String,
    labels: Vec<String>,
    families: std::slice::Iter<'static, MetricFamily>,
    encoder: Option<Encoder>,
    /// Clusters that the encoder has had.
    encoded: usize,
}

impl Exposition {
    /// Prepares an exposition. `process` is `None` where files are collected: there its metrics would collide with
    /// those of the collecting process.
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
        let mut piece = String::with_capacity(2 * PIECE);
        match format {
            Format::Text => encoding::prometheus_text::encode(&mut piece, &registry)?,
            Format::OpenMetrics => encoding::text::encode_registry(&mut piece, &registry)?,
        }
        let labels = view.clusters.iter().map(encoder::labels).collect();
        let mut families = FAMILIES.iter();
        let encoder = families.next().map(|family| Encoder::new(family, format));
        Ok(Self { view, format, piece, labels, families, encoder, encoded: 0 })
    }

    /// Writes all of it through one buffer.
    pub fn write_to(mut self, out: &mut impl Write) -> io::Result<()> {
        while !self.piece.is_empty() {
            out.write_all(self.piece.as_bytes())?;
            self.piece.clear();
            self.fill();
        }
        Ok(())
    }

    /// Returns it piece by piece, for a body that is sent while it is rendered.
    pub fn pieces(mut self) -> impl Iterator<Item = String> {
        std::iter::from_fn(move || {
            let next = String::with_capacity(2 * PIECE);
            let piece = std::mem::replace(&mut self.piece, next);
            self.fill();
            Some(piece).filter(|piece| !piece.is_empty())
        })
    }

    /// Appends samples until the piece is complete, or to the end.
    fn fill(&mut self) {
        while self.piece.len() < PIECE
            && let Some(encoder) = &mut self.encoder
        {
            if let Some(cluster) = self.view.clusters.get(self.encoded) {
                encoder.add_cluster(cluster, &self.labels[self.encoded], &mut self.piece);
                self.encoded += 1;
            } else {
                self.encoder = self.families.next().map(|family| Encoder::new(family, self.format));
                self.encoded = 0;
                if self.encoder.is_none() {
                    self.piece.push_str(self.format.end());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
