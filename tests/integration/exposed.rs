//! Metrics and labels of the golden file, which queries may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::promql::{self, Matcher};

/// Series that Prometheus adds for each target.
const SCRAPE_SERIES: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
/// Labels that Prometheus adds to every series of a target.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];
/// Metric whose labels change with every build and are not in the golden file.
const BUILD_INFO: (&str, [&str; 3]) =
    ("mongodbatlas_backup_exporter_build_info", ["version", "revision", "rustversion"]);

/// Labels and their values by metric; counters and histograms with their suffixes.
pub(crate) struct Exposed {
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
    values: BTreeSet<(String, String)>,
    pub(crate) counters: BTreeSet<String>,
}

impl Exposed {
    /// Returns the labels of a metric, or an error.
    pub(crate) fn labels_of(&self, metric: &str) -> Result<&BTreeSet<String>, String> {
        self.labels.get(metric).ok_or_else(|| format!("{metric} is not exposed"))
    }

    /// Returns whether a metric can have the label and the value of a matcher.
    pub(crate) fn fits(&self, metric: &str, m: &Matcher) -> Result<(), String> {
        if !self.labels_of(metric)?.contains(&m.label) {
            return Err(format!("{metric} has no {}", m.label));
        }
        let fixed = m.op == "=" && !m.value.starts_with('$');
        if fixed && !self.values.contains(&(m.label.clone(), m.value.clone())) {
            return Err(format!("{} is never {}", m.label, m.value));
        }
        Ok(())
    }
}

pub(crate) fn exposed() -> Exposed {
    let golden = include_str!("../../src/metrics/golden.txt");
    let mut exposed = Exposed { labels: BTreeMap::new(), values: BTreeSet::new(), counters: BTreeSet::new() };
    for line in golden.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            match kind {
                "counter" => _ = exposed.counters.insert(name.to_owned()),
                "histogram" => exposed
                    .counters
                    .extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"))),
                _ => {}
            }
        } else if !line.starts_with('#') && !line.starts_with(BUILD_INFO.0) {
            let expr = promql::parse(line.rsplit_once(' ').unwrap().0).unwrap();
            for selector in promql::selectors(&expr) {
                let labels = exposed.labels.entry(selector.metric).or_default();
                labels.extend(selector.matchers.iter().map(|m| m.label.clone()));
                exposed.values.extend(selector.matchers.into_iter().map(|m| (m.label, m.value)));
            }
        }
    }
    exposed.labels.insert(BUILD_INFO.0.to_owned(), BUILD_INFO.1.map(str::to_owned).into());
    for series in SCRAPE_SERIES {
        exposed.labels.insert(series.to_owned(), BTreeSet::new());
    }
    for labels in exposed.labels.values_mut() {
        labels.extend(TARGET_LABELS.map(str::to_owned));
    }
    assert!(exposed.labels.len() > 40 && exposed.counters.len() > 5);
    exposed
}
