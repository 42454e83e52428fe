//! Encoder for the metric families of clusters.
//!
//! `prometheus-client` encodes the other families. It took six times as long for these, because it
//! encodes every label of every sample.

use std::fmt::Write;

use atlas_client::JobState;

use super::cluster::{MetricFamily, Samples};
use super::format::Format;
use super::values::{count, whole};
use crate::store::ClusterView;

/// Returns the common labels of all samples of a cluster, with the end of a label set.
pub(super) fn labels(cluster: &ClusterView) -> String {
    let ClusterView { target, project, .. } = cluster;
    let (project, cluster_name) = (escaped(project), escaped(&target.cluster_name));
    format!(
        r#"project_id="{}",project="{project}",cluster_name="{cluster_name}"{LABELS_END}"#,
        target.project_id
    )
}

/// Escapes a label value, in the same way for both formats.
fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// The end of a label set, before the value.
const LABELS_END: &str = "} ";

/// Returns a label that follows the common labels. Values of these labels need no escaping.
fn extra_label(label: &str, value: &str) -> String {
    format!(r#",{label}="{value}"{LABELS_END}"#)
}

/// Encodes the samples of one family.
#[derive(Debug)]
pub(super) struct Encoder {
    samples: &'static Samples,
    states: [(JobState, String); JobState::ALL.len()],
    /// HELP and TYPE lines; `None` once written.
    header: Option<String>,
    /// The start of each sample: its name and `{`.
    start: String,
}

impl Encoder {
    pub(super) fn new(family: &'static MetricFamily, format: Format) -> Self {
        let MetricFamily { name, help, samples } = family;
        let (kind, suffix) = match samples {
            Samples::Counter(_) | Samples::PerReason(_) => ("counter", "_total"),
            Samples::Info(..) => ("info", "_info"),
            Samples::PerCluster(_) | Samples::PerSummary(_) | Samples::PerState(_) => ("gauge", ""),
        };
        let sample_name = format!("{name}{suffix}");
        // In the text format, a family has the name of its samples, and there is no type `info`.
        let (name, kind) = match (format, kind) {
            (Format::Text, "info") => (sample_name.as_str(), "gauge"),
            (Format::Text, kind) => (sample_name.as_str(), kind),
            (Format::OpenMetrics, kind) => (*name, kind),
        };
        let header = Some(format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let states = JobState::ALL.map(|state| (state, extra_label("state", state.as_str())));
        Self { samples, states, header, start: sample_name + "{" }
    }

    /// Appends the samples of a cluster, if there are any.
    pub(super) fn add_cluster(&mut self, cluster: &ClusterView, labels: &str, out: &mut String) {
        let Self { samples, states, header, start } = self;
        let mut write = |extra_label: &str, value: f64| {
            out.push_str(&header.take().unwrap_or_default());
            out.push_str(start);
            if extra_label.is_empty() {
                out.push_str(labels);
            } else {
                out.push_str(&labels[..labels.len() - LABELS_END.len()]);
                out.push_str(extra_label);
            }
            push_value(value, out);
        };
        let summary = cluster.current().map(|poll| &poll.summary);
        match samples {
            Samples::PerCluster(value) => {
                if let Some(value) = value(cluster) {
                    write("", value);
                }
            }
            Samples::PerSummary(value) => {
                if let Some(value) = summary.and_then(value) {
                    write("", value);
                }
            }
            Samples::PerState(value) => {
                for (state, label) in states {
                    if let Some(value) = summary.and_then(|summary| value(summary, *state)) {
                        write(label, value);
                    }
                }
            }
            Samples::Info(label, value) => {
                if let Some(value) = value(cluster) {
                    write(&extra_label(label, value), 1.0);
                }
            }
            Samples::Counter(value) => write("", count(value(cluster))),
            Samples::PerReason(values) => {
                for (reason, value) in values(cluster) {
                    write(&extra_label("reason", reason.as_str()), count(*value));
                }
            }
        }
    }
}

fn push_value(value: f64, out: &mut String) {
    match whole(value) {
        // Most values are integers, and itoa formats them several times as fast.
        Some(whole) => out.push_str(itoa::Buffer::new().format(whole)),
        // Writing to a string does not fail.
        None => _ = write!(out, "{value}"),
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_with_the_fewest_digits() {
        for (number, written) in [
            (0.0, "0"),
            (-0.0, "0"),
            (10.0, "10"),
            (-3.0, "-3"),
            (0.001, "0.001"),
            (0.3, "0.3"),
            (1.0 / 3.0, "0.3333333333333333"),
            (-1.5, "-1.5"),
            (1_700_006_000.05, "1700006000.05"),
            (999_999_999_999.999, "999999999999.999"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
        ] {
            let mut text = String::new();
            push_value(number, &mut text);
            assert_eq!(text, format!("{written}\n"));
        }
    }
}
