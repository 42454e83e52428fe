//! Queries of all dashboards in a real Prometheus that scrapes the demo.

use std::collections::BTreeMap;

use serde_json::Value;

use super::servers::{Prometheus, shipped};

/// Projects and clusters for the dashboard of one cluster: exports of the first fail, that of the
/// second is queued.
const LOOKED_AT: [(&str, &str); 2] =
    [("65f1c0ffee5eed0000000001", "prod-us"), ("65f1c0ffee5eed0000000002", "reporting")];

/// Queries without results in the demo, with the reason.
const EMPTY: [(&str, &str, &str); 7] = [
    ("overview: Clusters and jobs", "D", "every project is listed"),
    ("overview: Time with a current recovery point", "A", NO_HOUR_YET),
    ("overview: Days with data", "A", NO_HOUR_YET),
    ("overview: Recovery points of each cluster, worst first", "AC", NO_HOUR_YET),
    ("overview: Last duration (% of the median of 30 days)", "A", NO_HOUR_YET),
    ("cluster: Next success due", "BC", "the clusters are neither late nor paused"),
    ("cluster: Duration of the last success", "B", NO_HOUR_YET),
];
const NO_HOUR_YET: &str = "the query looks at full hours only";

struct Dashboard {
    name: &'static str,
    json: Value,
    variables: [(&'static str, &'static str); 6],
}

fn dashboard(name: &'static str, project: &'static str, cluster: &'static str) -> Dashboard {
    let text = std::fs::read_to_string(shipped(&format!("dashboards/{name}.json"))).unwrap();
    let variables = [
        ("$__rate_interval", "20s"),
        ("$__range", "1h"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$project", project),
        ("$cluster", cluster),
    ];
    Dashboard { name, json: serde_json::from_str(&text).unwrap(), variables }
}

impl Dashboard {
    fn filled(&self, query: &str) -> String {
        let mut filled = query.to_owned();
        for (variable, value) in self.variables {
            filled = filled.replace(variable, value);
        }
        filled
    }

    /// Returns the title, the ref id, the query, and whether it is an instant query, of every panel and
    /// annotation.
    fn targets(&self) -> Vec<(String, String, String, bool)> {
        let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
        let annotations = self.json["annotations"]["list"].as_array().unwrap().iter();
        let annotations =
            annotations.map(|query| (text(query, "name"), "A".to_owned(), text(query, "expr"), false));
        let panels = self.json["panels"].as_array().unwrap().iter();
        let within = |panel: &Value| panel["panels"].as_array().cloned().unwrap_or_default();
        panels
            .flat_map(|panel| std::iter::once(panel.clone()).chain(within(panel)))
            .flat_map(|panel| {
                let targets = panel["targets"].as_array().cloned().unwrap_or_default();
                targets.into_iter().map(move |target| {
                    let instant = target["instant"] == true;
                    (text(&panel, "title"), text(&target, "refId"), text(&target, "expr"), instant)
                })
            })
            .chain(annotations)
            .collect()
    }
}

/// Returns the results of a query, which must neither fail nor warn.
async fn ask(prometheus: &Prometheus, path: &str, query: &[(&str, &str)]) -> Vec<Value> {
    let response = prometheus.api(path, query).await.unwrap();
    assert_eq!(response["status"], "success", "{query:?}: {response}");
    assert!(response["warnings"].is_null() && response["infos"].is_null(), "{query:?}: {response}");
    let data = response["data"].get("result").unwrap_or(&response["data"]);
    data.as_array().unwrap().clone()
}

async fn find(prometheus: &Prometheus, query: &str, instant: bool) -> Vec<Value> {
    if instant {
        return ask(prometheus, "query", &[("query", query)]).await;
    }
    let now = jiff::Timestamp::now().as_second();
    let (start, end) = ((now - 60).to_string(), now.to_string());
    ask(prometheus, "query_range", &[("query", query), ("start", &start), ("end", &end), ("step", "5")]).await
}

/// Returns the values of a variable.
async fn options(prometheus: &Prometheus, query: &str) -> Vec<Value> {
    let (function, arguments) = query.strip_suffix(')').unwrap().split_once('(').unwrap();
    match function {
        "query_result" => ask(prometheus, "query", &[("query", arguments)]).await,
        "label_values" => {
            let (selector, label) = arguments.rsplit_once(", ").unwrap();
            ask(prometheus, &format!("label/{label}/values"), &[("match[]", selector)]).await
        }
        _ => panic!("unexpected function {function}"),
    }
}

/// Returns the status of each cluster of the demo in a dashboard.
async fn statuses(prometheus: &Prometheus, name: &'static str) -> BTreeMap<String, String> {
    let dashboard = dashboard(name, ".+", ".+");
    let targets = dashboard.targets();
    let title = if name == "overview" { "Clusters, worst first" } else { "Status" };
    let (.., query, _) = targets.iter().find(|(panel, letter, ..)| panel == title && letter == "A").unwrap();
    // The dashboard of one cluster selects it by equality.
    let query = dashboard.filled(query).replace("=\".+\"", "=~\".+\"");
    let found = find(prometheus, &query, true).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    found.iter().map(|found| (text(&found["metric"]["cluster_name"]), text(&found["value"][1]))).collect()
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; tests/run installs it"]
async fn every_query_of_the_dashboards_has_results() {
    let demo = super::demo().await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&demo.url, None, folder.path());
    prometheus.until("count(mongodbatlas_backup_export_up == 1)", |clusters| clusters == 8.0).await;
    // Rates need several samples, and a step of the range queries of five seconds must have some.
    let rate = "sum(rate(mongodbatlas_backup_export_polls_total[20s] offset 6s))";
    prometheus.until(rate, |rate| rate > 0.5).await;
    let alerts = "count(ALERTS{alertstate=\"firing\", cluster_name=\"prod-us\"})";
    prometheus.until(alerts, |alerts| alerts > 0.0).await;
    let mut wrong = Vec::new();
    let mut requested = 0;
    let pages = LOOKED_AT.map(|(project, cluster)| dashboard("cluster", project, cluster));
    for views in [vec![dashboard("overview", ".+", ".+")], pages.into()] {
        for dashboard in &views {
            for variable in dashboard.json["templating"]["list"].as_array().unwrap() {
                if variable["type"] == "query" {
                    let query = variable["query"].as_str().or(variable["query"]["query"].as_str()).unwrap();
                    let found = options(&prometheus, &dashboard.filled(query)).await;
                    assert!(!found.is_empty(), "{}: {} offers nothing", dashboard.name, variable["name"]);
                }
            }
        }
        for (title, letter, query, instant) in views[0].targets() {
            let mut found = false;
            for dashboard in &views {
                found |= !find(&prometheus, &dashboard.filled(&query), instant).await.is_empty();
                requested += 1;
            }
            let place = format!("{}: {title}", views[0].name);
            let excused =
                EMPTY.iter().any(|(panel, letters, _)| *panel == place && letters.contains(&letter));
            if found == excused {
                wrong.push(format!("{place} {letter}: {}", if found { "something" } else { "nothing" }));
            }
        }
    }
    assert!(requested > 90, "only {requested} queries");
    let statuses = ["overview", "cluster"].map(|name| statuses(&prometheus, name));
    let [overview, cluster] = futures_util::future::join_all(statuses).await.try_into().unwrap();
    assert_eq!(overview.len(), 8);
    assert_eq!(cluster, overview);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
