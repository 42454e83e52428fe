//! The incidents, and every alert that fires in each.

use std::ops::Range;

use atlas_backup_exporter::model::ExportExpectation;
use atlas_client::FailureReason;

use super::scenario::{
    Cluster, DAY, Details, End, Exporter, Firing, HOUR, Job, PROJECT, Scenario, cluster, daily, exporter,
    fires, fires_with, job,
};

const FAILED: &str = "AtlasBackupExportFailed";
const UNRESOLVED: &str = "AtlasBackupExportFailureUnresolved";
const OVERDUE: &str = "AtlasBackupExportOverdue";
const NEVER: &str = "AtlasBackupExportNeverSucceeded";
const STALLED: &str = "AtlasBackupExportStalled";
const QUEUED: &str = "AtlasBackupExportQueuedTooLong";
const AUTO: &str = "AtlasBackupAutoExportDisabled";
const SLOW: &str = "AtlasBackupExportSlow";
const MISSING: &str = "AtlasBackupExportMissing";
const UNBEGUN: &str = "AtlasBackupAutoExportFailed";
const BUCKET: &str = "AtlasBackupExportBucketMissing";
const COLLECTOR: &str = "AtlasBackupExporterCollectorFailing";
const AUTH: &str = "AtlasBackupExporterAuthFailing";
const POLLS_FAILING: &str = "AtlasBackupExporterPollsFailing";
const DOWN: &str = "AtlasBackupExporterDown";
const CRITICAL: &str = "critical";
const WARNING: &str = "warning";

/// An incident of some hours, seen by one exporter.
pub(crate) fn story(name: &'static str, hours: i64, clusters: impl IntoIterator<Item = Cluster>) -> Scenario {
    Scenario {
        name,
        minutes: hours * HOUR,
        step: 5,
        exporters: vec![exporter("a:10027")],
        clusters: clusters.into_iter().collect(),
        firing: Vec::new(),
    }
}

/// An exporter whose polls fail in some minutes.
fn failing(minutes: Range<i64>, reason: FailureReason) -> Exporter {
    Exporter { failing: vec![(minutes, reason)], ..exporter("a:10027") }
}

fn down(instance: &'static str, minutes: Range<i64>) -> Exporter {
    Exporter { down: vec![minutes], ..exporter(instance) }
}

/// The last success of the clusters of most stories ended at 2:25 of the day before: the next one is overdue 30 hours later,
/// which is said a quarter of an hour after that.
const OVERDUE_AT: i64 = 30 * HOUR - (DAY - 145) + 5 + 15;

/// The job of two o'clock has failed then.
const FAILED_AT: i64 = 2 * HOUR + 25;

/// And is too old then.
const UNRESOLVED_AT: i64 = 14 * HOUR + 5;

pub(crate) const END: i64 = i64::MAX;

fn with_failure(name: &'static str) -> Cluster {
    cluster(name, daily(-3..0).chain([job(2 * HOUR, End::Failed)]))
}

fn healthy() -> Cluster {
    cluster("healthy", daily(-3..5))
}

fn failed(minutes: Range<i64>) -> Firing {
    fires(FAILED, CRITICAL, "prod", minutes)
}

fn overdue(minutes: Range<i64>) -> Firing {
    fires(OVERDUE, CRITICAL, "prod", minutes)
}

fn unresolved(minutes: Range<i64>) -> Firing {
    fires(UNRESOLVED, CRITICAL, "prod", minutes)
}

fn polls_failing(cluster: &str, minutes: Range<i64>) -> Firing {
    fires(POLLS_FAILING, WARNING, cluster, minutes)
}

fn down_all(minutes: Range<i64>) -> Firing {
    fires_with(DOWN, CRITICAL, "job=\"atlas-backup-exporter\"", minutes)
}

fn down_one(minutes: Range<i64>) -> Firing {
    fires_with(DOWN, CRITICAL, "instance=\"b:10027\",job=\"atlas-backup-exporter\"", minutes)
}

