//! `check`, `--once`, and shards: the binary where it does not run for ever, or not alone.

use std::time::Duration;

use atlas_simulator::{
    Account, AtlasState, Cluster, ClusterKind, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project,
    Schedule, Scheme, Simulator,
};
use serde_json::Value;

use crate::support::atlas::{PRIVATE_KEY, PROJECT, SECRET, atlas_state, requests, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command};
use crate::support::scrape::Scrape;

const OTHER: &str = "32b6e34b3d91647abb20e7b9";
const UNKNOWN: &str = "32b6e34b3d91647abb20e7bf";

/// Runs it with the configuration of `setup`; returns the exit code, standard output and standard
/// error.
async fn run(setup: &ExporterBuilder, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    setup.write(&folder);
    let mut command = command();
    command.current_dir(folder.path()).args(arguments);
    let output = tokio::time::timeout(Duration::from_secs(40), command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!out.contains(SECRET) && !err.contains(SECRET) && !out.contains(PRIVATE_KEY), "{out}{err}");
    (output.status.code(), out, err)
}

/// The line of the table for a cluster, or for a project, with its cells.
fn line<'a>(table: &'a str, start: &str, cluster: &str) -> &'a str {
    let of_cluster = |line: &&str| {
        let line = line.trim_start();
        line.starts_with(start) && line[start.len()..].trim_start().starts_with(cluster)
    };
    table.lines().find(of_cluster).unwrap_or_else(|| panic!("no line for {start} {cluster}:\n{table}"))
}

