//! Stories as tests of promtool.

use std::fmt::Write as _;
use std::path::Path;

use super::story::Story;

/// Whether promtool has nothing against a test file, and what it says.
pub(crate) fn promtool_test(file: &Path) -> (bool, String) {
    let output = std::process::Command::new("promtool").args(["test", "rules"]).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

impl Story {
    /// The minutes in which all that fires is compared: around every change, and many between.
    fn looks(&self) -> Vec<i64> {
        let changes = self.firing.iter().flat_map(|firing| [firing.minutes.start, firing.minutes.end]);
        let around = changes.flat_map(|minute| [minute - self.step, minute]);
        let between = (0..=100).map(|part| self.minutes * part / 100);
        let mut looks: Vec<_> = around
            .chain(between)
            .map(|minute| minute / self.step * self.step)
            .filter(|minute| (0..=self.minutes).contains(minute))
            .collect();
        looks.sort_unstable();
        looks.dedup();
        looks
    }

    /// The story as a test file for promtool.
    fn yaml(&self, rules: &Path) -> String {
        let text = std::fs::read_to_string(rules).unwrap();
        let mut yaml = format!(
            "rule_files: ['{}']\nevaluation_interval: {step}m\ntests:\n- name: '{}'\n  interval: {step}m\n  input_series:\n",
            rules.display(),
            self.name,
            step = self.step
        );
        for (name, values) in self.series(&text) {
            writeln!(yaml, "  - series: '{name}'\n    values: '{}'", notation(&values)).unwrap();
        }
        yaml.push_str("  promql_expr_test:\n");
        for minute in self.looks() {
            writeln!(
                yaml,
                "  - expr: 'ALERTS{{alertstate=\"firing\"}}'\n    eval_time: {minute}m\n    exp_samples:"
            )
            .unwrap();
            for firing in self.firing.iter().filter(|firing| firing.minutes.contains(&minute)) {
                writeln!(yaml, "    - {{labels: 'ALERTS{{{}}}', value: 1}}", firing.labels).unwrap();
            }
        }
        yaml
    }

    /// What promtool has against the story; empty if nothing.
    pub(crate) fn complaints(&self, rules: &Path, folder: &Path) -> String {
        let file = folder.join(format!("{}.yml", self.name.replace(' ', "-")));
        std::fs::write(&file, self.yaml(rules)).unwrap();
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
