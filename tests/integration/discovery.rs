//! Discovery of projects and clusters, and failures of it.

use std::time::Duration;

use atlas_simulator::{
    Account, Cluster, ClusterKind, Fault, FaultKind, Job, JobOutcome, ORGANIZATION, Project, Schedule, Scheme,
};

use crate::support::atlas::{
    PROJECT, SECRET, add_cluster, atlas_state, exports, requests, simulator, update_cluster, update_project,
};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::scrape::Scrape;

const ANALYTICS: &str = "32b6e34b3d91647abb20e7b9";
const FOREIGN: &str = "32b6e34b3d91647abb20e7ba";

fn cluster() -> Cluster {
    Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)])
}

/// Polls a whole project, with discovery three times a second.
fn all_of_project(builder: ExporterBuilder) -> ExporterBuilder {
    polling(builder, format!("[[projects]]\nid = \"{PROJECT}\"\n"))
}

fn all_of_organization(builder: ExporterBuilder) -> ExporterBuilder {
    polling(builder, format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n"))
}

fn polling(builder: ExporterBuilder, watched: String) -> ExporterBuilder {
    builder.targets(watched).set("discovery.interval", "300ms")
}

fn by_project(scrape: &Scrape, name: &str, project: &str) -> Option<f64> {
    let name = format!("mongodbatlas_backup_export_{name}");
    scrape.0.get(&format!("{name}{{project_id=\"{project}\"}}")).copied()
}

fn excluded(scrape: &Scrape, reason: &str) -> Option<f64> {
    let name = "mongodbatlas_backup_export_clusters_excluded";
    scrape.0.get(&format!("{name}{{project_id=\"{PROJECT}\",reason=\"{reason}\"}}")).copied()
}

fn names(scrape: &Scrape) -> Vec<String> {
    let up = scrape.of("mongodbatlas_backup_export_up");
    up.iter()
        .map(|(labels, _)| labels.split("cluster_name=\"").nth(1).unwrap().trim_end_matches("\"}").to_owned())
        .collect()
}

#[tokio::test]
async fn clusters_with_cloud_backup_are_discovered() {
    let simulator = simulator(atlas_state([
        ("prod", cluster()),
        ("asleep", Cluster { paused: true, ..cluster() }),
        ("free", Cluster { kind: ClusterKind::SharedTier, ..cluster() }),
        ("free-too", Cluster { kind: ClusterKind::SharedTier, ..cluster() }),
        ("flex", Cluster { kind: ClusterKind::Flex, ..cluster() }),
        ("careless", Cluster { backup_disabled: true, ..cluster() }),
    ]))
    .await;
    let exporter = all_of_project(ExporterBuilder::new(&simulator)).start().await;
    let scrape = exporter.ready().await;
    assert_eq!(names(&scrape), ["asleep", "prod"]);
    assert!(
        scrape.0.contains_key("mongodbatlas_backup_exporter_targets") && !exporter.log().contains("ERROR")
    );
    let paused = |name| scrape.value("cluster_paused", name, "");
    assert_eq!((paused("prod"), paused("asleep")), (Some(0.0), Some(1.0)));
    assert_eq!(scrape.latest_state("asleep"), Some("Successful"), "paused clusters are polled");
    for (reason, count) in [("shared_tier", 2.0), ("flex", 0.0), ("backup_disabled", 1.0)] {
        assert_eq!(excluded(&scrape, reason), Some(count), "{reason}");
    }
    assert_eq!(by_project(&scrape, "discovery_success", PROJECT), Some(1.0));
    let at = by_project(&scrape, "last_discovery_success_timestamp_seconds", PROJECT).unwrap();
    let now = jiff::Timestamp::now().as_second() as f64;
    assert!((now - 30.0..=now + 1.0).contains(&at), "{at}");
    assert!(scrape.of("mongodbatlas_backup_export_up")[0].0.contains("project=\"payments\""));
    assert_eq!(
        requests(&simulator, &exports("free")) + requests(&simulator, "/flex/"),
        0,
        "excluded clusters are not requested"
    );
}

#[tokio::test]
async fn flex_cluster_in_the_cluster_listing_is_counted() {
    let simulator = simulator(atlas_state([("prod", cluster())])).await;
    let regions = |provider| format!(r#"[{{"regionConfigs":[{{"providerName":"{provider}"}}]}}]"#);
    let (flex, prod) = (regions("FLEX"), regions("AWS"));
    let listing = format!(
        r#"{{"results":[{{"name":"old","replicationSpecs":{flex}}},
        {{"name":"prod","replicationSpecs":{prod}}}]}}"#
    );
    simulator.state().faults = vec![Fault::lasting("/clusters$", FaultKind::Body(listing.leak()))];
    let scrape = all_of_project(ExporterBuilder::new(&simulator)).start().await.ready().await;
    assert_eq!((names(&scrape), excluded(&scrape, "flex")), (vec!["prod".to_owned()], Some(1.0)));
}

