use atlas_client::{
    CollectionProgress, EventKind, ExportBucket, ExportJob, FailureReason, JobState, ListedCluster, ObjectId,
    OrganizationId, PolicyItems, ProjectEvent, ProjectId, Quota, Schedule, Snapshot, StateReason, Target,
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::golden::assert_golden;
use crate::model::{
    CollectorKind, ExclusionReason, ExportExpectation, JobAccumulator, JobSummary, NewestExport,
    ProgressTracker, ReadError, Snapshots,
};
use crate::store::{Store, SuccessfulPoll};

mod collectors;

const STALE_AFTER: Duration = Duration::from_mins(15);

fn project() -> ProjectId {
    ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap()
}

fn organization() -> OrganizationId {
    OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap()
}

fn target(cluster_name: &str) -> Target {
    Target { project_id: project(), cluster_name: cluster_name.to_owned() }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
}

fn job(id: &str, minute: i64, state: JobState) -> ExportJob<'_> {
    ExportJob {
        id: Some(id.into()),
        snapshot_id: None,
        created_at: Some(at(minute)),
        finished_at: state.is_terminal().then(|| at(minute + 20)),
        state,
        counts: CollectionProgress { exported: Some(21), total: Some(84) },
        reason: StateReason::default(),
    }
}

/// A successful export of the snapshot taken at a minute.
fn exported(minute: i64) -> ExportJob<'static> {
    let snapshot_id = Some(snapshot(minute).0.into());
    ExportJob { snapshot_id, ..job("a", minute + 1, JobState::Successful) }
}

fn failed(code: Option<&str>) -> ExportJob<'_> {
    let mut job = job("f", 9, JobState::Failed);
    job.reason.error_code = code.map(Into::into);
    job
}

fn store(names: &[&str]) -> Store {
    let store = unnamed(names);
    store.record_project_name(&project(), "payments".to_owned());
    store
}

fn unnamed(names: &[&str]) -> Store {
    let store = Store::new(STALE_AFTER);
    store.add_project(&project());
    for name in names {
        store.add_cluster(&target(name), ExportExpectation::default());
    }
    store
}

fn metrics() -> Arc<SelfMetrics> {
    Arc::new(SelfMetrics::new(&["exports"], at(0)))
}

fn summarized<'a>(jobs: impl IntoIterator<Item = ExportJob<'a>>) -> JobSummary {
    let mut accumulator = JobAccumulator::default();
    for job in jobs {
        accumulator.add(job);
    }
    accumulator.finish()
}

fn record_success<'a>(store: &Store, name: &str, jobs: impl IntoIterator<Item = ExportJob<'a>>) {
    record_summary(store, name, summarized(jobs));
}

fn record_summary(store: &Store, name: &str, summary: JobSummary) {
    let last_progress = ProgressTracker::default().observe(&summary.active, at(100));
    let poll = SuccessfulPoll { summary, last_progress, finished_at: at(100), finished: Instant::now() };
    store.record_poll(&target(name), at(100), Duration::from_millis(250), Ok(poll));
}

fn record_failure(store: &Store, name: &str, reason: FailureReason) {
    let error = ReadError { reason, ..forbidden() };
    store.record_poll(&target(name), at(101), Duration::from_secs(30), Err(error));
}

fn text(store: &Store) -> String {
    rendered(store, None, Format::Text)
}

fn rendered(store: &Store, process: Option<ProcessStats>, format: Format) -> String {
    let view = Arc::new(store.view(Instant::now()));
    Exposition::new(view, metrics(), Duration::from_mins(1), process, format).unwrap().chunks().collect()
}

/// Returns the samples of `name` without the labels that every sample has.
fn samples(text: &str, name: &str) -> Vec<String> {
    let prefix = format!("mongodbatlas_backup_export_{name}");
    let of_family = |line: &&str| line.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines()
        .filter(of_family)
        .map(|line| {
            let common = "{project_id=\"32b6e34b3d91647abb20e7b8\",project=\"payments\",cluster_name=\"";
            line[prefix.len()..].replace(common, "{")
        })
        .collect()
}

/// Returns the samples of `name` that `store` exposes now.
fn exposed(store: &Store, name: &str) -> Vec<String> {
    samples(&text(store), name)
}

fn listed_cluster(created: i64) -> ListedCluster {
    ListedCluster {
        name: String::new(),
        unexportable: None,
        paused: None,
        created_at: Some(at(created)),
        sharded: false,
    }
}

