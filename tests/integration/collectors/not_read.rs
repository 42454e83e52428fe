//! Collectors that have not been read yet, and missing buckets.

use super::*;

const ELSEWHERE: &str = "5f0e5a3b9c1d4e6f8a7b0002";
const PATHS: [(&str, &str); 3] =
    [("snapshots", "/backup/snapshots"), ("events", "/events"), ("buckets", "/exportBuckets")];

/// Returns a cluster that exports to [`ELSEWHERE`], a bucket that no project has.
fn misconfigured() -> Cluster {
    let schedule = Schedule { bucket: ELSEWHERE.to_owned(), ..Schedule::default() };
    Cluster { schedule, ..cluster([]) }
}

/// Returns a configuration whose collectors read once during a test.
fn reading_once(simulator: &Simulator) -> ExporterBuilder {
    ExporterBuilder::new(simulator)
}

async fn clusters(exporter: &Exporter) -> serde_json::Value {
    let status = exporter.get("/api/v1/clusters?sort=cluster").await.text().await.unwrap();
    serde_json::from_str::<serde_json::Value>(&status).unwrap()["clusters"].clone()
}

/// Runs the exporter to its end; returns the exit code and standard output.
async fn run(setup: &ExporterBuilder, argument: &str) -> (Option<i32>, String) {
    let out = setup.run(&[argument]).await;
    (out.status.code(), String::from_utf8(out.stdout).unwrap())
}

#[tokio::test]
async fn missing_bucket_is_reported_in_any_order_of_reads() {
    for slow in ["/schedule", "/exportBuckets"] {
        let simulator =
            simulator(atlas_state([("prod", cluster([])), ("misconfigured", misconfigured())])).await;
        let wait = FaultKind::Slow(Duration::from_millis(500));
        simulator.state().faults.push(Fault::lasting(slow, wait));
        let exporter = reading_once(&simulator).start().await;
        let missing = |scrape: &Scrape| {
            // The cluster is not healthy before the bucket is known.
            let missing = scrape.value("bucket_missing", "misconfigured", "");
            assert!(
                missing.is_some() || scrape.value("collectors_unread", "misconfigured", "").is_some(),
                "{scrape:?}"
            );
            missing == Some(1.0)
        };
        exporter.ready().await;
        let scrape = exporter.until(missing).await;
        assert_eq!(scrape.value("bucket_missing", "prod", ""), Some(0.0));
        let requested = ["/misconfigured/backup/schedule", "/prod/backup/schedule", "/exportBuckets"];
        let [misconfigured, prod, lists] = requested.map(|path| requests(&simulator, path));
        assert!(misconfigured == 2 && prod == 1 && lists <= 2, "{misconfigured} {prod} {lists}");
        assert_eq!(clusters(&exporter).await[0]["status"], "bucket_missing");
    }
}

#[tokio::test]
async fn new_bucket_of_a_policy_is_read_immediately() {
    let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
    let exporter = reading_once(&simulator).set("discovery.interval", "300ms").start().await;
    exporter.until(|scrape| scrape.value("bucket_missing", "prod", "") == Some(0.0)).await;
    let name = |simulator: &Simulator, id: &str| {
        update_cluster(simulator, "prod", |prod| id.clone_into(&mut prod.schedule.bucket));
    };
    update_project(&simulator, |project| {
        project.buckets.push(ExportBucket { id: ELSEWHERE.to_owned(), ..project.buckets[0].clone() });
    });
    name(&simulator, ELSEWHERE);
    exporter.until(|scrape| scrape.of("mongodbatlas_backup_export_bucket_info").len() == 2).await;
    exporter.until(|scrape| scrape.value("bucket_missing", "prod", "") == Some(0.0)).await;
    name(&simulator, "5f0e5a3b9c1d4e6f8a7b0003");
    exporter.until(|scrape| scrape.value("bucket_missing", "prod", "") == Some(1.0)).await;
    let lists = requests(&simulator, "/exportBuckets");
    rate(&simulator, "/schedule").await;
    assert_eq!((lists, requests(&simulator, "/exportBuckets")), (3, 3), "known buckets are not read again");
}

