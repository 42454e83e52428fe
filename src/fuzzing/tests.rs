//! Seeds, and what fuzzers learnt and found, replayed.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// A target, and what it calls.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("accept", super::accept),
    ("challenge", super::challenge),
    ("config", super::config),
    ("details", super::details),
    ("error_body", super::error_body),
    ("inflate", super::inflate),
    ("listing", super::listing),
    ("retry_after", super::retry_after),
    ("web", super::web),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What is in a folder of `fuzz`, by name; nothing if there is none.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fuzz().join(folder)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_fuzzers_know_holds() {
    let mut broken = Vec::new();
    for (target, run) in TARGETS {
        for folder in ["seeds", "crashes", "corpus"].map(|folder| format!("{folder}/{target}")) {
            for name in names(&folder) {
                let bytes = std::fs::read(fuzz().join(&folder).join(&name)).unwrap();
                if catch_unwind(|| run(&bytes)).is_err() {
                    broken.push(format!("{folder}/{name}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_seeds_and_every_folder_a_target() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("seeds"), targets);
    for target in &targets {
        assert!(!names(&format!("seeds/{target}")).is_empty(), "{target} has no seeds");
    }
    for folder in ["crashes", "corpus"] {
        assert!(names(folder).is_subset(&targets), "{folder} has a folder of no target");
    }
}

#[test]
fn every_target_is_one_call() {
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let targets: BTreeSet<_> = TARGETS.iter().map(|(target, _)| format!("{target}.rs")).collect();
    assert_eq!(names("fuzz_targets"), targets);
    for (target, _) in TARGETS {
        let source = std::fs::read_to_string(fuzz().join(format!("fuzz_targets/{target}.rs"))).unwrap();
        let call = format!("fuzz_target!(|bytes: &[u8]| atlas_backup_exporter::fuzzing::{target}(bytes));");
        assert!(source.contains(&call), "{target} does not say {call}");
        assert!(manifest.contains(&format!("name = \"{target}\"\n")), "{target} is not in the manifest");
    }
}