/// Records a discovery of the project with the clusters `prod` and `sharded`.
fn record_discovery(store: &Store) {
    store.record_discovery(&project(), at(90), Ok(()));
    store.record_excluded(&project(), ExclusionReason::ALL.into_iter().map(|reason| (reason, 0)).collect());
    store.record_quota(&project(), Some(Quota { limit: 1200, remaining: 1180 }));
    let listed = |paused| ListedCluster { paused: Some(paused), ..listed_cluster(-1000) };
    store.add_cluster(
        &target("sharded"),
        ExportExpectation { interval: Some(Duration::from_hours(12)), export: Some(true) },
    );
    store.record_listed_cluster(&target("prod"), Some(&listed(false)), true);
    store.record_listed_cluster(&target("sharded"), Some(&listed(true)), true);
    let schedule = |auto_export| Schedule {
        auto_export: Some(auto_export),
        frequency: Some("daily".to_owned()),
        bucket_id: Some("b1".to_owned()),
        ..Schedule::default()
    };
    store.record_schedule(&target("prod"), Ok(schedule(true)));
    store.record_schedule(&target("sharded"), Ok(schedule(false)));
    store.add_organization(&organization());
    store.record_projects_listed(&organization(), at(80), Ok(()));
}

/// Returns the id and the entry of a daily snapshot taken at a minute.
fn snapshot(minute: i64) -> (String, Snapshot) {
    let id = format!("{:024x}", 0xffff + minute);
    let (snapshot_id, frequency) = (ObjectId::parse(&id).unwrap(), Some("daily".to_owned()));
    let snapshot = Snapshot { id: snapshot_id, created_at: at(minute), frequency, policy_items: Vec::new() };
    (id, snapshot)
}

/// Records snapshots of `prod` taken at these minutes, under a schedule of this frequency.
fn record_snapshots(store: &Store, minutes: &[i64], frequency: &str) {
    let listed: Vec<_> = minutes.iter().map(|minute| snapshot(*minute).1).collect();
    let read = Snapshots::new(&listed, &exporting(frequency), at(99));
    store.record_snapshots(&target("prod"), Instant::now(), Ok(read));
}

/// A schedule that exports the snapshots of this frequency, without a bucket.
fn exporting(frequency: &str) -> Schedule {
    Schedule { auto_export: Some(true), frequency: Some(frequency.to_owned()), ..Schedule::default() }
}

/// Records results of all collectors for the project and `prod`; reading events fails.
fn record_collectors(store: &Store) {
    record_snapshots(store, &[-1, 20, 50], "daily");
    store.record_buckets(&project(), Instant::now(), Ok(vec![bucket("b1"), bucket("b2")]));
    store.record_failure_event(&target("prod"), at(60));
    store.record_project_events(&project(), &[event(EventKind::SecretsExpiring, 70)]);
    store.record_events_outcome(&project(), Instant::now(), Err(failed_reading()));
    store.set_expiries([("234567".to_owned(), at(100_000))].into());
}

fn bucket(id: &str) -> ExportBucket {
    ExportBucket { id: id.to_owned(), name: format!("backups-{id}"), cloud_provider: "AWS".to_owned() }
}

fn event(kind: EventKind, minute: i64) -> ProjectEvent {
    ProjectEvent { created_at: at(minute), id: format!("e{minute}"), kind: Some(kind) }
}

fn failed_reading() -> ReadError {
    ReadError { is_refused: false, ..forbidden() }
}

fn forbidden() -> ReadError {
    ReadError { reason: FailureReason::Forbidden, text: "no".to_owned(), is_refused: true }
}

#[tokio::test(start_paused = true)]
async fn failed_discovery_is_exposed_and_keeps_known_state() {
    let store = store(&["prod", "sharded"]);
    let success = |store: &Store| exposed(store, "discovery_success");
    let labels = "{project_id=\"32b6e34b3d91647abb20e7b8\"}";
    store.add_organization(&organization());
    assert!(success(&store).is_empty(), "not tried yet");
    assert!(exposed(&store, "organization_discovery_success").is_empty());
    record_discovery(&store);
    assert_eq!(success(&store), [format!("{labels} 1")]);
    let known = text(&store);
    store.record_discovery(&project(), at(95), Err(forbidden()));
    assert_eq!(success(&store), [format!("{labels} 0")]);
    assert_eq!(
        text(&store).replace(
            "_success{project_id=\"32b6e34b3d91647abb20e7b8\"} 0",
            "_success{project_id=\"32b6e34b3d91647abb20e7b8\"} 1"
        ),
        known,
        "all other samples are unchanged"
    );
    store.record_discovery(&project(), at(96), Ok(()));
    assert_eq!(exposed(&store, "last_discovery_success_timestamp_seconds"), [format!("{labels} 1700005760")]);
    // A schedule that cannot be read fails the discovery of its project.
    store.record_schedule(&target("prod"), Err(forbidden()));
    assert_eq!(success(&store), [format!("{labels} 0")]);
    assert_eq!(exposed(&store, "auto_export_enabled"), ["{prod\"} 1", "{sharded\"} 0"]);
    store.record_schedule(&target("prod"), Ok(Schedule::default()));
    assert_eq!(success(&store), [format!("{labels} 1")]);
    assert_eq!(exposed(&store, "auto_export_enabled"), ["{sharded\"} 0"], "an absent field is unknown");
    store.record_projects_listed(&organization(), at(97), Err(forbidden()));
    assert_eq!(
        exposed(&store, "organization_discovery_success"),
        ["{organization_id=\"5f0e5a3b9c1d4e6f8a7b0000\"} 0"]
    );
}

