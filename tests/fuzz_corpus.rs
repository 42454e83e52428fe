//! Checks the invariants of the fuzz targets for seeds, crashes and corpus, without a fuzzer.

#![allow(clippy::unwrap_used)]

// A library for the fuzz targets.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use fuzz::invariants;

/// The name of a fuzz target, and its function.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("accept", invariants::accept),
    ("challenge", invariants::challenge),
    ("config", invariants::config),
    ("details", invariants::details),
    ("error_body", invariants::error_body),
    ("inflate", invariants::inflate),
    ("listing", invariants::listing),
    ("retry_after", invariants::retry_after),
    ("web", invariants::web),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names of the files in a folder of `fuzz`; none if the folder does not exist.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(folder)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn invariants_hold_for_seeds_crashes_and_corpus() {
    let mut failed = Vec::new();
    for (target, check) in TARGETS {
        for folder in ["seeds", "crashes", "corpus"].map(|folder| format!("{folder}/{target}")) {
            for name in names(&folder) {
                let bytes = std::fs::read(root().join(&folder).join(&name)).unwrap();
                if catch_unwind(|| check(&bytes)).is_err() {
                    failed.push(format!("{folder}/{name}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn fuzz_targets_and_seed_folders_match() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    for target in &targets {
        assert!(!names(&format!("seeds/{target}")).is_empty(), "{target} has no seeds");
    }
    for folder in ["crashes", "corpus"] {
        assert!(names(folder).is_subset(&targets), "{folder} has a folder without a target");
    }
}

#[test]
fn fuzz_target_only_calls_its_invariant() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(target, _)| format!("{target}.rs")).collect();
    assert_eq!(names("fuzz_targets"), targets);
    for (target, _) in TARGETS {
        let source = std::fs::read_to_string(root().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        let call = format!("|bytes: &[u8]| atlas_backup_exporter_fuzz::invariants::{target}(bytes));");
        assert!(source.contains(&call), "{target} does not have {call}");
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target} is not in the manifest");
    }
}
