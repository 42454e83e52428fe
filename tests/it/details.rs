//! What the listing of export jobs cannot say: snapshots that nobody exports, failures without a job, buckets that are gone.

use std::time::Duration;

use atlas_backup_exporter::simulator::{
    Bucket, Cluster, End, Entry, Event, ExportBucket, Fault, Job, Misbehaviour, Project, Schedule, Simulator,
    Snapshot, World,
};

use crate::harness::{
    Exporter, PROJECT, Scrape, Setup, by_service_account, command, requests, simulator, world,
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const FAILED: &str = "CPS_AUTO_EXPORT_FAILED";

/// Daily exports until yesterday, whose snapshot was taken a day ago, and `more` snapshots.
fn cluster(more: impl IntoIterator<Item = Snapshot>) -> Cluster {
    let exported = [DAY * 2, DAY].map(|age| Snapshot::taken(age, "daily"));
    let jobs = exported.each_ref().map(|snapshot| Job::of(snapshot, End::Successful));
    Cluster { snapshots: exported.into_iter().chain(more).collect(), ..Cluster::with(jobs) }
}

/// Details are read five times a second; `more` are keys of `[detail]`.
fn setup(simulator: &Simulator, more: &str) -> Setup {
    Setup {
        discovery: format!("interval = \"500ms\"\n[detail]\ninterval = \"200ms\"\n{more}"),
        ..Setup::new(simulator)
    }
}

fn change(simulator: &Simulator, name: &str, change: impl FnOnce(&mut Cluster)) {
    change_project(simulator, |project| change(project.clusters.get_mut(name).unwrap()));
}

fn change_project(simulator: &Simulator, change: impl FnOnce(&mut Project)) {
    change(simulator.world().projects.get_mut(PROJECT).unwrap());
}

fn tell(simulator: &Simulator, event: Event) {
    change_project(simulator, |project| project.events.push(event));
}

fn seconds(snapshot: &Snapshot) -> f64 {
    snapshot.created_at.unwrap().as_second() as f64
}

fn awaiting(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape.value("snapshots_awaiting_export", name, "")
}

fn event(scrape: &Scrape, name: &str) -> Option<f64> {
    scrape.value("last_auto_export_failure_event_timestamp_seconds", name, "")
}

fn up(scrape: &Scrape, detail: &str) -> Option<f64> {
    let labels = format!("{{project_id=\"{PROJECT}\",detail=\"{detail}\"}}");
    scrape.0.get(&format!("mongodbatlas_backup_export_detail_up{labels}")).copied()
}

/// How many requests whose line contains `part` come in a second.
async fn rate(simulator: &Simulator, part: &str) -> usize {
    let before = requests(simulator, part);
    tokio::time::sleep(Duration::from_secs(1)).await;
    requests(simulator, part) - before
}

async fn snapshots_read(exporter: &Exporter) -> Scrape {
    exporter.until(|scrape| awaiting(scrape, "prod").is_some()).await
}

#[tokio::test]
async fn a_snapshot_awaits_export_until_a_job_may_end_well() {
    let forgotten = Snapshot::taken(HOUR * 5, "DAILY");
    let older = Snapshot::taken(HOUR * 9, "daily");
    let of = |age, frequency: &str, kind: &str, status: &str| Snapshot {
        kind: kind.to_owned(),
        status: status.to_owned(),
        ..Snapshot::taken(age, frequency)
    };
    let others = [
        of(HOUR * 4, "daily", "fallback", "completed"),
        of(HOUR * 4, "hourly", "scheduled", "completed"),
        of(HOUR * 4, "ondemand", "onDemand", "completed"),
        of(HOUR * 4, "daily", "scheduled", "failed"),
        Snapshot { created_at: None, ..of(HOUR, "daily", "scheduled", "inProgress") },
    ];
    let prod = cluster([older.clone(), forgotten.clone()].into_iter().chain(others));
    let newest = prod.snapshots[1].clone();
    let simulator = simulator(world([("prod", prod)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    let figure = |scrape: &Scrape, name: &str| scrape.value(&format!("{name}_timestamp_seconds"), "prod", "");
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&newest)));
    assert_eq!(figure(&scrape, "oldest_snapshot_awaiting_export"), Some(seconds(&older)));
    assert_eq!(figure(&scrape, "newest_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(figure(&scrape, "last_success_created"), Some(seconds(&newest) + 60.0));

    // A failed job makes nothing good, one that waits may.
    let failed = End::Failed("E".to_owned(), "no".to_owned());
    change(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(Job::of(&older, failed))));
    let scrape = exporter.until(|scrape| scrape.value("jobs", "prod", "\"Failed\"") == Some(1.0)).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(2.0));
    let waiting = Job { queued: DAY, ..Job::of(&forgotten, End::Successful) };
    change(&simulator, "prod", |prod| prod.jobs.push(Entry::Job(waiting)));
    exporter.until(|scrape| awaiting(scrape, "prod") == Some(1.0)).await;
    change(&simulator, "prod", |prod| {
        prod.jobs.pop();
        prod.jobs.push(Entry::Job(Job::of(&forgotten, End::Successful)));
    });
    // The older one has a successor in the bucket by now.
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod") == Some(0.0)).await;
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(figure(&scrape, "oldest_snapshot_awaiting_export"), None);
    // What is in the bucket stays there when Atlas deletes its snapshot.
    change(&simulator, "prod", |prod| prod.snapshots.retain(|snapshot| snapshot.id != forgotten.id));
    let scrape = exporter
        .until(|scrape| figure(scrape, "newest_snapshot").is_some_and(|at| at < seconds(&forgotten)))
        .await;
    assert_eq!(figure(&scrape, "newest_exported_snapshot"), Some(seconds(&forgotten)));
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
}

#[tokio::test]
async fn the_snapshots_of_a_sharded_cluster_stand_in_a_list_of_their_own() {
    let sharded = Cluster { shards: 3, ..cluster([Snapshot::taken(HOUR, "daily")]) };
    let simulator = simulator(world([("prod", sharded)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(1.0));
    assert!(requests(&simulator, "/prod/backup/snapshots/shardedClusters") > 0);
    assert_eq!(requests(&simulator, "/prod/backup/snapshots?"), 0);
    // One that becomes a replica set is asked for otherwise, and nobody has to restart for it.
    change(&simulator, "prod", |prod| prod.shards = 0);
    exporter
        .until(|scrape| up(scrape, "snapshots") == Some(1.0) && requests(&simulator, "/snapshots?") > 0)
        .await;
}

#[tokio::test]
async fn every_page_of_snapshots_is_read() {
    let hourly = (3u32..1200).map(|hours| Snapshot::taken(HOUR * hours, "hourly"));
    let simulator = simulator(world([("prod", cluster(hourly))])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "prod"), Some(0.0));
    assert!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", "").is_some());
    assert!(requests(&simulator, "/prod/backup/snapshots?itemsPerPage=500&pageNum=3") > 0);
}

#[tokio::test]
async fn snapshots_are_read_of_clusters_that_atlas_exports_by_itself() {
    let off = Schedule { auto_export: false, ..Schedule::default() };
    let manual = Cluster { schedule: off.clone(), ..cluster([]) };
    let simulator = simulator(world([("prod", cluster([])), ("manual", manual)])).await;
    let exporter = setup(&simulator, "").start().await;
    let scrape = snapshots_read(&exporter).await;
    assert_eq!(awaiting(&scrape, "manual"), None);
    assert_eq!(scrape.value("bucket_missing", "manual", ""), None);
    assert_eq!(requests(&simulator, "/manual/backup/snapshots"), 0);
    change(&simulator, "manual", |manual| manual.schedule = Schedule::default());
    exporter.until(|scrape| awaiting(scrape, "manual") == Some(0.0)).await;
    change(&simulator, "manual", |manual| manual.schedule = off);
    exporter.until(|scrape| awaiting(scrape, "manual").is_none()).await;
    assert_eq!(rate(&simulator, "/manual/backup/snapshots").await, 0);
}

#[tokio::test]
async fn an_event_is_told_of_the_cluster_that_it_is_about() {
    let names = ["a", "b", "c", "d", "e"];
    let simulator = simulator(world(names.map(|name| (name, cluster([]))))).await;
    // One of a month ago counts, an older one does not; nor does one of a cluster that nobody watches, or of another kind.
    let old = Event::new("CPS_EXPORT_FAILED", Some("b"), DAY * 30);
    tell(&simulator, old.clone());
    tell(&simulator, Event::new(FAILED, Some("c"), DAY * 32));
    tell(&simulator, Event::new(FAILED, Some("gone"), HOUR));
    tell(&simulator, Event::new("CPS_EXPORT_SUCCESSFUL", Some("d"), HOUR));
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    let told = |scrape: &Scrape| names.map(|name| event(scrape, name));
    let of = |event: &Event| Some(event.created.as_second() as f64);
    assert_eq!(told(&scrape), [None, of(&old), None, None, None]);

    // The cluster that nobody watches is looked for once more. While nothing happens then, there is one request each time, though the last hour is read again and again.
    exporter.polled_again(4.0).await;
    let quiet = rate(&simulator, "/events?").await;
    assert!((2..=6).contains(&quiet), "{quiet}");
    assert_eq!(rate(&simulator, "clusterNames=").await, 0);

    let news = Event::new(FAILED, Some("e"), Duration::ZERO);
    tell(&simulator, news.clone());
    let scrape = exporter.until(|scrape| event(scrape, "e").is_some()).await;
    assert_eq!(told(&scrape), [None, of(&old), None, None, of(&news)]);
    assert_eq!(rate(&simulator, "clusterNames=").await, 0, "it is no news any more");

    // A cluster that is found later is asked for with its past.
    let past = Event::new(FAILED, Some("new"), DAY * 3);
    tell(&simulator, past.clone());
    assert_eq!(rate(&simulator, "clusterNames=new").await, 0);
    let mut all = by_service_account();
    all.push_str(
        "[poll]\ninterval = \"200ms\"\n[discovery]\ninterval = \"500ms\"\n[detail]\ninterval = \"200ms\"\n",
    );
    let config =
        format!("[atlas]\nbase_url = \"{}\"\n{all}[[projects]]\nid = \"{PROJECT}\"\n", simulator.url());
    std::fs::write(exporter.folder.path().join("config.toml"), config).unwrap();
    change_project(&simulator, |project| drop(project.clusters.insert("new".to_owned(), cluster([]))));
    exporter.signal("HUP");
    let scrape = exporter.until(|scrape| event(scrape, "new").is_some()).await;
    assert_eq!(event(&scrape, "new"), of(&past));
}

#[tokio::test]
async fn an_event_costs_few_requests_however_many_clusters_there_are() {
    let names: Vec<String> = (0..120).map(|number| format!("cluster-{number:03}")).collect();
    let mut all = world([]);
    let project = all.projects.get_mut(PROJECT).unwrap();
    for name in &names {
        project.clusters.insert(name.clone(), Cluster::default());
    }
    let simulator = simulator(all).await;
    tell(&simulator, Event::new(FAILED, Some("cluster-077"), HOUR));
    let setup = Setup {
        poll: "interval = \"10s\"\n".to_owned(),
        discovery: "interval = \"10m\"\n[detail]\nsnapshots = false\n".to_owned(),
        ..Setup::new(&simulator)
    };
    let exporter = setup.start().await;
    exporter.until(|scrape| event(scrape, "cluster-077").is_some()).await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    assert!(names.iter().filter(|name| event(&scrape, name).is_some()).count() == 1);
    // Three groups of fifty at most, and then halves: twice for each of six steps down to one.
    let asked = requests(&simulator, "/events?");
    assert!(asked <= 1 + 3 + 2 * 6, "{asked}");
    let longest = simulator.world().seen.iter().map(|seen| seen.line.len()).max().unwrap();
    assert!(longest < 2048, "{longest}");
}

#[tokio::test]
async fn where_all_fail_each_is_asked_for_once() {
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let mut all = world([]);
    let project = all.projects.get_mut(PROJECT).unwrap();
    for name in &names {
        project.clusters.insert(name.clone(), Cluster::default());
        project.events.push(Event::new(FAILED, Some(name), HOUR));
    }
    let simulator = simulator(all).await;
    let discovery = "interval = \"10m\"\n[detail]\nsnapshots = false\n".to_owned();
    let exporter = Setup { discovery, ..Setup::new(&simulator) }.start().await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    assert!(names.iter().all(|name| event(&scrape, name).is_some()));
    assert_eq!(requests(&simulator, "/events?"), 1 + 1 + 40);
}

#[tokio::test]
async fn a_name_that_the_filter_refuses_hides_no_other() {
    let names = ["a", "b", "odd", "c"];
    let simulator = simulator(world(names.map(|name| (name, cluster([]))))).await;
    for name in ["a", "c"] {
        tell(&simulator, Event::new(FAILED, Some(name), HOUR));
    }
    let refusal = Misbehaviour::Status(400, "INVALID_QUERY_PARAMETER", Vec::new());
    simulator.world().faults.push(Fault::lasting("?clusterNames=odd", refusal));
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter.until(|scrape| event(scrape, "a").is_some() && event(scrape, "c").is_some()).await;
    assert_eq!((event(&scrape, "b"), event(&scrape, "odd")), (None, None));
}

#[tokio::test]
async fn a_search_that_breaks_off_is_gone_on_with() {
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    let mut all = world([]);
    let project = all.projects.get_mut(PROJECT).unwrap();
    for name in &names {
        project.clusters.insert(name.clone(), Cluster::default());
        project.events.push(Event::new(FAILED, Some(name), HOUR));
    }
    let simulator = simulator(all).await;
    // Each reading gets so far, and no further.
    let exporter = setup(&simulator, "").start().await;
    let stop = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let seen = requests(&simulator, "clusterNames=");
            let down = Misbehaviour::Status(500, "UNEXPECTED_ERROR", Vec::new());
            if seen % 4 == 3 && simulator.world().faults.is_empty() {
                simulator.world().faults.push(Fault::passing("/events", down, 4));
            }
        }
    };
    tokio::select! {
        () = stop => {}
        _ = exporter.until(|scrape| names.iter().all(|name| event(scrape, name).is_some())) => {}
    }
}

