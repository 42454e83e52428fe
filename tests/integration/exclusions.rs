//! Projects and clusters that the configuration excludes.

use std::time::Duration;

use atlas_simulator::{
    Cluster, ClusterKind, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project, Simulator,
};

use crate::preflight::unwrapped;
use crate::support::atlas::{PROJECT, atlas_state, requests, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

const SANDBOX: &str = "32b6e34b3d91647abb20e7b9";
const ANALYTICS: &str = "32b6e34b3d91647abb20e7ba";

fn cluster() -> Cluster {
    Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)])
}

/// Returns `payments` with `prod`, `test-a` and `test-free`; `sandbox-1` with `play`; `analytics`
/// with `warehouse`.
async fn three_projects() -> Simulator {
    let mut state = atlas_state([
        ("prod", cluster()),
        ("test-a", cluster()),
        ("test-free", Cluster { kind: ClusterKind::SharedTier, ..cluster() }),
    ]);
    state.projects.insert(SANDBOX.to_owned(), Project::new("sandbox-1").with("play", cluster()));
    state.projects.insert(ANALYTICS.to_owned(), Project::new("analytics").with("warehouse", cluster()));
    simulator(state).await
}

fn organization(keys: &str) -> String {
    format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n{keys}\n")
}

fn polling(simulator: &Simulator, watched: &str) -> ExporterBuilder {
    ExporterBuilder::new(simulator).targets(watched.to_owned()).set("discovery.interval", "300ms")
}

async fn check(builder: &ExporterBuilder) -> (Option<i32>, String) {
    let output = builder.run(&["check"]).await;
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn names(scrape: &Scrape) -> Vec<String> {
    let up = scrape.of("mongodbatlas_backup_export_up");
    let name =
        |labels: &str| labels.split("cluster_name=\"").nth(1).unwrap().trim_end_matches("\"}").to_owned();
    up.iter().map(|(labels, _)| name(labels)).collect()
}

fn excluded(scrape: &Scrape, reason: &str) -> Option<f64> {
    let name = "mongodbatlas_backup_export_clusters_excluded";
    scrape.0.get(&format!("{name}{{project_id=\"{PROJECT}\",reason=\"{reason}\"}}")).copied()
}

/// Waits for the only line of the log with all `parts`.
async fn logged_once(exporter: &Exporter, parts: &[&str]) {
    exporter.until(|_| parts.iter().all(|part| exporter.log().contains(part))).await;
    let log = exporter.log();
    let lines = log.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
    assert_eq!(lines.count(), 1, "{parts:?}: {log}");
}

#[tokio::test]
async fn excluded_projects_are_not_read() {
    for pattern in ["sandbox-*", "sandbox-1", SANDBOX] {
        let simulator = three_projects().await;
        let keys = format!("exclude_projects = [\"{pattern}\"]\nexclude_clusters = [\"test-*\"]");
        let builder = polling(&simulator, &organization(&keys));
        let (code, table) = check(&builder).await;
        assert_eq!(code, Some(0), "{table}");
        for part in
            ["a role in 3 projects, 1 of them excluded", ": excluded\n", "is excluded by `exclude_clusters`"]
        {
            assert!(table.contains(part), "{part} is not in {table}");
        }
        assert!(!table.contains("sandbox-1") && !table.contains("warning"), "{table}");

        let exporter = builder.start().await;
        let scrape = exporter.ready().await;
        assert_eq!(names(&scrape), ["prod", "warehouse"], "{pattern}");
        assert_eq!(excluded(&scrape, "configured"), Some(2.0), "{pattern}");
        assert_eq!(excluded(&scrape, "shared_tier"), Some(0.0), "each cluster has one reason");
        assert!(!scrape.0.keys().any(|series| series.contains(SANDBOX)), "{scrape:#?}");
        logged_once(&exporter, &["level=info", "projects excluded by", "excluded=1"]).await;
        assert!(!exporter.log().contains("level=warn"), "{}", exporter.log());
        assert_eq!(requests(&simulator, SANDBOX) + requests(&simulator, "/test-a/"), 0, "{pattern}");
    }
}

#[tokio::test]
async fn exclusions_are_applied_by_a_reload() {
    let simulator = three_projects().await;
    let exporter = polling(&simulator, &organization("")).start().await;
    assert_eq!(names(&exporter.ready().await).len(), 4);
    let write = |keys: &str| {
        let toml = polling(&simulator, &organization(keys)).toml();
        std::fs::write(exporter.folder.path().join("config.toml"), toml).unwrap();
        exporter.signal("HUP");
    };
    write("exclude_projects = [\"sandbox-*\"]\nexclude_clusters = [\"prod\"]");
    let scrape = exporter.until(|scrape| names(scrape) == ["test-a", "warehouse"]).await;
    assert_eq!(excluded(&scrape, "configured"), Some(1.0));
    assert!(!scrape.0.keys().any(|series| series.contains(SANDBOX)), "{scrape:#?}");
    write("");
    let scrape = exporter.until(|scrape| names(scrape).len() == 4).await;
    assert_eq!(excluded(&scrape, "configured"), Some(0.0));
}

#[tokio::test]
async fn pattern_does_not_exclude_a_project_without_a_name() {
    let simulator = three_projects().await;
    let unnamed: &str = format!(
        r#"{{"results":[{{"id":"{PROJECT}","name":7}},{{"id":"{SANDBOX}"}},
        {{"id":"{ANALYTICS}","name":"analytics"}}],"totalCount":3}}"#
    )
    .leak();
    simulator.state().faults = vec![Fault::lasting("/orgs/", FaultKind::Body(unnamed))];
    let keys = format!("exclude_projects = [\"*\", \"{PROJECT}\"]");
    let exporter = polling(&simulator, &organization(&keys)).start().await;
    exporter.ready().await;
    assert_eq!(names(&exporter.polled().await), ["play"], "the id matches, the pattern does not");
    // A known name is kept while it cannot be read.
    simulator.state().faults.clear();
    exporter.until(|scrape| names(scrape).is_empty()).await;
    let requested = requests(&simulator, "/orgs/");
    simulator.state().faults = vec![Fault::lasting("/orgs/", FaultKind::Body(unnamed))];
    exporter.until(|_| requests(&simulator, "/orgs/") > requested + 2).await;
    assert_eq!(names(&exporter.scrape().await), Vec::<String>::new());
}

