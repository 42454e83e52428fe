//! Mutation tests of the rules: some test must fail for every small change of a threshold,
//! duration, comparison, operator, label, severity or text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use md5::{Digest, Md5};

use super::promtool::promtool_test;
use super::{RULE_TESTS, rule_tests, rules, tests};
use crate::golden::assert_golden;

/// Rules file with one change.
struct Mutant {
    /// Alert or record that is changed.
    rule: String,
    line: String,
    change: String,
    text: String,
}

/// Replacements in expressions, each of which a test must notice.
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

const FIELDS: [(&str, &str); 8] = [
    ("severity: critical", "severity: warning"),
    ("severity: warning", "severity: critical"),
    ("severity: info", "severity: warning"),
    ("summary: >-", "summary: >-\n        Perhaps"),
    ("description: >-", "description: >-\n        Perhaps"),
    (".md#atlas", ".md#"),
    ("/d/atlas-", "/d/"),
    ("humanizeDuration", "humanize"),
];

/// Returns every mutant of a rules file.
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
                // Series of recording rules have no label `instance`.
                if (new.contains("cluster_name, instance") || new.contains("project_id, instance"))
                    && !line.contains("(mongodbatlas")
                    && !trimmed.ends_with("max by (project_id, cluster_name) (")
                {
                    continue;
                }
                // Matches `or ` and `and ` as whole words only.
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

/// Returns the numbers of a line with their offsets and time units.
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

/// Returns the rules that `wanted` names, and those that these name in turn, as others take time.
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
    // Keeps the head of the file and the heads of groups.
    let mut kept: Vec<_> = blocks.iter().map(|block| !block.starts_with("  - ")).collect();
    loop {
        let wanted = |at: &usize| !kept[*at] && name(&blocks[*at]).is_some_and(|name| named.contains(&name));
        let Some(at) = (1..blocks.len()).find(wanted) else { break };
        kept[at] = true;
        named.push_str(&blocks[at]);
    }
    blocks.iter().zip(kept).filter(|(_, kept)| *kept).map(|(block, _)| block.as_str()).collect()
}

/// Splits a file into one file per test, for a folder with a `rules.yml`.
pub(crate) fn single_tests(name: &str) -> Vec<String> {
    let text = rule_tests(name, Path::new("rules.yml"));
    let mut parts = text.split(TEST);
    let head = parts.next().unwrap();
    parts.map(|part| format!("{head}{TEST}{part}")).collect()
}

/// Line with which each test of a file begins.
const TEST: &str = "\n- name: ";

/// Returns the tests of `rule`.
fn own_tests(rule: &str) -> Vec<String> {
    let about = |test: &String| {
        test.split_once(TEST).is_some_and(|(_, test)| test.split(['\n', ' ']).next() == Some(rule))
    };
    RULE_TESTS.iter().flat_map(|name| single_tests(name)).filter(about).collect()
}

/// Returns whether a test of `rule` passes with the rules in `all`.
fn passes(rule: &str, test: &str, all: &str, folder: &Path) -> bool {
    let file = folder.join("test.yml");
    std::fs::write(&file, test).unwrap();
    std::fs::write(folder.join("rules.yml"), pruned(all, &format!("{test}{rule}"))).unwrap();
    promtool_test(&file).0
}

/// Maps items on two threads, each with its own folder.
pub(crate) fn map_parallel<T: Sync, R: Send>(items: &[T], map: impl Fn(&T, &Path) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let folder = tempfile::tempdir().unwrap();
        let taken = std::iter::from_fn(|| items.get(next.fetch_add(1, Ordering::Relaxed)));
        taken.map(|item| map(item, folder.path())).collect::<Vec<_>>()
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
fn every_rule_mutation_fails_a_test() {
    let text = std::fs::read_to_string(rules()).unwrap();
    let mut mutants = mutants(&text);
    assert!(mutants.len() > 300, "only {} changes", mutants.len());
    let digest = digest(&text);
    if std::fs::read_to_string(tests().join(DIGEST_FILE)).unwrap() == digest {
        let mut index = 0;
        mutants.retain(|_| {
            index += 1;
            index % SAMPLE == 0
        });
    }
    // All tests pass without a change. The fastest run first.
    let names: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.rule).collect();
    let timed = map_parallel(&Vec::from_iter(names), |rule, folder| {
        let mut tests: Vec<_> = own_tests(rule)
            .into_iter()
            .map(|test| {
                let start = Instant::now();
                assert!(passes(rule, &test, &text, folder), "{rule} needs more rules than it names");
                (start.elapsed(), test)
            })
            .collect();
        tests.sort();
        (rule.as_str(), tests)
    });
    let tests = BTreeMap::from_iter(timed);
    let survivors = map_parallel(&mutants, |mutant, folder| {
        let Mutant { rule, line, change, text } = mutant;
        let is_unseen = tests[rule.as_str()].iter().all(|(_, test)| passes(rule, test, text, folder));
        is_unseen.then(|| format!("{rule}: {line}: {change}"))
    });
    let survivors: Vec<_> = survivors.into_iter().flatten().collect();
    assert!(survivors.is_empty(), "no test fails for:\n{}", survivors.join("\n"));
    assert_golden(&format!("tests/alerts/{DIGEST_FILE}"), &digest);
}

/// File with the digest of the rules and tests of the last full run.
///
/// A sample of the mutants is tested while the digest is the same. `UPDATE=1` writes the digest
/// after a full run that passes.
const DIGEST_FILE: &str = "every-change-seen";
const SAMPLE: usize = 6;

/// Returns the digest of the rules and tests, as a line.
fn digest(rules: &str) -> String {
    let tests = RULE_TESTS.map(|name| rule_tests(name, Path::new("rules.yml")));
    let all = [rules, &tests.concat(), include_str!("mutation.rs")].concat();
    format!("{:x}\n", Md5::digest(all))
}
