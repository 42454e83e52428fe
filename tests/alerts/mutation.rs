//! Every small change of a rule must turn some test red: thresholds, durations, comparisons, operators, labels, severities and texts,
//! one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use md5::{Digest, Md5};

use super::promtool::promtool_test;
use super::{RULE_TESTS, rule_tests, rules, tests};
use crate::golden::assert_golden;

/// A rules file with one change.
struct Mutant {
    /// The alert or record that is changed.
    rule: String,
    line: String,
    change: String,
    text: String,
}

/// What a word of an expression or a field may become.
const CHANGES: [(&str, &str); 29] = [
    (" == ", " != "),
    (" > ", " <= "),
    (" < ", " >= "),
    (" >= ", " < "),
    (" - ", " + "),
    (" + ", " - "),
    (" * ", " / "),
    (" / ", " * "),
    ("unless ", "and "),
    ("and ", "unless "),
    ("or\n", "and\n"),
    ("or ", "and "),
    ("max by", "min by"),
    ("min by", "max by"),
    ("sum by", "min by"),
    ("max_over_time", "min_over_time"),
    ("min_over_time", "max_over_time"),
    ("(project_id, cluster_name) (", "(project_id, cluster_name, instance) ("),
    ("(project_id, cluster_name) (", "(project_id) ("),
    ("by (job, instance)", "by (job)"),
    ("by (job)", "by (job, instance)"),
    ("by (project_id)", "by (project_id, instance)"),
    ("\"Failed\"", "\"Successful\""),
    ("\"Successful\"", "\"Failed\""),
    ("\"Queued\"", "\"InProgress\""),
    ("\"InProgress\"", "\"Queued\""),
    ("\"Cancelled\"", "\"Failed\""),
    ("\"firing\"", "\"pending\""),
    ("unauthorized|forbidden", "unauthorized"),
];

const FIELDS: [(&str, &str); 6] = [
    ("severity: critical", "severity: warning"),
    ("severity: warning", "severity: critical"),
    ("severity: info", "severity: warning"),
    ("summary: ", "summary: Perhaps "),
    (".md#atlas", ".md#"),
    ("humanizeDuration", "humanize"),
];

/// Every mutant of a rules file.
fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut rule = String::new();
    let mut offset = 0;
    let mut within = "";
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix("- alert: ").or(trimmed.strip_prefix("- record: ")) {
            name.clone_into(&mut rule);
        }
        within = match trimmed.split(':').next() {
            Some("expr") => "expr",
            Some("for" | "labels" | "annotations" | "- alert" | "- record") => "fields",
            _ => within,
        };
        if trimmed.starts_with('#') || rule.is_empty() {
            offset += line.len();
            continue;
        }
        let mut change = |at: usize, old: &str, new: &str| {
            let start = offset + at;
            mutants.push(Mutant {
                rule: rule.clone(),
                line: trimmed.to_owned(),
                change: format!("{old:?} at {at} -> {new:?}"),
                text: format!("{}{new}{}", &text[..start], &text[start + old.len()..]),
            });
        };
        let words: &[_] = if within == "expr" { &CHANGES } else { &FIELDS };
        for (old, new) in words {
            for (at, _) in line.match_indices(old) {
                // What is concluded has no label `instance` that could slip in.
                if (new.contains("cluster_name, instance") || new.contains("project_id, instance"))
                    && !line.contains("(mongodbatlas")
                    && !trimmed.ends_with("max by (project_id, cluster_name) (")
                {
                    continue;
                }
                // `or ` and `and ` as words of their own.
                if at == 0 || !line.as_bytes()[at - 1].is_ascii_alphanumeric() {
                    change(at, old, new);
                }
            }
        }
        if within == "expr" || trimmed.starts_with("for:") {
            for (at, number, unit) in numbers(line) {
                if trimmed.starts_with("for:") || !unit.is_empty() || number != "0" {
                    let value: f64 = number.parse().unwrap();
                    let twice = if value == 0.0 { 7.0 } else { value * 2.0 };
                    change(at, number, &format!("{twice}"));
                    if value > 1.0 && unit.is_empty() {
                        change(at, number, &format!("{}", value * 0.5));
                    } else if value > 1.0 {
                        change(at, number, &format!("{}", (value / 2.0).floor()));
                    }
                }
            }
        }
        offset += line.len();
    }
    mutants
}

/// Numbers of a line, with their place and unit of time.
fn numbers(line: &str) -> Vec<(usize, &str, &str)> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let begins = bytes[at].is_ascii_digit() && (at == 0 || b" ([:".contains(&bytes[at - 1]));
        let length = line[at..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        if begins {
            let rest = &line[at + length..];
            let unit: usize = rest.bytes().take_while(|byte| b"smhd".contains(byte)).count();
            if rest[unit..].starts_with([' ', ')', ']', ',', ':', '\n']) {
                found.push((at, &line[at..at + length], &rest[..unit]));
            }
        }
        at += length.max(1);
    }
    found
}

