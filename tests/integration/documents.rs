//! Links and contents of the documentation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns every Markdown file of the repository.
fn documents() -> Vec<PathBuf> {
    let folders =
        ["", "alerts", "benches", "dashboards", "deploy/kubernetes", "docs", "docs/adr", "fuzz", "tests"];
    let crates = std::fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for folder in folders.map(|folder| root().join(folder)).into_iter().chain(crates) {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    assert!(found.len() > 12, "{found:?}");
    found
}

/// Returns the lines of a document outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    })
}

/// Returns the anchor of a heading, as of GitHub.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn links_have_targets() {
    let mut followed = 0;
    for document in documents() {
        let text = read(&document);
        for line in prose(&text) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if link.starts_with("http") {
                    continue;
                }
                let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
                let target =
                    if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
                assert!(target.exists(), "{}: no target of {link}", document.display());
                if !fragment.is_empty() {
                    let known = anchors(&read(&target));
                    assert!(
                        known.contains(fragment),
                        "{}: no heading for {link}: {known:?}",
                        document.display()
                    );
                }
                followed += 1;
            }
        }
    }
    assert!(followed > 60, "{followed}");
}

#[test]
fn changelog_and_manifests_have_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read(&root().join("CHANGELOG.md")).contains(&format!("\n## [{version}]")));
    for (file, text) in [
        ("Dockerfile", format!("org.opencontainers.image.version=\"{version}\"")),
        ("deploy/compose.yaml", format!("image: atlas-backup-exporter:{version}")),
        ("deploy/kubernetes/base/deployment.yaml", format!("image: atlas-backup-exporter:{version}")),
    ] {
        assert!(read(&root().join(file)).contains(&text), "{file} does not contain {version}");
    }
}

/// Paths in code, such as `src/store.rs`, from the root or from the folder of the document.
#[test]
fn paths_in_code_exist() {
    const FOLDERS: [&str; 9] =
        ["src/", "crates/", "tests/", "fuzz/", "benches/", "deploy/", "docs/", "alerts/", "dashboards/"];
    let (mut found, mut missing) = (0, Vec::new());
    for document in documents() {
        let text = read(&document);
        for path in prose(&text).flat_map(|line| line.split('`').skip(1).step_by(2)) {
            // `NAME` and patterns stand for many files.
            let is_one = !path.contains([' ', '*', '{', '#']) && !path.contains("NAME");
            if is_one && FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                found += 1;
                let folders = [root(), document.parent().unwrap()];
                if !folders.iter().any(|folder| folder.join(path).exists()) {
                    missing.push(format!("{}: there is no {path}", document.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 60, "{found}");
}