#[tokio::test]
async fn patterns_and_names_select_clusters() {
    let simulator = simulator(atlas_state([
        ("prod", cluster()),
        ("report-eu", cluster()),
        ("report-us", cluster()),
        ("report-free", Cluster { kind: ClusterKind::SharedTier, ..cluster() }),
        ("careless", Cluster { backup_disabled: true, ..cluster() }),
        ("other", cluster()),
        ("flex", Cluster { kind: ClusterKind::Flex, ..cluster() }),
    ]))
    .await;
    let builder = all_of_project(ExporterBuilder::new(&simulator)).targets(format!(
        "[[projects]]\nid = \"{PROJECT}\"\n\
         clusters = [\"prod\", \"prod-ue\", \"report-*\", \"careless\", \"flex\", \"nothing-*\"]\n"
    ));
    add_cluster(&simulator, "prod-eu", cluster());
    let exporter = builder.start().await;
    let scrape = exporter.ready().await;
    assert_eq!(names(&scrape), ["careless", "flex", "prod", "prod-ue", "report-eu", "report-us"]);
    assert_eq!(excluded(&scrape, "shared_tier"), Some(1.0));
    assert_eq!(excluded(&scrape, "backup_disabled"), Some(0.0), "named clusters are polled");
    assert_eq!(scrape.up("prod-ue"), Some(0.0));
    assert_eq!(scrape.value("last_poll_error_info", "prod-ue", "reason=\"not_found\""), Some(1.0));
    assert_eq!(
        by_project(&scrape, "discovery_success", PROJECT),
        Some(1.0),
        "an unknown name is no failed discovery"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = exporter.log();
    let check_log = |parts: &[&str]| {
        let lines: Vec<_> = log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).collect();
        assert_eq!(lines.len(), 1, "{parts:?}: {log}");
    };
    check_log(&[
        "level=error",
        "not in the project's list of clusters",
        "cluster_name=prod-ue",
        "did_you_mean=prod-eu",
    ]);
    check_log(&["level=error", "has cloud backup disabled", "cluster_name=careless"]);
    check_log(&["level=error", "not in the project's list of clusters", "cluster_name=flex"]);
    assert_eq!(requests(&simulator, "/flex/backup/schedule"), 0, "flex clusters have no schedule");
    check_log(&["level=warn", "no cluster of the project matches", "pattern=nothing-*"]);
}

#[tokio::test]
async fn project_entry_overrides_the_organization() {
    let mut state = atlas_state([("prod", cluster()), ("test", cluster())]);
    state.projects.insert(ANALYTICS.to_owned(), Project::new("analytics").with("warehouse", cluster()));
    let foreign = Project { organization: "5f0e5a3b9c1d4e6f8a7bffff".to_owned(), ..Project::new("foreign") };
    state.projects.insert(FOREIGN.to_owned(), foreign.with("abroad", cluster()));
    let simulator = simulator(state).await;
    let own =
        format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"prod\"]\nexpected_interval = \"12h\"\n");
    let exporter = all_of_organization(ExporterBuilder::new(&simulator))
        .append("expected_interval = \"2d\"\nexport_expected = true\n")
        .append(&own)
        .start()
        .await;
    let scrape = exporter.ready().await;
    assert_eq!(names(&scrape), ["prod", "warehouse"]);
    let expected = |name| scrape.value("expected_interval_seconds", name, "");
    assert_eq!((expected("prod"), expected("warehouse")), (Some(43_200.0), Some(172_800.0)));
    let must = |name| scrape.value("export_expected", name, "");
    assert_eq!((must("prod"), must("warehouse")), (None, Some(1.0)));
    assert!(scrape.value("up", "warehouse", "project=\"analytics\"").is_some());
    let organization = format!(
        "mongodbatlas_backup_export_organization_discovery_success{{organization_id=\"{ORGANIZATION}\"}}"
    );
    assert_eq!(scrape.0.get(&organization), Some(&1.0));
}