#[tokio::test]
async fn a_cluster_that_comes_back_is_asked_for_with_its_past() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let mut setup = setup(&simulator, "");
    setup.watched = Some(format!("[[projects]]\nid = \"{PROJECT}\"\n"));
    let exporter = setup.start().await;
    tell(&simulator, Event::new(FAILED, Some("a"), HOUR));
    exporter.until(|scrape| event(scrape, "a").is_some()).await;
    let gone = simulator.world().projects.get_mut(PROJECT).unwrap().clusters.remove("a").unwrap();
    exporter.until(|scrape| scrape.up("a").is_none()).await;
    change_project(&simulator, |project| drop(project.clusters.insert("a".to_owned(), gone)));
    exporter.until(|scrape| event(scrape, "a").is_some()).await;
}

#[tokio::test]
async fn an_event_that_cannot_be_believed_is_no_event() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let mut ahead = Event::new(FAILED, Some("a"), Duration::ZERO);
    ahead.created = "2999-01-01T00:00:00Z".parse().unwrap();
    tell(&simulator, ahead);
    let exporter = setup(&simulator, "").start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    // It hides none that can be.
    tell(&simulator, Event::new(FAILED, Some("b"), HOUR));
    let scrape = exporter.until(|scrape| event(scrape, "b").is_some()).await;
    assert_eq!((event(&scrape, "a"), up(&scrape, "events")), (None, Some(0.0)));
}