#[tokio::test]
async fn once_and_check_fail_for_a_missing_bucket() {
    let simulator = simulator(atlas_state([("prod", cluster([])), ("misconfigured", misconfigured())])).await;
    let setup = ExporterBuilder::new(&simulator);
    let (code, text) = run(&setup, "--once").await;
    let scrape = Scrape::parse(&text);
    let missing = ["prod", "misconfigured"].map(|name| scrape.value("bucket_missing", name, ""));
    assert_eq!((code, missing), (Some(1), [Some(0.0), Some(1.0)]), "{text}");
    assert!(scrape.of("mongodbatlas_backup_export_collectors_unread").is_empty(), "{text}");
    let (code, table) = run(&setup, "check").await;
    assert!(code == Some(1) && table.contains("2 clusters can be read. 1 problem."), "{table}");
    let table = crate::preflight::unwrapped(&table);
    let row = table.lines().find(|line| line.contains("misconfigured")).unwrap();
    assert!(
        row.contains("problem") && row.contains(&format!("the project has no export bucket {ELSEWHERE}, so")),
        "{table}"
    );
    // `--once` waits for the slower one.
    for slow in ["/exportBuckets", "/schedule"] {
        simulator.state().faults = vec![Fault::lasting(slow, FaultKind::Slow(Duration::from_secs(1)))];
        let (code, text) = run(&reading_once(&simulator).without_collectors(&["snapshots"]), "--once").await;
        let missing = Scrape::parse(&text).value("bucket_missing", "misconfigured", "");
        assert_eq!((code, missing), (Some(1), Some(1.0)), "{slow}: {text}");
    }
    simulator.state().faults.clear();
    let off = reading_once(&simulator).without_collectors(&["buckets"]);
    assert_eq!((run(&off, "--once").await.0, run(&off, "check").await.0), (Some(0), Some(0)));
    update_cluster(&simulator, "misconfigured", |misconfigured| misconfigured.schedule = Schedule::default());
    assert_eq!((run(&setup, "--once").await.0, run(&setup, "check").await.0), (Some(0), Some(0)));
}

#[tokio::test]
async fn cluster_is_not_healthy_before_collectors_are_read() {
    for (collector, path) in PATHS {
        for fault in [FaultKind::HANG, FaultKind::error(500, "UNEXPECTED_ERROR")] {
            let simulator = simulator(atlas_state([("prod", cluster([]))])).await;
            simulator.state().faults.push(Fault::lasting(path, fault));
            let exporter = reading_once(&simulator).start().await;
            exporter.ready().await;
            exporter.until(|scrape| scrape.value("collectors_unread", "prod", "") == Some(1.0)).await;
            let cluster = clusters(&exporter).await[0].clone();
            assert_eq!(cluster["up"], true);
            assert_eq!(cluster["status"], "not_read_yet", "{cluster}");
            assert_eq!(cluster["unread_collectors"], serde_json::json!([collector]), "{cluster}");
            let page = exporter.get("/").await.text().await.unwrap();
            assert!(page.contains(&format!("unread collectors: {collector}")), "{page}");
            // A disabled collector is not waited for.
            let off = reading_once(&simulator).without_collectors(&[collector]);
            exporter.reload(&off);
            exporter.until(|scrape| scrape.value("collectors_unread", "prod", "").is_none()).await;
            assert_eq!(clusters(&exporter).await[0]["status"], "healthy", "{collector} is off");
        }
    }
}

#[tokio::test]
async fn refused_collector_does_not_change_the_status() {
    let mut all = atlas_state([("prod", cluster([]))]);
    all.accounts[0].denied = vec!["snapshots", "events", "exportBuckets"];
    let simulator = simulator(all).await;
    let exporter = reading_once(&simulator).start().await;
    let is_down = |scrape: &Scrape| PATHS.iter().all(|(collector, _)| up(scrape, collector) == Some(0.0));
    let scrape = exporter.until(is_down).await;
    assert_eq!(scrape.value("collectors_unread", "prod", ""), None);
    assert_eq!(clusters(&exporter).await[0]["status"], "healthy");
    let (code, _) = run(&ExporterBuilder::new(&simulator), "--once").await;
    assert_eq!(code, Some(0));
    // Other errors are no refusals.
    simulator.state().accounts[0].denied.clear();
    simulator
        .state()
        .faults
        .push(Fault::lasting("/events", FaultKind::error(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST")));
    let (code, text) = run(&ExporterBuilder::new(&simulator), "--once").await;
    let scrape = Scrape::parse(&text);
    assert_eq!((code, scrape.value("collectors_unread", "prod", "")), (Some(1), Some(1.0)), "{text}");
}