#[tokio::test]
async fn exclusion_that_matches_nothing_is_a_warning() {
    let simulator = three_projects().await;
    let own = format!("[[projects]]\nid = \"{ANALYTICS}\"\nexclude_clusters = [\"none-*\"]\n");
    // One project with a match for `play` is enough.
    let keys = "exclude_projects = [\"sandbx-*\"]\nexclude_clusters = [\"play\", \"warehouse\"]";
    let builder = polling(&simulator, &(own + &organization(keys)));
    let (code, table) = check(&builder).await;
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("3 warnings."), "{table}");
    for (pattern, part) in [
        ("none-*", "no cluster matches this name or pattern; the project has warehouse"),
        ("sandbx-*", "no project of the organization matches"),
        ("warehouse", "no cluster of the organization matches"),
    ] {
        let table = unwrapped(&table);
        let line = table.lines().find(|line| line.contains(pattern) && line.contains("warning"));
        assert!(line.is_some_and(|line| line.contains(part)), "{part}: {table}");
    }
    let exporter = builder.start().await;
    exporter.ready().await;
    for (pattern, part) in [
        ("none-*", "no cluster of the project matches"),
        ("sandbx-*", "no project of the organization matches"),
        ("warehouse", "no cluster of the organization matches"),
    ] {
        logged_once(&exporter, &["level=warn", part, &format!("pattern={pattern}")]).await;
    }
    assert!(!exporter.log().contains("pattern=play"), "{}", exporter.log());
}

#[tokio::test]
async fn entry_of_an_excluded_project_is_polled() {
    let simulator = three_projects().await;
    let own = format!("[[projects]]\nid = \"{SANDBOX}\"\n");
    let builder = polling(&simulator, &(own + &organization("exclude_projects = [\"*\"]")));
    let (code, table) = check(&builder).await;
    assert!(code == Some(0) && table.contains("a role in 3 projects, 2 of them excluded"), "{table}");
    assert_eq!(names(&builder.start().await.ready().await), ["play"]);
}