#[tokio::test(start_paused = true)]
async fn removed_cluster_leaves_no_series_and_others_are_kept() {
    let store = store(&["prod", "old"]);
    record_discovery(&store);
    record_success(&store, "prod", []);
    record_success(&store, "old", []);
    store.add_cluster(&target("prod"), ExportExpectation { interval: None, export: Some(false) });
    assert_eq!(exposed(&store, "polls_total"), ["{old\"} 1", "{prod\"} 1", "{sharded\"} 0"]);
    store.remove_cluster(&target("old"));
    assert!(!text(&store).contains("\"old\""));
    // A poll that ends after the removal does not bring the cluster back.
    record_success(&store, "old", []);
    assert!(!text(&store).contains("\"old\""));
    store.record_listed_cluster(&target("prod"), None, false);
    store.record_schedule(&target("prod"), Ok(Schedule { auto_export: Some(true), ..Schedule::default() }));
    assert_eq!(exposed(&store, "auto_export_enabled"), ["{sharded\"} 0"], "its schedule is no longer read");
    store.remove_project(&project());
    assert_eq!(store.view(Instant::now()).targets, 0);
    store.record_discovery(&project(), at(99), Ok(()));
    assert!(!text(&store).contains("32b6e34b3d91647abb20e7b8"));
}

#[tokio::test(start_paused = true)]
async fn store_is_ready_after_the_first_reading_of_everything() {
    let steps: [&dyn Fn(&Store); 6] = [
        &|store| store.record_projects_listed(&organization(), at(0), Err(forbidden())),
        &|store| store.record_project_name(&project(), "payments".to_owned()),
        &|store| store.record_discovery(&project(), at(0), Ok(())),
        &|store| record_failure(store, "prod", FailureReason::NotFound),
        &|store| record_success(store, "other", []),
        &|store| store.record_schedule(&target("prod"), Err(forbidden())),
    ];
    for missing in 0..steps.len() {
        let store = unnamed(&["prod", "other"]);
        store.add_organization(&organization());
        store.record_listed_cluster(&target("prod"), None, true);
        for (number, step) in steps.iter().enumerate() {
            assert!(!store.is_ready());
            if number != missing {
                step(&store);
            }
        }
        assert!(!store.is_ready(), "without step {missing}");
        steps[missing](&store);
        assert!(store.is_ready());
        assert!(!store.view(Instant::now()).is_healthy(), "some readings failed");
        store.add_cluster(&target("new"), ExportExpectation::default());
        assert!(store.is_ready(), "a new cluster does not make the exporter unready");
    }
}

#[tokio::test(start_paused = true)]
async fn view_is_healthy_when_all_readings_succeeded() {
    let store = store(&["prod", "sharded"]);
    let healthy = |store: &Store| store.view(Instant::now()).is_healthy();
    store.set_collectors(STALE_AFTER, &[CollectorKind::Events, CollectorKind::Snapshots]);
    let listed = |id: &str| store.record_buckets(&project(), Instant::now(), Ok(vec![bucket(id)]));
    record_discovery(&store);
    record_success(&store, "prod", []);
    assert!(!healthy(&store), "one cluster was not polled");
    record_success(&store, "sharded", []);
    assert!(!healthy(&store), "the buckets were not read");
    listed("b1");
    assert!(healthy(&store));
    listed("b2");
    record_discovery(&store);
    assert!(!healthy(&store), "a bucket is missing");
    listed("b1");
    assert!(healthy(&store));
    store.record_schedule(&target("prod"), Err(forbidden()));
    assert!(!healthy(&store));
    store.record_schedule(&target("prod"), Ok(Schedule::default()));
    store.record_discovery(&project(), at(99), Err(forbidden()));
    assert!(!healthy(&store));
    store.record_discovery(&project(), at(99), Ok(()));
    assert!(healthy(&store));
    store.record_projects_listed(&organization(), at(99), Err(forbidden()));
    assert!(!healthy(&store));
    store.record_projects_listed(&organization(), at(99), Ok(()));
    record_failure(&store, "prod", FailureReason::Timeout);
    assert!(!healthy(&store));
    assert!(!healthy(&Store::new(STALE_AFTER)), "there is no cluster");
}

