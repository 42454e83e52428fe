//! `check` and `--once`.

mod hints;
mod once;

use std::time::Duration;

use atlas_simulator::{
    Account, AtlasState, Cluster, ClusterKind, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project,
    Schedule, Scheme, Simulator,
};
use serde_json::Value;

use crate::support::atlas::{
    PRIVATE_KEY, PROJECT, SECRET, add_cluster, atlas_state, requests, simulator, update_cluster,
};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::command;
use crate::support::scrape::Scrape;

const OTHER: &str = "32b6e34b3d91647abb20e7b9";
const UNKNOWN: &str = "32b6e34b3d91647abb20e7bf";

/// Runs the exporter; returns the exit code, standard output and standard error.
async fn run(builder: &ExporterBuilder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = builder.run(arguments).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains(SECRET) && !err.contains(SECRET) && !out.contains(PRIVATE_KEY), "{out}{err}");
    (output.status.code(), out, err)
}

/// Returns the list of `check` with each entry on one line.
pub(crate) fn unwrapped(list: &str) -> String {
    list.replace("\n        ", " ").replace("\n    ", " ")
}

/// Returns the entry of a cluster, or of a project or an organization for "-".
fn line(list: &str, start: &str, cluster: &str) -> String {
    let heading = if cluster == "-" { format!("{start}: ") } else { format!("{start} / {cluster}: ") };
    let list = unwrapped(list);
    let entry = list.lines().find(|line| line.starts_with(&heading));
    entry.unwrap_or_else(|| panic!("no entry for {start} {cluster}:\n{list}")).to_owned()
}

fn cluster() -> Cluster {
    Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)])
}

fn mixed() -> AtlasState {
    let mut state = atlas_state([
        ("prod-eu", cluster()),
        ("prod-us", Cluster { paused: true, ..cluster() }),
        (
            "manual",
            Cluster {
                schedule: Schedule { auto_export: false, frequency: None, ..Schedule::default() },
                ..cluster()
            },
        ),
        ("free", Cluster { kind: ClusterKind::SharedTier, ..cluster() }),
        ("careless", Cluster { backup_disabled: true, ..cluster() }),
    ]);
    state.projects.insert(OTHER.to_owned(), Project::new("analytics").with("warehouse", cluster()));
    state
}

