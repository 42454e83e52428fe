//! The alert rules, as far as they can be read: whether they fit the metrics that are exposed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::exposed::exposed;
use crate::promql;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

#[derive(Debug, Default)]
struct Rule {
    group: String,
    component: String,
    /// Name of an alert; empty for recording rules.
    alert: String,
    record: String,
    expr: String,
}

/// Parses the rules line by line.
fn rules() -> Vec<Rule> {
    let text = read("alerts/atlas-backup-export.rules.yml");
    let mut rules: Vec<Rule> = Vec::new();
    let mut in_expr = false;
    let mut group = "";
    for line in text.lines() {
        let trimmed = line.trim();
        let (key, value) = trimmed.split_once(": ").unwrap_or((trimmed, ""));
        let deep = line.starts_with("      ");
        in_expr &= deep || trimmed.is_empty();
        let rule = || Rule { group: group.to_owned(), ..Rule::default() };
        match key {
            "- name" => group = value,
            "- alert" => rules.push(Rule { alert: value.to_owned(), ..rule() }),
            "- record" => rules.push(Rule { record: value.to_owned(), ..rule() }),
            "expr" if value == "|" => in_expr = true,
            "expr" => value.clone_into(&mut rules.last_mut().unwrap().expr),
            "component" if !in_expr => value.clone_into(&mut rules.last_mut().unwrap().component),
            _ if in_expr => {
                let expr = &mut rules.last_mut().unwrap().expr;
                expr.push_str(line);
                expr.push('\n');
            }
            _ => {}
        }
    }
    assert!(rules.len() > 30, "{rules:#?}");
    rules
}

#[test]
fn every_metric_and_label_of_a_rule_is_exposed() {
    let exposed = exposed();
    let mut seen = 0;
    for rule in rules() {
        let expr = promql::parse(&rule.expr).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
        for selector in promql::selectors(&expr) {
            let metric = &selector.metric;
            if metric.contains(':') || metric == "ALERTS" {
                continue;
            }
            exposed.labels_of(metric).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
            // The name of the job is configurable.
            for m in selector.matchers.iter().filter(|m| m.label != "job") {
                exposed.fits(metric, m).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
            }
            let job = selector.matchers.iter().any(|m| m.label == "job");
            assert_eq!(job, metric == "up", "only the target's own rule depends on the job: {rule:?}");
            seen += 1;
        }
    }
    assert!(seen > 20);
}

/// Group whose records other groups may read; see the head of the file.
const VISIBILITY: &str = "atlas-backup-export-visibility";

/// Default limit of Mimir and Grafana Cloud.
const MAX_RULES_PER_GROUP: usize = 20;

#[test]
fn rule_groups_are_small_and_independent() {
    let rules = rules();
    let groups: BTreeSet<_> = rules.iter().map(|rule| &rule.group).collect();
    for group in groups {
        let count = rules.iter().filter(|rule| rule.group == *group).count();
        assert!((1..=MAX_RULES_PER_GROUP).contains(&count), "{group} has {count} rules");
    }
    for (at, rule) in rules.iter().enumerate() {
        for selector in promql::selectors(&promql::parse(&rule.expr).unwrap()) {
            let place = rules.iter().position(|other| other.record == selector.metric);
            let Some(place) = place.filter(|_| selector.metric.contains(':')) else {
                assert!(!selector.metric.contains(':'), "{} is not recorded: {rule:?}", selector.metric);
                continue;
            };
            // Rules of a group are evaluated in order.
            let readable =
                if rules[place].group == rule.group { place < at } else { rules[place].group == VISIBILITY };
            assert!(readable, "{} must not be read here: {rule:?}", selector.metric);
        }
    }
}

#[test]
fn alerts_are_selected_by_label() {
    for rule in rules() {
        for selector in promql::selectors(&promql::parse(&rule.expr).unwrap()) {
            if selector.metric == "ALERTS" {
                let exact = selector.matchers.iter().all(|m| m.label != "alertname" || m.op == "=");
                assert!(exact, "{rule:?}");
            }
        }
        if !rule.alert.is_empty() {
            let about_exports =
                !rule.alert.starts_with("AtlasBackupExporter") && rule.alert.starts_with("AtlasB");
            assert_eq!(rule.component == "backup-export", about_exports, "{rule:?}");
            assert!(!rule.component.is_empty(), "{rule:?}");
        }
    }
    let inhibitions = read("alerts/alertmanager.example.yml");
    assert!(!inhibitions.contains("alertname =~"), "{inhibitions}");
}

#[test]
fn documented_command_copies_rules_with_own_links() {
    let documented = read("docs/alerts.md");
    let command = documented.split("```").find(|block| block.contains("sed -e ")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root().join("alerts"), folder.path().join("alerts")).unwrap();
    let command = command.replace("job=atlas-backup-exporter\n", "job=backups\n");
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-c", &command]).current_dir(folder.path()).status().unwrap().success());
    let copy = std::fs::read_to_string(folder.path().join("atlas-backup-export.rules.yml")).unwrap();
    let alerts = copy.matches("\n  - alert: ").count();
    let runbooks = "runbook_url: https://git.example.org/ops/atlas-backup-exporter/alerts/RUNBOOKS.md#atlas";
    for (text, count) in [
        (runbooks, alerts),
        ("dashboard_url: https://grafana.example.org/d/atlas-backup-export-", alerts),
        ("up{job=\"backups\"}", 5),
        ("example.com", 0),
        ("job=\"atlas-backup-exporter\"", 0),
    ] {
        assert_eq!(copy.matches(text).count(), count, "{text}");
    }
}

/// Returns every file of a folder, recursively.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Target labels such as `project_id` must not rename labels of the exporter.
#[test]
fn scrape_configurations_keep_the_labels_of_the_exporter() {
    let mut jobs = 0;
    let has = |text: &str, setting: &str| text.lines().any(|line| line.trim().starts_with(setting));
    let folders = ["docs", "dashboards", "deploy"].map(|name| files(&root().join(name)));
    for path in folders.concat().into_iter().chain([root().join("README.md")]) {
        // Skips binary files such as images.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for job in text.split("- job_name: ").skip(1) {
            let job = job.split("- targets:").next().unwrap();
            assert!(has(job, "honor_labels: true"), "{} has no honor_labels", path.display());
            jobs += 1;
        }
        for monitor in text.split("\nkind: ServiceMonitor\n").skip(1) {
            assert!(has(monitor, "honorLabels: true"), "{} has no honorLabels", path.display());
            jobs += 1;
        }
    }
    assert_eq!(jobs, 9);
}
