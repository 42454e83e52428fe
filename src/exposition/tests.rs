use atlas_client::{
    Counts, EventKind, ExportBucket, ExportJob, FailureReason, JobState, ListedCluster, ObjectId,
    OrganizationId, PolicyItems, ProjectEvent, ProjectId, Quota, Schedule, Snapshot, StateReason, Target,
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::board::{Board, GoodPoll};
use crate::golden::assert_golden;
use crate::model::{
    ClusterReport, Detail, ExclusionReason, Expected, Fold, Movements, NewestExport, PollError, Snapshots,
    Unread,
};

const STALE_AFTER: Duration = Duration::from_mins(15);

fn target(cluster_name: &str) -> Target {
    let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
    Target { project_id, cluster_name: cluster_name.to_owned() }
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
        counts: Counts { exported: Some(21), total: Some(84) },
        reason: StateReason::default(),
    }
}

fn failed(code: Option<&str>) -> ExportJob<'_> {
    let mut job = job("f", 9, JobState::Failed);
    job.reason.error_code = code.map(Into::into);
    job
}

fn board(names: &[&str]) -> Board {
    let board = unnamed(names);
    board.name_project(&target("").project_id, "payments".to_owned());
    board
}

fn unnamed(names: &[&str]) -> Board {
    let board = Board::new(STALE_AFTER);
    board.watch_project(&target("").project_id);
    for name in names {
        board.watch(&target(name), Expected::default());
    }
    board
}

fn metrics() -> Arc<SelfMetrics> {
    Arc::new(SelfMetrics::new(&["exports"], at(0)))
}

fn folded<'a>(jobs: impl IntoIterator<Item = ExportJob<'a>>) -> ClusterReport {
    let mut fold = Fold::default();
    for job in jobs {
        fold.add(job);
    }
    fold.finish()
}

fn good<'a>(board: &Board, name: &str, jobs: impl IntoIterator<Item = ExportJob<'a>>) {
    publish(board, name, folded(jobs));
}

fn publish(board: &Board, name: &str, report: ClusterReport) {
    let last_progress = Movements::default().observe(&report.active, at(100));
    let poll = GoodPoll { report, last_progress, finished_at: at(100), finished: Instant::now() };
    board.publish(&target(name), at(100), Duration::from_millis(250), Ok(poll));
}

fn bad(board: &Board, name: &str, reason: FailureReason) {
    let error = PollError { reason, text: "no".to_owned() };
    board.publish(&target(name), at(101), Duration::from_secs(30), Err(error));
}

fn text(board: &Board) -> String {
    rendered(board, None, Format::Text)
}

fn rendered(board: &Board, process: Option<ProcessStats>, format: Format) -> String {
    let view = Arc::new(board.view(Instant::now()));
    Exposition::new(view, metrics(), Duration::from_mins(1), process, format).unwrap().pieces().collect()
}

/// The samples of `name` without the labels that every sample has.
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

/// What discovery tells of the project and of `prod` and `sharded`.
fn discovered(board: &Board) {
    let id = target("").project_id;
    board.discover(&id, at(90), Ok(()));
    board.leave_out(&id, ExclusionReason::ALL.into_iter().map(|reason| (reason, 0)).collect());
    board.set_budget(&id, Some(Quota { limit: 1200, remaining: 1180 }));
    let listed = |paused| ListedCluster {
        name: String::new(),
        unexportable: None,
        paused: Some(paused),
        created_at: Some(at(-1000)),
        sharded: false,
    };
    board
        .watch(&target("sharded"), Expected { interval: Some(Duration::from_hours(12)), export: Some(true) });
    board.describe(&target("prod"), Some(&listed(false)), true);
    board.describe(&target("sharded"), Some(&listed(true)), true);
    let schedule = |auto_export| Schedule {
        auto_export: Some(auto_export),
        frequency: Some("daily".to_owned()),
        bucket_id: Some("b1".to_owned()),
        ..Schedule::default()
    };
    board.schedule(&target("prod"), Ok(schedule(true)));
    board.schedule(&target("sharded"), Ok(schedule(false)));
    let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
    board.watch_organization(&organization);
    board.list_projects(&organization, at(80), Ok(()));
}