#[tokio::test]
async fn clusters_and_projects_are_added_and_removed() {
    let simulator = simulator(atlas_state([("stays", cluster()), ("goes", cluster())])).await;
    let exporter = all_of_organization(ExporterBuilder::new(&simulator)).start().await;
    let before = exporter.ready().await;
    assert_eq!(names(&before), ["goes", "stays"]);
    // Time for another poll, as changes may be discovered sooner.
    tokio::time::sleep(Duration::from_millis(400)).await;
    {
        let mut state = simulator.state();
        let project = state.projects.get_mut(PROJECT).unwrap();
        project.clusters.remove("goes");
        project.clusters.insert("new".to_owned(), cluster());
        state.projects.insert(ANALYTICS.to_owned(), Project::new("analytics").with("warehouse", cluster()));
    }
    let after = exporter.until(|scrape| names(scrape) == ["new", "stays", "warehouse"]).await;
    assert!(!after.0.keys().any(|series| series.contains("\"goes\"")), "{after:#?}");
    let polls = |scrape: &Scrape| scrape.value("polls_total", "stays", "").unwrap();
    assert!(polls(&after) > polls(&before), "polls continued");
    assert_eq!(after.0["mongodbatlas_backup_exporter_targets"], 3.0);
    let asked = requests(&simulator, "/goes/");
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(requests(&simulator, "/goes/"), asked, "neither for its exports nor for its schedule");
    // A cluster without cloud backup is excluded.
    update_cluster(&simulator, "new", |new| new.backup_disabled = true);
    let off = exporter.until(|scrape| names(scrape) == ["stays", "warehouse"]).await;
    assert_eq!(excluded(&off, "backup_disabled"), Some(1.0));
    // A project is removed with its clusters.
    simulator.state().projects.remove(PROJECT);
    let gone = exporter.until(|scrape| names(scrape) == ["warehouse"]).await;
    assert!(!gone.0.keys().any(|series| series.contains(PROJECT)), "{gone:#?}");
    let asked = requests(&simulator, &exports("stays"));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(requests(&simulator, &exports("stays")), asked, "no longer requested");
    assert_eq!(exporter.scrape().await.0["mongodbatlas_backup_exporter_targets"], 1.0);
}

async fn assert_metrics_are_kept(exporter: &Exporter) {
    let scrape = exporter.polled_again(3.0).await;
    assert_eq!(names(&scrape), ["a", "b"]);
    assert_eq!(scrape.latest_state("a"), Some("Successful"));
    assert!(
        scrape.value("up", "a", "project=\"payments\"").is_some(),
        "its project has its name: {scrape:#?}"
    );
    assert_eq!(scrape.value("cluster_paused", "a", ""), Some(0.0));
    assert_eq!(scrape.value("expected_interval_seconds", "a", ""), Some(86_400.0));
}

