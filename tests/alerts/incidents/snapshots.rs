//! Snapshots that are not exported, events, and buckets that are missing.

use super::*;

/// Returns a cluster with a snapshot of every night, daily exports before, and `jobs`.
fn with_snapshots(jobs: impl IntoIterator<Item = Job>) -> Cluster {
    let details = Details { snapshots: nightly(-3..5), ..Details::default() };
    Cluster { details: Some(details), ..cluster("prod", daily(-3..0).chain(jobs)) }
}

/// First minute in which the snapshot of the night has waited for six hours, at two evaluations.
const MISSING_AT: i64 = 8 * HOUR + 5;

/// Scenario in which the series of collectors are withdrawn: only the alerts remember them.
pub(crate) const UNREAD: &str = "a snapshot awaits export, and details cannot be read any more";

fn missing(minutes: Range<i64>) -> Firing {
    fires(MISSING, CRITICAL, "prod", minutes)
}

/// Exports for which Atlas never creates a job.
pub(super) fn jobs_never_created() -> Vec<Scenario> {
    let neighbor = || {
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
            // The event is newer than the successful job, but about an older failure.
            ..scenario(
                "an older job fails after a newer one has succeeded",
                14,
                [change(
                    with_snapshots([
                        Job { running: 60, ..job(2 * HOUR, JobEnd::Failed) },
                        Job { snapshot_taken: 2 * HOUR - 1, ..job(2 * HOUR + 30, JobEnd::Successful) },
                    ]),
                    &|details| details.events.push(2 * HOUR + 65),
                )],
            )
        },
        Scenario {
            // The job of the next night runs from 2:00 to 2:25.
            firing: vec![missing(MISSING_AT..DAY + 2 * HOUR), overdue(OVERDUE_AT..DAY + FAILED_AT)],
            ..scenario("Atlas never creates a job", 28, [with_snapshots(daily(1..2)), neighbor()])
        },
        Scenario {
            firing: vec![
                fires(AUTO_EXPORT_FAILED, CRITICAL, "prod", 2 * HOUR + 5..DAY + 2 * HOUR),
                missing(MISSING_AT..DAY + 2 * HOUR),
                overdue(OVERDUE_AT..DAY + FAILED_AT),
            ],
            ..scenario(
                "a failure event before there is a job",
                28,
                [change(with_snapshots(daily(1..2)), &|details| details.events.push(121)), neighbor()],
            )
        },
        Scenario {
            firing: vec![missing(MISSING_AT..600), overdue(OVERDUE_AT..625)],
            ..scenario(
                "a forgotten snapshot is exported by hand",
                16,
                [
                    with_snapshots([Job { snapshot_taken: 2 * HOUR - 1, ..job(600, JobEnd::Successful) }]),
                    neighbor(),
                ],
            )
        },
        Scenario {
            // The policy is read again before the bucket is reported as missing.
            firing: vec![fires(BUCKET, CRITICAL, "prod", 215..600)],
            ..scenario(
                "the bucket goes and comes back",
                14,
                // All clusters of the project export to one bucket.
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
            ..scenario(UNREAD, 14, [change(with_snapshots([]), &|details| details.unread.push(500..END))])
        },
        Scenario {
            exporters: vec![failing(500..900, FailureReason::Timeout)],
            firing: vec![missing(MISSING_AT..END), polls_failing("prod", 520..900), overdue(915..END)],
            ..scenario("polls fail while a snapshot awaits export", 16, [with_snapshots([])])
        },
        Scenario {
            firing: vec![fires(AUTO, WARNING, "revived", 60..300)],
            ..scenario(
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
                        jobs: [job(-10 * DAY, JobEnd::Successful)].into_iter().chain(daily(1..2)).collect(),
                        ..with_snapshots([])
                    },
                ],
            )
        },
    ]
}

/// Weekly and rarer exports, which are reported as missing after half a day.
pub(super) fn rare_exports() -> Scenario {
    Scenario {
        firing: ["weekly", "monthly", "yearly"]
            .map(|name| fires(MISSING, CRITICAL, name, 14 * HOUR + 5..END))
            .into(),
        ..scenario(
            "Atlas never begins an export that it makes rarely",
            20,
            ["weekly", "monthly", "yearly"].map(|frequency| {
                let snapshots = vec![-5 * DAY, 2 * HOUR - 1];
                let exported = Job { snapshot_taken: -5 * DAY, ..job(1 - 5 * DAY, JobEnd::Successful) };
                let details = Some(Details { snapshots, ..Details::default() });
                Cluster { frequency, details, ..cluster(frequency, [exported]) }
            }),
        )
    }
}

/// Clusters that are discovered after an hour with a past that needs no alert.
pub(super) fn found_late() -> Scenario {
    let found = |name, cluster: Cluster| Cluster { name, unwatched: vec![0..HOUR], ..cluster };
    let mut recovered = with_snapshots([
        Job { running: 60, ..job(-2 * HOUR, JobEnd::Failed) },
        Job { snapshot_taken: -2 * HOUR - 1, ..job(-HOUR - 30, JobEnd::Successful) },
    ]);
    recovered.details.as_mut().unwrap().events.push(-HOUR + 5);
    let paused = Cluster { paused: vec![0..END], jobs: daily(-9..-8).collect(), ..with_snapshots([]) };
    let unexported = Cluster { created: -HOUR, jobs: Vec::new(), ..with_snapshots([]) };
    let clusters =
        [found("recovered", recovered), found("paused", paused), found("unexported", unexported), healthy()];
    scenario("clusters that are found with a past", 6, clusters)
}

/// Returns the alert of a collector that fails from minute 500 on.
fn unread(collector: &str) -> Firing {
    let labels = format!("collector=\"{collector}\",project_id=\"{PROJECT}\"");
    fires_with(COLLECTOR, WARNING, &labels, 560..END)
}
