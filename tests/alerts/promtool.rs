//! Scenarios as tests of promtool.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::Order;
use super::scenario::{Firing, Scenario};

/// Runs a test file; returns whether it passes, and the output.
pub(crate) fn promtool_test(file: &Path) -> (bool, String) {
    let mut promtool = std::process::Command::new("promtool");
    // Garbage collection would take a fifth of the time.
    let output = promtool.args(["test", "rules"]).arg(file).env("GOGC", "800").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}

/// Expectations of a scenario in promtool.
pub(crate) trait Expectations {
    /// Writes queries and expected samples in promtool's format.
    fn write(&self, scenario: &Scenario, yaml: &mut String);
}

/// Expects the alerts of a scenario from their first to their last minute, and no others.
pub(crate) struct Alerts;

impl Scenario {
    /// Asserts that no alert fires twice.
    fn assert_each_fires_once(&self) {
        let labels: BTreeSet<_> = self.firing.iter().map(|firing| &firing.labels).collect();
        assert_eq!(labels.len(), self.firing.len(), "an alert of {:?} fires twice", self.name);
    }
}

impl Expectations for Alerts {
    fn write(&self, scenario: &Scenario, yaml: &mut String) {
        scenario.assert_each_fires_once();
        let changes = scenario.firing.iter().flat_map(|firing| [firing.minutes.start, firing.minutes.end]);
        let mut times: Vec<_> = changes.flat_map(|minute| [minute - scenario.step, minute]).collect();
        times.sort_unstable();
        times.dedup();
        for minute in times.into_iter().filter(|minute| (0..=scenario.minutes).contains(minute)) {
            expect(yaml, "ALERTS{alertstate=\"firing\"}", minute);
            for firing in scenario.firing.iter().filter(|firing| firing.minutes.contains(&minute)) {
                writeln!(yaml, "    - {{labels: 'ALERTS{{{}}}', value: 1}}", firing.labels).unwrap();
            }
        }
        // The count covers the minutes between the checks.
        let range = scenario.minutes + scenario.step;
        expect(
            yaml,
            &format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{range}m])"),
            scenario.minutes,
        );
        for firing in &scenario.firing {
            let evaluations = (0..=scenario.minutes / scenario.step).map(|number| number * scenario.step);
            let fired = evaluations.filter(|minute| firing.minutes.contains(minute)).count();
            writeln!(yaml, "    - {{labels: '{{{}}}', value: {fired}}}", firing.labels).unwrap();
        }
    }
}

/// Expects alerts that may start and end one evaluation late, as groups read older values of
/// others.
pub(crate) struct LateAlerts;

impl Expectations for LateAlerts {
    fn write(&self, scenario: &Scenario, yaml: &mut String) {
        scenario.assert_each_fires_once();
        let step = scenario.step;
        for Firing { labels, minutes } in &scenario.firing {
            // Expects the number of evaluations in which the alert fires.
            let mut count = |first: i64, last: i64, times: i64| {
                if first <= last {
                    let range = last - first + 1;
                    expect(yaml, &format!("count_over_time(ALERTS{{{labels}}}[{range}m])"), last);
                    if times > 0 {
                        writeln!(yaml, "    - {{labels: '{{{labels}}}', value: {times}}}").unwrap();
                    }
                }
            };
            count(0, minutes.start - step, 0);
            let first = minutes.start + step;
            let last = minutes.end.min(scenario.minutes + 2 * step) - 2 * step;
            assert!(first <= last, "{labels} fires too shortly");
            count(first, last, (last - first) / step + 1);
            count(minutes.end.saturating_add(step), scenario.minutes, 0);
        }
        let range = scenario.minutes + step;
        expect(
            yaml,
            &format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{range}m]) > bool 0"),
            scenario.minutes,
        );
        for firing in &scenario.firing {
            writeln!(yaml, "    - {{labels: '{{{}}}', value: 1}}", firing.labels).unwrap();
        }
    }
}

/// Writes a query at `minute`; expected samples may follow.
pub(crate) fn expect(yaml: &mut String, query: &str, minute: i64) {
    let query = query.replace('\n', " ");
    writeln!(yaml, "  - expr: '{query}'\n    eval_time: {minute}m\n    exp_samples:").unwrap();
}

impl Scenario {
    /// Returns the test file for promtool, with the series that `rules` and `expectations` use.
    fn yaml(&self, rules: &Path, order: Order, expectations: &impl Expectations) -> String {
        let mut expected = String::new();
        expectations.write(self, &mut expected);
        let seen = std::fs::read_to_string(rules).unwrap() + &expected;
        let mut yaml = format!(
            "rule_files: ['{}']\n{}evaluation_interval: {step}m\ntests:\n- name: '{}'\n  \
            interval: {step}m\n  input_series:\n",
            rules.display(),
            order.line(),
            self.name,
            step = self.step
        );
        for (name, values) in self.series(&seen) {
            writeln!(yaml, "  - series: '{name}'\n    values: '{}'", notation(&values)).unwrap();
        }
        yaml + "  promql_expr_test:\n" + &expected
    }

    /// Returns the failures of promtool; empty if it passes.
    pub(crate) fn failures(
        &self,
        rules: &Path,
        order: Order,
        expectations: &impl Expectations,
        folder: &Path,
    ) -> String {
        let file = folder.join(format!("{}.yml", self.name.replace(' ', "-")));
        std::fs::write(&file, self.yaml(rules, order, expectations)).unwrap();
        let (passes, output) = promtool_test(&file);
        if passes {
            return String::new();
        }
        let lines = output.lines().filter(|line| !line.trim().is_empty()).take(40);
        format!("{}\n{}", self.name, lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Formats values in promtool's notation, with a stale marker at the end of a series.
fn notation(values: &[Option<String>]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = values;
    let mut before = false;
    while let Some(first) = rest.first() {
        let Some(first) = first else {
            let missing = rest.iter().take_while(|value| value.is_none()).count();
            words.push(if before { "stale".to_owned() } else { "_".to_owned() });
            if missing > 1 {
                words.push(format!("_x{}", missing - 1));
            }
            before = false;
            rest = &rest[missing..];
            continue;
        };
        // Integers that grow evenly are written as a range; other values are only repeated.
        let whole = |value: &Option<String>| value.as_deref().and_then(|value| value.parse::<i64>().ok());
        let growth = match (whole(&rest[0]), rest.get(1).and_then(whole)) {
            (Some(first), Some(second)) => second - first,
            _ => 0,
        };
        let run = rest
            .windows(2)
            .take_while(|pair| match (whole(&pair[0]), whole(&pair[1])) {
                (Some(one), Some(next)) => next - one == growth,
                _ => pair[0] == pair[1],
            })
            .count();
        words.push(format!("{first}{growth:+}x{run}"));
        before = true;
        rest = &rest[run + 1..];
    }
    words.join(" ")
}
