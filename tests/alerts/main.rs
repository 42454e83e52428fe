//! Tests of the alert rules: incidents, a month without any, and mutations of the rules.
//!
//! They need Debian's `promtool`, which `tests/run` installs; a plain `cargo test` skips them.

#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init, missing_docs)]

mod dashboard_status;
#[path = "../support/golden.rs"]
mod golden;
mod incidents;
mod mutation;
mod promtool;
mod scenario;

use std::path::{Path, PathBuf};

use dashboard_status::DashboardStatus;
use incidents::{END, nightly, scenario};
use promtool::{Alerts, Expectations, LateAlerts, promtool_test};
use scenario::{Cluster, DAY, Details, Exporter, HOUR, Job, JobEnd, Scenario, cluster, daily, exporter, job};

/// Files in promtool's format, whose tests are named after the rule that they test.
const RULE_TESTS: [&str; 7] = [
    "facts.yml",
    "conclusions.yml",
    "holds.yml",
    "thirty-days.yml",
    "alerts.yml",
    "alerts-slow.yml",
    "details.yml",
];

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts")
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts/atlas-backup-export.rules.yml")
}

/// Order in which rule groups are evaluated. Prometheus evaluates them independently.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// Order of the file: groups read current values of other groups.
    Forward,
    /// Reversed order: groups read values of other groups that are one interval old.
    Reversed,
}

impl Order {
    /// Returns the line of a promtool test that sets this order.
    fn line(self) -> String {
        let text = std::fs::read_to_string(rules()).unwrap();
        let mut groups: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("- name: ")).collect();
        if let Self::Reversed = self {
            groups.reverse();
        }
        format!("group_eval_order: [{}]\n", groups.join(", "))
    }
}

/// Returns a file of [`RULE_TESTS`] for another rules file.
fn rule_tests(name: &str, rules: &Path) -> String {
    let text = std::fs::read_to_string(tests().join(name)).unwrap();
    text.replace("../../alerts/atlas-backup-export.rules.yml", &rules.display().to_string())
}

#[track_caller]
fn assert_scenarios(scenarios: &[Scenario], order: Order, expectations: &(impl Expectations + Sync)) {
    let folder = tempfile::tempdir().unwrap();
    let failures = std::thread::scope(|scope| {
        let failures = |scenario: &Scenario| scenario.failures(&rules(), order, expectations, folder.path());
        let (first, second) = scenarios.split_at(scenarios.len() / 2);
        let second = scope.spawn(move || second.iter().map(failures).collect::<Vec<_>>());
        let mut failures: Vec<_> = first.iter().map(failures).collect();
        failures.extend(second.join().unwrap());
        failures.retain(|failure| !failure.is_empty());
        failures
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs each test of some files separately, with the rules that it needs.
#[track_caller]
fn assert_rule_tests(names: &[&str], order: Order) {
    let text = std::fs::read_to_string(rules()).unwrap();
    let tests: Vec<_> = names.iter().flat_map(|name| mutation::single_tests(name)).collect();
    assert!(tests.len() > 90, "only {} tests", tests.len());
    let failures = mutation::map_parallel(&tests, |test, folder| {
        assert!(test.contains(&Order::Forward.line()), "{test}");
        let file = folder.join("test.yml");
        std::fs::write(&file, test.replace(&Order::Forward.line(), &order.line())).unwrap();
        std::fs::write(folder.join("rules.yml"), mutation::pruned(&text, test)).unwrap();
        let (passes, output) = promtool_test(&file);
        (!passes).then_some(output)
    });
    let failures: Vec<_> = failures.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.concat());
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn rule_tests_pass() {
    assert_rule_tests(&RULE_TESTS, Order::Forward);
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn rule_tests_pass_with_groups_in_reverse() {
    // The steps of that file exceed the lookback of Prometheus: no group would see values of
    // another.
    let names: Vec<_> = RULE_TESTS.into_iter().filter(|name| *name != "thirty-days.yml").collect();
    assert_rule_tests(&names, Order::Reversed);
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn job_name_can_be_changed_by_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("rules.yml");
    let text = std::fs::read_to_string(rules()).unwrap();
    std::fs::write(&renamed, text.replace("job=\"atlas-backup-exporter\"", "job=\"backups\"")).unwrap();
    let text = rule_tests("alerts.yml", &renamed)
        .replace("job=\"atlas-backup-exporter\"", "job=\"backups\"")
        .replace("job: atlas-backup-exporter", "job: backups")
        .replace("job atlas-backup-exporter", "job backups");
    let file = folder.path().join("alerts.yml");
    std::fs::write(&file, text).unwrap();
    let (passes, output) = promtool_test(&file);
    assert!(passes, "{output}");
}

/// Returns days without incident, with two exporters.
fn uneventful(days: i64) -> Scenario {
    let sharded = daily(-3..32).map(|job| Job { collections: None, ..job });
    let weekly = (-2..5).map(|week| job(week * 7 * DAY + 3 * HOUR, JobEnd::Successful));
    let weekly_snapshots = (-2..5).map(|week| week * 7 * DAY + 3 * HOUR - 1).collect();
    Scenario {
        minutes: days * DAY,
        step: 30,
        exporters: vec![
            // Restarts every week.
            Exporter {
                down: (1..5).map(|week| week * 7 * DAY..week * 7 * DAY + 30).collect(),
                ..exporter("a:10027")
            },
            exporter("b:10027"),
        ],
        ..scenario(
            "no incident",
            0,
            [
                Cluster {
                    details: Some(Details { snapshots: nightly(-3..32), ..Details::default() }),
                    ..cluster("prod", daily(-3..32))
                },
                cluster("sharded", sharded),
                Cluster {
                    frequency: "weekly",
                    details: Some(Details { snapshots: weekly_snapshots, ..Details::default() }),
                    ..cluster("weekly", weekly)
                },
                // Created in the second week, and exported every night.
                Cluster { created: 9 * DAY, unwatched: vec![0..9 * DAY], ..cluster("new", daily(10..32)) },
                Cluster { auto_export_off: vec![0..END], ..cluster("unexported", []) },
            ],
        )
    }
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn month_without_incident_fires_no_alert() {
    assert_scenarios(&[uneventful(31)], Order::Forward, &Alerts);
}

/// Both expectations in one run, as evaluating the rules takes long.
struct AlertsAndDashboard(DashboardStatus);

impl Expectations for AlertsAndDashboard {
    fn write(&self, scenario: &Scenario, yaml: &mut String) {
        Alerts.write(scenario, yaml);
        // The dashboard shows failing collectors in another panel.
        if scenario.name != incidents::snapshots::UNREAD {
            self.0.write(scenario, yaml);
        }
    }
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn incidents_fire_alerts_and_agree_with_the_dashboard() {
    let mut scenarios = incidents::all();
    scenarios.push(uneventful(3));
    assert_scenarios(&scenarios, Order::Forward, &AlertsAndDashboard(DashboardStatus::load()));
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn incidents_fire_the_same_alerts_with_restarts() {
    assert_scenarios(&incidents::all_with_restarts(), Order::Reversed, &LateAlerts);
}