/// The rules that `wanted` names, and those that they name in turn: the others only take time.
pub(crate) fn pruned(text: &str, wanted: &str) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.split_inclusive('\n') {
        let begins = ["  - alert: ", "  - record: ", "- name: "].iter().any(|first| line.starts_with(first));
        if begins || blocks.is_empty() {
            blocks.push(String::new());
        }
        blocks.last_mut().unwrap().push_str(line);
    }
    let name = |block: &str| block.lines().next().unwrap().split_once(": ").map(|(_, name)| name.to_owned());
    let mut named = wanted.to_owned();
    // The head of the file, and those of groups, stay.
    let mut kept: Vec<_> = blocks.iter().map(|block| !block.starts_with("  - ")).collect();
    loop {
        let wanted = |at: &usize| !kept[*at] && name(&blocks[*at]).is_some_and(|name| named.contains(&name));
        let Some(at) = (1..blocks.len()).find(wanted) else { break };
        kept[at] = true;
        named.push_str(&blocks[at]);
    }
    blocks.iter().zip(kept).filter(|(_, kept)| *kept).map(|(block, _)| block.as_str()).collect()
}

/// The tests of a file, each as a file of its own for a folder with a `rules.yml`.
pub(crate) fn single_tests(name: &str) -> Vec<String> {
    let text = rule_tests(name, Path::new("rules.yml"));
    let mut parts = text.split(TEST);
    let head = parts.next().unwrap();
    parts.map(|part| format!("{head}{TEST}{part}")).collect()
}

/// Begins a test.
const TEST: &str = "\n- name: ";

/// The tests that are about `rule`: the first that is red is enough.
fn own_tests(rule: &str) -> Vec<String> {
    let about = |test: &String| {
        test.split_once(TEST).is_some_and(|(_, test)| test.split(['\n', ' ']).next() == Some(rule))
    };
    RULE_TESTS.iter().flat_map(|name| single_tests(name)).filter(about).collect()
}

/// Whether a test about `rule` is green with the rules in `text`.
fn is_green(rule: &str, test: &str, all: &str, folder: &Path) -> bool {
    let file = folder.join("test.yml");
    std::fs::write(&file, test).unwrap();
    std::fs::write(folder.join("rules.yml"), pruned(all, &format!("{test}{rule}"))).unwrap();
    promtool_test(&file).0
}

/// Does something with each of `things`, two at a time, in a folder that it has for itself.
pub(crate) fn each<T: Sync, R: Send>(things: &[T], what: impl Fn(&T, &Path) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let taken = std::iter::from_fn(|| things.get(next.fetch_add(1, Ordering::Relaxed)));
        taken.map(|thing| what(thing, folder.path())).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let second = scope.spawn(work);
        let mut done = work();
        done.extend(second.join().unwrap());
        done
    })
}

#[test]
#[ignore = "needs promtool; tests/run installs it"]
fn every_small_change_of_a_rule_is_seen() {
    let text = std::fs::read_to_string(rules()).unwrap();
    let mut mutants = mutants(&text);
    assert!(mutants.len() > 300, "only {} changes", mutants.len());
    let digest = digest(&text);
    if std::fs::read_to_string(tests().join(SEEN)).unwrap() == digest {
        let mut index = 0;
        mutants.retain(|_| {
            index += 1;
            index % SAMPLE == 0
        });
    }
    // Without a change, they are green. Those that take least come first.
    let names: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.rule).collect();
    let timed = each(&Vec::from_iter(names), |rule, folder| {
        let mut tests: Vec<_> = own_tests(rule)
            .into_iter()
            .map(|test| {
                let start = Instant::now();
                assert!(is_green(rule, &test, &text, folder), "{rule} needs more rules than it names");
                (start.elapsed(), test)
            })
            .collect();
        tests.sort();
        (rule.as_str(), tests)
    });
    let tests = BTreeMap::from_iter(timed);
    let survivors = each(&mutants, |mutant, folder| {
        let Mutant { rule, line, change, text } = mutant;
        let green = tests[rule.as_str()].iter().all(|(_, test)| is_green(rule, test, text, folder));
        green.then(|| format!("{rule}: {line}: {change}"))
    });
    let survivors: Vec<_> = survivors.into_iter().flatten().collect();
    assert!(survivors.is_empty(), "not seen:\n{}", survivors.join("\n"));
    assert_golden(&format!("tests/alerts/{SEEN}"), &digest);
}

/// The digest of the rules and tests of the last full run. While neither changes, a sample of the mutants is enough: all of them take as
/// long as all other tests of rules together. With `UPDATE=1`, a full run that passes writes the digest.
const SEEN: &str = "every-change-seen";
const SAMPLE: usize = 6;

/// Returns the digest of what the outcome depends on, as a line.
fn digest(rules: &str) -> String {
    let tests = RULE_TESTS.map(|name| rule_tests(name, Path::new("rules.yml")));
    let all = [rules, &tests.concat(), include_str!("mutation.rs")].concat();
    format!("{:x}\n", Md5::digest(all))
}