#[tokio::test(start_paused = true)]
async fn exposition_equals_the_golden_text() {
    let store = store(&["prod", "sharded", "empty", "broken", "waiting"]);
    record_discovery(&store);
    record_collectors(&store);
    record_success(
        &store,
        "prod",
        [exported(-1), failed(Some("NO_ACCESS")), job("r", 30, JobState::InProgress)],
    );
    let sharded = ExportJob { counts: CollectionProgress::default(), ..job("s", 5, JobState::InProgress) };
    record_success(&store, "sharded", [sharded]);
    record_success(&store, "empty", []);
    record_failure(&store, "broken", FailureReason::Forbidden);
    let process = ProcessStats {
        cpu_seconds: Some(12.34),
        resident_bytes: Some(8_388_608),
        virtual_bytes: Some(16_777_216),
        open_fds: Some(21),
        max_fds: Some(1024),
        threads: Some(3),
    };
    assert!(!text(&store).contains("process_"));
    let text = rendered(&store, Some(process), Format::Text);
    let rust = env!("BUILD_RUST_VERSION");
    let build =
        text.lines().find(|line| line.starts_with("mongodbatlas_backup_exporter_build_info{")).unwrap();
    assert!(build.contains(&format!("rustversion=\"{rust}\"")), "{build}");
    let text = text.replace(build, "mongodbatlas_backup_exporter_build_info{...} 1");
    assert_golden("src/metrics/golden.txt", &text);
}

#[tokio::test(start_paused = true)]
async fn clusters_are_hidden_until_the_project_name_is_read() {
    let store = unnamed(&["prod"]);
    record_success(&store, "prod", [job("a", 0, JobState::Successful)]);
    assert!(!store.is_ready());
    assert!(!text(&store).contains("cluster_name"));
    assert!(text(&store).contains("mongodbatlas_backup_exporter_targets 1"));
    store.record_project_name(&project(), "payments".to_owned());
    assert_eq!(exposed(&store, "up"), ["{prod\"} 1"]);
}

#[tokio::test(start_paused = true)]
async fn metrics_are_kept_after_a_failed_poll_until_stale() {
    let store = store(&["prod"]);
    store.set_collectors(STALE_AFTER, &CollectorKind::ALL);
    record_success(&store, "prod", [job("a", 0, JobState::Successful), job("r", 30, JobState::InProgress)]);
    record_failure(&store, "prod", FailureReason::Timeout);
    tokio::time::advance(STALE_AFTER).await;
    let kept = text(&store);
    assert_eq!(samples(&kept, "progress_ratio"), ["{prod\"} 0.25"]);
    assert_eq!(samples(&kept, "up"), ["{prod\"} 0"]);

    tokio::time::advance(Duration::from_millis(1)).await;
    let withdrawn = text(&store);
    let left: Vec<_> = withdrawn
        .lines()
        .filter_map(|line| line.strip_prefix("mongodbatlas_backup_export_")?.split('{').next())
        .collect();
    assert_eq!(
        left,
        [
            "up",
            "last_poll_error_info",
            "last_poll_timestamp_seconds",
            "last_poll_success_timestamp_seconds",
            "last_poll_duration_seconds",
            "polls_total",
            "poll_failures_total",
        ]
    );
    assert_eq!(samples(&withdrawn, "last_poll_success_timestamp_seconds"), ["{prod\"} 1700006000"]);

    record_success(&store, "prod", [job("r", 30, JobState::InProgress)]);
    tokio::time::advance(STALE_AFTER * 2).await;
    assert_eq!(exposed(&store, "up"), ["{prod\"} 1"], "the last poll succeeded, however long ago");
    assert_eq!(exposed(&store, "progress_ratio"), [""; 0]);

    record_success(&store, "prod", [job("r", 30, JobState::InProgress)]);
    let back = text(&store);
    assert_eq!(samples(&back, "progress_ratio"), ["{prod\"} 0.25"]);
    assert_eq!(samples(&back, "last_poll_error_info"), [""; 0]);
    assert_eq!(samples(&back, "poll_failures_total"), ["{prod\",reason=\"timeout\"} 1"]);
    assert_eq!(samples(&back, "polls_total"), ["{prod\"} 4"]);
}