fn never(name: &'static str) -> Cluster {
    cluster(name, [])
}

/// What happens to exports that fail.
fn failures() -> Vec<Scenario> {
    vec![
        Scenario {
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END), unresolved(UNRESOLVED_AT..END)],
            ..story("a first failure", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            firing: vec![failed(25..END)],
            ..story("the first job ever fails", 6, [cluster("prod", [job(0, End::Failed)])])
        },
        Scenario {
            // The retry is in the queue from three o'clock on.
            firing: vec![
                failed(FAILED_AT..END),
                fires(QUEUED, WARNING, "prod", 5 * HOUR + 15..END),
                overdue(OVERDUE_AT..END),
                unresolved(UNRESOLVED_AT..END),
            ],
            ..story(
                "a failure with a retry that waits",
                16,
                [
                    {
                        let mut prod = with_failure("prod");
                        prod.jobs.push(Job { queued: DAY, ..job(3 * HOUR, End::Successful) });
                        prod
                    },
                    healthy(),
                ],
            )
        },
        Scenario {
            // One alert, from the first failure to the success that ends at 6:50.
            firing: vec![failed(FAILED_AT..6 * HOUR + 50)],
            ..story(
                "retries that wait and fail and are cancelled",
                10,
                [cluster(
                    "prod",
                    daily(-3..0).chain([
                        job(2 * HOUR, End::Failed),
                        Job { queued: HOUR, ..job(3 * HOUR, End::Failed) },
                        job(5 * HOUR, End::Cancelled),
                        Job { queued: 30, ..job(6 * HOUR, End::Successful) },
                    ]),
                )],
            )
        },
        Scenario {
            firing: vec![
                failed(FAILED_AT..DAY + FAILED_AT),
                overdue(OVERDUE_AT..DAY + FAILED_AT),
                unresolved(UNRESOLVED_AT..DAY + FAILED_AT),
            ],
            ..story(
                "recovery on the next day",
                28,
                [cluster("prod", daily(-3..0).chain([job(2 * HOUR, End::Failed)]).chain(daily(1..2)))],
            )
        },
    ]
}

/// Exports that never come, come late, or take long.
fn lateness() -> Vec<Scenario> {
    vec![
        Scenario {
            firing: vec![fires(NEVER, CRITICAL, "prod", 30 * HOUR + 15..END)],
            ..story("never exported beside a healthy cluster", 32, [never("prod"), healthy()])
        },
        Scenario {
            // Both are created after an hour, and found at once; one exports on the next day.
            firing: vec![fires(NEVER, CRITICAL, "prod", 31 * HOUR + 20..END)],
            ..story(
                "the grace of a new cluster",
                33,
                [
                    Cluster { created: HOUR, unwatched: vec![0..HOUR], ..never("prod") },
                    Cluster { created: HOUR, unwatched: vec![0..HOUR], ..cluster("new", daily(1..2)) },
                    healthy(),
                ],
            )
        },
        Scenario {
            // Weekly: overdue eight days and eighteen hours after its last success.
            firing: vec![overdue(OVERDUE_AT..END), fires(OVERDUE, CRITICAL, "weekly", 66 * HOUR + 45..END)],
            ..story(
                "weekly beside daily",
                68,
                [
                    cluster("prod", daily(-3..0)),
                    healthy(),
                    Cluster { frequency: "weekly", ..cluster("weekly", [job(-6 * DAY, End::Successful)]) },
                ],
            )
        },
        Scenario {
            // The last collection is exported at 2:35.
            firing: vec![fires(STALLED, WARNING, "prod", 4 * HOUR + 50..END)],
            ..story(
                "105 of 105 for hours",
                8,
                [
                    cluster(
                        "prod",
                        daily(-3..0).chain([Job { collections: Some(105), ..job(2 * HOUR, End::Never) }]),
                    ),
                    healthy(),
                ],
            )
        },
        Scenario {
            // The last success took two hours and five minutes: three times that is long, six hours are not.
            firing: vec![fires(STALLED, WARNING, "prod", 2 * HOUR + 5 + 6 * HOUR + 15 + 5 + 10..END)],
            ..story(
                "a sharded cluster that takes its time and then too long",
                10,
                [cluster(
                    "prod",
                    [
                        Job { running: 2 * HOUR, collections: None, ..job(-12 * HOUR, End::Successful) },
                        Job { collections: None, ..job(2 * HOUR, End::Never) },
                    ],
                )],
            )
        },
        Scenario {
            firing: vec![fires(SLOW, "info", "prod", 2 * HOUR + 605..END)],
            ..story(
                "slow but moving",
                14,
                [cluster(
                    "prod",
                    [
                        job(-HOUR, End::Successful),
                        Job { running: 600, collections: Some(600), ..job(2 * HOUR, End::Successful) },
                    ],
                )],
            )
        },
        Scenario {
            firing: vec![
                fires(QUEUED, WARNING, "prod", 6 * HOUR + 15..2 * HOUR + 605),
                fires(SLOW, "info", "prod", 2 * HOUR + 605..END),
            ],
            ..story(
                "one waits while another is slow but moving",
                13,
                [cluster(
                    "prod",
                    [
                        job(-HOUR, End::Successful),
                        Job { running: 600, collections: Some(600), ..job(2 * HOUR, End::Successful) },
                        Job { queued: 485, ..job(4 * HOUR, End::Successful) },
                    ],
                )],
            )
        },
    ]
}