/// The id and the entry of a daily snapshot that was taken at a minute.
fn snapshot(minute: i64) -> (String, Snapshot) {
    let id = format!("{:024x}", 0xffff + minute);
    let (snapshot_id, frequency) = (ObjectId::parse(&id).unwrap(), Some("daily".to_owned()));
    let snapshot = Snapshot { id: snapshot_id, created_at: at(minute), frequency, policy_items: Vec::new() };
    (id, snapshot)
}

/// A schedule that exports the snapshots of a frequency to no bucket.
fn exporting(frequency: &str) -> Schedule {
    Schedule { auto_export: Some(true), frequency: Some(frequency.to_owned()), ..Schedule::default() }
}

/// What is read besides of the project and of `prod`.
fn detailed(board: &Board) {
    let id = target("").project_id;
    let listed: Vec<_> = [-1, 20, 50].into_iter().map(|minute| snapshot(minute).1).collect();
    board.snapshots(
        &target("prod"),
        Instant::now(),
        Ok(Snapshots::new(&listed, &exporting("daily"), at(99))),
    );
    board.export_buckets(&id, Instant::now(), Ok(vec![bucket("b1"), bucket("b2")]));
    board.failed_event(&target("prod"), at(60));
    board.project_events(&id, &[event(EventKind::SecretsExpiring, 70)]);
    board.events_read(&id, Instant::now(), Err(unread()));
    board.set_expiries([("234567".to_owned(), at(100_000))].into());
}

fn bucket(id: &str) -> ExportBucket {
    ExportBucket { id: id.to_owned(), name: format!("backups-{id}"), cloud_provider: "AWS".to_owned() }
}

fn event(kind: EventKind, minute: i64) -> ProjectEvent {
    ProjectEvent { created_at: at(minute), id: format!("e{minute}"), kind: Some(kind) }
}

fn unread() -> Unread {
    Unread { is_refused: false, error: no() }
}