#[tokio::test]
async fn failed_discovery_keeps_the_last_state() {
    let simulator = simulator(atlas_state([("a", cluster()), ("b", cluster())])).await;
    let exporter = all_of_organization(ExporterBuilder::new(&simulator)).start().await;
    let good = exporter.ready().await;
    let at =
        |scrape: &Scrape| by_project(scrape, "last_discovery_success_timestamp_seconds", PROJECT).unwrap();
    let refused = || FaultKind::error(403, "USER_UNAUTHORIZED");
    for path in
        [format!("groups/{PROJECT}/clusters$"), format!("groups/{PROJECT}$"), "/a/backup/schedule".to_owned()]
    {
        simulator.state().faults = vec![Fault::lasting(&path, refused())];
        let failed =
            exporter.until(|scrape| by_project(scrape, "discovery_success", PROJECT) == Some(0.0)).await;
        assert!(at(&failed) >= at(&good), "{path}");
        assert_metrics_are_kept(&exporter).await;
        simulator.state().faults.clear();
        exporter.until(|scrape| by_project(scrape, "discovery_success", PROJECT) == Some(1.0)).await;
    }
    let organization = format!(
        "mongodbatlas_backup_export_organization_discovery_success{{organization_id=\"{ORGANIZATION}\"}}"
    );
    for fault in [
        refused(),
        FaultKind::Status(200, "", Vec::new()),
        FaultKind::Body("{\"results\":[{\"id\":\"nonsense\"}]}"),
    ] {
        simulator.state().faults = vec![Fault::lasting("/orgs/", fault)];
        exporter.until(|scrape| scrape.0.get(&organization) == Some(&0.0)).await;
        assert_metrics_are_kept(&exporter).await;
        simulator.state().faults.clear();
        exporter.until(|scrape| scrape.0.get(&organization) == Some(&1.0)).await;
    }
    let log = exporter.log();
    for what in
        ["the project's name and clusters", "the cluster's backup schedule", "the organization's projects"]
    {
        let count = log.matches(&format!("failed to refresh {what}; keeping the last known state")).count();
        // Once for each outage and reason.
        assert!((1..=3).contains(&count), "{what}, {count} times: {log}");
        assert!(log.contains(&format!("{what} can be read again")), "{what}: {log}");
    }
    // Configured names are polled if the listing can never be read.
    simulator.state().faults = vec![Fault::lasting("/clusters$", refused())];
    let scrape = ExporterBuilder::new(&simulator)
        .targets(format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"a\", \"b*\"]\n"))
        .start()
        .await
        .ready()
        .await;
    assert_eq!(names(&scrape), ["a"]);
    assert_eq!(by_project(&scrape, "discovery_success", PROJECT), Some(0.0));
    assert_eq!(by_project(&scrape, "last_discovery_success_timestamp_seconds", PROJECT), None);
    assert_eq!(excluded(&scrape, "flex"), None);
}

#[tokio::test]
async fn exporter_is_not_ready_before_the_first_discovery() {
    let mut state = atlas_state([("a", cluster())]);
    state.faults = vec![Fault::passing("/clusters$", FaultKind::Slow(Duration::from_secs(2)), 1)];
    let simulator = simulator(state).await;
    let exporter = all_of_organization(ExporterBuilder::new(&simulator)).start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(exporter.get("/-/ready").await.status(), 503);
    assert_eq!(names(&exporter.ready().await), ["a"]);
}

#[tokio::test]
async fn every_page_of_clusters_is_read() {
    let simulator = simulator(atlas_state([("zzz-the-last", cluster())])).await;
    for i in 0..1100 {
        let shared = Cluster { kind: ClusterKind::SharedTier, ..Cluster::default() };
        add_cluster(&simulator, format!("c{i:04}"), shared);
    }
    let mut builder = all_of_project(ExporterBuilder::new(&simulator));
    builder = builder.unset("discovery.interval");
    let scrape = builder.start().await.ready().await;
    assert_eq!(names(&scrape), ["zzz-the-last"]);
    assert_eq!(excluded(&scrape, "shared_tier"), Some(1100.0));
    assert_eq!(requests(&simulator, "/clusters?"), 3);
}

