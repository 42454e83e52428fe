//! Layers within the exporter. The boundaries of crates are enforced by the compiler.

use std::path::{Path, PathBuf};

/// Modules that neither read a clock nor do I/O: time and readings are arguments.
const PURE: [&str; 9] = [
    "model",
    "store",
    "metrics.rs",
    "metrics/cluster.rs",
    "metrics/encoder.rs",
    "metrics/exporter.rs",
    "metrics/self_metrics.rs",
    "status",
    "discovery/targets.rs",
];

/// Returns every source in a folder with its path there, without tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    let names = paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string());
    let sources = names.zip(&paths).filter(|(name, _)| {
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        Path::new(name).extension().is_some_and(|extension| extension == "rs") && !is_test
    });
    sources
        .map(|(name, path)| {
            let text = std::fs::read_to_string(path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            (name, code)
        })
        .collect()
}

/// Asserts that only some modules use a crate or a path.
#[track_caller]
fn assert_used_only_in(word: &str, modules: &[&str]) {
    let users: Vec<_> =
        sources("src").into_iter().filter(|(_, code)| code.contains(word)).map(|(name, _)| name).collect();
    assert!(!users.is_empty(), "{word} is used nowhere, so that this test checks nothing");
    for user in users {
        assert!(modules.iter().any(|module| user.starts_with(module)), "{word} is used in {user}");
    }
}

#[test]
fn external_formats_are_known_to_one_module() {
    assert_used_only_in("prometheus_client::", &["metrics"]);
    assert_used_only_in("flate2::", &["http/gzip.rs"]);
    assert_used_only_in("comfy_table::", &["preflight/report.rs"]);
    assert_used_only_in("serde::", &["config", "status"]);
    assert_used_only_in("toml::", &["config"]);
    assert_used_only_in("axum::", &["http"]);
    assert_used_only_in("\"/proc", &["metrics/process.rs"]);
}

#[test]
fn only_the_demo_uses_the_simulator() {
    assert_used_only_in("atlas_simulator", &["demo.rs"]);
}

#[test]
fn pure_modules_read_no_clock_and_do_no_io() {
    let sources = sources("src");
    for module in PURE {
        assert!(sources.iter().any(|(name, _)| name.starts_with(module)), "there is no {module}");
    }
    for (name, code) in sources.iter().filter(|(name, _)| PURE.iter().any(|pure| name.starts_with(pure))) {
        for word in ["::now()", "std::fs", "tokio::net", "std::net", "tracing::"] {
            assert!(!code.contains(word), "{name} uses {word}");
        }
        // A word, not the beginning of another, such as `.awaiting`.
        let mut awaits = code.split(".await").skip(1);
        assert!(!awaits.any(|rest| !rest.starts_with(char::is_alphanumeric)), "{name} awaits");
    }
}

#[test]
fn transport_sends_every_request_of_the_client() {
    for (name, code) in sources("crates/atlas-client/src") {
        let sends = [".execute(", "Client::builder", "reqwest::Client::new", ".send().await"];
        let sends = sends.iter().any(|word| code.contains(word));
        assert_eq!(sends, name == "transport.rs", "{name}");
    }
}
