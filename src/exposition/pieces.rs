//! The text of clusters, a piece at a time.

use std::sync::Arc;

use super::Format;
use super::families::{Family, Figure, SECTIONS};
use super::lines::{Labels, Samples, States};
use super::values::count;
use crate::board::{ClusterView, View};
use crate::model::JobState;

/// A piece is handed out when it is at least this long, in bytes.
const PIECE: usize = 64 * 1024;

/// The families of the clusters of a view, in pieces that end with a line.
#[derive(Debug)]
pub struct Pieces {
    view: Arc<View>,
    format: Format,
    labels: Labels,
    states: States,
    /// Sections that are still to come.
    sections: std::slice::Iter<'static, &'static [&'static [Family]]>,
    /// What is still to be written of the one before them.
    columns: std::vec::IntoIter<Column>,
    /// Which cluster of the first column is next.
    cluster: usize,
    /// Whether its family has its header: it gets none without a sample.
    begun: bool,
}

impl Pieces {
    pub(super) fn new(view: Arc<View>, format: Format) -> Self {
        let (labels, states) = (Labels::of(&view.clusters), States::default());
        let (sections, columns) = (SECTIONS.iter(), Vec::new().into_iter());
        Self { view, format, labels, states, sections, columns, cluster: 0, begun: false }
    }

    /// Appends the next piece; false if that was the end, and nothing was appended.
    pub fn fill(&mut self, out: &mut String) -> bool {
        let before = out.len();
        loop {
            let Some(Column { family, figures }) = self.columns.as_slice().first() else {
                if let Some(section) = self.sections.next() {
                    self.columns = columns(section, &self.view.clusters).into_iter();
                    continue;
                }
                return out.len() > before;
            };
            let mut samples = Samples::new(family, self.format, &self.states, self.begun, out);
            let width = family.figure.width();
            for (index, cluster) in self.view.clusters.iter().enumerate().skip(self.cluster) {
                let figures = &figures[index * width..][..width];
                if figures.iter().all(|figure| figure.is_nan()) {
                    continue;
                }
                samples.add(cluster, self.labels.get(index), figures);
                if samples.written() - before >= PIECE {
                    (self.cluster, self.begun) = (index + 1, samples.begun());
                    return true;
                }
            }
            (self.cluster, self.begun) = (0, false);
            self.columns.next();
        }
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut piece = String::with_capacity(PIECE + PIECE / 16);
        self.fill(&mut piece).then_some(piece)
    }
}

/// What a family says of every cluster.
#[derive(Debug)]
struct Column {
    family: &'static Family,
    /// Those of the first cluster first; [`ABSENT`] where there is none.
    figures: Vec<f64>,
}

/// No figure: half as long as an `Option`. No figure is written as it, since it is no number.
const ABSENT: f64 = f64::NAN;

/// Clusters lie scattered in memory: to visit ten thousand of them for each family takes five times as long as to visit them once.
fn columns(section: &[&'static [Family]], clusters: &[ClusterView]) -> Vec<Column> {
    let column = |family: &'static Family| Column {
        family,
        figures: Vec::with_capacity(family.figure.width() * clusters.len()),
    };
    let mut columns: Vec<_> = section.iter().copied().flatten().map(column).collect();
    for cluster in clusters {
        let report = cluster.current().map(|good| &good.report);
        for Column { family, figures } in &mut columns {
            let figure = match family.figure {
                Figure::State(value) => {
                    for state in JobState::ALL {
                        let figure = report.and_then(|report| value(report, state));
                        figures.push(figure.unwrap_or(ABSENT));
                    }
                    continue;
                }
                Figure::Cluster(value) => value(cluster),
                Figure::Report(value) => report.and_then(value),
                Figure::Counter(value) => Some(count(value(cluster))),
                // Whether there is any.
                Figure::Info(_, word) => word(cluster).map(|_| 1.0),
                Figure::Reasons(counts) => counts(cluster).first_key_value().map(|_| 1.0),
            };
            figures.push(figure.unwrap_or(ABSENT));
        }
    }
    columns
}
