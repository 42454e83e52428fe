//! Table of the faults in `tests/README.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::scenario::COLUMNS;
use crate::support::golden::assert_golden;

const BEGIN: &str = "<!-- The table begins: tests/faults/readme.rs compares it with the faults. -->\n";
const END: &str = "<!-- The table ends. -->\n";

fn table() -> String {
    let sections = super::all();
    let faults: usize = sections.iter().map(|(_, faults)| faults.len()).sum();
    let mut text =
        format!("\n{faults} faults x {} columns = {} cells.\n", COLUMNS.len(), faults * COLUMNS.len());
    for (section, faults) in sections {
        let head = format!("| {section} | injection | {} |", COLUMNS.join(" | "));
        writeln!(text, "\n{head}\n{}", "|---".repeat(COLUMNS.len() + 2) + "|").unwrap();
        for fault in faults {
            writeln!(text, "| {} | {} | {} |", fault.name, fault.description, fault.cells().join(" | "))
                .unwrap();
        }
    }
    text + "\n"
}

#[test]
fn readme_table_matches_the_faults() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    assert_golden("tests/README.md", &format!("{before}{BEGIN}{}{END}{after}", table()));
}

#[test]
fn fault_names_are_unique() {
    let mut names = BTreeSet::new();
    for (_, faults) in super::all() {
        for fault in faults {
            assert!(
                !fault.name.contains(['|', '/', '\n']) && !fault.description.contains(['|', '\n']),
                "{}",
                fault.name
            );
            assert!(names.insert(fault.name.clone()), "there are two of {}", fault.name);
        }
    }
}
