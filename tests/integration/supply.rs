//! Dependencies, by deny.toml without `cargo deny`, and for this target only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use spdx::Expression;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Returns the packages of the binary for this target, and those that build it.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "metadata",
        "--format-version=1",
        "--offline",
        "--locked",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes: BTreeMap<_, _> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node["deps"].as_array().unwrap()))
        .collect();
    let mut used = BTreeSet::new();
    let mut next = vec![metadata["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = next.pop() {
        if used.insert(id) {
            let is_shipped = |dep: &&Value| {
                dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].as_str() != Some("dev"))
            };
            next.extend(nodes[id].iter().filter(is_shipped).map(|dep| dep["pkg"].as_str().unwrap()));
        }
    }
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages.filter(|package| used.contains(package["id"].as_str().unwrap())).cloned().collect()
}

fn names(list: &toml::Value) -> Vec<String> {
    let name = |entry: &toml::Value| entry.as_str().or_else(|| entry["crate"].as_str()).unwrap().to_owned();
    list.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn licenses_sources_and_duplicates_are_allowed() {
    let deny: toml::Table = file("deny.toml").parse().unwrap();
    let (allowed, doubles) = (names(&deny["licenses"]["allow"]), names(&deny["bans"]["skip"]));
    let banned = names(&deny["bans"]["deny"]);
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let packages = packages();
    assert!(packages.len() > 100);
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} has no licence"));
        // Some packages use a slash instead of OR.
        let expression = Expression::parse(&licence.replace('/', " OR ")).unwrap();
        let is_allowed = expression.evaluate(|one| allowed.contains(&one.license.to_string()));
        assert!(is_allowed, "{name} is under {licence}");
        assert!(!banned.iter().any(|banned| banned == name), "{name} is banned");
        let source = package["source"].as_str();
        assert!(source.is_none_or(|source| source.starts_with("registry+")), "{name} is from {source:?}");
        let is_ours =
            Path::new(package["manifest_path"].as_str().unwrap()).starts_with(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(source.is_none(), is_ours, "{name} is from a folder");
        versions.entry(name.to_owned()).or_default().push(package["version"].as_str().unwrap().to_owned());
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let excused =
            doubles.iter().filter_map(|double| double.split_once('@')).filter(|(double, _)| double == name);
        assert_eq!(excused.count(), versions.len() - 1, "{name} is there as {versions:?}");
    }
}

#[test]
fn licenses_of_all_linked_packages_are_shipped() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline", "--edges=normal"]);
    cargo.args(["--target=x86_64-unknown-linux-musl", "--prefix=none", "--format={p}"]);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    // "serde v1.0.229 (proc-macro)"
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ").replace(" v", " ");
    let linked: BTreeSet<_> = tree.lines().filter(|line| !line.is_empty()).map(package).collect();
    let licenses = file("THIRD-PARTY-LICENSES.txt");
    let lists = licenses.split("\nUsed by:\n").skip(1).filter_map(|list| list.split("\n\n").next());
    let listed: BTreeSet<_> = lists.flat_map(str::lines).map(|line| line.trim().to_owned()).collect();
    let changes: Vec<_> = listed.symmetric_difference(&linked).collect();
    assert!(changes.is_empty(), "{changes:?}: run deploy/licenses/generate");
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = file("Cargo.toml");
    let mut section = "";
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && line.contains(" = ") {
            let reason = line.rsplit_once('#').map(|(_, reason)| reason.trim());
            assert!(reason.is_some_and(|reason| reason.len() > 5), "{line}");
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}
