//! The alert rules: incidents, a silent month, and every small change of a rule seen by some test. These tests need Debian's
//! `promtool`, which `tests/run` installs; a plain `cargo test` skips them.

// A list of one stretch of time is what is meant.
#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init, missing_docs)]

#[path = "../support/golden.rs"]
mod golden;
mod incidents;
mod mutation;
mod promtool;
mod scenario;
mod verdict;

use std::path::{Path, PathBuf};

use incidents::{END, nightly, story};
use promtool::{Alerts, LateAlerts, Questions, promtool_test};
use scenario::{Cluster, DAY, Details, End, Exporter, HOUR, Job, Scenario, cluster, daily, exporter, job};
use verdict::Verdict;

/// Tests in promtool's own format, each named after the rule that it is about.
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

/// The order in which groups of rules are evaluated. Prometheus evaluates them independently, so any order must do.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// As in the file: all that a group reads of another is new.
    Forward,
    /// All that a group reads of another is one interval old.
    Reversed,
}

impl Order {
    /// The line of a promtool test that demands this order.
    fn line(self) -> String {
        let text = std::fs::read_to_string(rules()).unwrap();
        let mut groups: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("- name: ")).collect();
        if let Self::Reversed = self {
            groups.reverse();
        }
        format!("group_eval_order: [{}]\n", groups.join(", "))
    }
}

/// A file of [`RULE_TESTS`], asked of other rules.
fn rule_tests(name: &str, rules: &Path) -> String {
    let text = std::fs::read_to_string(tests().join(name)).unwrap();
    text.replace("../../alerts/atlas-backup-export.rules.yml", &rules.display().to_string())
}

#[track_caller]
fn hold(stories: &[Scenario], order: Order, questions: &(impl Questions + Sync)) {
    let folder = tempfile::tempdir().unwrap();
    let complaints = std::thread::scope(|scope| {
        let told = |story: &Scenario| story.complaints(&rules(), order, questions, folder.path());
        let (first, second) = stories.split_at(stories.len() / 2);
        let second = scope.spawn(move || second.iter().map(told).collect::<Vec<_>>());
        let mut complaints: Vec<_> = first.iter().map(told).collect();
        complaints.extend(second.join().unwrap());
        complaints.retain(|said| !said.is_empty());
        complaints
    });
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Runs every test of some files by itself, with the rules that it needs.
#[track_caller]
fn hold_each(names: &[&str], order: Order) {
    let text = std::fs::read_to_string(rules()).unwrap();
    let tests: Vec<_> = names.iter().flat_map(|name| mutation::single_tests(name)).collect();
    assert!(tests.len() > 90, "only {} tests", tests.len());
    let complaints = mutation::each(&tests, |test, folder| {
        assert!(test.contains(&Order::Forward.line()), "{test}");
        let file = folder.join("test.yml");
        std::fs::write(&file, test.replace(&Order::Forward.line(), &order.line())).unwrap();
        std::fs::write(folder.join("rules.yml"), mutation::pruned(&text, test)).unwrap();
        let (holds, said) = promtool_test(&file);
        (!holds).then_some(said)
    });
    let complaints: Vec<_> = complaints.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{}", complaints.concat());
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn each_rule_does_what_it_says() {
    hold_each(&RULE_TESTS, Order::Forward);
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn each_rule_holds_when_groups_run_in_reverse() {
    // The steps of that file are longer than Prometheus looks back for: no group would see anything of another.
    let names: Vec<_> = RULE_TESTS.into_iter().filter(|name| *name != "thirty-days.yml").collect();
    hold_each(&names, Order::Reversed);
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn another_job_name_takes_one_replacement() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = folder.path().join("rules.yml");
    let text = std::fs::read_to_string(rules()).unwrap();
    std::fs::write(&renamed, text.replace("job=\"atlas-backup-exporter\"", "job=\"backups\"")).unwrap();
    let text = rule_tests("alerts.yml", &renamed)
        .replace("job=\"atlas-backup-exporter\"", "job=\"backups\"")
        .replace("job: atlas-backup-exporter", "job: backups")
        .replace("the job atlas-backup-exporter", "the job backups");
    let file = folder.path().join("alerts.yml");
    std::fs::write(&file, text).unwrap();
    let (holds, said) = promtool_test(&file);
    assert!(holds, "{said}");
}

/// Days in which all goes well, seen by two exporters.
fn calm(days: i64) -> Scenario {
    let sharded = daily(-3..32).map(|job| Job { collections: None, ..job });
    let weekly = (-2..5).map(|week| job(week * 7 * DAY + 3 * HOUR, End::Successful));
    let weekly_snapshots = (-2..5).map(|week| week * 7 * DAY + 3 * HOUR - 1).collect();
    Scenario {
        minutes: days * DAY,
        step: 30,
        exporters: vec![
            // Restarted every week.
            Exporter {
                down: (1..5).map(|week| week * 7 * DAY..week * 7 * DAY + 30).collect(),
                ..exporter("a:10027")
            },
            exporter("b:10027"),
        ],
        ..story(
            "nothing happens",
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
                // Created in the second week, exported from its first night on.
                Cluster { created: 9 * DAY, unwatched: vec![0..9 * DAY], ..cluster("new", daily(10..32)) },
                Cluster { auto_export_off: vec![0..END], ..cluster("unexported", []) },
            ],
        )
    }
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn a_month_without_incident_is_silent() {
    hold(&[calm(31)], Order::Forward, &Alerts);
}

/// Both questions at once: to evaluate the rules takes the time.
struct AlertsAndDashboard(Verdict);

impl Questions for AlertsAndDashboard {
    fn write(&self, story: &Scenario, yaml: &mut String) {
        Alerts.write(story, yaml);
        // The dashboard shows details that cannot be read elsewhere.
        if story.name != incidents::UNREAD {
            self.0.write(story, yaml);
        }
    }
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn incidents_fire_alerts_and_agree_with_the_dashboard() {
    let mut stories = incidents::all();
    stories.push(calm(3));
    hold(&stories, Order::Forward, &AlertsAndDashboard(Verdict::of_the_overview()));
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn restarts_and_groups_in_reverse_change_nothing() {
    hold(&incidents::all_with_restarts(), Order::Reversed, &LateAlerts);
}
