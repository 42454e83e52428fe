//! From the code to the documents: each entry of a list in the code is in every file that should have it.
//! CONTRIBUTING.md has a recipe for each list.

use std::path::Path;

use atlas_backup_exporter::config;
use atlas_backup_exporter::model::CollectorKind;
use atlas_backup_exporter::status::ClusterStatus;
use atlas_client::{ENDPOINTS, ERROR_RESPONSES, ErrorResponse, Retry};
use atlas_simulator::Cluster;
use serde_json::Value;

use crate::exposed::exposed;
use crate::support::atlas::{PROJECT, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Entries that files lack: one run reports all of them.
#[derive(Default)]
struct Missing(Vec<String>);

impl Missing {
    fn add_unless(&mut self, is_there: bool, file: &str, entry: &str) {
        if !is_there {
            self.0.push(format!("{file} lacks {entry}"));
        }
    }

    #[track_caller]
    fn assert_none(&self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

/// Returns the rows of Markdown tables whose first cell has `name` as code.
fn rows<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let name = format!("`{name}`");
    text.lines().filter(move |line| {
        line.strip_prefix("| ")
            .and_then(|line| line.split(" |").next())
            .is_some_and(|cell| cell.contains(&name))
    })
}

/// Returns the only row for `name`.
fn row<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rows = rows(text, name);
    rows.next().filter(|_| rows.next().is_none())
}

#[test]
fn every_metric_family_has_a_row_with_its_labels() {
    // Those of every cluster, and what Prometheus adds.
    const COMMON: [&str; 6] = ["project_id", "project", "cluster_name", "job", "instance", "le"];
    let (file, exposed) = ("docs/metrics.md", exposed());
    let (documented, golden) = (read(file), read("src/metrics/golden.txt"));
    let families = golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let (mut missing, mut count) = (Missing::default(), 0);
    for family in families {
        count += 1;
        let name = family.strip_prefix("mongodbatlas_backup_export_").unwrap_or(family);
        let row = row(&documented, name);
        missing.add_unless(row.is_some(), file, &format!("one row for `{name}`"));
        let labels = exposed.labels.get(family).into_iter().flatten();
        for label in labels.filter(|label| !COMMON.contains(&label.as_str())) {
            let has_label = row.is_none_or(|row| row.contains(&format!("`{label}`")));
            missing.add_unless(has_label, file, &format!("the label `{label}` in the row for `{name}`"));
        }
    }
    for endpoint in ENDPOINTS {
        let is_there = documented.contains(&format!("`{endpoint}`"));
        missing.add_unless(is_there, file, &format!("`{endpoint}` among the values of `endpoint`"));
    }
    missing.assert_none();
    assert!(count > 40, "{count}");
}

/// The keys that the example shows, in comments too: `table.key`, or `table[].key`.
fn example_keys() -> Vec<String> {
    let (mut table, mut keys) = (String::new(), Vec::new());
    for line in read("config.example.toml").lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = name.strip_prefix('[').map_or(name.to_owned(), |name| format!("{name}[]"));
        } else if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            keys.push(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn every_configuration_key_is_in_the_example_and_documented() {
    let (example_file, file) = ("config.example.toml", "docs/configuration.md");
    let (shown, example, documented) = (example_keys(), read(example_file), read(file));
    let tables = config::tables();
    let is_table = |path: &str| tables.iter().any(|(table, _)| *table == path);
    let mut missing = Missing::default();
    for (table, keys) in &tables {
        for key in keys.iter().filter(|key| !is_table(key) && !is_table(&format!("{table}.{key}"))) {
            // Credentials are described once, and so is what organizations share with projects.
            let is_credential = table.ends_with("service_account") || table.ends_with("api_key");
            let path = match (table.split_once('.'), key.as_str()) {
                (Some((_, table)), _) => format!("atlas.{table}.{key}"),
                (_, "expected_interval" | "export_expected") => format!("projects[].{key}"),
                _ if matches!(*table, "projects" | "organizations") => format!("{table}[].{key}"),
                _ => format!("{table}.{key}"),
            };
            let is_shown = shown.contains(&path) || is_credential && example.contains(&format!("{key} = "));
            missing.add_unless(is_shown, example_file, &path);
            missing.add_unless(row(&documented, &path).is_some(), file, &format!("one row for `{path}`"));
        }
    }
    missing.assert_none();
}

/// A row of the table of error answers in `docs/troubleshooting.md`.
fn error_row(row: &ErrorResponse) -> String {
    let statuses = row.statuses.iter().map(|statuses| match (statuses.start(), statuses.end()) {
        (400, 499) => "other 4xx".to_owned(),
        (500, 599) => "other 5xx".to_owned(),
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    });
    let statuses = statuses.collect::<Vec<_>>().join(", ");
    let codes = row.codes.iter().map(|code| match *code {
        "" => "none".to_owned(),
        code => format!("`{code}`"),
    });
    let mut codes = codes.collect::<Vec<_>>().join(", ");
    if codes.is_empty() {
        let is_listed = |other: &ErrorResponse| {
            !other.codes.is_empty() && row.statuses.iter().any(|status| other.statuses.contains(status))
        };
        codes.push_str(if ERROR_RESPONSES.iter().any(is_listed) { "any other" } else { "any" });
    }
    let retry = match row.retry {
        Retry::No => "no",
        Retry::NewToken => "once, with a new token",
        Retry::Backoff => "with backoff",
    };
    let disables = if row.is_lasting { "after a second refusal" } else { "no" };
    let hint = row
        .hint
        .replace("{credentials}", "service account or API key")
        .replace("{origin}", "")
        .replace("{secret}", "secret")
        .replace("{role}", "that `check` names")
        .replace("{owner}", "project or organization")
        .replace("{address}", "")
        .replace("{error}", "(Atlas's answer)");
    assert!(!hint.contains(['{', '}']), "{hint} has an unknown placeholder");
    let reason = row.reason.as_str();
    format!("| {statuses} | {codes} | `{reason}` | {retry} | {disables} | {hint} |")
}

#[test]
fn every_error_response_has_its_row_in_order() {
    let (file, metrics_file) = ("docs/troubleshooting.md", "docs/metrics.md");
    let (documented, metrics) = (read(file), read(metrics_file));
    let rows: Vec<_> = ERROR_RESPONSES.iter().map(error_row).collect();
    let mut missing = Missing::default();
    for (answer, row) in ERROR_RESPONSES.iter().zip(&rows) {
        missing.add_unless(documented.lines().any(|line| line == row), file, &format!("the row\n{row}"));
        let reason = format!("`{}`", answer.reason.as_str());
        missing.add_unless(metrics.contains(&reason), metrics_file, &format!("{reason} among the reasons"));
    }
    missing.assert_none();
    let table = documented.split_once("| Status | `errorCode` | ").unwrap().1;
    let table: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert_eq!(table, rows, "{file} should have these rows in this order");
}

#[test]
fn every_collector_is_in_example_documents_and_dashboard() {
    let shown = example_keys();
    let overview: Value = serde_json::from_str(&read("dashboards/overview.json")).unwrap();
    let runbooks = read("alerts/RUNBOOKS.md");
    let runbook = runbooks.split("\n## AtlasBackupExporterCollectorFailing\n").nth(1).unwrap();
    let runbook = runbook.split("\n## ").next().unwrap();
    let (metrics, api) = (read("docs/metrics.md"), read("docs/api.md"));
    let tests = read("tests/alerts/details.yml");
    let panel = list(&overview["panels"])
        .iter()
        .find(|panel| {
            list(&panel["targets"]).iter().any(|target| target.to_string().contains("collector_success"))
        })
        .unwrap();
    let mut missing = Missing::default();
    for name in CollectorKind::ALL.map(CollectorKind::as_str) {
        let code = format!("`{name}`");
        let key = format!("collectors.{name}");
        missing.add_unless(shown.contains(&key), "config.example.toml", &key);
        for metric in ["collector_success", "collectors_unread"] {
            let is_there = row(&metrics, metric).unwrap().contains(&code);
            missing.add_unless(is_there, "docs/metrics.md", &format!("{code} in the row for `{metric}`"));
        }
        for field in ["problems", "unread_collectors"] {
            let is_there = row(&api, field).unwrap().contains(&code);
            missing.add_unless(is_there, "docs/api.md", &format!("{code} in the row for `{field}`"));
        }
        let file = "alerts/RUNBOOKS.md";
        missing.add_unless(runbook.contains(&code), file, &format!("{code} under CollectorFailing"));
        let is_there = panel["description"].as_str().unwrap().contains(name);
        let panel = format!("{name} in the description of the panel {}", panel["title"]);
        missing.add_unless(is_there, "dashboards/overview.json", &panel);
        let label = format!("collector=\"{name}\"");
        missing.add_unless(
            tests.contains(&label),
            "tests/alerts/details.yml",
            &format!("a test with {label}"),
        );
    }
    missing.assert_none();
}

#[tokio::test]
async fn every_collector_succeeds_against_the_simulator() {
    let simulator = simulator(atlas_state([("prod", Cluster::with([]))])).await;
    let exporter = ExporterBuilder::new(&simulator).set("collectors.interval", "200ms").start().await;
    for kind in CollectorKind::ALL.map(CollectorKind::as_str) {
        let labels = format!("{{project_id=\"{PROJECT}\",collector=\"{kind}\"}}");
        let series = format!("mongodbatlas_backup_export_collector_success{labels}");
        exporter.until(|scrape| scrape.0.get(&series) == Some(&1.0)).await;
    }
}

#[test]
fn every_status_is_documented_and_in_the_dashboards() {
    let (file, documented) = ("docs/api.md", read("docs/api.md"));
    let runbooks = read("alerts/RUNBOOKS.md");
    let dashboards = ["dashboards/overview.json", "dashboards/cluster.json"].map(|file| (file, read(file)));
    let mut missing = Missing::default();
    for (place, status) in ClusterStatus::all().enumerate() {
        let name = serde_json::to_value(status).unwrap();
        let name = name.as_str().unwrap();
        let row = format!("| `{name}` | `{}` | {} |", status.severity().as_str(), status.description());
        missing.add_unless(documented.lines().any(|line| line == row), file, &format!("a row {row}"));
        let runbook = status.alert().is_none_or(|alert| runbooks.contains(&format!("\n## {alert}\n")));
        missing.add_unless(runbook, "alerts/RUNBOOKS.md", &format!("a section for {:?}", status.alert()));
        let (text, index) = (format!("\"text\": \"{}\"", status.words()), format!("\"index\": {place} "));
        for (file, dashboard) in &dashboards {
            let is_there = dashboard.lines().any(|line| line.contains(&text) && line.contains(&index));
            missing.add_unless(is_there, file, &format!("a value mapping with {text} and {index}"));
        }
    }
    missing.assert_none();
}

/// Every alert: renaming one breaks routes and silences of others.
const ALERTS: [&str; 19] = [
    "AtlasBackupAutoExportDisabled",
    "AtlasBackupAutoExportFailed",
    "AtlasBackupExportBucketMissing",
    "AtlasBackupExportFailed",
    "AtlasBackupExportFailureUnresolved",
    "AtlasBackupExportMissing",
    "AtlasBackupExportNeverSucceeded",
    "AtlasBackupExportOverdue",
    "AtlasBackupExportQueuedTooLong",
    "AtlasBackupExportSlow",
    "AtlasBackupExportStalled",
    "AtlasBackupExporterAuthFailing",
    "AtlasBackupExporterCollectorFailing",
    "AtlasBackupExporterConfigReloadFailed",
    "AtlasBackupExporterDiscoveryFailing",
    "AtlasBackupExporterDown",
    "AtlasBackupExporterPollsFailing",
    "AtlasBackupExporterRateLimitLow",
    "AtlasCredentialExpiring",
];

/// Headings of every runbook, in order, as in the runbooks of the Prometheus Operator.
const RUNBOOK_PARTS: [&str; 5] = ["Meaning", "Impact", "Diagnosis", "Mitigation", "Silence"];

/// Addresses in the rules that users replace with their own.
const RUNBOOKS: &str = "https://runbooks.example.com/RUNBOOKS.md";
const GRAFANA: &str = "https://grafana.example.com";

const RULES: &str = "alerts/atlas-backup-export.rules.yml";

fn alerts() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].clone();
    let rules = list(&groups).iter().flat_map(|group| list(&group["rules"]));
    rules.filter(|rule| rule["alert"].is_string()).cloned().collect()
}

