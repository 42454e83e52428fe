//! The text of clusters, a piece at a time.

use std::sync::Arc;

use super::families::{Family, Figure, SECTIONS};
use super::lines::{Labels, Samples, States};
use super::values::count;
use super::{Format, Text};
use crate::board::View;
use crate::model::JobState;

/// A piece is handed out when it is at least this long, in bytes.
const PIECE: usize = 16 * 1024;

/// The families of the clusters of a view, in pieces that end with a line.
#[derive(Debug)]
pub struct Pieces {
    view: Arc<View>,
    format: Format,
    labels: Labels,
    states: States,
    /// Sections that are still to come.
    sections: std::slice::Iter<'static, &'static [&'static [Family]]>,
    /// What is still to be written of the one before them, the last of it first.
    columns: Vec<Column>,
    /// Their figures, column after column, and in each of them cluster after cluster; [`ABSENT`] where there is none.
    figures: Vec<f64>,
    /// Which cluster of the column at hand is next.
    cluster: usize,
    /// Whether its family has its header: it gets none without a sample.
    begun: bool,
}

impl Pieces {
    pub(super) fn new(view: Arc<View>, format: Format) -> Self {
        let (labels, states) = (Labels::of(&view.clusters), States::default());
        Self {
            view,
            format,
            labels,
            states,
            sections: SECTIONS.iter(),
            columns: Vec::new(),
            figures: Vec::new(),
            cluster: 0,
            begun: false,
        }
    }

    /// Memory for a piece.
    #[must_use]
    pub fn room() -> Text {
        Text::with_capacity(PIECE + PIECE / 16)
    }

    /// Appends the next piece; false if that was the end, and nothing was appended.
    pub fn fill(&mut self, out: &mut Text) -> bool {
        let before = out.len();
        loop {
            let Some(Column { family, start }) = self.columns.last() else {
                if let Some(section) = self.sections.next() {
                    self.begin(section);
                    continue;
                }
                return out.len() > before;
            };
            let mut samples = Samples::new(family, self.format, &self.states, self.begun, out);
            let width = family.figure.width();
            for (index, cluster) in self.view.clusters.iter().enumerate().skip(self.cluster) {
                let figures = &self.figures[start + index * width..][..width];
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
            self.columns.pop();
        }
    }

    /// Gathers the figures of a section. Clusters lie scattered in memory: to visit ten thousand of them for each family takes five times
    /// as long as to visit them once.
    fn begin(&mut self, section: &[&'static [Family]]) {
        let clusters = &self.view.clusters;
        let mut end = 0;
        self.columns.clear();
        for family in section.iter().copied().flatten() {
            self.columns.push(Column { family, start: end });
            end += family.figure.width() * clusters.len();
        }
        self.figures.clear();
        self.figures.resize(end, ABSENT);
        for (index, cluster) in clusters.iter().enumerate() {
            let report = cluster.current().map(|good| &good.report);
            for Column { family, start } in &self.columns {
                let width = family.figure.width();
                let figures = &mut self.figures[start + index * width..][..width];
                let figure = match family.figure {
                    Figure::State(value) => {
                        for (figure, state) in figures.iter_mut().zip(JobState::ALL) {
                            *figure = report.and_then(|report| value(report, state)).unwrap_or(ABSENT);
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
                figures[0] = figure.unwrap_or(ABSENT);
            }
        }
        self.columns.reverse();
    }
}

/// What a family says of every cluster.
#[derive(Debug)]
struct Column {
    family: &'static Family,
    /// Where its figures start.
    start: usize,
}

/// No figure: half as long as an `Option`. No figure is written as it, since it is no number.
const ABSENT: f64 = f64::NAN;
