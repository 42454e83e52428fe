//! The text of clusters, a piece at a time.

use std::sync::Arc;

use super::Format;
use super::families::{FAMILIES, Family, Figure};
use super::values::{count, push};
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
    /// Sections that are still to come.
    sections: std::slice::Iter<'static, &'static [Family]>,
    section: Section,
    /// Which cluster of the section's first family is next.
    cluster: usize,
    /// Whether that family has its header: it gets none without a sample.
    begun: bool,
}

impl Pieces {
    pub(super) fn new(view: Arc<View>, format: Format) -> Self {
        let labels = Labels::of(&view.clusters);
        let (sections, section) = (FAMILIES.iter(), Section::default());
        Self { view, format, labels, sections, section, cluster: 0, begun: false }
    }

    /// Appends the next piece; false if that was the end, and nothing was appended.
    pub fn fill(&mut self, out: &mut String) -> bool {
        let before = out.len();
        loop {
            let Some(family) = self.section.families.first() else {
                if let Some(families) = self.sections.next() {
                    self.section = Section::of(families, &self.view.clusters);
                    continue;
                }
                return out.len() > before;
            };
            let mut samples = Samples { family, format: self.format, labels: "", begun: self.begun, out };
            for (index, cluster) in self.view.clusters.iter().enumerate().skip(self.cluster) {
                samples.labels = self.labels.get(index);
                samples.add(cluster, self.section.figures(index));
                if samples.out.len() - before >= PIECE {
                    (self.cluster, self.begun) = (index + 1, samples.begun);
                    return true;
                }
            }
            (self.cluster, self.begun) = (0, false);
            self.section.advance();
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

/// Some families, with what they say of every cluster.
///
/// Clusters lie scattered in memory: to visit ten thousand of them for each family takes five times as long as to visit them once.
#[derive(Debug, Default)]
struct Section {
    families: &'static [Family],
    /// Those of the first family first, and of it those of the first cluster; [`ABSENT`] where there is none.
    figures: Vec<f64>,
    /// Where those of the first family begin.
    start: usize,
    clusters: usize,
}

/// No figure: half as long as an `Option`. No figure is written as it, since it is no number.
const ABSENT: f64 = f64::NAN;

impl Section {
    fn of(families: &'static [Family], clusters: &[ClusterView]) -> Self {
        let width: usize = families.iter().map(|family| family.figure.width()).sum();
        let mut figures = vec![ABSENT; width * clusters.len()];
        for (index, cluster) in clusters.iter().enumerate() {
            let report = cluster.current().map(|good| &good.report);
            let mut start = 0;
            for Family { figure, .. } in families {
                let mut put = |place: usize, value: Option<f64>| {
                    figures[start + index * figure.width() + place] = value.unwrap_or(ABSENT);
                };
                match figure {
                    Figure::Cluster(value) => put(0, value(cluster)),
                    Figure::Report(value) => put(0, report.and_then(value)),
                    Figure::State(value) => {
                        for (place, state) in JobState::ALL.into_iter().enumerate() {
                            put(place, report.and_then(|report| value(report, state)));
                        }
                    }
                    Figure::Counter(value) => put(0, Some(count(value(cluster)))),
                    // Whether there is any.
                    Figure::Info(_, word) => put(0, word(cluster).map(|_| 1.0)),
                    Figure::Reasons(counts) => put(0, counts(cluster).first_key_value().map(|_| 1.0)),
                }
                start += figure.width() * clusters.len();
            }
        }
        Self { families, figures, start: 0, clusters: clusters.len() }
    }

    /// The figures of a cluster in the first family.
    fn figures(&self, index: usize) -> &[f64] {
        let width = self.families.first().map_or(0, |family| family.figure.width());
        &self.figures[self.start + index * width..][..width]
    }

    /// Goes on to the next family.
    fn advance(&mut self) {
        if let Some((first, rest)) = self.families.split_first() {
            self.start += first.figure.width() * self.clusters;
            self.families = rest;
        }
    }
}

/// The labels of each cluster, escaped: they are the same in every family.
#[derive(Debug, Default)]
struct Labels {
    text: String,
    ends: Vec<usize>,
}

impl Labels {
    fn of(clusters: &[ClusterView]) -> Self {
        let mut labels = Self::default();
        for ClusterView { target, project, .. } in clusters {
            let text = &mut labels.text;
            push_label(text, "project_id", target.project_id.as_str());
            text.push(',');
            push_label(text, "project", project);
            text.push(',');
            push_label(text, "cluster_name", &target.cluster_name);
            labels.ends.push(text.len());
        }
        labels
    }

    fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }
}

/// Both formats escape the same three characters.
fn push_label(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str("=\"");
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Writes the samples of a family.
struct Samples<'a> {
    family: &'static Family,
    format: Format,
    /// Those of the cluster.
    labels: &'a str,
    begun: bool,
    out: &'a mut String,
}

impl Samples<'_> {
    /// Adds those of a cluster.
    fn add(&mut self, cluster: &ClusterView, figures: &[f64]) {
        if figures.iter().all(|figure| figure.is_nan()) {
            return;
        }
        match self.family.figure {
            Figure::Cluster(_) | Figure::Report(_) | Figure::Counter(_) => self.sample(None, figures[0]),
            Figure::State(_) => {
                for (state, figure) in JobState::ALL.into_iter().zip(figures) {
                    if !figure.is_nan() {
                        self.sample(Some(("state", state.as_str())), *figure);
                    }
                }
            }
            Figure::Info(label, word) => {
                if let Some(word) = word(cluster) {
                    self.sample(Some((label, word)), 1.0);
                }
            }
            Figure::Reasons(counts) => {
                for (reason, value) in counts(cluster) {
                    self.sample(Some(("reason", reason.as_str())), count(*value));
                }
            }
        }
    }

    /// Writes a sample, and the header before the first one.
    fn sample(&mut self, extra: Option<(&str, &str)>, value: f64) {
        let (kind, suffix) = match self.family.figure {
            Figure::Counter(_) | Figure::Reasons(_) => ("counter", "_total"),
            Figure::Info(..) => ("info", "_info"),
            Figure::Cluster(_) | Figure::Report(_) | Figure::State(_) => ("gauge", ""),
        };
        let Family { name, help, .. } = self.family;
        if !self.begun {
            self.begun = true;
            // The older format names a family as its samples are named, and knows no info.
            let (suffix, kind) = match self.format {
                Format::Text if kind == "info" => (suffix, "gauge"),
                Format::Text => (suffix, kind),
                Format::OpenMetrics => ("", kind),
            };
            for part in ["# HELP ", name, suffix, " ", help, "\n# TYPE ", name, suffix, " ", kind, "\n"] {
                self.out.push_str(part);
            }
        }
        for part in [name, suffix, "{", self.labels] {
            self.out.push_str(part);
        }
        if let Some((label, value)) = extra {
            self.out.push(',');
            push_label(self.out, label, value);
        }
        self.out.push_str("} ");
        push(self.out, value);
        self.out.push('\n');
    }
}
