//! The text of clusters, a piece at a time.

use std::sync::Arc;

use super::Format;
use super::families::{FAMILIES, Family, Figure};
use super::values::push;
use crate::board::{ClusterView, View};
use crate::model::JobState;

/// A piece is handed out when it is at least this long, in bytes.
const PIECE: usize = 64 * 1024;

/// Ends an exposition in `OpenMetrics`.
const EOF: &str = "# EOF\n";

/// The families of the clusters of a view, in pieces that end with a line.
#[derive(Debug)]
pub struct Pieces {
    view: Arc<View>,
    format: Format,
    labels: Labels,
    families: std::iter::Flatten<std::array::IntoIter<&'static [Family], { FAMILIES.len() }>>,
    family: Option<&'static Family>,
    /// Which cluster of the family is next.
    cluster: usize,
    /// Whether the family has its header: it gets none without a sample.
    begun: bool,
}

impl Pieces {
    pub(super) fn new(view: Arc<View>, format: Format) -> Self {
        let mut families = FAMILIES.into_iter().flatten();
        let (labels, family) = (Labels::of(&view.clusters), families.next());
        Self { view, format, labels, families, family, cluster: 0, begun: false }
    }

    /// Appends the next piece; false if that is the end, and nothing was appended.
    pub fn fill(&mut self, out: &mut String) -> bool {
        let Some(mut family) = self.family else { return false };
        let full = out.len() + PIECE;
        loop {
            let mut samples = Samples { family, format: self.format, labels: "", begun: self.begun, out };
            while let Some(cluster) = self.view.clusters.get(self.cluster) {
                samples.labels = self.labels.get(self.cluster);
                samples.add(cluster);
                self.cluster += 1;
                if samples.out.len() >= full {
                    self.begun = samples.begun;
                    return true;
                }
            }
            (self.cluster, self.begun) = (0, false);
            self.family = self.families.next();
            match self.family {
                Some(next) => family = next,
                None => break,
            }
        }
        if self.format == Format::OpenMetrics {
            out.push_str(EOF);
        }
        true
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut piece = String::with_capacity(PIECE + PIECE / 16);
        self.fill(&mut piece).then_some(piece)
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
    fn add(&mut self, cluster: &ClusterView) {
        let report = || Some(&cluster.current()?.report);
        match &self.family.figure {
            Figure::Cluster(value) => self.gauge(None, value(cluster)),
            Figure::Report(value) => self.gauge(None, report().and_then(value)),
            Figure::State(value) => {
                let Some(report) = report() else { return };
                for state in JobState::ALL {
                    self.gauge(Some(("state", state.as_str())), value(report, state));
                }
            }
            Figure::Info(label, word) => {
                if let Some(word) = word(cluster) {
                    self.begin(Some((label, word)));
                    self.out.push_str("1\n");
                }
            }
            Figure::Counter(value) => self.counter(None, value(cluster)),
            Figure::Reasons(counts) => {
                for (reason, value) in counts(cluster) {
                    self.counter(Some(("reason", reason.as_str())), *value);
                }
            }
        }
    }

    fn gauge(&mut self, extra: Option<(&str, &str)>, value: Option<f64>) {
        if let Some(value) = value {
            self.begin(extra);
            push(self.out, value);
            self.out.push('\n');
        }
    }

    fn counter(&mut self, extra: Option<(&str, &str)>, value: u64) {
        self.begin(extra);
        self.out.push_str(itoa::Buffer::new().format(value));
        self.out.push('\n');
    }

    /// Writes the header, if this is the first sample, and the sample up to its value.
    fn begin(&mut self, extra: Option<(&str, &str)>) {
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
    }
}
