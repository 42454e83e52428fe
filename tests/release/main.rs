//! Tests of the artifacts that `deploy/release` has built; `deploy/release --check` runs both.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the path of an artifact.
fn artifact(name: &str) -> PathBuf {
    let folder = std::env::var_os("RELEASE_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/dist"));
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run deploy/release {VERSION}", path.display());
    path
}

/// Returns the output of a program that must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text.into_owned()
}

#[test]
#[ignore = "needs the artifacts of deploy/release"]
fn checksums_match_and_are_complete() {
    let sums = artifact("SHA256SUMS");
    let folder = sums.parent().unwrap();
    let checked =
        run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder));
    let files = std::fs::read_dir(folder).unwrap().count();
    // All files but SHA256SUMS itself.
    assert_eq!(checked.lines().filter(|line| line.ends_with(": OK")).count(), files - 1, "{checked}");
}