#[test]
fn every_alert_has_a_runbook() {
    let (file, runbooks) = ("alerts/RUNBOOKS.md", read("alerts/RUNBOOKS.md"));
    let mut missing = Missing::default();
    let mut names: Vec<_> = Vec::new();
    for rule in alerts() {
        let (name, severity) =
            (rule["alert"].as_str().unwrap(), rule["labels"]["severity"].as_str().unwrap());
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let anchor = name.to_lowercase();
        let url = format!("{RUNBOOKS}#{anchor}");
        let has_url = rule["annotations"]["runbook_url"] == url.as_str();
        missing.add_unless(has_url, RULES, &format!("runbook_url: {url} of {name}"));
        let section =
            runbooks.split(&format!("\n## {name}\n")).nth(1).and_then(|rest| rest.split("\n## ").next());
        missing.add_unless(section.is_some(), file, &format!("a section ## {name}"));
        let headings = section.into_iter().flat_map(str::lines).filter_map(|line| line.strip_prefix("### "));
        let has_parts = headings.eq(RUNBOOK_PARTS);
        missing.add_unless(has_parts, file, &format!("the headings {RUNBOOK_PARTS:?} under ## {name}"));
        let row = format!("| [{name}](#{anchor}) | ");
        let has_row = runbooks.lines().any(|line| line.starts_with(&row) && line.contains(severity));
        missing.add_unless(has_row, file, &format!("a row {row}{severity}"));
        names.push(name.to_owned());
    }
    missing.assert_none();
    names.sort();
    names.dedup();
    assert_eq!(names, ALERTS, "the alerts of {RULES}, and those known to this test");
    let sections = runbooks.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections, ALERTS.len(), "{file} has a section without an alert");
}