#[tokio::test]
async fn schedule_sets_the_expected_interval() {
    let scheduled = |auto_export, frequency: Option<&str>| Cluster {
        schedule: Schedule { auto_export, frequency: frequency.map(str::to_owned), ..Schedule::default() },
        created_at: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        ..cluster()
    };
    let simulator = simulator(atlas_state([
        ("daily", scheduled(true, Some("daily"))),
        ("weekly", scheduled(true, Some("WEEKLY"))),
        ("monthly", scheduled(true, Some("monthly"))),
        ("yearly", scheduled(true, Some("yearly"))),
        ("odd", scheduled(true, Some("fortnightly"))),
        ("silent", scheduled(true, None)),
        ("off", scheduled(false, Some("now and then"))),
    ]))
    .await;
    let exporter = all_of_project(ExporterBuilder::new(&simulator)).start().await;
    let scrape = exporter.ready().await;
    for (name, auto, days) in [
        ("daily", 1.0, Some(1.0)),
        ("weekly", 1.0, Some(7.0)),
        ("monthly", 1.0, Some(31.0)),
        ("yearly", 1.0, Some(366.0)),
        ("odd", 1.0, None),
        ("silent", 1.0, None),
        ("off", 0.0, None),
    ] {
        assert_eq!(scrape.value("auto_export_enabled", name, ""), Some(auto), "{name}");
        assert_eq!(
            scrape.value("expected_interval_seconds", name, ""),
            days.map(|days| days * 86_400.0),
            "{name}"
        );
        assert_eq!(
            scrape.value("cluster_created_timestamp_seconds", name, ""),
            Some(1_767_323_045.0),
            "{name}"
        );
        assert_eq!(scrape.value("export_expected", name, ""), None, "{name}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let log = exporter.log();
    let unknown: Vec<_> = log.lines().filter(|line| line.contains("unknown frequency")).collect();
    assert!(unknown.len() == 1 && unknown[0].contains("fortnightly"), "{log}");
    // The next discovery reads changes.
    update_cluster(&simulator, "daily", |daily| daily.schedule.auto_export = false);
    let off = exporter.until(|scrape| scrape.value("auto_export_enabled", "daily", "") == Some(0.0)).await;
    assert_eq!(off.value("expected_interval_seconds", "daily", ""), None);
}

#[tokio::test]
async fn configuration_overrides_the_schedule() {
    let off = Cluster {
        schedule: Schedule { auto_export: false, frequency: None, ..Schedule::default() },
        ..cluster()
    };
    for (entry, daily, without, must) in [
        ("expected_interval = \"1d 6h\"\n", Some(108_000.0), Some(108_000.0), None),
        ("export_expected = \"auto\"\n", Some(86_400.0), None, None),
        ("export_expected = true\n", Some(86_400.0), None, Some(1.0)),
        ("export_expected = false\nexpected_interval = \"1d 6h\"\n", Some(108_000.0), None, Some(0.0)),
    ] {
        let simulator = simulator(atlas_state([("daily", cluster()), ("off", off.clone())])).await;
        let scrape =
            all_of_project(ExporterBuilder::new(&simulator)).append(entry).start().await.ready().await;
        assert_eq!(scrape.value("expected_interval_seconds", "daily", ""), daily, "{entry}");
        assert_eq!(scrape.value("expected_interval_seconds", "off", ""), without, "{entry}");
        assert_eq!(scrape.value("export_expected", "off", ""), must, "{entry}");
    }
}

#[tokio::test]
async fn two_organizations_are_discovered() {
    let mut state = atlas_state([("a", cluster())]);
    let other = "5f0e5a3b9c1d4e6f8a7bffff";
    let foreign = Project { organization: other.to_owned(), ..Project::new("foreign") };
    state.projects.insert(FOREIGN.to_owned(), foreign.with("abroad", cluster()));
    state.accounts = vec![
        Account {
            projects: Some(vec![PROJECT.to_owned()]),
            ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", SECRET)
        },
        Account {
            projects: Some(vec![FOREIGN.to_owned()]),
            ..Account::new(Scheme::ServiceAccount, "mdb_sa_id_2", "other")
        },
    ];
    let simulator = simulator(state).await;
    let both = format!(
        "[[organizations]]\nid = \"{ORGANIZATION}\"\n[[organizations]]\nid = \"{other}\"\n\
         [organizations.service_account]\nclient_id = \"mdb_sa_id_2\"\nclient_secret = \"other\"\n"
    );
    let scrape = polling(ExporterBuilder::new(&simulator), both).start().await.ready().await;
    assert_eq!((scrape.up("a"), scrape.up("abroad")), (Some(1.0), Some(1.0)), "{scrape:#?}");
    assert_eq!(scrape.of("mongodbatlas_backup_export_organization_discovery_success").len(), 2);
}

#[tokio::test]
async fn named_cluster_that_returns_has_its_schedule() {
    let simulator = simulator(atlas_state([("a", cluster()), ("b", cluster())])).await;
    let named = format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = [\"a\", \"b\"]\n");
    let exporter = polling(ExporterBuilder::new(&simulator), named).start().await;
    exporter.ready().await;
    update_project(&simulator, |project| drop(project.clusters.remove("a")));
    let gone = exporter.until(|scrape| scrape.value("auto_export_enabled", "a", "").is_none()).await;
    assert_eq!(gone.value("cluster_paused", "a", ""), None);
    exporter.until(|scrape| by_project(scrape, "discovery_success", PROJECT) == Some(1.0)).await;
    let asked = requests(&simulator, "/a/backup/schedule");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(requests(&simulator, "/a/backup/schedule"), asked);
    assert_eq!(exporter.scrape().await.up("a"), Some(0.0), "configured clusters are polled");
    add_cluster(&simulator, "a", cluster());
    exporter.until(|scrape| scrape.value("auto_export_enabled", "a", "") == Some(1.0)).await;
}

#[tokio::test]
async fn invalid_entry_of_a_listing_is_skipped() {
    let simulator = simulator(atlas_state([("a", cluster()), ("b", cluster()), ("new", cluster())])).await;
    let exporter = all_of_organization(ExporterBuilder::new(&simulator)).start().await;
    exporter.ready().await;
    // "b" has become unreadable, and "c" is new.
    add_cluster(&simulator, "c", cluster());
    let odd =
        r#"{"results":[{"name":"a","createDate":"soon"},{"paused":"who knows"},{"name":".."},{"name":"c"}]}"#;
    simulator.state().faults = vec![Fault::lasting("/clusters$", FaultKind::Body(odd))];
    let scrape = exporter.until(|scrape| scrape.up("c") == Some(1.0)).await;
    assert_eq!(names(&scrape), ["a", "b", "c", "new"], "what could not be read may be any of those known");
    assert_eq!(by_project(&scrape, "discovery_success", PROJECT), Some(0.0));
    let odd = format!(r#"{{"results":[{{"id":"NONSENSE"}},{{"id":"{ANALYTICS}"}}]}}"#).leak();
    simulator
        .state()
        .projects
        .insert(ANALYTICS.to_owned(), Project::new("analytics").with("warehouse", cluster()));
    simulator.state().faults = vec![Fault::lasting("/orgs/", FaultKind::Body(odd))];
    let scrape = exporter.until(|scrape| scrape.up("warehouse") == Some(1.0)).await;
    assert!(scrape.up("a").is_some());
    let nothing = r#"{"results":[],"totalCount":7}"#;
    simulator.state().faults = vec![Fault::lasting("/orgs/", FaultKind::Body(nothing))];
    tokio::time::sleep(Duration::from_secs(1)).await;
    let scrape = exporter.scrape().await;
    assert!(
        scrape.up("a").is_some() && scrape.up("warehouse").is_some(),
        "an empty page with a count is no listing"
    );
    simulator.state().faults.clear();
    exporter.until(|scrape| names(scrape) == ["a", "b", "c", "new", "warehouse"]).await;
}

#[tokio::test]
async fn circular_listings_are_limited() {
    let mut state = atlas_state([("a", cluster())]);
    let page = r#"{"results":[{"name":"a"}],"totalCount":1,"links":[{"rel":"next","href":"/"}]}"#;
    state.faults = vec![Fault::lasting("/clusters$", FaultKind::Body(page))];
    let simulator = simulator(state).await;
    let mut builder = all_of_project(ExporterBuilder::new(&simulator));
    builder = builder.unset("discovery.interval");
    let scrape = builder.start().await;
    scrape.ready().await;
    assert!(requests(&simulator, "/clusters?") <= 4, "{}", requests(&simulator, "/clusters?"));
}

#[tokio::test]
async fn resources_are_requested_in_their_api_version() {
    let simulator = simulator(atlas_state([("a", cluster())])).await;
    all_of_organization(ExporterBuilder::new(&simulator)).start().await.ready().await;
    let version = |date: &str| format!("application/vnd.atlas.{date}+json");
    let state = simulator.state();
    for (part, date) in [
        ("/orgs/", "2023-01-01"),
        ("/clusters?", "2024-08-05"),
        ("/schedule", "2024-08-05"),
        ("/exports", "2024-05-30"),
    ] {
        let mut seen = state.requests.iter().filter(|seen| seen.line.contains(part)).peekable();
        assert!(seen.peek().is_some(), "{part}");
        assert!(seen.all(|seen| seen.accept == version(date)), "{part}");
    }
}
