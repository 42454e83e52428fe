//! Values of a scrape.

use std::collections::BTreeMap;

/// The series of a scrape with their values.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) BTreeMap<String, f64>);

impl Scrape {
    pub(crate) fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        Self(series.collect())
    }

    /// Returns the series of a family by labels.
    pub(crate) fn of(&self, name: &str) -> Vec<(&str, f64)> {
        let series = self.0.iter().filter_map(|(series, value)| Some((series.strip_prefix(name)?, *value)));
        series.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{')).collect()
    }

    /// Returns the value of a series of a cluster: `value("jobs", "prod", "state=\"Failed\"")`.
    pub(crate) fn value(&self, name: &str, cluster: &str, label: &str) -> Option<f64> {
        let cluster = format!("cluster_name=\"{cluster}\"");
        let found: Vec<_> = self
            .of(&format!("mongodbatlas_backup_export_{name}"))
            .into_iter()
            .filter(|(labels, _)| labels.contains(&cluster) && labels.contains(label))
            .collect();
        assert!(found.len() < 2, "more than one series: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    pub(crate) fn up(&self, cluster: &str) -> Option<f64> {
        self.value("up", cluster, "")
    }

    /// Returns the state of a cluster's newest job.
    pub(crate) fn latest_state(&self, cluster: &str) -> Option<&str> {
        let cluster = format!("cluster_name=\"{cluster}\"");
        let of_family = self.of("mongodbatlas_backup_export_latest_job_state");
        let set: Vec<_> = of_family
            .into_iter()
            .filter(|(labels, value)| labels.contains(&cluster) && *value == 1.0)
            .collect();
        assert!(set.len() < 2, "more than one state: {set:?}");
        set.first().and_then(|(labels, _)| labels.split("state=\"").nth(1)?.split('"').next())
    }

    /// Returns whether there are series of a cluster's jobs.
    pub(crate) fn has_metrics(&self, cluster: &str) -> bool {
        self.value("failures_since_last_success", cluster, "").is_some()
            || self.value("jobs", cluster, "state=\"Failed\"").is_some()
    }
}