#[test]
fn every_alert_links_to_a_dashboard() {
    let dashboards = ["overview", "cluster"]
        .map(|name| serde_json::from_str::<Value>(&read(&format!("dashboards/{name}.json"))).unwrap());
    for rule in alerts() {
        let url = rule["annotations"]["dashboard_url"].as_str().unwrap_or_default();
        let link = url.strip_prefix(GRAFANA).and_then(|path| path.strip_prefix("/d/"));
        let (uid, query) = link.map_or(("", ""), |link| link.split_once('?').unwrap_or((link, "")));
        let dashboard = dashboards.iter().find(|dashboard| dashboard["uid"] == uid);
        let dashboard = dashboard.unwrap_or_else(|| panic!("no dashboard of {rule}"));
        for variable in query.split("var-").skip(1).filter_map(|rest| rest.split('=').next()) {
            let variables = list(&dashboard["templating"]["list"]);
            assert!(variables.iter().any(|known| known["name"] == variable), "{uid} has no {variable}");
        }
        assert_eq!(rule["annotations"].as_object().unwrap().len(), 4, "{rule}");
    }
}

/// Maximum length of a summary in the tests: notifications on phones show little more.
const MAX_SUMMARY: usize = 110;

/// promtool compares these annotations exactly.
#[test]
fn expected_annotations_are_single_lines() {
    let mut count = 0;
    for name in ["alerts", "alerts-slow", "details"] {
        let tests = yaml(&format!("tests/alerts/{name}.yml"))["tests"].clone();
        let expected = list(&tests).iter().flat_map(|test| list(&test["alert_rule_test"]));
        for alert in expected.flat_map(|test| list(&test["exp_alerts"])) {
            let (labels, annotations) = (&alert["exp_labels"], &alert["exp_annotations"]);
            for annotation in ["summary", "description", "runbook_url", "dashboard_url"] {
                let text = annotations[annotation].as_str().unwrap_or_default();
                let is_line = !text.is_empty() && text == text.trim() && !text.contains('\n');
                assert!(
                    is_line && !text.contains("  ") && !text.contains("<error"),
                    "{annotation} of {alert}"
                );
            }
            let summary = annotations["summary"].as_str().unwrap();
            assert!(summary.len() <= MAX_SUMMARY, "{} characters: {summary}", summary.len());
            let url = annotations["dashboard_url"].as_str().unwrap();
            let is_of_cluster = url.starts_with(&format!("{GRAFANA}/d/atlas-backup-export-cluster?"));
            match labels["cluster_name"].as_str() {
                None => assert!(!is_of_cluster, "{alert}"),
                Some(cluster) => {
                    let project = labels["project_id"].as_str().unwrap();
                    let names =
                        ["payments", "billing", project].map(|project| format!(" {project}/{cluster}"));
                    assert!(
                        names.iter().any(|name| summary.contains(name)),
                        "{summary} does not name {cluster}"
                    );
                    assert!(
                        is_of_cluster && url.contains(&format!("?var-project={project}&var-cluster=")),
                        "{url}"
                    );
                }
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn every_alert_has_tests_that_fire_it_and_that_do_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let runner = read("tests/alerts/main.rs");
    let (mut missing, mut tests) = (Missing::default(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yml") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_run = runner.contains(&format!("\"{name}\""));
            missing.add_unless(is_run, "RULE_TESTS of tests/alerts/main.rs", name);
            tests.extend(list(&yaml(&format!("tests/alerts/{name}"))["tests"]).to_vec());
        }
    }
    for alert in ALERTS {
        let fires = tests
            .iter()
            .flat_map(|test| list(&test["alert_rule_test"]))
            .any(|test| test["alertname"] == alert && !list(&test["exp_alerts"]).is_empty());
        missing.add_unless(fires, "tests/alerts/*.yml", &format!("an alert_rule_test that fires {alert}"));
        // Pending is silent, too.
        let query = format!("ALERTS{{alertname=\"{alert}\"");
        let is_silent = tests.iter().flat_map(|test| list(&test["promql_expr_test"])).any(|test| {
            let fires = test["exp_samples"].to_string().contains("alertstate=\\\"firing\\\"");
            test["expr"].as_str().is_some_and(|expr| expr.starts_with(&query)) && !fires
        });
        missing.add_unless(
            is_silent,
            "tests/alerts/*.yml",
            &format!("a promql_expr_test of {query} that does not fire"),
        );
    }
    missing.assert_none();
}