fn no() -> PollError {
    PollError { reason: FailureReason::Forbidden, text: "no".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_discovery_that_fails_says_so_and_keeps_what_is_known() {
    let board = board(&["prod", "sharded"]);
    let id = target("").project_id;
    let success = |board: &Board| samples(&text(board), "discovery_success");
    let project = "{project_id=\"32b6e34b3d91647abb20e7b8\"}";
    board.watch_organization(&OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap());
    assert!(success(&board).is_empty(), "not tried yet");
    assert!(samples(&text(&board), "organization_discovery_success").is_empty());
    discovered(&board);
    assert_eq!(success(&board), [format!("{project} 1")]);
    let known = text(&board);
    board.discover(&id, at(95), Err(no()));
    assert_eq!(success(&board), [format!("{project} 0")]);
    assert_eq!(
        text(&board).replace(
            "_success{project_id=\"32b6e34b3d91647abb20e7b8\"} 0",
            "_success{project_id=\"32b6e34b3d91647abb20e7b8\"} 1"
        ),
        known,
        "all else stays"
    );
    board.discover(&id, at(96), Ok(()));
    assert_eq!(
        samples(&text(&board), "last_discovery_success_timestamp_seconds"),
        [format!("{project} 1700005760")]
    );
    // A schedule that cannot be read is a part of the project that is not seen.
    board.schedule(&target("prod"), Err(no()));
    assert_eq!(success(&board), [format!("{project} 0")]);
    assert_eq!(samples(&text(&board), "auto_export_enabled"), ["{prod\"} 1", "{sharded\"} 0"]);
    board.schedule(&target("prod"), Ok(Schedule::default()));
    assert_eq!(success(&board), [format!("{project} 1")]);
    assert_eq!(samples(&text(&board), "auto_export_enabled"), ["{sharded\"} 0"], "not told is not known");
    let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
    board.list_projects(&organization, at(97), Err(no()));
    assert_eq!(
        samples(&text(&board), "organization_discovery_success"),
        ["{organization_id=\"5f0e5a3b9c1d4e6f8a7b0000\"} 0"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_gone_and_what_stays_keeps_its_counters() {
    let board = board(&["prod", "old"]);
    discovered(&board);
    good(&board, "prod", []);
    good(&board, "old", []);
    board.watch(&target("prod"), Expected { interval: None, export: Some(false) });
    assert_eq!(samples(&text(&board), "polls_total"), ["{old\"} 1", "{prod\"} 1", "{sharded\"} 0"]);
    board.forget(&target("old"));
    assert!(!text(&board).contains("\"old\""));
    // A poll that ends after that brings nothing back.
    good(&board, "old", []);
    assert!(!text(&board).contains("\"old\""));
    board.describe(&target("prod"), None, false);
    board.schedule(&target("prod"), Ok(Schedule { auto_export: Some(true), ..Schedule::default() }));
    assert_eq!(samples(&text(&board), "auto_export_enabled"), ["{sharded\"} 0"], "it is no longer read");
    board.forget_project(&target("").project_id);
    assert_eq!(board.view(Instant::now()).targets, 0);
    board.discover(&target("").project_id, at(99), Ok(()));
    assert!(!text(&board).contains("32b6e34b3d91647abb20e7b8"));
}

#[tokio::test(start_paused = true)]
async fn ready_is_when_everything_was_asked_for_once() {
    let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
    let id = target("").project_id;
    let steps: [&dyn Fn(&Board); 6] = [
        &|board| board.list_projects(&organization, at(0), Err(no())),
        &|board| board.name_project(&id, "payments".to_owned()),
        &|board| board.discover(&id, at(0), Ok(())),
        &|board| bad(board, "prod", FailureReason::NotFound),
        &|board| good(board, "other", []),
        &|board| board.schedule(&target("prod"), Err(no())),
    ];
    for missing in 0..steps.len() {
        let board = unnamed(&["prod", "other"]);
        board.watch_organization(&organization);
        board.describe(&target("prod"), None, true);
        for (number, step) in steps.iter().enumerate() {
            assert!(!board.is_ready());
            if number != missing {
                step(&board);
            }
        }
        assert!(!board.is_ready(), "without step {missing}");
        steps[missing](&board);
        assert!(board.is_ready());
        assert!(!board.view(Instant::now()).is_well(), "asked, if in vain");
        board.watch(&target("new"), Expected::default());
        assert!(board.is_ready(), "a new cluster takes nobody out of service");
    }
}

#[tokio::test(start_paused = true)]
async fn all_is_well_when_everything_was_read() {
    let board = board(&["prod", "sharded"]);
    let well = |board: &Board| board.view(Instant::now()).is_well();
    board.set_details(STALE_AFTER, &[Detail::Events, Detail::Snapshots]);
    let listed =
        |id: &str| board.export_buckets(&target("").project_id, Instant::now(), Ok(vec![bucket(id)]));
    discovered(&board);
    good(&board, "prod", []);
    assert!(!well(&board), "one was not polled");
    good(&board, "sharded", []);
    assert!(!well(&board), "the buckets were not read");
    listed("b1");
    assert!(well(&board));
    listed("b2");
    discovered(&board);
    assert!(!well(&board), "a bucket is missing");
    listed("b1");
    assert!(well(&board));
    board.schedule(&target("prod"), Err(no()));
    assert!(!well(&board));
    board.schedule(&target("prod"), Ok(Schedule::default()));
    board.discover(&target("").project_id, at(99), Err(no()));
    assert!(!well(&board));
    board.discover(&target("").project_id, at(99), Ok(()));
    let organization = OrganizationId::parse("5f0e5a3b9c1d4e6f8a7b0000").unwrap();
    assert!(well(&board));
    board.list_projects(&organization, at(99), Err(no()));
    assert!(!well(&board));
    board.list_projects(&organization, at(99), Ok(()));
    bad(&board, "prod", FailureReason::Timeout);
    assert!(!well(&board));
    assert!(!well(&Board::new(STALE_AFTER)), "nothing at all");
}

#[tokio::test(start_paused = true)]
async fn the_exposition_is_the_golden_one() {
    let board = board(&["prod", "sharded", "empty", "broken", "waiting"]);
    discovered(&board);
    detailed(&board);
    let exported =
        ExportJob { snapshot_id: Some(snapshot(-1).0.into()), ..job("a", 0, JobState::Successful) };
    good(&board, "prod", [exported, failed(Some("NO_ACCESS")), job("r", 30, JobState::InProgress)]);
    let sharded = ExportJob { counts: Counts::default(), ..job("s", 5, JobState::InProgress) };
    good(&board, "sharded", [sharded]);
    good(&board, "empty", []);
    bad(&board, "broken", FailureReason::Forbidden);
    let process = ProcessStats {
        cpu_seconds: Some(12.34),
        resident_bytes: Some(8_388_608),
        virtual_bytes: Some(16_777_216),
        open_fds: Some(21),
        max_fds: Some(1024),
        threads: Some(3),
    };
    assert!(!text(&board).contains("process_"));
    let text = rendered(&board, Some(process), Format::Text);
    let rust = env!("BUILD_RUST_VERSION");
    let build =
        text.lines().find(|line| line.starts_with("mongodbatlas_backup_exporter_build_info{")).unwrap();
    assert!(build.contains(&format!("rustversion=\"{rust}\"")), "{build}");
    let text = text.replace(build, "mongodbatlas_backup_exporter_build_info{...} 1");
    assert_golden("src/exposition/golden.txt", &text);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shown_before_the_projects_name_was_asked_for() {
    let board = unnamed(&["prod"]);
    good(&board, "prod", [job("a", 0, JobState::Successful)]);
    assert!(!board.is_ready());
    assert!(!text(&board).contains("cluster_name"));
    assert!(text(&board).contains("mongodbatlas_backup_exporter_targets 1"));
    board.name_project(&target("").project_id, "payments".to_owned());
    assert_eq!(samples(&text(&board), "up"), ["{prod\"} 1"]);
}

#[tokio::test(start_paused = true)]
async fn figures_outlive_a_failed_poll_until_they_are_stale() {
    let board = board(&["prod"]);
    board.set_details(STALE_AFTER, &Detail::ALL);
    good(&board, "prod", [job("a", 0, JobState::Successful), job("r", 30, JobState::InProgress)]);
    bad(&board, "prod", FailureReason::Timeout);
    tokio::time::advance(STALE_AFTER).await;
    let kept = text(&board);
    assert_eq!(samples(&kept, "progress_ratio"), ["{prod\"} 0.25"]);
    assert_eq!(samples(&kept, "up"), ["{prod\"} 0"]);

    tokio::time::advance(Duration::from_millis(1)).await;
    let withdrawn = text(&board);
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

    good(&board, "prod", [job("r", 30, JobState::InProgress)]);
    tokio::time::advance(STALE_AFTER * 2).await;
    assert_eq!(samples(&text(&board), "up"), ["{prod\"} 1"], "the last poll was good, however long ago");
    assert_eq!(samples(&text(&board), "progress_ratio"), [""; 0]);

    good(&board, "prod", [job("r", 30, JobState::InProgress)]);
    let back = text(&board);
    assert_eq!(samples(&back, "progress_ratio"), ["{prod\"} 0.25"]);
    assert_eq!(samples(&back, "last_poll_error_info"), [""; 0]);
    assert_eq!(samples(&back, "poll_failures_total"), ["{prod\",reason=\"timeout\"} 1"]);
    assert_eq!(samples(&back, "polls_total"), ["{prod\"} 4"]);
}

#[tokio::test]
async fn a_cluster_never_polled_well_is_down_and_has_no_figures() {
    let board = board(&["prod", "waiting"]);
    bad(&board, "prod", FailureReason::NotFound);
    let text = text(&board);
    assert_eq!(samples(&text, "up"), ["{prod\"} 0"]);
    assert_eq!(samples(&text, "last_poll_error_info"), ["{prod\",reason=\"not_found\"} 1"]);
    assert_eq!(samples(&text, "polls_total"), ["{prod\"} 1", "{waiting\"} 0"]);
    assert_eq!(samples(&text, "last_poll_success_timestamp_seconds"), [""; 0]);
    assert!(!text.contains("mongodbatlas_backup_export_jobs"));
    assert!(!board.is_ready());
}

#[tokio::test]
async fn an_error_code_is_a_bounded_label() {
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
        let board = board(&["prod"]);
        good(&board, "prod", [failed(code)]);
        assert_eq!(
            samples(&text(&board), "latest_failure_info"),
            [format!("{{prod\",error_code=\"{label}\"}} 1")]
        );
    }
}

#[tokio::test]
async fn names_are_escaped() {
    let board = unnamed(&["we\"ird\\\n\0"]);
    board.name_project(&target("").project_id, "a\"b\\c\nd\0".to_owned());
    good(&board, "we\"ird\\\n\0", []);
    let text = text(&board);
    let labels = "project=\"a\\\"b\\\\c\\nd\0\",cluster_name=\"we\\\"ird\\\\\\n\0\"";
    assert!(
        text.lines().any(|line| line.starts_with("mongodbatlas_backup_export_up{") && line.contains(labels)),
        "{text}"
    );
}

#[tokio::test]
async fn both_formats_tell_the_same_and_are_whole() {
    let board = board(&["prod"]);
    good(
        &board,
        "prod",
        [job("a", 0, JobState::Successful), failed(None), job("r", 30, JobState::InProgress)],
    );
    let open = rendered(&board, None, Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE mongodbatlas_backup_export_polls counter\n"));
    assert!(text(&board).contains("# TYPE mongodbatlas_backup_export_polls_total counter\n"));
    // The bounds of a histogram are written "1" in the one and "1.0" in the other.
    let compared = |line: &&str| !line.starts_with('#') && !line.contains("_request_duration_");
    let samples = |text: &str| text.lines().filter(compared).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(samples(&open), samples(&text(&board)));
    let mut names: Vec<_> =
        samples(&open).iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a series stands twice");
}

mod details;

#[tokio::test]
async fn family_in_several_pieces_has_one_header() {
    let names: Vec<_> = (0..100).map(|cluster| format!("c{cluster:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let board = board(&names);
    for name in &names {
        good(&board, name, [job("a", 1, JobState::Successful)]);
    }
    let view = Arc::new(board.view(Instant::now()));
    let exposition = || {
        Exposition::new(view.clone(), metrics(), Duration::from_mins(1), None, Format::OpenMetrics).unwrap()
    };
    let pieces: Vec<_> = exposition().pieces().collect();
    assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.len() < 2 * PIECE), "{}", pieces.len());
    let text = pieces.concat();
    let mut written = Vec::new();
    exposition().write_to(&mut written).unwrap();
    assert_eq!(written, text.as_bytes());
    let headers: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    assert_eq!(headers.len(), headers.iter().collect::<std::collections::BTreeSet<_>>().len());
    let jobs = samples(&text, "jobs");
    assert_eq!(jobs.len(), names.len() * JobState::ALL.len());
    assert!(jobs.is_sorted_by_key(|sample| sample.split('"').next().map(str::to_owned)));
}
