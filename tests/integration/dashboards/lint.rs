//! Rules of Grafana's dashboard-linter, for every type of panel in use.

use super::{Dashboard, RATE_INTERVAL, dashboards, exposed, folder, timeless, title};
use crate::promql;
use serde::Deserialize;
use serde_json::Value;

/// Units in use, besides suffixes. Grafana shows a misspelled unit as a suffix.
const UNITS: [&str; 5] = ["none", "s", "percentunit", "reqps", "cpm"];

/// Violation of a rule: the panel, or empty for the dashboard, and the reason.
type Broken = Vec<(String, String)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exceptions {
    #[serde(default)]
    exception: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    dashboard: String,
    panel: String,
    reason: String,
}

/// Exceptions. Not JSON, as Grafana would provision it as a dashboard.
fn exceptions() -> Vec<Exception> {
    let text = std::fs::read_to_string(folder().join("lint-exceptions.toml")).unwrap();
    toml::from_str::<Exceptions>(&text).unwrap().exception
}

/// Asserts a rule for every dashboard except the exceptions, which must all be necessary.
#[track_caller]
fn hold(rule: &str, check: impl Fn(&Dashboard) -> Broken) {
    let mut exceptions = exceptions();
    exceptions.retain(|exception| exception.rule == rule);
    let mut needed = vec![false; exceptions.len()];
    for dashboard in dashboards() {
        for (panel, how) in check(&dashboard) {
            let exception = exceptions.iter().position(|e| e.dashboard == dashboard.uid && e.panel == panel);
            let Some(exception) = exception else { panic!("{rule}: {}, {panel:?}: {how}", dashboard.uid) };
            needed[exception] = true;
        }
    }
    for (exception, needed) in exceptions.iter().zip(needed) {
        assert!(needed, "no longer needed: {exception:?}");
    }
}

fn broken_by<'a>(
    panels: impl IntoIterator<Item = &'a Value>,
    how: impl Fn(&Value) -> Option<String>,
) -> Broken {
    panels.into_iter().filter_map(|panel| Some((title(panel).to_owned(), how(panel)?))).collect()
}

/// Returns the violations that `how` finds in every query.
fn broken_queries(dashboard: &Dashboard, how: impl Fn(&promql::Selector) -> Option<String>) -> Broken {
    let mut broken = Vec::new();
    for query in dashboard.queries() {
        let Ok(expr) = promql::parse(&query.text) else { continue };
        let wrong = promql::selectors(&expr).iter().filter_map(&how).collect::<Vec<_>>();
        broken
            .extend(wrong.into_iter().map(|how| (query.panel.to_owned(), format!("{how}: {}", query.text))));
    }
    broken
}

fn whole(ok: bool, how: &str) -> Broken {
    if ok { Vec::new() } else { vec![(String::new(), how.to_owned())] }
}

fn is_ours(datasource: &Value) -> bool {
    datasource["type"] == "prometheus" && datasource["uid"] == "${datasource}"
}

#[test]
fn template_datasource() {
    hold("template-datasource", |dashboard| {
        let found: Vec<_> = dashboard.variables().iter().filter(|v| v["type"] == "datasource").collect();
        let [only] = found[..] else { return whole(false, "not exactly one variable for the data source") };
        let named = only["name"] == "datasource" && only["label"] == "Data source";
        whole(named && only["query"] == "prometheus", "the variable of the data source differs")
    });
}

/// Checks a variable of a target label: several values, and all by default.
fn target_variable(dashboard: &Dashboard, name: &str, label: &str) -> Broken {
    let Some(variable) = dashboard.variables().iter().find(|v| v["name"] == name) else {
        return whole(false, "the variable is missing");
    };
    let many = variable["multi"] == true && variable["includeAll"] == true && variable["allValue"] == ".+";
    let is_query = variable["type"] == "query" && is_ours(&variable["datasource"]);
    whole(many && is_query && variable["label"] == label, &format!("wrong variable: {variable}"))
}