#[tokio::test]
async fn check_of_healthy_clusters_succeeds() {
    let simulator = simulator(mixed()).await;
    let builder = ExporterBuilder::new(&simulator).organization(ORGANIZATION);
    let (code, table, err) = run(&builder, &["check"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{table}");
    let check = |start: &str, cluster: &str, status: &str, part: &str| {
        let line = line(&table, start, cluster);
        assert!(line.contains(&format!(": {status} ")) && line.contains(part), "{status}, {part}: {line}");
    };
    check(&format!("organization {ORGANIZATION}"), "-", "ok", "a role in 2 projects");
    check("payments", "prod-eu", "ok", "an export is expected every 1d (backup policy)");
    check("payments", "prod-us", "ok", "paused");
    check("payments", "manual", "ok", "auto export is off");
    check("payments", "free", "excluded", "shared tier");
    check("payments", "careless", "excluded", "cloud backup disabled");
    check("analytics", "warehouse", "ok", "every 1d");
    assert!(table.ends_with("\n4 clusters can be read.\n"), "{table}");
    assert_eq!(requests(&simulator, "/backup/exports"), 4, "one request per cluster");
    let names: Vec<_> = table.lines().filter(|line| line.starts_with("payments /")).collect();
    assert!(names.is_sorted(), "{table}");
}

#[tokio::test]
async fn check_has_a_hint_for_each_problem() {
    let simulator = simulator(mixed()).await;
    simulator.state().accounts.push(Account {
        denied: vec!["exports"],
        ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_poor", "poor")
    });
    let entries = format!(
        "[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-ue\", \"prod-eu\", \"free\", \"careless\", \"none-*\"]\n
         [[projects]]\nid = \"{UNKNOWN}\"\n
         [[projects]]\nid = \"{OTHER}\"\n[projects.service_account]\nclient_id = \"mdb_sa_id_poor\"\nclient_secret = \"poor\"\n
         [[organizations]]\nid = \"{ORGANIZATION}\"\n[organizations.api_key]\npublic_key = \"unknown-key\"\nprivate_key = \"x\"\n"
    );
    let builder = ExporterBuilder::new(&simulator).targets(entries);
    let (code, table, _) = run(&builder, &["check"]).await;
    assert_eq!(code, Some(1), "{table}");
    let check = |start: &str, cluster: &str, parts: &[&str]| {
        let line = line(&table, start, cluster);
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} in {line}");
    };
    check("payments", "prod-ue", &["not found", "CLUSTER_NOT_FOUND", "did you mean \"prod-eu\"?"]);
    check("payments", "prod-eu", &["ok"]);
    check("payments", "free", &["bad request", "BACKUP_NOT_SUPPORTED", "remove it from `clusters`"]);
    check("payments", "careless", &["warning", "cloud backup disabled", "enable it"]);
    check(
        "payments",
        "none-*",
        &["warning", "no cluster matches this name or pattern; the project has careless, free, manual"],
    );
    check(UNKNOWN, "-", &["not found", "GROUP_NOT_FOUND", "no such project"]);
    check(
        "analytics",
        "warehouse",
        &[
            "forbidden",
            "USER_UNAUTHORIZED",
            "service account mdb_sa_id_poor needs the role Project Backup Manager",
        ],
    );
    check(
        &format!("organization {ORGANIZATION}"),
        "-",
        &["unauthorized", "UNEXPECTED_ERROR", "API key unknown-key is unknown"],
    );
    assert!(
        unwrapped(&table).contains(
            "3 of 5 known clusters cannot be read. 2 projects or organizations cannot be read. 2 warnings."
        ),
        "{table}"
    );

    let (code, json, _) = run(&builder, &["check", "--output=json"]).await;
    assert_eq!(code, Some(1));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["ok"], false);
    let rows = json["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["cluster_name"] == "prod-ue").unwrap();
    assert_eq!(
        (&row["status"], &row["reason"], &row["error_code"], &row["project_id"], &row["project"]),
        (
            &"failed".into(),
            &"not_found".into(),
            &"CLUSTER_NOT_FOUND".into(),
            &PROJECT.into(),
            &"payments".into()
        )
    );
    assert!(
        row["hint"].as_str().unwrap().contains("did you mean")
            && row["error"].as_str().unwrap().contains("404")
    );
    assert_eq!(rows.iter().find(|row| row["cluster_name"] == "prod-eu").unwrap()["status"], "ok");
}

#[tokio::test]
async fn check_of_an_invalid_configuration_exits_with_code_2() {
    let simulator = simulator(mixed()).await;
    let (code, out, err) =
        run(&ExporterBuilder::new(&simulator).targets("[[projects]]\nid = \"x\"\n"), &["check"]).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains(": projects[0].id is \"x\""), "{err}");
}

#[tokio::test]
async fn check_has_a_timeout_and_stops_on_sigint() {
    let simulator = simulator(mixed()).await;
    simulator.state().faults = vec![Fault::lasting("/exports", FaultKind::HANG)];
    let mut builder = ExporterBuilder::new(&simulator).project(PROJECT).set("poll.timeout", "1s");
    let start = std::time::Instant::now();
    assert_eq!(run(&builder, &["check"]).await.0, Some(1));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());

    builder = builder.unset("poll.timeout");
    let folder = tempfile::tempdir().unwrap();
    builder.write(&folder);
    let asked = requests(&simulator, "/clusters?");
    let mut child = command().current_dir(folder.path()).arg("check").spawn().unwrap();
    while requests(&simulator, "/clusters?") == asked {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    let status = tokio::time::timeout(Duration::from_secs(2), child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn check_without_clusters_fails() {
    let mut state = atlas_state([]);
    state.accounts.push(Account {
        projects: Some(Vec::new()),
        ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_new", "new")
    });
    let simulator = simulator(state).await;
    let (code, table, _) = run(&ExporterBuilder::new(&simulator).project(PROJECT), &["check"]).await;
    assert!(code == Some(1) && table.contains("the project has no clusters"), "{table}");
    assert!(table.ends_with("\nNo clusters to poll.\n"), "{table}");
    let own = "[organizations.service_account]\nclient_id = \"mdb_sa_id_new\"\nclient_secret = \"new\"\n";
    let entry = format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n{own}");
    let (code, table, _) = run(&ExporterBuilder::new(&simulator).targets(entry), &["check"]).await;
    assert!(code == Some(1) && table.contains("no projects found"), "{table}");
}

#[tokio::test]
async fn projects_without_clusters_are_notes_and_not_warnings() {
    let mut state = mixed();
    for id in [UNKNOWN, "32b6e34b3d91647abb20e7ba"] {
        state.projects.insert(id.to_owned(), Project::new("empty"));
    }
    let simulator = simulator(state).await;
    let mut builder = ExporterBuilder::new(&simulator).organization(ORGANIZATION);
    let (code, table, _) = run(&builder, &["check"]).await;
    assert_eq!(code, Some(0), "{table}");
    assert!(line(&table, "empty", "-").contains("the project has no clusters"), "{table}");
    assert!(table.ends_with("\n4 clusters can be read.\n"), "{table}");

    builder = builder.flag("--log.level=debug");
    let exporter = builder.start().await;
    exporter.ready().await;
    let log = exporter.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("the project has no clusters")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("level=debug")), "{log}");
    assert!(!log.contains("level=warn") && !log.contains("level=error"), "{log}");
    assert!(log.contains("level=debug msg=\"fetched an access token\""), "{log}");
}

