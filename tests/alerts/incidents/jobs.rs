//! Jobs that fail, are late or take long, and clusters whose configuration changes.

use super::*;

pub(super) fn failures() -> Vec<Scenario> {
    vec![
        Scenario {
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END), unresolved(UNRESOLVED_AT..END)],
            ..scenario("a first failure", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            firing: vec![failed(25..END)],
            ..scenario("the first job ever fails", 6, [cluster("prod", [job(0, JobEnd::Failed)])])
        },
        Scenario {
            // The retry is queued from three o'clock on.
            firing: vec![
                failed(FAILED_AT..END),
                fires(QUEUED, WARNING, "prod", 5 * HOUR + 15..END),
                overdue(OVERDUE_AT..END),
                unresolved(UNRESOLVED_AT..END),
            ],
            ..scenario(
                "a failure with a retry that waits",
                16,
                [
                    {
                        let mut prod = with_failure("prod");
                        prod.jobs.push(Job { queued: DAY, ..job(3 * HOUR, JobEnd::Successful) });
                        prod
                    },
                    healthy(),
                ],
            )
        },
        Scenario {
            // One alert, from the first failure to the success that ends at 6:50.
            firing: vec![failed(FAILED_AT..6 * HOUR + 50)],
            ..scenario(
                "retries that wait and fail and are cancelled",
                10,
                [cluster(
                    "prod",
                    daily(-3..0).chain([
                        job(2 * HOUR, JobEnd::Failed),
                        Job { queued: HOUR, ..job(3 * HOUR, JobEnd::Failed) },
                        job(5 * HOUR, JobEnd::Cancelled),
                        Job { queued: 30, ..job(6 * HOUR, JobEnd::Successful) },
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
            ..scenario(
                "recovery on the next day",
                28,
                [cluster("prod", daily(-3..0).chain([job(2 * HOUR, JobEnd::Failed)]).chain(daily(1..2)))],
            )
        },
    ]
}

/// Exports that never start, are late, or take long.
pub(super) fn lateness() -> Vec<Scenario> {
    vec![
        Scenario {
            firing: vec![fires(NO_SUCCESS, CRITICAL, "prod", 30 * HOUR + 15..END)],
            ..scenario("never exported beside a healthy cluster", 32, [never("prod"), healthy()])
        },
        Scenario {
            // Both are created and discovered after an hour; one exports on the next day.
            firing: vec![fires(NO_SUCCESS, CRITICAL, "prod", 31 * HOUR + 20..END)],
            ..scenario(
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
            ..scenario(
                "weekly beside daily",
                68,
                [
                    cluster("prod", daily(-3..0)),
                    healthy(),
                    Cluster { frequency: "weekly", ..cluster("weekly", [job(-6 * DAY, JobEnd::Successful)]) },
                ],
            )
        },
        Scenario {
            // The last collection is exported at 2:35.
            firing: vec![fires(STALLED, WARNING, "prod", 4 * HOUR + 50..END)],
            ..scenario(
                "105 of 105 for hours",
                8,
                [
                    cluster(
                        "prod",
                        daily(-3..0).chain([Job { collections: Some(105), ..job(2 * HOUR, JobEnd::Never) }]),
                    ),
                    healthy(),
                ],
            )
        },
        Scenario {
            // The threshold is three times the last duration of two hours and five minutes.
            firing: vec![fires(STALLED, WARNING, "prod", 2 * HOUR + 5 + 6 * HOUR + 15 + 5 + 10..END)],
            ..scenario(
                "a sharded cluster that is slow and then too slow",
                10,
                [cluster(
                    "prod",
                    [
                        Job { running: 2 * HOUR, collections: None, ..job(-12 * HOUR, JobEnd::Successful) },
                        Job { collections: None, ..job(2 * HOUR, JobEnd::Never) },
                    ],
                )],
            )
        },
        Scenario {
            firing: vec![fires(SLOW, "info", "prod", 2 * HOUR + 605..END)],
            ..scenario(
                "slow but moving",
                14,
                [cluster(
                    "prod",
                    [
                        job(-HOUR, JobEnd::Successful),
                        Job { running: 600, collections: Some(600), ..job(2 * HOUR, JobEnd::Successful) },
                    ],
                )],
            )
        },
        Scenario {
            firing: vec![
                fires(QUEUED, WARNING, "prod", 6 * HOUR + 15..2 * HOUR + 605),
                fires(SLOW, "info", "prod", 2 * HOUR + 605..END),
            ],
            ..scenario(
                "one waits while another is slow but moving",
                13,
                [cluster(
                    "prod",
                    [
                        job(-HOUR, JobEnd::Successful),
                        Job { running: 600, collections: Some(600), ..job(2 * HOUR, JobEnd::Successful) },
                        Job { queued: 485, ..job(4 * HOUR, JobEnd::Successful) },
                    ],
                )],
            )
        },
    ]
}

/// Clusters that are removed, paused, or no longer exported.
pub(super) fn expectations() -> Vec<Scenario> {
    vec![
        Scenario {
            // Its alerts end after fifteen minutes.
            firing: vec![failed(FAILED_AT..315)],
            ..scenario(
                "a removed cluster",
                16,
                [Cluster { unwatched: vec![300..END], ..with_failure("prod") }, healthy()],
            )
        },
        Scenario {
            firing: vec![
                // An expected interval is remembered for ten minutes.
                fires(AUTO, WARNING, "prod", 370..END),
                fires(AUTO, WARNING, "young", 370..END),
                fires(AUTO, WARNING, "wanted", 60..END),
            ],
            ..scenario(
                "automatic export switched off",
                12,
                [
                    Cluster { auto_export_off: vec![300..END], ..cluster("prod", daily(-3..0)) },
                    // Not exported yet, although expected.
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
                    Cluster { auto_export_off: vec![0..END], ..never("undecided") },
                ],
            )
        },
        Scenario {
            // Resumed clusters have thirty hours for the next export.
            firing: vec![
                overdue(585 + 30 * HOUR + 20..END),
                fires(NO_SUCCESS, CRITICAL, "empty", 585 + 30 * HOUR + 20..END),
            ],
            ..scenario(
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
