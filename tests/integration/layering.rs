//! The law of ARCHITECTURE.md, as far as it can be read off the sources.

use std::path::{Path, PathBuf};

/// Every source of the exporter with its path below `src`.
fn sources() -> Vec<(String, String)> {
    sources_of("src")
}

/// Every source below a folder with its path there.
fn sources_of(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    paths
        .iter()
        .map(|path| {
            (path.strip_prefix(&root).unwrap().display().to_string(), std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The code before the tests of a file.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Whether a file is all tests.
fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// `word` is in no file but those of `rooms`.
#[track_caller]
fn only(word: &str, rooms: &[&str]) {
    let mut found = false;
    for (path, text) in sources() {
        let uses = code(&text).contains(word) && !is_test(&path);
        found |= uses;
        assert!(!uses || rooms.iter().any(|room| path.starts_with(room)), "{word} is used in {path}");
    }
    assert!(found, "nobody uses {word}: this test holds nothing");
}

/// The files of `room` do not say `word`.
#[track_caller]
fn never(room: &str, word: &str) {
    let files: Vec<_> = sources().into_iter().filter(|(path, _)| path.starts_with(room)).collect();
    assert!(!files.is_empty(), "there is no {room}");
    for (path, text) in files {
        // A word, not the beginning of another, such as `awaiting`.
        let mut rest = code(&text).split(word).skip(1);
        let says = rest
            .any(|rest| !word.ends_with(char::is_alphanumeric) || !rest.starts_with(char::is_alphanumeric));
        assert!(is_test(&path) || !says, "{path} says {word}");
    }
}

#[test]
fn one_external_format_one_room() {
    only("prometheus_client::", &["exposition", "self_metrics.rs"]);
    only("flate2::", &["http.rs"]);
    only("comfy_table::", &["check/report.rs"]);
    only("serde::", &["config", "status"]);
    only("toml::", &["config"]);
    only("axum::", &["http"]);
    only("\"/proc", &["process.rs"]);
}

#[test]
fn model_board_and_exposition_read_no_clock_and_do_no_io() {
    for room in ["model", "board", "exposition", "status", "plan.rs", "self_metrics.rs"] {
        for word in ["::now()", "std::fs", "tokio::net", "std::net", ".await", "tracing::"] {
            never(room, word);
        }
    }
}

#[test]
fn simulator_is_used_by_the_demo_only() {
    only("atlas_simulator", &["demo.rs"]);
}

#[test]
fn every_request_is_sent_by_the_transport() {
    for (path, text) in sources_of("crates/atlas-client/src") {
        let sends = [".execute(", "Client::builder", "reqwest::Client::new", ".send().await"];
        let sends = sends.iter().any(|word| code(&text).contains(word)) && !is_test(&path);
        assert_eq!(sends, path == "transport.rs", "{path}");
    }
}

#[test]
fn every_metric_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = std::fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    let golden = std::fs::read_to_string(root.join("src/metrics/golden.txt")).unwrap();
    let names: Vec<_> =
        golden.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert!(names.len() > 20);
    for name in names {
        let short = name.strip_prefix("mongodbatlas_backup_export_").unwrap_or(name);
        assert!(documented.contains(&format!("`{short}`")), "{short} is not in docs/metrics.md");
    }
}