#[tokio::test]
async fn check_with_warnings_succeeds() {
    let simulator = simulator(mixed()).await;
    let entry = format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-eu\", \"none-*\"]\n");
    let (code, table, _) = run(&ExporterBuilder::new(&simulator).targets(entry), &["check"]).await;
    assert!(code == Some(0) && table.contains("1 warning."), "{table}");
}

#[tokio::test]
async fn check_reports_access_of_collectors() {
    let row = |json: &serde_json::Value| {
        let rows = json["rows"].as_array().unwrap();
        rows.iter().find(|row| row["cluster_name"].is_null()).cloned()
    };
    let simulator = simulator(atlas_state([("prod", cluster())])).await;
    let checked = async |off: &[&str]| {
        let builder = ExporterBuilder::new(&simulator).without_collectors(off);
        let (code, json, _) = run(&builder, &["check", "--output=json"]).await;
        (code, serde_json::from_str::<serde_json::Value>(&json).unwrap())
    };
    let (code, json) = checked(&[]).await;
    let all = row(&json).unwrap();
    assert_eq!((code, &all["status"]), (Some(0), &"ok".into()));
    assert_eq!(all["details"], serde_json::json!({"snapshots": true, "events": true, "buckets": true}));
    assert_eq!(all["hint"], "collectors with access: snapshots, events, buckets");

    simulator.state().accounts[0].denied = vec!["events", "exportBuckets"];
    let (code, json) = checked(&["buckets"]).await;
    let some = row(&json).unwrap();
    assert_eq!((code, &some["status"]), (Some(0), &"warning".into()), "exports are still polled");
    assert_eq!(some["details"], serde_json::json!({"snapshots": true, "events": false}));
    assert_eq!(some["error_code"], "USER_UNAUTHORIZED");
    let hint = some["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("failed to read events (USER_UNAUTHORIZED): the service account mdb_sa_id_1 needs the role Project Read Only")
            && hint.ends_with("`collectors.events = false`; collectors with access: snapshots"),
        "{hint}"
    );
    let off = &["snapshots", "events", "buckets"];
    let builder = ExporterBuilder::new(&simulator)
        .without_collectors(off)
        .set("atlas.service_account.expires_at", "2020-01-31");
    let (code, table, _) = run(&builder, &["check"]).await;
    assert!(
        code == Some(0)
            && unwrapped(&table)
                .contains("the secret of the service account mdb_sa_id_1 expired at 2020-01-31T00:00:00Z"),
        "{table}"
    );
    let (_, json) = checked(off).await;
    assert_eq!(row(&json), None);
    // A list with an unreadable entry is unreadable. Sharded clusters have another list.
    simulator.state().accounts[0].denied.clear();
    update_cluster(&simulator, "prod", |prod| prod.shards = 3);
    let odd = FaultKind::Body("{\"results\":[{}]}");
    simulator.state().faults.push(Fault::lasting("/exportBuckets", odd));
    let (_, json) = checked(&[]).await;
    let details = serde_json::json!({"snapshots": true, "events": true, "buckets": false});
    assert_eq!(row(&json).unwrap()["details"], details);
    simulator.state().faults.clear();
    simulator.state().accounts[0].denied = vec!["events", "exportBuckets"];
    // There are no snapshots to read without a cluster with automatic export.
    let off = Schedule { auto_export: false, ..Schedule::default() };
    update_cluster(&simulator, "prod", |prod| prod.schedule = off);
    let (_, json) = checked(&[]).await;
    assert_eq!(row(&json).unwrap()["details"], serde_json::json!({"events": false, "buckets": false}));
}
