//! Stories as tests of promtool.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::Order;
use super::scenario::{Firing, Scenario};

/// Whether promtool has nothing against a test file, and what it says.
pub(crate) fn promtool_test(file: &Path) -> (bool, String) {
    let mut promtool = std::process::Command::new("promtool");
    // It collects its garbage a fifth of the time, of which a run of seconds has little.
    let output = promtool.args(["test", "rules"]).arg(file).env("GOGC", "800").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

/// What is asked of a story in promtool.
pub(crate) trait Questions {
    /// Adds questions and answers in promtool's format.
    fn write(&self, story: &Scenario, yaml: &mut String);
}

/// Whether the alerts fire that should, from their first minute to their last, and no other at any time.
pub(crate) struct Alerts;

impl Scenario {
    /// No alert is resolved and fires again within an incident.
    fn check_each_fires_once(&self) {
        let labels: BTreeSet<_> = self.firing.iter().map(|firing| &firing.labels).collect();
        assert_eq!(labels.len(), self.firing.len(), "an alert of {:?} fires twice", self.name);
    }
}

impl Questions for Alerts {
    fn write(&self, story: &Scenario, yaml: &mut String) {
        story.check_each_fires_once();
        let changes = story.firing.iter().flat_map(|firing| [firing.minutes.start, firing.minutes.end]);
        let mut looks: Vec<_> = changes.flat_map(|minute| [minute - story.step, minute]).collect();
        looks.sort_unstable();
        looks.dedup();
        for minute in looks.into_iter().filter(|minute| (0..=story.minutes).contains(minute)) {
            ask(yaml, "ALERTS{alertstate=\"firing\"}", minute);
            for firing in story.firing.iter().filter(|firing| firing.minutes.contains(&minute)) {
                writeln!(yaml, "    - {{labels: 'ALERTS{{{}}}', value: 1}}", firing.labels).unwrap();
            }
        }
        // Counted, nothing that fires between two looks is missed.
        let range = story.minutes + story.step;
        ask(yaml, &format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{range}m])"), story.minutes);
        for firing in &story.firing {
            let evaluations = (0..=story.minutes / story.step).map(|number| number * story.step);
            let fired = evaluations.filter(|minute| firing.minutes.contains(minute)).count();
            writeln!(yaml, "    - {{labels: '{{{}}}', value: {fired}}}", firing.labels).unwrap();
        }
    }
}

/// The same, but each alert may begin and end one evaluation late: what its group reads of another is that old.
pub(crate) struct LateAlerts;

impl Questions for LateAlerts {
    fn write(&self, story: &Scenario, yaml: &mut String) {
        story.check_each_fires_once();
        let step = story.step;
        for Firing { labels, minutes } in &story.firing {
            // How often it fires from one minute to another.
            let mut count = |first: i64, last: i64, times: i64| {
                if first <= last {
                    let range = last - first + 1;
                    ask(yaml, &format!("count_over_time(ALERTS{{{labels}}}[{range}m])"), last);
                    if times > 0 {
                        writeln!(yaml, "    - {{labels: '{{{labels}}}', value: {times}}}").unwrap();
                    }
                }
            };
            count(0, minutes.start - step, 0);
            let first = minutes.start + step;
            let last = minutes.end.min(story.minutes + 2 * step) - 2 * step;
            assert!(first <= last, "{labels} fires too shortly");
            count(first, last, (last - first) / step + 1);
            count(minutes.end.saturating_add(step), story.minutes, 0);
        }
        let range = story.minutes + step;
        ask(
            yaml,
            &format!("count_over_time(ALERTS{{alertstate=\"firing\"}}[{range}m]) > bool 0"),
            story.minutes,
        );
        for firing in &story.firing {
            writeln!(yaml, "    - {{labels: '{{{}}}', value: 1}}", firing.labels).unwrap();
        }
    }
}

/// Asks for `query` at `minute`; answers may follow.
pub(crate) fn ask(yaml: &mut String, query: &str, minute: i64) {
    let query = query.replace('\n', " ");
    writeln!(yaml, "  - expr: '{query}'\n    eval_time: {minute}m\n    exp_samples:").unwrap();
}

impl Scenario {
    /// The story as a test file for promtool, with the series that `rules` and `questions` can see.
    fn yaml(&self, rules: &Path, order: Order, questions: &impl Questions) -> String {
        let mut asked = String::new();
        questions.write(self, &mut asked);
        let seen = std::fs::read_to_string(rules).unwrap() + &asked;
        let mut yaml = format!(
            "rule_files: ['{}']\n{}evaluation_interval: {step}m\ntests:\n- name: '{}'\n  interval: {step}m\n  input_series:\n",
            rules.display(),
            order.line(),
            self.name,
            step = self.step
        );
        for (name, values) in self.series(&seen) {
            writeln!(yaml, "  - series: '{name}'\n    values: '{}'", notation(&values)).unwrap();
        }
        yaml + "  promql_expr_test:\n" + &asked
    }

    /// What promtool has against the story; empty if nothing.
    pub(crate) fn complaints(
        &self,
        rules: &Path,
        order: Order,
        questions: &impl Questions,
        folder: &Path,
    ) -> String {
        let file = folder.join(format!("{}.yml", self.name.replace(' ', "-")));
        std::fs::write(&file, self.yaml(rules, order, questions)).unwrap();
        let (holds, said) = promtool_test(&file);
        if holds {
            return String::new();
        }
        let lines = said.lines().filter(|line| !line.trim().is_empty()).take(40);
        format!("{}\n{}", self.name, lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Values in promtool's notation. A series that ends is marked stale, as Prometheus does it.
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
        // Whole numbers that grow evenly are told as such; anything else only repeated.
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