#[tokio::test]
async fn cluster_without_a_successful_poll_has_no_job_metrics() {
    let store = store(&["prod", "waiting"]);
    record_failure(&store, "prod", FailureReason::NotFound);
    let text = text(&store);
    assert_eq!(samples(&text, "up"), ["{prod\"} 0"]);
    assert_eq!(samples(&text, "last_poll_error_info"), ["{prod\",reason=\"not_found\"} 1"]);
    assert_eq!(samples(&text, "polls_total"), ["{prod\"} 1", "{waiting\"} 0"]);
    assert_eq!(samples(&text, "last_poll_success_timestamp_seconds"), [""; 0]);
    assert!(!text.contains("mongodbatlas_backup_export_jobs"));
    assert!(!store.is_ready());
}

#[tokio::test]
async fn error_code_is_a_bounded_label() {
    let long = "x".repeat(65);
    for (code, label) in [
        (Some("EXPORT_FAILED-1.2"), "EXPORT_FAILED-1.2"),
        (Some(&long[..64]), &long[..64]),
        (Some(long.as_str()), "other"),
        (Some("a \"quoted\"\n\\ \0 code"), "other"),
        (Some("übel"), "other"),
        (Some(""), "unknown"),
        (None, "unknown"),
    ] {
        let store = store(&["prod"]);
        record_success(&store, "prod", [failed(code)]);
        assert_eq!(exposed(&store, "latest_failure_info"), [format!("{{prod\",error_code=\"{label}\"}} 1")]);
    }
}

#[tokio::test]
async fn special_characters_in_names_are_escaped() {
    let store = unnamed(&["we\"ird\\\n\0"]);
    store.record_project_name(&project(), "a\"b\\c\nd\0".to_owned());
    record_success(&store, "we\"ird\\\n\0", []);
    let text = text(&store);
    let labels = "project=\"a\\\"b\\\\c\\nd\0\",cluster_name=\"we\\\"ird\\\\\\n\0\"";
    assert!(
        text.lines().any(|line| line.starts_with("mongodbatlas_backup_export_up{") && line.contains(labels)),
        "{text}"
    );
}

#[tokio::test]
async fn both_formats_have_the_same_samples() {
    let store = store(&["prod"]);
    record_success(
        &store,
        "prod",
        [job("a", 0, JobState::Successful), failed(None), job("r", 30, JobState::InProgress)],
    );
    let open = rendered(&store, None, Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE mongodbatlas_backup_export_polls counter\n"));
    assert!(text(&store).contains("# TYPE mongodbatlas_backup_export_polls_total counter\n"));
    // Bounds of a histogram are "1" in one format and "1.0" in the other.
    let compared = |line: &&str| !line.starts_with('#') && !line.contains("_request_duration_");
    let samples = |text: &str| text.lines().filter(compared).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(samples(&open), samples(&text(&store)));
    let mut names: Vec<_> =
        samples(&open).iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a series is duplicated");
}

#[tokio::test]
async fn family_in_several_chunks_has_one_header() {
    let names: Vec<_> = (0..100).map(|cluster| format!("c{cluster:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let store = store(&names);
    for name in &names {
        record_success(&store, name, [job("a", 1, JobState::Successful)]);
    }
    let view = Arc::new(store.view(Instant::now()));
    let exposition = || {
        Exposition::new(view.clone(), metrics(), Duration::from_mins(1), None, Format::OpenMetrics).unwrap()
    };
    let chunks: Vec<_> = exposition().chunks().collect();
    assert!(
        chunks.len() > 3 && chunks.iter().all(|chunk| chunk.len() < 2 * MIN_CHUNK_SIZE),
        "{}",
        chunks.len()
    );
    let text = chunks.concat();
    let mut written = Vec::new();
    exposition().write_to(&mut written).unwrap();
    assert_eq!(written, text.as_bytes());
    let headers: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(headers.len(), headers.iter().collect::<std::collections::BTreeSet<_>>().len());
    let jobs = samples(&text, "jobs");
    assert_eq!(jobs.len(), names.len() * JobState::ALL.len());
    assert!(jobs.is_sorted_by_key(|sample| sample.split('"').next().map(str::to_owned)));
}