#[test]
fn template_job() {
    hold("template-job", |dashboard| target_variable(dashboard, "job", "Job"));
}

#[test]
fn template_instance() {
    hold("template-instance", |dashboard| target_variable(dashboard, "instance", "Instance"));
}

#[test]
fn template_label_promql() {
    let exposed = exposed();
    hold("template-label-promql", |dashboard| {
        let mut broken = Vec::new();
        for variable in dashboard.variables().iter().filter(|v| v["type"] == "query") {
            let query = variable["query"].as_str().unwrap_or_default();
            let inner = query.strip_suffix(')').and_then(|query| query.split_once('('));
            let queried = match inner {
                Some(("label_values", inner)) => inner.rsplit_once(',').map(|(selector, _)| selector),
                Some(("query_result", inner)) => Some(inner),
                _ => None,
            };
            let parsed = queried.map(|query| promql::parse(&timeless(query)));
            let selectors = match &parsed {
                Some(Ok(expr)) => promql::selectors(expr),
                _ => Vec::new(),
            };
            let known = selectors.iter().all(|selector| exposed.labels.contains_key(&selector.metric));
            if selectors.is_empty() || !known || variable["definition"] != variable["query"] {
                broken.extend(whole(false, &format!("{}: {query}", variable["name"])));
            }
        }
        broken
    });
}

#[test]
fn template_on_time_change_reload() {
    hold("template-on-time-change-reload", |dashboard| {
        let queries = dashboard.variables().iter().filter(|v| v["type"] == "query");
        queries.flat_map(|v| whole(v["refresh"] == 2, &format!("{} is not", v["name"]))).collect()
    });
}

#[test]
fn panel_datasource() {
    hold("panel-datasource", |dashboard| {
        broken_by(dashboard.panels(), |panel| {
            let targets = panel["targets"].as_array().into_iter().flatten();
            let mut sources = std::iter::once(panel).chain(targets).map(|owner| &owner["datasource"]);
            (panel["type"] != "text" && !sources.all(is_ours)).then(|| "another data source".to_owned())
        })
    });
}

/// Annotations show alerts, which the queries of panels cannot use, and metrics that exist.
#[test]
fn annotations_have_queries() {
    let exposed = exposed();
    hold("annotations", |dashboard| {
        let mut broken = Vec::new();
        for annotation in dashboard.annotations() {
            let query = annotation["expr"].as_str().unwrap_or_default();
            let parsed = promql::parse(&timeless(query));
            let selectors = parsed.as_ref().map(promql::selectors).unwrap_or_default();
            let known = selectors.iter().all(|selector| match selector.metric.as_str() {
                "ALERTS" => {
                    selector.matches("alertstate", "=", "firing")
                        && selector.matches("alertname", "=~", "Atlas(Backup|Credential).*")
                }
                metric => {
                    exposed.labels.contains_key(metric)
                        && selector.matches("job", "=~", "$job")
                        && selector.matches("instance", "=~", "$instance")
                }
            });
            if selectors.is_empty() || !known || !is_ours(&annotation["datasource"]) {
                broken.extend(whole(false, &format!("{}: {query}", annotation["name"])));
            }
        }
        broken
    });
}

#[test]
fn panel_title_description() {
    hold("panel-title-description", |dashboard| {
        broken_by(dashboard.everything(), |panel| {
            let has_text = |key: &str| panel[key].as_str().is_some_and(|text| !text.trim().is_empty());
            let enough = has_text("title") && (panel["type"] == "row" || has_text("description"));
            (!enough).then(|| format!("panel {} lacks a title or a description", panel["id"]))
        })
    });
}

#[test]
fn panel_units() {
    hold("panel-units", |dashboard| {
        broken_by(dashboard.panels(), |panel| {
            let config = &panel["fieldConfig"];
            let overrides = config["overrides"].as_array().into_iter().flatten();
            let properties = overrides.flat_map(|o| o["properties"].as_array().into_iter().flatten());
            let overridden = properties.filter(|p| p["id"] == "unit").map(|p| &p["value"]);
            let mut units = std::iter::once(&config["defaults"]["unit"]).chain(overridden);
            let known = |unit: &str| UNITS.contains(&unit) || unit.starts_with("suffix:");
            let wrong = units.find(|unit| !unit.as_str().is_some_and(known))?;
            (panel["type"] != "text").then(|| format!("the unit {wrong}"))
        })
    });
}

