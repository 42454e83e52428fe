//! Lines of clusters. There are thirty of each, so what is the same in many of them is put together once, and copied.

use super::families::{Family, Figure};
use super::values::{count, push};
use super::{Format, Text};
use crate::board::ClusterView;
use crate::model::JobState;

/// What ends labels.
const END: &str = "} ";

/// The labels of each cluster, from brace to brace, escaped: they are the same in every family.
#[derive(Debug)]
pub(super) struct Labels {
    text: String,
    /// Where those of each begin, and where those of the last end.
    bounds: Vec<usize>,
}

impl Labels {
    pub(super) fn of(clusters: &[ClusterView]) -> Self {
        let length = |cluster: &ClusterView| 72 + cluster.project.len() + cluster.target.cluster_name.len();
        let mut labels = Self {
            text: String::with_capacity(clusters.iter().map(length).sum()),
            bounds: Vec::with_capacity(clusters.len() + 1),
        };
        labels.bounds.push(0);
        for ClusterView { target, project, .. } in clusters {
            let text = &mut labels.text;
            text.push_str("{project_id=\"");
            text.push_str(target.project_id.as_str());
            text.push_str("\",project=\"");
            push_escaped(text, project);
            text.push_str("\",cluster_name=\"");
            push_escaped(text, &target.cluster_name);
            text.push('"');
            text.push_str(END);
            labels.bounds.push(text.len());
        }
        labels
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> &str {
        &self.text[self.bounds[index]..self.bounds[index + 1]]
    }
}

/// Both formats escape the same three characters. Hardly any name has one, so all of it is looked at before each of it is.
fn push_escaped(out: &mut String, value: &str) {
    let special = |byte| matches!(byte, b'\\' | b'"' | b'\n');
    if !value.bytes().fold(false, |found, byte| found | special(byte)) {
        return out.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '"' | '\\' => out.extend(['\\', character]),
            _ => out.push(character),
        }
    }
}

/// The label of each state, and the end of the labels.
#[derive(Debug)]
pub(super) struct States([String; JobState::ALL.len()]);

impl Default for States {
    fn default() -> Self {
        Self(JobState::ALL.map(|state| format!(",state=\"{}\"{END}", state.as_str())))
    }
}

/// Writes the samples of a family.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    family: &'static Family,
    format: Format,
    /// What every sample begins with.
    name: String,
    /// What those of a cluster begin with, where it has several.
    start: String,
    states: &'a States,
    begun: bool,
    out: &'a mut Text,
}

impl<'a> Samples<'a> {
    /// With a header before the first sample, unless the family was `begun` before.
    pub(super) fn new(
        family: &'static Family,
        format: Format,
        states: &'a States,
        begun: bool,
        out: &'a mut Text,
    ) -> Self {
        let (_, suffix) = family.figure.kind();
        Self {
            family,
            format,
            name: [family.name, suffix].concat(),
            start: String::new(),
            states,
            begun,
            out,
        }
    }

    pub(super) fn begun(&self) -> bool {
        self.begun
    }

    /// How long the text is by now.
    pub(super) fn written(&self) -> usize {
        self.out.len()
    }

    /// Adds those of a cluster that has any.
    #[inline]
    pub(super) fn add(&mut self, cluster: &ClusterView, labels: &str, figures: &[f64]) {
        match self.family.figure {
            Figure::Cluster(_) | Figure::Report(_) | Figure::Counter(_) => {
                self.begin();
                self.out.push_str(&self.name);
                self.out.push_str(labels);
                self.end(figures[0]);
            }
            Figure::State(_) => {
                self.start.clear();
                self.start.push_str(&self.name);
                self.start.push_str(open(labels));
                for (place, figure) in figures.iter().enumerate() {
                    if !figure.is_nan() {
                        self.begin();
                        self.out.push_str(&self.start);
                        self.out.push_str(&self.states.0[place]);
                        self.end(*figure);
                    }
                }
            }
            Figure::Info(label, word) => {
                if let Some(word) = word(cluster) {
                    self.word(labels, label, word);
                    self.end(1.0);
                }
            }
            Figure::Reasons(counts) => {
                for (reason, value) in counts(cluster) {
                    self.word(labels, "reason", reason.as_str());
                    self.end(count(*value));
                }
            }
        }
    }

    /// Begins a sample with the header, if it is the first.
    #[inline]
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.header();
        }
    }

    /// Begins one with a label more. The words of clusters are our own, or plain ones by now: there is nothing to escape.
    fn word(&mut self, labels: &str, label: &str, word: &str) {
        self.begin();
        for part in [&self.name, open(labels), ",", label, "=\"", word, "\"", END] {
            self.out.push_str(part);
        }
    }

    #[inline]
    fn end(&mut self, value: f64) {
        push(self.out, value);
        self.out.push_ascii(b'\n');
    }

    #[cold]
    fn header(&mut self) {
        let Family { name, help, figure } = self.family;
        // The older format names a family as its samples are named, and knows no info.
        let (name, kind) = match (self.format, figure.kind().0) {
            (Format::Text, "info") => (self.name.as_str(), "gauge"),
            (Format::Text, kind) => (self.name.as_str(), kind),
            (Format::OpenMetrics, kind) => (*name, kind),
        };
        for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
            self.out.push_str(part);
        }
    }
}

/// Labels to which another can be added.
fn open(labels: &str) -> &str {
    &labels[..labels.len() - END.len()]
}