/// What is expected of a cluster changes, or the cluster goes.
fn expectations() -> Vec<Scenario> {
    vec![
        Scenario {
            // What was known of it is forgotten after fifteen minutes.
            firing: vec![failed(FAILED_AT..315)],
            ..story(
                "a removed cluster",
                16,
                [Cluster { unwatched: vec![300..END], ..with_failure("prod") }, healthy()],
            )
        },
        Scenario {
            firing: vec![
                // An interval that was expected is forgotten after ten minutes.
                fires(AUTO, WARNING, "prod", 370..END),
                fires(AUTO, WARNING, "young", 370..END),
                fires(AUTO, WARNING, "wanted", 60..END),
            ],
            ..story(
                "automatic export switched off",
                12,
                [
                    Cluster { auto_export_off: vec![300..END], ..cluster("prod", daily(-3..0)) },
                    // It has not exported yet, but it was to.
                    Cluster { auto_export_off: vec![300..END], created: -HOUR, ..never("young") },
                    Cluster {
                        auto_export_off: vec![0..END],
                        expected: ExportExpectation { export: Some(true), ..ExportExpectation::default() },
                        ..never("wanted")
                    },
                    Cluster {
                        auto_export_off: vec![300..END],
                        expected: ExportExpectation { export: Some(false), ..ExportExpectation::default() },
                        ..cluster("unwanted", daily(-3..0))
                    },
                    Cluster { auto_export_off: vec![0..END], ..never("nobody-knows") },
                ],
            )
        },
        Scenario {
            // One stays paused; one is resumed after ten hours, and has thirty to make its first export.
            firing: vec![
                overdue(585 + 30 * HOUR + 20..END),
                fires(NEVER, CRITICAL, "empty", 585 + 30 * HOUR + 20..END),
            ],
            ..story(
                "paused and resumed",
                42,
                [
                    Cluster { paused: vec![0..600], ..cluster("prod", daily(-9..-5)) },
                    Cluster { paused: vec![0..600], ..never("empty") },
                    Cluster { paused: vec![0..END], ..cluster("archive", daily(-9..-5)) },
                    Cluster { paused: vec![0..END], ..never("unused") },
                ],
            )
        },
    ]
}

