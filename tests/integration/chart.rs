//! Values of the Helm chart; `tests/e2e/chart.rs` renders it.

use std::fmt::Write;

use serde_json::Value;

use crate::support::golden::assert_golden;

const CHART: &str = "deploy/helm/atlas-backup-exporter";
const BEGIN: &str = "<!-- The table begins: tests/integration/chart.rs generates it from values.yaml. -->\n";
const END: &str = "<!-- The table ends. -->\n";

fn read(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(name)).unwrap()
}

/// Returns the path and the description of each value with a comment that begins with `# --`.
fn described(text: &str) -> Vec<(Vec<String>, String)> {
    let (mut found, mut path, mut comment) = (Vec::new(), Vec::new(), None::<String>);
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(first) = content.strip_prefix("# -- ") {
            comment = Some(first.to_owned());
        } else if let (Some(comment), Some(next)) = (&mut comment, content.strip_prefix("# ")) {
            *comment += " ";
            *comment += next;
        } else if let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('#')) {
            path.truncate((line.len() - content.len()) / 2);
            path.push(key.to_owned());
            found.extend(comment.take().map(|comment| (path.clone(), comment)));
        }
    }
    found
}

#[test]
fn chart_readme_lists_the_values() {
    let values = yaml("values.yaml");
    let mut table = String::from("\n| Value | Default | Meaning |\n|---|---|---|\n");
    for (path, meaning) in described(&read("values.yaml")) {
        let default = path.iter().fold(&values, |value, key| &value[key]);
        assert!(!meaning.contains('|') && meaning.ends_with('.'), "{path:?}: {meaning}");
        let meaning = meaning.trim_end_matches('.');
        writeln!(table, "| `{}` | `{default}` | {meaning} |", path.join(".")).unwrap();
    }
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    assert_golden(&format!("{CHART}/README.md"), &format!("{before}{BEGIN}{table}\n{END}{after}"));
}

/// Compares the values with the properties of the schema, down to the described ones.
fn compare(values: &Value, schema: &Value, path: &[String], described: &[Vec<String>]) {
    if described.iter().any(|one| one == path) {
        return;
    }
    let (values, properties) = (values.as_object().unwrap(), schema["properties"].as_object().unwrap());
    assert_eq!(schema["additionalProperties"], false, "{path:?}");
    // Helm passes `global` to every chart.
    let properties: Vec<_> = properties.keys().filter(|key| *key != "global").collect();
    let (mut left, mut right) = (values.keys().collect::<Vec<_>>(), properties);
    left.sort();
    right.sort();
    assert_eq!(left, right, "{path:?}");
    for (key, value) in values {
        let path = [path, std::slice::from_ref(key)].concat();
        compare(value, &schema["properties"][key], &path, described);
    }
}

#[test]
fn chart_schema_has_all_values_and_no_others() {
    let described = described(&read("values.yaml")).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert!(described.len() > 50, "{described:?}");
    let schema = serde_json::from_str(&read("values.schema.json")).unwrap();
    compare(&yaml("values.yaml"), &schema, &[], &described);
}

#[test]
fn chart_has_the_version_of_the_exporter() {
    let chart = yaml("Chart.yaml");
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
