//! Tests of the artifacts that `deploy/release` has built; `deploy/release --check` runs both.

#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]

// Each test binary uses a part of the helpers.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

mod archive;
mod chart;
mod image;
mod packages;
mod publish;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::exporter::command_of;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Returns the path of an artifact in `RELEASE_DIR`, or else in `target/dist`.
fn artifact(name: &str) -> PathBuf {
    let folder = std::env::var("RELEASE_DIR").unwrap_or("target/dist".to_owned());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name);
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

/// Returns the program of `qemu-user-static` that runs binaries for another processor.
fn emulator(machine: &str) -> Option<String> {
    (machine != std::env::consts::ARCH).then(|| format!("/usr/bin/qemu-{machine}-static"))
}

/// Returns a command for a program of another processor, with an empty environment.
fn command_on(machine: &str, program: &Path) -> tokio::process::Command {
    let program = program.to_str().unwrap();
    emulator(machine).map_or_else(
        || command_of(program),
        |emulator| {
            let mut command = command_of(&emulator);
            command.arg(program);
            command
        },
    )
}

#[test]
#[ignore = "needs the artifacts of deploy/release"]
fn checksums_match_and_are_complete() {
    let sums = artifact("SHA256SUMS");
    let folder = sums.parent().unwrap();
    let checked =
        run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(folder));
    let files = std::fs::read_dir(folder).unwrap().count();
    // All files except SHA256SUMS and RELEASE_NOTES.md.
    assert_eq!(checked.lines().filter(|line| line.ends_with(": OK")).count(), files - 2, "{checked}");
}

#[test]
#[ignore = "needs the artifacts of deploy/release"]
fn sbom_lists_the_libraries_without_paths_of_the_build() {
    let text =
        std::fs::read_to_string(artifact(&format!("atlas-backup-exporter-{VERSION}.cdx.json"))).unwrap();
    assert!(!text.contains(env!("CARGO_MANIFEST_DIR")));
    let sbom: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    assert_eq!(sbom["metadata"]["component"]["version"], VERSION);
    let components = sbom["components"].as_array().unwrap();
    let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    for name in ["atlas-client", "rustls", "tokio"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    // A library that only tests use.
    assert!(!names.contains(&"proptest"));
}