#[test]
fn panel_no_targets() {
    hold("panel-no-targets", |dashboard| {
        broken_by(dashboard.panels(), |panel| {
            let shown =
                panel["targets"].as_array().into_iter().flatten().filter(|t| t["hide"] != true).count();
            (panel["type"] != "text" && shown == 0).then(|| "no visible query".to_owned())
        })
    });
}

#[test]
fn target_logql() {
    hold("target-logql", |dashboard| {
        let of_variables = dashboard.variables().iter().any(|v| v["query"] == "loki");
        let mut broken =
            whole(!of_variables && !dashboard.text.contains(r#""type": "loki""#), "queries Loki");
        broken.extend(broken_by(dashboard.panels(), |panel| {
            let mut targets = panel["targets"].as_array().into_iter().flatten();
            targets.any(|target| target["datasource"]["type"] == "loki").then(|| "queries Loki".to_owned())
        }));
        broken
    });
}

#[test]
fn target_logql_auto() {
    hold("target-logql-auto", |dashboard| {
        let queries = dashboard.queries();
        let auto = queries.iter().filter(|query| query.text.contains("$__auto"));
        auto.map(|query| (query.panel.to_owned(), "the interval of a Loki query".to_owned())).collect()
    });
}

#[test]
fn target_promql() {
    hold("target-promql", |dashboard| {
        let parsed = dashboard.queries().into_iter().map(|query| (query.panel, promql::parse(&query.text)));
        parsed.filter_map(|(panel, parsed)| Some((panel.to_owned(), parsed.err()?))).collect()
    });
}

#[test]
fn target_rate_interval() {
    hold("target-rate-interval", |dashboard| {
        let expr = promql::parse(&format!("x[{RATE_INTERVAL}]")).unwrap();
        let interval = promql::selectors(&expr)[0].range;
        broken_queries(dashboard, |selector| {
            let of_a_rate = matches!(selector.function, Some("rate" | "irate" | "increase"));
            let wrong = of_a_rate != (selector.range.is_some() && selector.range == interval);
            wrong.then(|| format!("{} does not have the range of rates", selector.metric))
        })
    });
}

/// Checks that every selector is limited to the selected targets.
fn narrowed(dashboard: &Dashboard, label: &str) -> Broken {
    broken_queries(dashboard, |selector| {
        let narrow = selector.matches(label, "=~", &format!("${label}"));
        (!narrow).then(|| format!("{} lacks a matcher of {label}", selector.metric))
    })
}

#[test]
fn target_job() {
    hold("target-job", |dashboard| narrowed(dashboard, "job"));
}

#[test]
fn target_instance() {
    hold("target-instance", |dashboard| narrowed(dashboard, "instance"));
}

#[test]
fn target_counter_agg() {
    let exposed = exposed();
    hold("target-counter-agg", |dashboard| {
        broken_queries(dashboard, |selector| {
            let rated = matches!(selector.function, Some("rate" | "irate" | "increase"));
            let bare = exposed.counters.contains(&selector.metric) && !rated;
            bare.then(|| format!("{} is a counter without a rate", selector.metric))
        })
    });
}

#[test]
fn uneditable() {
    hold("uneditable", |dashboard| whole(dashboard.json["editable"] == false, "is editable"));
}

#[test]
fn lint_exceptions_have_a_rule_and_a_reason() {
    let rules = include_str!("lint.rs");
    for exception in exceptions() {
        assert!(rules.contains(&format!("hold(\"{}\", ", exception.rule)), "no such rule: {exception:?}");
        assert!(exception.reason.len() > 20, "{exception:?} has no reason");
    }
}
