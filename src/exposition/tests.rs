use jiff::Timestamp;
use tokio::time::Instant;

use super::*;
use crate::board::{Board, GoodPoll, PollError};
use crate::model::{
    Counts, ExportJob, FailureReason, Fold, JobState, Movements, ProjectId, StateReason, Target,
};

const STALE_AFTER: Duration = Duration::from_mins(15);

fn target(cluster_name: &str) -> Target {
    let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
    Target { project_id, cluster_name: cluster_name.to_owned() }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + minute * 60).unwrap()
}

fn job(id: &str, minute: i64, state: JobState) -> ExportJob {
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

fn failed(code: Option<&str>) -> ExportJob {
    let mut job = job("f", 9, JobState::Failed);
    job.reason.error_code = code.map(str::to_owned);
    job
}

fn board(names: &[&str]) -> Board {
    let board = Board::new(names.iter().map(|name| target(name)), STALE_AFTER);
    board.name_project(&target("").project_id, "payments".to_owned());
    board
}

fn good(board: &Board, name: &str, jobs: impl IntoIterator<Item = ExportJob>) {
    let mut fold = Fold::default();
    for job in jobs {
        fold.add(job);
    }
    let report = fold.finish();
    let last_progress = Movements::default().observe(&report.active, at(100));
    let poll = GoodPoll { report, last_progress, finished_at: at(100), finished: Instant::now() };
    board.publish(&target(name), at(100), Duration::from_millis(250), Ok(poll));
}

fn bad(board: &Board, name: &str, reason: FailureReason) {
    let error = PollError { reason, text: "no".to_owned() };
    board.publish(&target(name), at(101), Duration::from_secs(30), Err(error));
}

fn text(board: &Board) -> String {
    render(Arc::new(board.view(Instant::now())), Duration::from_mins(1), Format::Text).unwrap()
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

#[tokio::test(start_paused = true)]
async fn the_exposition_is_the_golden_one() {
    let board = board(&["prod", "sharded", "empty", "broken", "waiting"]);
    good(
        &board,
        "prod",
        [job("a", 0, JobState::Successful), failed(Some("NO_ACCESS")), job("r", 30, JobState::InProgress)],
    );
    let sharded = ExportJob { counts: Counts::default(), ..job("s", 5, JobState::InProgress) };
    good(&board, "sharded", [sharded]);
    good(&board, "empty", []);
    bad(&board, "broken", FailureReason::Forbidden);
    let text = text(&board);
    let rust = env!("BUILD_RUST_VERSION");
    let build =
        text.lines().find(|line| line.starts_with("mongodbatlas_backup_exporter_build_info{")).unwrap();
    assert!(build.contains(&format!("rustversion=\"{rust}\"")), "{build}");
    let text = text.replace(build, "mongodbatlas_backup_exporter_build_info{...} 1");
    let golden = include_str!("golden.txt");
    if text != golden {
        let differing: Vec<_> =
            text.lines().filter(|line| !golden.lines().any(|known| known == *line)).collect();
        panic!("the exposition differs from golden.txt:\n{text}\nnew lines: {differing:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shown_before_the_projects_name_was_asked_for() {
    let board = Board::new([target("prod")], STALE_AFTER);
    good(&board, "prod", [job("a", 0, JobState::Successful)]);
    assert!(!board.is_ready());
    assert!(!text(&board).contains("cluster_name"));
    assert!(text(&board).contains("mongodbatlas_backup_exporter_targets 1"));
    board.name_project(&target("").project_id, "payments".to_owned());
    assert!(board.is_ready());
    assert_eq!(samples(&text(&board), "up"), ["{prod\"} 1"]);
}

#[tokio::test(start_paused = true)]
async fn figures_outlive_a_failed_poll_until_they_are_stale() {
    let board = board(&["prod"]);
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
    let board = Board::new([target("we\"ird\\\n\0")], STALE_AFTER);
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
    let view = Arc::new(board.view(Instant::now()));
    let open = render(view, Duration::from_mins(1), Format::OpenMetrics).unwrap();
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE mongodbatlas_backup_export_polls counter\n"));
    assert!(text(&board).contains("# TYPE mongodbatlas_backup_export_polls_total counter\n"));
    let samples = |text: &str| {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&open), samples(&text(&board)));
    let mut names: Vec<_> =
        samples(&open).iter().map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a series stands twice");
}