#[tokio::test]
async fn a_detail_that_is_out_of_service_holds_up_no_poll() {
    let simulator = simulator(world([("prod", cluster([]))])).await;
    let wait = vec![("retry-after", "3600".to_owned())];
    let down = Misbehaviour::Status(503, "OUT_OF_SERVICE", wait);
    simulator.world().faults.push(Fault::lasting("/exportBuckets", down));
    let exporter = setup(&simulator, "").start().await;
    exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!((scrape.up("prod"), up(&scrape, "snapshots")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn a_filter_that_tells_no_clusters_apart_blames_none() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let everywhere = "{\"results\":[{\"id\":\"e1\",\"created\":\"2026-11-01T00:00:00Z\",\"eventTypeName\":\"CPS_EXPORT_FAILED\"}]}";
    simulator.world().faults.push(Fault::lasting("/events", Misbehaviour::Body(everywhere)));
    let exporter = setup(&simulator, "").start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    let scrape = exporter.polled_again(3.0).await;
    assert_eq!((event(&scrape, "a"), event(&scrape, "b")), (None, None));
    assert!(exporter.log().contains("the event e1 is told of two clusters"), "{}", exporter.log());
}

#[tokio::test]
async fn a_role_that_is_missing_switches_a_detail_off_and_nothing_else() {
    let mut all = world([("prod", cluster([])), ("other", cluster([]))]);
    all.accounts[0].denied = ["snapshots", "events", "exportBuckets"].map(str::to_owned).into();
    let simulator = simulator(all).await;
    let exporter = setup(&simulator, "").start().await;
    let all_down = |scrape: &Scrape| {
        ["snapshots", "events", "buckets"].iter().all(|detail| up(scrape, detail) == Some(0.0))
    };
    exporter.until(all_down).await;
    let asked = |simulator: &Simulator| {
        ["/backup/snapshots", "/events", "/exportBuckets"].map(|part| requests(simulator, part))
    };
    let before = asked(&simulator);
    let scrape = exporter.polled_again(5.0).await;
    assert_eq!(asked(&simulator), before, "nothing is asked again");
    // Two clusters share the role, and may have found that out at the same time.
    assert!(before[0] <= 2 && before[1] == 1 && before[2] == 1, "{before:?}");
    assert_eq!((scrape.up("prod"), scrape.up("other")), (Some(1.0), Some(1.0)));
    assert!(scrape.has_figures("prod") && all_down(&scrape) && awaiting(&scrape, "prod").is_none());
    assert!(scrape.of("mongodbatlas_backup_export_bucket_info").is_empty());
    let log = exporter.log();
    for what in ["the cluster's snapshots", "the project's events", "the project's export buckets"] {
        let warnings =
            log.lines().filter(|line| line.contains("lack the role") && line.contains(what)).count();
        assert_eq!(warnings, 1, "{log}");
    }
    let page = exporter.get("/").await.text().await.unwrap();
    assert!(page.contains("Cannot read the events of project payments"), "{page}");
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn a_refusal_of_one_cluster_is_no_missing_role_of_its_project() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let refusal = Misbehaviour::Status(403, "CLUSTER_RESTRICTED", Vec::new());
    simulator.world().faults.push(Fault::lasting("/b/backup/snapshots", refusal));
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter
        .until(|scrape| awaiting(scrape, "a").is_some() && up(scrape, "snapshots") == Some(0.0))
        .await;
    assert_eq!(awaiting(&scrape, "b"), None);
    assert!(rate(&simulator, "/a/backup/snapshots").await > 1);
    let file = exporter.folder.path().join("config.toml");
    for interval in ["210ms", "220ms", "230ms"] {
        let toml = setup(&simulator, "")
            .toml()
            .replace("[detail]\ninterval = \"200ms\"", &format!("[detail]\ninterval = \"{interval}\""));
        std::fs::write(&file, toml).unwrap();
        exporter.signal("HUP");
        exporter.polled_again(2.0).await;
    }
    assert_eq!(requests(&simulator, "/b/backup/snapshots"), 1);
    assert_eq!(exporter.log().matches("lack the role").count(), 1, "{}", exporter.log());
}

#[tokio::test]
async fn a_refused_detail_says_so_again_when_it_is_switched_off_and_on() {
    let mut all = world([("prod", cluster([]))]);
    all.accounts[0].denied = ["events", "exportBuckets"].map(str::to_owned).into();
    let simulator = simulator(all).await;
    let exporter = setup(&simulator, "").start().await;
    let down = |scrape: &Scrape| ["events", "buckets"].map(|detail| up(scrape, detail)) == [Some(0.0); 2];
    exporter.until(down).await;
    let file = exporter.folder.path().join("config.toml");
    std::fs::write(&file, setup(&simulator, "events = false\nbuckets = false\n").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| up(scrape, "events").is_none() && up(scrape, "buckets").is_none()).await;
    std::fs::write(&file, setup(&simulator, "").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(down).await;
    assert_eq!(requests(&simulator, "/events?") + requests(&simulator, "/exportBuckets"), 2);
}

#[tokio::test]
async fn a_refusal_with_401_and_a_code_is_a_missing_role_and_one_of_the_keys_is_not() {
    for (status, code, again) in [
        (401, "NOT_IN_GROUP", false),
        (403, "USER_UNAUTHORIZED", false),
        (401, "UNEXPECTED_ERROR", true),
        (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", true),
    ] {
        let simulator = simulator(world([("prod", cluster([]))])).await;
        let refusal = Misbehaviour::Status(status, code, Vec::new());
        simulator.world().faults.push(Fault::lasting("/exportBuckets", refusal));
        let exporter = setup(&simulator, "").start().await;
        exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
        assert_eq!(rate(&simulator, "/exportBuckets").await > 0, again, "{status} {code}");
        simulator.world().faults.clear();
        if again {
            exporter.until(|scrape| up(scrape, "buckets") == Some(1.0)).await;
        }
    }
}

#[tokio::test]
async fn an_event_that_comes_while_events_cannot_be_read_is_not_missed() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    let exporter = setup(&simulator, "").start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    let fault = |what| simulator.world().faults.push(Fault::lasting("/events", what));
    fault(Misbehaviour::Status(500, "UNEXPECTED_ERROR", Vec::new()));
    let news = Event::new(FAILED, Some("a"), Duration::ZERO);
    tell(&simulator, news.clone());
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    simulator.world().faults.clear();
    let scrape = exporter.until(|scrape| event(scrape, "a").is_some()).await;
    assert_eq!(event(&scrape, "a"), Some(news.created.as_second() as f64));
    assert!(exporter.log().contains("the project's events can be read again"), "{}", exporter.log());
}

#[tokio::test]
async fn a_cluster_that_was_not_found_is_looked_for_again() {
    let simulator = simulator(world([("a", cluster([])), ("b", cluster([]))])).await;
    tell(&simulator, Event::new(FAILED, Some("b"), HOUR));
    // The project's events can be read, those of its clusters cannot: the second request fails, and the third, ...
    let budget = Bucket::new(300, 0).with(1.0);
    change_project(&simulator, |project| project.events_budget = budget);
    let exporter = setup(&simulator, "").start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    let scrape = exporter.polled_again(2.0).await;
    assert_eq!((scrape.up("a"), event(&scrape, "b")), (Some(1.0), None));
    change_project(&simulator, |project| project.events_budget = Bucket::new(300, 100));
    // The exporter waits for as long as it was asked to.
    assert!(up(&exporter.polled_again(2.0).await, "events") == Some(0.0));
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_told_of_each_cluster_that_exports_to_it() {
    let elsewhere = Schedule { bucket: "5f0e5a3b9c1d4e6f8a7b0002".to_owned(), ..Schedule::default() };
    let other = Cluster { schedule: elsewhere, ..cluster([]) };
    let simulator = simulator(world([("prod", cluster([])), ("other", other)])).await;
    let second = ExportBucket {
        id: "5f0e5a3b9c1d4e6f8a7b0002".to_owned(),
        name: "backups \"two\"".to_owned(),
        provider: "AZURE".to_owned(),
    };
    change_project(&simulator, |project| project.buckets.push(second));
    let exporter = setup(&simulator, "").start().await;
    let missing = |scrape: &Scrape| ["prod", "other"].map(|name| scrape.value("bucket_missing", name, ""));
    let scrape = exporter.until(|scrape| missing(scrape) == [Some(0.0), Some(0.0)]).await;
    let info: Vec<_> =
        scrape.of("mongodbatlas_backup_export_bucket_info").into_iter().map(|(labels, _)| labels).collect();
    let project = format!("project_id=\"{PROJECT}\",project=\"payments\"");
    assert_eq!(
        info,
        [
            format!(
                "{{{project},export_bucket_id=\"5f0e5a3b9c1d4e6f8a7b0002\",bucket=\"backups \\\"two\\\"\",cloud_provider=\"AZURE\"}}"
            ),
            format!(
                "{{{project},export_bucket_id=\"5f0e5a3b9c1d4e6f8a7b6c5d\",bucket=\"backups-payments\",cloud_provider=\"AWS\"}}"
            ),
        ]
    );
    change_project(&simulator, |project| drop(project.buckets.pop()));
    exporter.until(|scrape| missing(scrape) == [Some(0.0), Some(1.0)]).await;
    let page = exporter.get("/").await.text().await.unwrap();
    assert!(page.contains("its export bucket is gone"), "{page}");
    change_project(&simulator, |project| project.buckets.clear());
    exporter.until(|scrape| missing(scrape) == [Some(1.0), Some(1.0)]).await;
    // A list that cannot be read is no list of nothing.
    simulator.world().faults.push(Fault::lasting("/exportBuckets", Misbehaviour::Body("{\"results\":[{}]}")));
    exporter.until(|scrape| up(scrape, "buckets") == Some(0.0)).await;
    exporter.until(|scrape| missing(scrape) == [None, None]).await;
}

#[tokio::test]
async fn snapshots_that_cannot_be_read_are_withdrawn() {
    let simulator = simulator(world([("prod", cluster([Snapshot::taken(HOUR, "daily")]))])).await;
    let exporter = setup(&simulator, "").start().await;
    snapshots_read(&exporter).await;
    let odd =
        "{\"results\":[{\"id\":\"x\",\"status\":\"completed\",\"createdAt\":\"2026-01-01T00:00:00Z\"}]}";
    simulator.world().faults.push(Fault::lasting("/snapshots", Misbehaviour::Body(odd)));
    exporter.until(|scrape| up(scrape, "snapshots") == Some(0.0)).await;
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_none()).await;
    assert_eq!(scrape.value("newest_exported_snapshot_timestamp_seconds", "prod", ""), None);
    assert!(scrape.has_figures("prod"));
    simulator.world().faults.clear();
    let scrape = exporter.until(|scrape| awaiting(scrape, "prod").is_some()).await;
    assert_eq!((awaiting(&scrape, "prod"), up(&scrape, "snapshots")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn details_that_hang_do_not_hold_up_a_poll() {
    let simulator = simulator(world([("prod", cluster([]))])).await;
    for path in ["/snapshots", "/events", "/exportBuckets"] {
        simulator.world().faults.push(Fault::lasting(path, Misbehaviour::Hang));
    }
    let exporter = setup(&simulator, "").start().await;
    let scrape = exporter.polled_again(10.0).await;
    assert_eq!((scrape.up("prod"), up(&scrape, "events")), (Some(1.0), None));
    assert_eq!(exporter.get("/-/ready").await.status(), 200);
}

#[tokio::test]
async fn a_detail_that_is_switched_off_is_not_read() {
    let simulator = simulator(world([("prod", cluster([]))])).await;
    let exporter = setup(&simulator, "snapshots = false\nevents = false\n").start().await;
    exporter.until(|scrape| up(scrape, "buckets") == Some(1.0)).await;
    let scrape = exporter.polled_again(3.0).await;
    assert_eq!((up(&scrape, "snapshots"), up(&scrape, "events")), (None, None));
    assert_eq!(requests(&simulator, "/snapshots") + requests(&simulator, "/events"), 0);
    // A reload switches them on at once, and off.
    let file = exporter.folder.path().join("config.toml");
    std::fs::write(&file, setup(&simulator, "buckets = false\n").toml()).unwrap();
    exporter.signal("HUP");
    let scrape = exporter
        .until(|scrape| {
            ["snapshots", "events", "buckets"].map(|detail| up(scrape, detail))
                == [Some(1.0), Some(1.0), None]
        })
        .await;
    assert!(scrape.of("mongodbatlas_backup_export_bucket_info").is_empty());
    std::fs::write(&file, setup(&simulator, "snapshots = false\n").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| up(scrape, "snapshots").is_none() && awaiting(scrape, "prod").is_none()).await;
}

#[tokio::test]
async fn a_secret_that_ends_is_told_by_the_end_of_its_client_id() {
    let simulator = simulator(world([("prod", cluster([]))])).await;
    simulator.world().accounts[0].id = "mdb_sa_id_0123456789abcdef01234567".to_owned();
    let dated = |day: &str| {
        let credentials = by_service_account();
        let credentials = credentials.replace("mdb_sa_id_1", "mdb_sa_id_0123456789abcdef01234567");
        Setup { credentials: format!("{credentials}expires_at = {day}\n"), ..setup(&simulator, "") }
    };
    let exporter = dated("\"2030-01-01\"").start().await;
    let expiry = "mongodbatlas_credential_expiry_timestamp_seconds{client_id=\"234567\"}";
    let scrape = exporter.ready().await;
    assert_eq!(scrape.0[expiry], 1_893_456_000.0);
    assert!(!exporter.get("/metrics").await.text().await.unwrap().contains("0123456789abcdef"));
    std::fs::write(exporter.folder.path().join("config.toml"), dated("2030-01-02T00:00:00Z").toml()).unwrap();
    exporter.signal("HUP");
    exporter.until(|scrape| scrape.0[expiry] == 1_893_542_400.0).await;
    assert_eq!(requests(&simulator, "/api/oauth/token"), 1, "the same account, and the same token");

    // What Atlas tells of secrets that end has neither a date nor an account.
    let expiring = format!(
        "mongodbatlas_backup_export_secret_expiring_event_timestamp_seconds{{project_id=\"{PROJECT}\"}}"
    );
    assert!(!exporter.scrape().await.0.contains_key(&expiring));
    let told = Event::new("GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING", None, HOUR / 2);
    tell(&simulator, told.clone());
    let scrape = exporter.until(|scrape| scrape.0.contains_key(&expiring)).await;
    assert_eq!(scrape.0[&expiring], told.created.as_second() as f64);
    assert_eq!(requests(&simulator, "clusterNames="), 0, "it is about no cluster");
    tell(&simulator, Event::new("GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING", None, Duration::ZERO));
    exporter.until(|scrape| !scrape.0.contains_key(&expiring)).await;
    exporter.assert_no_secret().await;
}

#[tokio::test]
async fn once_shows_the_details_too() {
    let world: World = world([("prod", cluster([Snapshot::taken(HOUR, "daily")]))]);
    let simulator = simulator(world).await;
    tell(&simulator, Event::new(FAILED, Some("prod"), HOUR));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), Setup::new(&simulator).toml()).unwrap();
    let out = command().current_dir(folder.path()).arg("--once").output().await.unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let scrape = Scrape::parse(&String::from_utf8(out.stdout).unwrap());
    assert_eq!(awaiting(&scrape, "prod"), Some(1.0));
    assert!(event(&scrape, "prod").is_some());
    assert_eq!(scrape.value("bucket_missing", "prod", ""), Some(0.0));
}
