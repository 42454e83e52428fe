//! Grafana dashboards: rules for their queries, and existence of their metrics.

mod lint;
mod upload;

use crate::exposed::exposed;
use crate::promql;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Replacement of `$__rate_interval`, which no other range equals.
const RATE_INTERVAL: &str = "11m13s";

#[derive(Debug)]
struct Dashboard {
    uid: String,
    text: String,
    json: Value,
}

#[derive(Debug)]
struct Query<'a> {
    panel: &'a str,
    target: &'a Value,
    /// Replaces the variables that are durations.
    text: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

fn dashboards() -> Vec<Dashboard> {
    let mut paths: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let found: Vec<_> = paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let json: Value = serde_json::from_str(&text).unwrap();
            Dashboard { uid: json["uid"].as_str().unwrap().to_owned(), text, json }
        })
        .collect();
    assert_eq!(
        found.iter().map(|d| d.uid.as_str()).collect::<Vec<_>>(),
        ["atlas-backup-export-cluster", "atlas-backup-export-overview"]
    );
    found
}

impl Dashboard {
    /// Returns every panel, with rows and the panels in them.
    fn everything(&self) -> Vec<&Value> {
        let top = self.json["panels"].as_array().unwrap();
        top.iter()
            .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
            .collect()
    }

    /// Returns every panel except rows.
    fn panels(&self) -> Vec<&Value> {
        self.everything().into_iter().filter(|panel| panel["type"] != "row").collect()
    }

    fn variables(&self) -> &Vec<Value> {
        self.json["templating"]["list"].as_array().unwrap()
    }

    fn annotations(&self) -> &Vec<Value> {
        self.json["annotations"]["list"].as_array().unwrap()
    }

    fn queries(&self) -> Vec<Query<'_>> {
        let mut queries = Vec::new();
        for panel in self.panels() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = timeless(target["expr"].as_str().unwrap_or_default());
                queries.push(Query { panel: title(panel), target, text });
            }
        }
        assert!(queries.len() > 20, "{} has few queries", self.uid);
        queries
    }
}

fn title(panel: &Value) -> &str {
    panel["title"].as_str().unwrap_or_default()
}

/// Variables within quotes are valid `PromQL`; variables in place of a duration are not.
fn timeless(query: &str) -> String {
    query.replace("$__rate_interval", RATE_INTERVAL).replace("$__range", "7d")
}

#[test]
fn every_metric_label_and_state_of_a_query_is_exposed() {
    let exposed = exposed();
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let expr = promql::parse(&query.text).unwrap();
            let mut known = promql::made_labels(&expr);
            let place = format!("{}, {}: {}", dashboard.uid, query.panel, query.text);
            for selector in promql::selectors(&expr) {
                let wrong = |error: String| -> ! { panic!("{error}: {place}") };
                let labels = exposed.labels_of(&selector.metric).unwrap_or_else(|error| wrong(error));
                for m in &selector.matchers {
                    exposed.fits(&selector.metric, m).unwrap_or_else(|error| wrong(error));
                }
                known.extend(labels.clone());
            }
            let grouped = promql::grouping_labels(&expr);
            for label in &grouped {
                assert!(known.contains(label), "no metric has {label}: {place}");
            }
            let legend = query.target["legendFormat"].as_str().unwrap_or_default();
            for label in legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
                assert!(
                    grouped.contains(label),
                    "the legend has {label}, which is not in a grouping: {place}"
                );
            }
        }
    }
}

/// A cluster of two exporters counts once, and an exporter that is down leaves no 0.
#[test]
fn queries_aggregate_over_exporters() {
    let exposed = exposed();
    for dashboard in dashboards() {
        for query in dashboard.queries() {
            let expr = promql::parse(&query.text).unwrap();
            for selector in promql::selectors(&expr) {
                assert!(
                    selector.aggregated,
                    "{}, {}: {} is not aggregated",
                    dashboard.uid, query.panel, selector.metric
                );
                let picks = ["project", "cluster"].map(|variable| {
                    let label = if variable == "project" { "project_id" } else { "cluster_name" };
                    let (op, value) =
                        (if dashboard.uid.ends_with("cluster") { "=" } else { "=~" }, format!("${variable}"));
                    !exposed.labels[&selector.metric].contains(label) || selector.matches(label, op, &value)
                });
                // Quota and discovery of projects are only shown on the overview.
                assert_eq!(
                    picks,
                    [true, true],
                    "{}: {} lacks a matcher of a variable",
                    query.panel,
                    selector.metric
                );
                assert!(!selector.has_offset_or_at, "{}: {} has an offset", query.panel, selector.metric);
            }
            for function in ["vector", "absent", "absent_over_time"] {
                let has_default = promql::functions(&expr).contains(function);
                assert!(
                    !has_default,
                    "{}, {}: {function} has a value without an exporter",
                    dashboard.uid, query.panel
                );
            }
        }
    }
}

#[test]
fn panels_have_unique_ids_and_positions() {
    for dashboard in dashboards() {
        let mut ids = BTreeSet::new();
        let mut cells = BTreeMap::new();
        for panel in dashboard.everything() {
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{} has an id twice: {}",
                dashboard.uid,
                title(panel)
            );
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{}: {} leaves the grid", dashboard.uid, title(panel));
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                let other = cells.insert(cell, title(panel));
                assert_eq!(other, None, "{}: {} covers it", dashboard.uid, title(panel));
            }
        }
    }
}

/// Returns the names in `$name`, `${name}`, `${name:format}` and `${name.field}`.
fn variables_in(text: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let mut found: BTreeSet<_> =
        text.split('$').skip(1).map(|rest| word(rest.strip_prefix('{').unwrap_or(rest))).collect();
    // `$1` is a group of a regular expression.
    found.retain(|name| name.parse::<u8>().is_err() && !name.is_empty());
    found
}

#[test]
fn variables_are_defined_and_used() {
    // `__all` is the value of "All", and `$1` is a group of a regular expression.
    let own =
        ["1", "__rate_interval", "__range", "__all", "__data", "__field", "__value", "__url_time_range"];
    for dashboard in dashboards() {
        let defined: BTreeSet<_> =
            dashboard.variables().iter().map(|v| v["name"].as_str().unwrap().to_owned()).collect();
        let mut used = variables_in(&dashboard.text);
        used.retain(|name| !own.contains(&name.as_str()));
        assert_eq!(used, defined, "{}", dashboard.uid);
    }
}

#[test]
fn links_target_existing_dashboards() {
    let dashboards = dashboards();
    for dashboard in &dashboards {
        let links: Vec<_> =
            dashboard.text.split("\"/d/").skip(1).map(|rest| rest.split("\",").next().unwrap()).collect();
        assert!(!links.is_empty(), "{} has no links", dashboard.uid);
        for link in links {
            let (uid, variables) = link.split_once('?').unwrap();
            let target = dashboards.iter().find(|other| other.uid == uid);
            let Some(target) = target else { panic!("{} has a link to {uid}", dashboard.uid) };
            let carried = variables.split("var-").skip(1).map(|rest| rest.split('=').next().unwrap());
            let whole = variables_in(&variables.replace("${__", "")).into_iter();
            for name in carried.map(str::to_owned).chain(whole) {
                let known = target.variables().iter().any(|v| v["name"] == name.as_str());
                assert!(known, "{uid} has no variable {name}: {link}");
            }
        }
    }
}