/// Exporters that do not see.
fn failing_polls() -> Vec<Scenario> {
    vec![
        Scenario {
            // Nothing new is said of what nobody sees, and nothing is taken back.
            exporters: vec![failing(200..700, FailureReason::Timeout)],
            firing: vec![
                failed(FAILED_AT..END),
                polls_failing("prod", 220..700),
                polls_failing("healthy", 220..700),
                overdue(715..END),
                unresolved(UNRESOLVED_AT..END),
            ],
            ..story("polls fail while the newest job is a failed one", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![failing(600..1000, FailureReason::ServerError)],
            firing: vec![
                overdue(OVERDUE_AT..1000),
                polls_failing("prod", 620..1000),
                polls_failing("healthy", 620..1000),
            ],
            ..story(
                "made good while nobody sees",
                18,
                [cluster("prod", daily(-3..0).chain([job(780, End::Successful)])), healthy()],
            )
        },
        Scenario {
            // Six hours without sight, for six hours.
            exporters: vec![failing(100..END, FailureReason::Connect)],
            firing: vec![polls_failing("prod", 120..820), fires(POLLS_FAILING, CRITICAL, "prod", 820..END)],
            ..story("polls fail for long", 34, [cluster("prod", daily(-3..0))])
        },
        Scenario {
            exporters: vec![failing(0..END, FailureReason::Connect)],
            firing: vec![
                polls_failing("prod", 10..6 * HOUR),
                fires(POLLS_FAILING, CRITICAL, "prod", 6 * HOUR..END),
            ],
            ..story("polls fail from the start", 8, [cluster("prod", daily(-3..0))])
        },
        Scenario {
            exporters: vec![failing(100..400, FailureReason::Unauthorized)],
            firing: vec![
                fires(AUTH, CRITICAL, "prod", 105..400),
                fires(AUTH, CRITICAL, "healthy", 105..400),
                polls_failing("prod", 120..400),
                polls_failing("healthy", 120..400),
            ],
            ..story("the secret expires", 8, [cluster("prod", daily(-3..5)), healthy()])
        },
        Scenario {
            exporters: vec![
                Exporter { instance: "b:10027", ..failing(200..800, FailureReason::Timeout) },
                exporter("a:10027"),
            ],
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END)],
            ..story("polls of one of two exporters fail", 13, [with_failure("prod"), healthy()])
        },
    ]
}

