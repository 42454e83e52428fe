//! Links and contents of the documentation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::exposed::exposed;
use crate::promql;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns every Markdown file of the repository.
fn documents() -> Vec<PathBuf> {
    const CHART: &str = "deploy/helm/atlas-backup-exporter";
    let folders = ["", "alerts", "benches", CHART, "docs", "docs/adr", "fuzz", "tests"];
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
                // GitHub's own pages of the repository, such as badges.
                if link.starts_with("http") || link.starts_with("../../actions/") {
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

#[test]
fn readme_is_short_and_narrow() {
    let readme = read(&root().join("README.md"));
    assert!(readme.lines().count() <= 200, "{} lines", readme.lines().count());
    for line in readme.lines() {
        assert!(line.chars().count() <= 120, "wider than 120 columns: {line}");
    }
}

/// Tables, links and HTML cannot be wrapped.
#[test]
fn prose_of_documents_is_wrapped() {
    let mut wide = Vec::new();
    for document in documents() {
        let text = read(&document);
        let is_wide = |line: &&str| line.chars().count() > 100 && !line.trim_start().starts_with(['|', '<']);
        let lines = prose(&text).filter(is_wide).filter(|line| !line.contains("http"));
        wide.extend(lines.map(|line| format!("{}: {line}", document.display())));
    }
    assert!(wide.is_empty(), "wider than 100 columns:\n{}", wide.join("\n"));
}

#[test]
fn promql_examples_use_exposed_metrics() {
    let (exposed, mut queries) = (exposed(), 0);
    for document in documents() {
        let text = read(&document);
        for query in text.split("```promql\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            // The README has several queries in one block.
            for query in query.split("\n\n") {
                let expr = promql::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
                for selector in promql::selectors(&expr) {
                    for matcher in &selector.matchers {
                        exposed
                            .fits(&selector.metric, matcher)
                            .unwrap_or_else(|error| panic!("{query}: {error}"));
                    }
                    exposed.labels_of(&selector.metric).unwrap_or_else(|error| panic!("{query}: {error}"));
                }
                queries += 1;
            }
        }
    }
    assert!(queries >= 13, "{queries}");
}

/// Messages that users search for: they must be those of the code.
#[test]
fn messages_of_troubleshooting_are_in_the_code() {
    let continuation = Regex::new(r"\\\n\s*").unwrap();
    let mut code = String::new();
    for path in texts().iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        if !path.strip_prefix(root()).unwrap().starts_with("tests") {
            code.push_str(&continuation.replace_all(&read(path), ""));
        }
    }
    let documented = read(&root().join("docs/troubleshooting.md"));
    let (mut found, mut missing) = (0, Vec::new());
    for section in ["The exporter does not start", "Messages in the log"] {
        let section = documented.split(&format!("\n## {section}\n")).nth(1).unwrap();
        let rows = section.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
        for message in rows.flat_map(|row| row.split(" |").next().unwrap().split('`').skip(1).step_by(2)) {
            found += 1;
            if !code.contains(message) {
                missing.push(message.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "the code has no message {missing:?}");
    assert!(found > 8, "{found}");
}

/// Words that the project used for a term of the field, and the term.
const UNWANTED: [(&str, &str); 14] = [
    ("anew", "again"),
    ("figures", "values or metrics"),
    ("hence", "therefore"),
    ("in force", "active or current"),
    ("made good", "resolved"),
    ("meanwhile", "in the meantime"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("of late", "recently"),
    ("told", "reported"),
    ("upon", "on"),
    ("verdict", "status"),
    ("well or badly", "successfully or not"),
    ("whoever", "the client, the user or the caller"),
];

/// Returns every text file of the project, except this one.
fn texts() -> BTreeSet<PathBuf> {
    const FOLDERS: [&str; 10] = [
        "alerts",
        "benches",
        "crates",
        "dashboards",
        "deploy",
        "docs",
        "fuzz/src",
        "fuzz/fuzz_targets",
        "src",
        "tests",
    ];
    const EXTENSIONS: [&str; 10] = ["1", "css", "html", "js", "json", "md", "mjs", "rs", "toml", "yml"];
    let mut folders: Vec<_> = FOLDERS.map(|folder| root().join(folder)).into();
    let mut found: BTreeSet<_> = documents().into_iter().collect();
    found.extend(["config.example.toml", "Cargo.toml", "Dockerfile"].map(|file| root().join(file)));
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let extension = path.extension().and_then(|extension| extension.to_str());
            if path.is_dir() {
                folders.push(path);
            } else if extension.is_some_and(|one| EXTENSIONS.contains(&one)) && !path.ends_with(file!()) {
                found.insert(path);
            }
        }
    }
    found
}

#[test]
fn unwanted_words_do_not_come_back() {
    let words = UNWANTED.map(|(word, _)| word).join("|");
    let pattern = Regex::new(&format!(r"(?i)\b({words})\b")).unwrap();
    let (mut found, texts) = (Vec::new(), texts());
    assert!(texts.len() > 300, "{}", texts.len());
    for path in texts {
        for (number, line) in (1..).zip(read(&path).lines()) {
            for word in pattern.find_iter(line).map(|word| word.as_str().to_lowercase()) {
                let (_, term) = UNWANTED.iter().find(|(unwanted, _)| *unwanted == word).unwrap();
                found.push(format!("{}:{number}: {word}; write {term}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