fn watched(mut setup: ExporterBuilder, watched: &str) -> ExporterBuilder {
    setup = setup.targets(watched.to_owned());
    setup
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
    let setup =
        watched(ExporterBuilder::new(&simulator), &format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n"));
    let (code, table, err) = run(&setup, &["check"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{table}");
    let says = |start: &str, cluster: &str, verdict: &str, part: &str| {
        let line = line(&table, start, cluster);
        assert!(line.contains(&format!(" {verdict} ")) && line.contains(part), "{verdict}, {part}: {line}");
    };
    says(&format!("organization {ORGANIZATION}"), "-", "ok", "lists 2 projects");
    says("payments", "prod-eu", "ok", "by its policy, an export is expected every 1d");
    says("payments", "prod-us", "ok", "paused");
    says("payments", "manual", "ok", "auto export is off");
    says("payments", "free", "excluded", "shared tier");
    says("payments", "careless", "excluded", "cloud backup switched off");
    says("analytics", "warehouse", "ok", "every 1d");
    assert!(table.ends_with("\n4 clusters, and all can be watched.\n"), "{table}");
    assert_eq!(requests(&simulator, "/backup/exports"), 4, "each cluster is asked once");
    let names: Vec<_> = table.lines().filter(|line| line.starts_with("payments")).collect();
    assert!(names.is_sorted(), "{table}");
}

#[tokio::test]
async fn check_has_a_hint_for_each_problem() {
    let simulator = simulator(mixed()).await;
    simulator.state().accounts.push(Account {
        backup_manager: false,
        ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_poor", "poor")
    });
    let entries = format!(
        "[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-ue\", \"prod-eu\", \"free\", \"careless\", \"none-*\"]\n
         [[projects]]\nid = \"{UNKNOWN}\"\n
         [[projects]]\nid = \"{OTHER}\"\n[projects.service_account]\nclient_id = \"mdb_sa_id_poor\"\nclient_secret = \"poor\"\n
         [[organizations]]\nid = \"{ORGANIZATION}\"\n[organizations.api_key]\npublic_key = \"nobody\"\nprivate_key = \"x\"\n"
    );
    let setup = watched(ExporterBuilder::new(&simulator), &entries);
    let (code, table, _) = run(&setup, &["check"]).await;
    assert_eq!(code, Some(1), "{table}");
    let says = |start: &str, cluster: &str, parts: &[&str]| {
        let line = line(&table, start, cluster);
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} in {line}");
    };
    says("payments", "prod-ue", &["not found", "CLUSTER_NOT_FOUND", "did you mean \"prod-eu\"?"]);
    says("payments", "prod-eu", &["ok"]);
    says("payments", "free", &["bad request", "BACKUP_NOT_SUPPORTED", "take it out of clusters"]);
    says("payments", "careless", &["warning", "cloud backup switched off", "switch it on"]);
    says(
        "payments",
        "none-*",
        &["warning", "no cluster of the project matches; it has careless, free, manual"],
    );
    says(UNKNOWN, "-", &["not found", "GROUP_NOT_FOUND", "no such project"]);
    says(
        "analytics",
        "warehouse",
        &[
            "forbidden",
            "USER_UNAUTHORIZED",
            "service account mdb_sa_id_poor needs the role Project Backup Manager",
        ],
    );
    says(
        &format!("organization {ORGANIZATION}"),
        "-",
        &["unauthorized", "UNEXPECTED_ERROR", "API key nobody is unknown"],
    );
    assert!(table.contains("3 of 5 clusters that are known cannot be watched. 2 projects or organizations cannot be read. 2 warnings."), "{table}");

    let (code, json, _) = run(&setup, &["check", "--output=json"]).await;
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

async fn advice_on(simulator: &Simulator, path: &str, what: FaultKind) -> String {
    simulator.state().faults = vec![Fault::lasting(path, what)];
    let entry = format!(
        "[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-eu\"]\n[[projects]]\nid = \"{OTHER}\"\nclusters = [\"warehouse\"]\n"
    );
    let setup = watched(ExporterBuilder::new(simulator), &entry).set("poll.timeout", "2s");
    let (code, table, _) = run(&setup, &["check"]).await;
    assert_eq!(code, Some(1), "{table}");
    table
}

#[tokio::test]
async fn check_distinguishes_common_causes() {
    let simulator = simulator(mixed()).await;
    let refused = |status, code| FaultKind::Status(status, code, Vec::new());
    let of = async |path: &str, what, parts: &[&str]| {
        let table = advice_on(&simulator, path, what).await;
        for part in parts {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
        table
    };
    let address = of(
        "/groups/",
        refused(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
        &["address 203.0.113.7 to the API access list of the service account mdb_sa_id_1"],
    )
    .await;
    assert_eq!(address.matches("API access list").count(), 1, "one cause is shown once: {address}");
    of(
        "/oauth/",
        refused(401, "invalid_client"),
        &["service account mdb_sa_id_1 is unknown, or its secret", "create a new secret"],
    )
    .await;
    of(
        "prod-eu/backup/exports",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "1 of 2 clusters"],
    )
    .await;
    of(
        "prod-eu/backup/schedule",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "1 of 2 clusters"],
    )
    .await;
    of(
        "/clusters$",
        refused(403, "USER_UNAUTHORIZED"),
        &["Project Backup Manager", "2 projects or organizations cannot be read"],
    )
    .await;
    of("/exports", refused(429, "RATE_LIMITED"), &["too many requests"]).await;
    of("/groups/", FaultKind::Hang, &["no answer in time"]).await;
    of("/groups/", FaultKind::Html, &["check atlas.base_url"]).await;
    of("/groups/", refused(500, "UNEXPECTED_ERROR"), &["an internal fault"]).await;
    of("/oauth/", refused(403, "ORG_REQUIRES_ACCESS_LIST"), &["API access list of the service"]).await;
    let setup = ExporterBuilder::new(&simulator).base_url("http://127.0.0.1:9").set("poll.timeout", "1s");
    let (code, table, _) = run(&setup, &["check"]).await;
    assert!(
        code == Some(1) && table.contains("no connection to Atlas") && table.contains("127.0.0.1:9"),
        "{table}"
    );
    assert!(table.starts_with("PROJECT  "), "{table}");
}

#[tokio::test]
async fn check_hints_follow_the_error_code() {
    let cases = [
        (401, "USER_UNAUTHORIZED", "forbidden", "needs the role Project Backup Manager"),
        (401, "USER_CANNOT_ACCESS_GROUP", "forbidden", "needs the role Project Backup Manager"),
        (403, "ACCESS_FORBIDDEN", "forbidden", "needs the role Project Backup Manager"),
        (
            401,
            "NOT_IN_GROUP",
            "forbidden",
            "is not in this project, or there is no such project: check the id",
        ),
        (403, "ORG_REQUIRES_ACCESS_LIST", "forbidden", "address 203.0.113.7 to the API access list"),
        (403, "RESOURCE_REQUIRES_ACCESS_LIST", "forbidden", "address 203.0.113.7 to the API access list"),
        (403, "", "forbidden", "a proxy, firewall or load balancer"),
        (403, "SOMETHING_NEW", "forbidden", "403 Forbidden SOMETHING_NEW"),
        (403, "FEATURE_UNSUPPORTED", "forbidden", "tier does not support"),
        (404, "CLUSTER_NOT_FOUND", "not_found", "no such cluster; the project has prod"),
        (404, "GROUP_NOT_FOUND", "not_found", "no such project"),
        (404, "RESOURCE_NOT_FOUND", "not_found", "no such project"),
        (404, "BACKUP_CONFIG_NOT_FOUND", "not_found", "cloud backup is off"),
        (400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "bad_request", "a flex cluster has no exports"),
        (410, "VERSION_GONE", "bad_request", "newer release"),
        (400, "INVALID_VERSION_DATE", "bad_request", "newer release"),
        (402, "ACCOUNT_SUSPENDED", "bad_request", "unpaid invoice"),
        (409, "SOMETHING_NEW", "bad_request", "409 Conflict SOMETHING_NEW"),
        (429, "", "rate_limited", "too many requests"),
        (503, "", "server_error", "a proxy, load balancer or gateway"),
    ];
    // None of the names is listed by the project: what that means is for the code to say.
    let mut state = atlas_state([("prod", cluster())]);
    let names: Vec<_> = (0..cases.len()).map(|index| format!("unlisted-{index:02}")).collect();
    for (name, (status, code, ..)) in names.iter().zip(cases) {
        let answer = FaultKind::Status(status, code, Vec::new());
        state.faults.push(Fault::lasting(&format!("/{name}/backup/exports"), answer));
    }
    let simulator = simulator(state).await;
    let entry = format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = {names:?}\n");
    let (code, json, _) =
        run(&watched(ExporterBuilder::new(&simulator), &entry), &["check", "--output=json"]).await;
    assert_eq!(code, Some(1), "{json}");
    let json: Value = serde_json::from_str(&json).unwrap();
    for (name, (status, code, reason, hint)) in names.iter().zip(cases) {
        let row = json["rows"].as_array().unwrap().iter().find(|row| row["cluster_name"] == *name).unwrap();
        assert_eq!(row["reason"], reason, "{status} {code}: {row:#}");
        assert!(row["hint"].as_str().unwrap().contains(hint), "{status} {code}: {row:#}");
        let says_no_such_cluster = row["hint"].as_str().unwrap().contains("no such cluster");
        assert_eq!(says_no_such_cluster, code == "CLUSTER_NOT_FOUND", "{status} {code}: {row:#}");
    }
}

#[tokio::test]
async fn check_of_an_invalid_configuration_exits_with_code_2() {
    let simulator = simulator(mixed()).await;
    let (code, out, err) =
        run(&watched(ExporterBuilder::new(&simulator), "[[projects]]\nid = \"x\"\n"), &["check"]).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains(": projects[0].id is \"x\""), "{err}");
}

#[tokio::test]
async fn once_prints_metrics_and_sets_the_exit_code() {
    let simulator = simulator(mixed()).await;
    let setup =
        watched(ExporterBuilder::new(&simulator), &format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n"));
    let (code, out, err) = run(&setup, &["--once"]).await;
    assert_eq!(code, Some(0), "{err}");
    let scrape = Scrape::parse(&out);
    for name in ["prod-eu", "prod-us", "manual", "warehouse"] {
        assert_eq!(scrape.up(name), Some(1.0), "{name}");
        assert!(scrape.value("auto_export_enabled", name, "").is_some(), "{name}");
    }
    assert_eq!(scrape.latest_state("prod-eu"), Some("Successful"));
    assert!(out.starts_with("# HELP ") && out.ends_with('\n') && !out.contains("# EOF"), "text format 0.0.4");
    assert!(!out.contains("process_"), "a textfile collector has its own");

    for path in ["prod-eu/backup/exports", "prod-eu/backup/schedule", "/orgs/", "/clusters$"] {
        let refusal = FaultKind::Status(403, "USER_UNAUTHORIZED", Vec::new());
        simulator.state().faults = vec![Fault::lasting(path, refusal)];
        let (code, out, err) = run(&setup, &["--once"]).await;
        assert_eq!(code, Some(1), "{path}: {err}");
        assert!(out.contains("_success{") || out.contains("mongodbatlas_backup_export_up{"), "{path}: {out}");
        if path.ends_with("exports") {
            assert_eq!(Scrape::parse(&out).up("prod-eu"), Some(0.0));
        }
    }
}

#[tokio::test]
async fn once_stops_on_sigterm() {
    let simulator = simulator(mixed()).await;
    simulator.state().faults = vec![Fault::lasting("/exports", FaultKind::Hang)];
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(&simulator).write(&folder);
    let mut child = command().current_dir(folder.path()).arg("--once").spawn().unwrap();
    while requests(&simulator, "/schedule") == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let status = tokio::time::timeout(Duration::from_secs(2), child.wait()).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn every_cluster_is_on_exactly_one_shard() {
    let names: Vec<&'static str> = (0..30).map(|i| &*format!("c{i:02}").leak()).collect();
    let simulator = simulator(atlas_state(names.iter().map(|name| (*name, cluster())))).await;
    let mut held = Vec::new();
    for (index, host) in [("0", ""), ("auto", "exporter-1"), ("auto", "atlas-backup-exporter-2")] {
        let folder = tempfile::tempdir().unwrap();
        let all = format!("[[projects]]\nid = \"{PROJECT}\"\n[shard]\ntotal = 3\n");
        watched(ExporterBuilder::new(&simulator), &all).write(&folder);
        let mut command = command();
        command.current_dir(folder.path()).env("HOSTNAME", host);
        command.args(["--web.listen-address=127.0.0.1:0", &format!("--shard.index={index}")]);
        let scrape = Exporter::spawn(command, folder).await.ready().await;
        let up = scrape.of("mongodbatlas_backup_export_up");
        assert!(up.len() > 3, "{index} holds {}", up.len());
        held.extend(up.iter().map(|(labels, _)| (*labels).to_owned()));
    }
    held.sort();
    assert_eq!(held.len(), 30, "{held:#?}");
    held.dedup();
    assert_eq!(held.len(), 30, "{held:#?}");
}

#[tokio::test]
async fn check_has_a_timeout_and_stops_on_sigint() {
    let simulator = simulator(mixed()).await;
    simulator.state().faults = vec![Fault::lasting("/exports", FaultKind::Hang)];
    let mut setup = watched(ExporterBuilder::new(&simulator), &format!("[[projects]]\nid = \"{PROJECT}\"\n"))
        .set("poll.timeout", "1s");
    let start = std::time::Instant::now();
    assert_eq!(run(&setup, &["check"]).await.0, Some(1));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());

    setup = setup.unset("poll.timeout");
    let folder = tempfile::tempdir().unwrap();
    setup.write(&folder);
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
    let (code, table, _) = run(
        &watched(ExporterBuilder::new(&simulator), &format!("[[projects]]\nid = \"{PROJECT}\"\n")),
        &["check"],
    )
    .await;
    assert!(code == Some(1) && table.contains("the project has no clusters"), "{table}");
    assert!(table.ends_with("\nNo project has a cluster: there is nothing to watch.\n"), "{table}");
    let own = "[organizations.service_account]\nclient_id = \"mdb_sa_id_new\"\nclient_secret = \"new\"\n";
    let entry = format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n{own}");
    let (code, table, _) = run(&watched(ExporterBuilder::new(&simulator), &entry), &["check"]).await;
    assert!(code == Some(1) && table.contains("no project is listed"), "{table}");
}

#[tokio::test]
async fn projects_without_clusters_are_notes_and_not_warnings() {
    let mut state = mixed();
    for id in [UNKNOWN, "32b6e34b3d91647abb20e7ba"] {
        state.projects.insert(id.to_owned(), Project::new("empty"));
    }
    let simulator = simulator(state).await;
    let mut setup =
        watched(ExporterBuilder::new(&simulator), &format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n"));
    let (code, table, _) = run(&setup, &["check"]).await;
    assert_eq!(code, Some(0), "{table}");
    assert!(line(&table, "empty", "-").contains("the project has no clusters"), "{table}");
    assert!(table.ends_with("\n4 clusters, and all can be watched.\n"), "{table}");

    setup = setup.flag("--log.level=debug");
    let exporter = setup.start().await;
    exporter.ready().await;
    let log = exporter.log();
    let said: Vec<_> = log.lines().filter(|line| line.contains("the project has no clusters")).collect();
    assert!(said.len() == 2 && said.iter().all(|line| line.contains("level=debug")), "{log}");
    assert!(!log.contains("level=warn") && !log.contains("level=error"), "{log}");
}

#[tokio::test]
async fn check_with_warnings_succeeds() {
    let simulator = simulator(mixed()).await;
    let entry = format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod-eu\", \"none-*\"]\n");
    let (code, table, _) = run(&watched(ExporterBuilder::new(&simulator), &entry), &["check"]).await;
    assert!(code == Some(0) && table.contains("1 warning."), "{table}");
}

#[tokio::test]
async fn once_ends_while_clusters_come_and_go() {
    let simulator = std::sync::Arc::new(simulator(mixed()).await);
    let mut setup = watched(ExporterBuilder::new(&simulator), &format!("[[projects]]\nid = \"{PROJECT}\"\n"))
        .set("discovery.interval", "100ms");
    simulator.state().faults = vec![Fault::lasting("/fickle-", FaultKind::Hang)];
    setup = setup.set("poll.timeout", "2s");
    let state = simulator.clone();
    let fickle = tokio::spawn(async move {
        for number in 0.. {
            state
                .state()
                .projects
                .get_mut(PROJECT)
                .unwrap()
                .clusters
                .insert(format!("fickle-{number}"), cluster());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let (code, out, err) = run(&setup, &["--once"]).await;
    fickle.abort();
    assert_eq!(code, Some(1), "{err}");
    assert_eq!(Scrape::parse(&out).up("prod-eu"), Some(1.0));
}

#[tokio::test]
async fn check_reports_access_of_collectors() {
    let row = |json: &serde_json::Value| {
        let rows = json["rows"].as_array().unwrap();
        rows.iter().find(|row| row["cluster_name"].is_null()).cloned()
    };
    let simulator = simulator(atlas_state([("prod", cluster())])).await;
    let checked = async |off: &[&str]| {
        let setup = ExporterBuilder::new(&simulator).without_collectors(off);
        let (code, json, _) = run(&setup, &["check", "--output=json"]).await;
        (code, serde_json::from_str::<serde_json::Value>(&json).unwrap())
    };
    let (code, json) = checked(&[]).await;
    let all = row(&json).unwrap();
    assert_eq!((code, &all["status"]), (Some(0), &"ok".into()));
    assert_eq!(all["details"], serde_json::json!({"snapshots": true, "events": true, "buckets": true}));
    assert_eq!(all["hint"], "collectors with access: snapshots, events, buckets");

    simulator.state().accounts[0].denied = vec!["events".to_owned(), "exportBuckets".to_owned()];
    let (code, json) = checked(&["buckets"]).await;
    let some = row(&json).unwrap();
    assert_eq!((code, &some["status"]), (Some(0), &"warning".into()), "exports are watched all the same");
    assert_eq!(some["details"], serde_json::json!({"snapshots": true, "events": false}));
    assert_eq!(some["error_code"], "USER_UNAUTHORIZED");
    let hint = some["hint"].as_str().unwrap();
    assert!(
        hint.starts_with("events cannot be read (USER_UNAUTHORIZED): the service account mdb_sa_id_1 needs the role Project Read Only")
            && hint.ends_with("collectors.events = false; collectors with access: snapshots"),
        "{hint}"
    );
    let off = &["snapshots", "events", "buckets"];
    let setup = ExporterBuilder::new(&simulator)
        .without_collectors(off)
        .set("atlas.service_account.expires_at", "2020-01-31");
    let (code, table, _) = run(&setup, &["check"]).await;
    assert!(
        code == Some(0)
            && table.contains(
                "by expires_at, the secret of the service account mdb_sa_id_1 ended 2020-01-31T00:00:00Z"
            ),
        "{table}"
    );
    let (_, json) = checked(off).await;
    assert_eq!(row(&json), None);
    // A list of which an entry cannot be read cannot be read; and a sharded cluster has a list of
    // its own.
    simulator.state().accounts[0].denied.clear();
    simulator.state().projects.get_mut(PROJECT).unwrap().clusters.get_mut("prod").unwrap().shards = 3;
    let odd = FaultKind::Body("{\"results\":[{}]}");
    simulator.state().faults.push(Fault::lasting("/exportBuckets", odd));
    let (_, json) = checked(&[]).await;
    let details = serde_json::json!({"snapshots": true, "events": true, "buckets": false});
    assert_eq!(row(&json).unwrap()["details"], details);
    simulator.state().faults.clear();
    simulator.state().accounts[0].denied = vec!["events".to_owned(), "exportBuckets".to_owned()];
    // Without a cluster that Atlas exports by itself there are no snapshots to try.
    let off = Schedule { auto_export: false, ..Schedule::default() };
    simulator.state().projects.get_mut(PROJECT).unwrap().clusters.get_mut("prod").unwrap().schedule = off;
    let (_, json) = checked(&[]).await;
    assert_eq!(row(&json).unwrap()["details"], serde_json::json!({"events": false, "buckets": false}));
}