/// Exporters that are not there, or there twice.
fn outages() -> Vec<Scenario> {
    vec![
        Scenario {
            exporters: vec![exporter("a:10027"), exporter("b:10027")],
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END), unresolved(UNRESOLVED_AT..END)],
            ..story("two exporters of one cluster", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![exporter("a:10027"), down("b:10027", 200..800)],
            firing: vec![failed(FAILED_AT..END), down_one(205..800), overdue(OVERDUE_AT..END)],
            ..story("one of two exporters is down", 13, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![down("a:10027", 300..700)],
            firing: vec![failed(FAILED_AT..END), down_all(305..700), overdue(715..END)],
            ..story("the exporter is down", 13, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![down("a:10027", 300..700)],
            firing: vec![failed(FAILED_AT..700), down_all(305..700)],
            ..story(
                "made good while the exporter is down",
                13,
                [cluster(
                    "prod",
                    daily(-3..0).chain([job(2 * HOUR, End::Failed), job(400, End::Successful)]),
                )],
            )
        },
        Scenario {
            exporters: vec![Exporter { gone: 300, ..exporter("a:10027") }],
            firing: vec![failed(FAILED_AT..END), down_all(305..END)],
            ..story("the exporter is gone", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![
                Exporter { shard: &["healthy"], ..exporter("a:10027") },
                Exporter { shard: &["prod"], ..down("b:10027", 300..700) },
            ],
            firing: vec![failed(FAILED_AT..END), down_one(305..700), overdue(715..END)],
            ..story("the exporter of a shard is down", 13, [with_failure("prod"), healthy()])
        },
    ]
}

/// A snapshot each night, a minute before two.
pub(crate) fn nightly(days: Range<i64>) -> Vec<i64> {
    days.map(|day| day * DAY + 2 * HOUR - 1).collect()
}

/// Snapshots of every night; of the first one of the story, the one of `jobs` alone.
fn with_snapshots(jobs: impl IntoIterator<Item = Job>) -> Cluster {
    let details = Details { snapshots: nightly(-3..5), ..Details::default() };
    Cluster { details: Some(details), ..cluster("prod", daily(-3..0).chain(jobs)) }
}

/// The snapshot of the night has waited for more than six hours then, at two evaluations.
const MISSING_AT: i64 = 8 * HOUR + 5;

/// What the incident is called in which figures of details are withdrawn: what they said last is known to the alerts alone.
pub(crate) const UNREAD: &str = "a snapshot awaits export, and details cannot be read any more";

fn missing(minutes: Range<i64>) -> Firing {
    fires(MISSING, CRITICAL, "prod", minutes)
}

/// Exports that never become a job.
fn unbegun() -> Vec<Scenario> {
    let neighbour = || {
        let details = Some(Details { snapshots: nightly(-3..5), ..Details::default() });
        Cluster { details, ..healthy() }
    };
    let change = |cluster: Cluster, change: &dyn Fn(&mut Details)| {
        let mut details = cluster.details.clone().unwrap_or_default();
        change(&mut details);
        Cluster { details: Some(details), ..cluster }
    };
    vec![
        Scenario {
            // Its event is younger than the job that succeeded, but tells of nothing that is not made good.
            ..story(
                "an older job fails after a newer one has succeeded",
                14,
                [change(
                    with_snapshots([
                        Job { running: 60, ..job(2 * HOUR, End::Failed) },
                        Job { snapshot: 2 * HOUR - 1, ..job(2 * HOUR + 30, End::Successful) },
                    ]),
                    &|details| details.events.push(2 * HOUR + 65),
                )],
            )
        },
        Scenario {
            // The job of the next night begins at two, and is done 25 minutes later.
            firing: vec![missing(MISSING_AT..DAY + 2 * HOUR), overdue(OVERDUE_AT..DAY + FAILED_AT)],
            ..story("Atlas never begins a job", 28, [with_snapshots(daily(1..2)), neighbour()])
        },
        Scenario {
            firing: vec![
                fires(UNBEGUN, CRITICAL, "prod", 2 * HOUR + 5..DAY + 2 * HOUR),
                missing(MISSING_AT..DAY + 2 * HOUR),
                overdue(OVERDUE_AT..DAY + FAILED_AT),
            ],
            ..story(
                "an event tells of a failure before there was a job",
                28,
                [change(with_snapshots(daily(1..2)), &|details| details.events.push(121)), neighbour()],
            )
        },
        Scenario {
            firing: vec![missing(MISSING_AT..600), overdue(OVERDUE_AT..625)],
            ..story(
                "a forgotten snapshot is exported by hand",
                16,
                [with_snapshots([Job { snapshot: 2 * HOUR - 1, ..job(600, End::Successful) }]), neighbour()],
            )
        },
        Scenario {
            // The policy is read again before it is believed.
            firing: vec![fires(BUCKET, CRITICAL, "prod", 215..600)],
            ..story(
                "the bucket goes and comes back",
                14,
                // Of one project, all export to one bucket.
                [change(with_snapshots(daily(0..2)), &|details| details.bucket_gone.push(180..600))],
            )
        },
        Scenario {
            firing: vec![
                missing(MISSING_AT..END),
                overdue(OVERDUE_AT..END),
                unread("snapshots"),
                unread("events"),
                unread("buckets"),
            ],
            ..story(UNREAD, 14, [change(with_snapshots([]), &|details| details.unread.push(500..END))])
        },
        Scenario {
            exporters: vec![failing(500..900, FailureReason::Timeout)],
            firing: vec![missing(MISSING_AT..END), polls_failing("prod", 520..900), overdue(915..END)],
            ..story("polls fail while a snapshot awaits export", 16, [with_snapshots([])])
        },
        Scenario {
            firing: vec![fires(AUTO, WARNING, "revived", 60..300)],
            ..story(
                "automatic export switched on beside old snapshots",
                28,
                [
                    Cluster {
                        auto_export_off: vec![0..300],
                        jobs: daily(1..2).collect(),
                        ..with_snapshots([])
                    },
                    Cluster {
                        name: "revived",
                        auto_export_off: vec![0..300],
                        jobs: [job(-10 * DAY, End::Successful)].into_iter().chain(daily(1..2)).collect(),
                        ..with_snapshots([])
                    },
                ],
            )
        },
    ]
}

/// However rarely a policy exports, half a day is the longest wait for an export that Atlas never begins.
fn rarely() -> Scenario {
    Scenario {
        firing: ["weekly", "monthly", "yearly"]
            .map(|name| fires(MISSING, CRITICAL, name, 14 * HOUR + 5..END))
            .into(),
        ..story(
            "Atlas never begins an export that it makes rarely",
            20,
            ["weekly", "monthly", "yearly"].map(|frequency| {
                let snapshots = vec![-5 * DAY, 2 * HOUR - 1];
                let exported = Job { snapshot: -5 * DAY, ..job(1 - 5 * DAY, End::Successful) };
                let details = Some(Details { snapshots, ..Details::default() });
                Cluster { frequency, details, ..cluster(frequency, [exported]) }
            }),
        )
    }
}

/// Clusters of which all that is known appears at once, after an hour, and nothing of it calls for anybody.
fn found_late() -> Scenario {
    let found = |name, cluster: Cluster| Cluster { name, unwatched: vec![0..HOUR], ..cluster };
    let mut mended = with_snapshots([
        Job { running: 60, ..job(-2 * HOUR, End::Failed) },
        Job { snapshot: -2 * HOUR - 1, ..job(-HOUR - 30, End::Successful) },
    ]);
    mended.details.as_mut().unwrap().events.push(-HOUR + 5);
    let paused = Cluster { paused: vec![0..END], jobs: daily(-9..-8).collect(), ..with_snapshots([]) };
    let unexported = Cluster { created: -HOUR, jobs: Vec::new(), ..with_snapshots([]) };
    let clusters =
        [found("mended", mended), found("paused", paused), found("unexported", unexported), healthy()];
    story("clusters that are found with a past", 6, clusters)
}

/// A collector of the project that fails from minute 500 on.
fn unread(collector: &str) -> Firing {
    let labels = format!("collector=\"{collector}\",project_id=\"{PROJECT}\"");
    fires_with(COLLECTOR, WARNING, &labels, 560..END)
}

pub(crate) fn all() -> Vec<Scenario> {
    [failures(), lateness(), expectations(), unbegun(), vec![found_late()], failing_polls(), outages()]
        .into_iter()
        .flatten()
        .chain([rarely()])
        .collect()
}

/// The incidents once more, with restarts in the middle: nothing else may be said.
pub(crate) fn all_with_restarts() -> Vec<Scenario> {
    let mut stories = all();
    for story in &mut stories {
        // Where movement decides, or something else is wrong with the exporter, one restart at a time that tells; elsewhere many.
        let restarts: Vec<i64> = match story.name {
            "105 of 105 for hours" => vec![285, 400],
            "a sharded cluster that takes its time and then too long" => vec![505, 520],
            "slow but moving" | "one waits while another is slow but moving" => vec![400, 500],
            // A restart forgets when a poll was good last, and six hours begin anew with it.
            "polls fail for long" => vec![900, 1200],
            _ if story.exporters.iter().all(Exporter::is_well) => (35..story.minutes).step_by(35).collect(),
            _ => vec![390, 450],
        };
        for exporter in story.exporters.iter_mut().filter(|exporter| exporter.down.is_empty()) {
            exporter.down = restarts.iter().map(|minute| *minute..minute + 5).collect();
        }
    }
    stories
}
