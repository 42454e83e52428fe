//! The alert rules, as far as they can be read: that they fit the metrics that are exposed, and that each has its runbook.

use std::collections::BTreeSet;
use std::path::Path;

use crate::exposed::exposed;
use crate::promql;

/// What every runbook says.
const PARTS: [&str; 4] = ["**Means.**", "**Look at.**", "**Do.**", "**Silence**"];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A rule, without what is the same for all.
#[derive(Debug, Default)]
struct Rule {
    /// Empty for a record.
    alert: String,
    record: String,
    expr: String,
    severity: String,
    runbook_url: String,
}

/// The rules, read line by line: the file keeps to one form.
fn rules() -> Vec<Rule> {
    let text = read("alerts/atlas-backup-export.rules.yml");
    let mut rules: Vec<Rule> = Vec::new();
    let mut in_expr = false;
    for line in text.lines() {
        let trimmed = line.trim();
        let (key, value) = trimmed.split_once(": ").unwrap_or((trimmed, ""));
        let deep = line.starts_with("      ");
        in_expr &= deep || trimmed.is_empty();
        match key {
            "- alert" => rules.push(Rule { alert: value.to_owned(), ..Rule::default() }),
            "- record" => rules.push(Rule { record: value.to_owned(), ..Rule::default() }),
            "expr" if value == "|" => in_expr = true,
            "expr" => value.clone_into(&mut rules.last_mut().unwrap().expr),
            "severity" if !in_expr => value.clone_into(&mut rules.last_mut().unwrap().severity),
            "runbook_url" => value.clone_into(&mut rules.last_mut().unwrap().runbook_url),
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

/// Every alert of the design, and those that were added.
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
    "AtlasBackupExporterBlind",
    "AtlasBackupExporterConfigReloadFailed",
    "AtlasBackupExporterDetailFailing",
    "AtlasBackupExporterDiscoveryFailing",
    "AtlasBackupExporterDown",
    "AtlasBackupExporterRateLimitLow",
    "AtlasCredentialExpiring",
];

#[test]
fn every_alert_has_a_severity_and_a_runbook_that_says_all_there_is_to_do() {
    let runbooks = read("alerts/RUNBOOKS.md");
    let mut names = BTreeSet::new();
    for rule in rules().into_iter().filter(|rule| !rule.alert.is_empty()) {
        assert!(["critical", "warning", "info"].contains(&rule.severity.as_str()), "{rule:?}");
        let anchor = rule.alert.to_lowercase();
        assert_eq!(rule.runbook_url, format!("alerts/RUNBOOKS.md#{anchor}"), "{}", rule.alert);
        let section = runbooks.split(&format!("\n## {}\n", rule.alert)).nth(1);
        let section = section.unwrap_or_else(|| panic!("{} has no runbook", rule.alert));
        let section = section.split("\n## ").next().unwrap();
        for part in PARTS {
            assert!(section.contains(part), "the runbook of {} has no {part}", rule.alert);
        }
        let row = format!("| [{0}](#{anchor}) | ", rule.alert);
        let row = runbooks.lines().find(|line| line.starts_with(&row)).unwrap();
        assert!(row.contains(&rule.severity), "{row} does not say {}", rule.severity);
        names.insert(rule.alert);
    }
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ALERTS);
    let sections = runbooks.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections, ALERTS.len(), "a runbook of no alert");
}

#[test]
fn every_metric_and_label_of_a_rule_is_exposed() {
    let exposed = exposed();
    let mut records: BTreeSet<String> = BTreeSet::new();
    let mut seen = 0;
    for rule in rules() {
        let expr = promql::parse(&rule.expr).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
        for selector in promql::selectors(&expr) {
            let metric = &selector.metric;
            if metric.contains(':') {
                // Within a group, rules are evaluated in their order.
                assert!(records.contains(metric), "{metric} is not recorded before {rule:?}");
                continue;
            }
            if metric == "ALERTS" {
                continue;
            }
            exposed.labels_of(metric).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
            // The job's name is the site's.
            for m in selector.matchers.iter().filter(|m| m.label != "job") {
                exposed.fits(metric, m).unwrap_or_else(|error| panic!("{error}: {rule:?}"));
            }
            let job = selector.matchers.iter().any(|m| m.label == "job");
            assert_eq!(job, metric == "up", "only the target's own rule depends on the job: {rule:?}");
            seen += 1;
        }
        records.insert(rule.record);
    }
    assert!(seen > 20);
}
