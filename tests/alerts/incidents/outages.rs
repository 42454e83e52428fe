//! Failing polls, and exporters that are down.

use super::*;

pub(super) fn failing_polls() -> Vec<Scenario> {
    vec![
        Scenario {
            // Alerts do not change while polls fail.
            exporters: vec![failing(200..700, FailureReason::Timeout)],
            firing: vec![
                failed(FAILED_AT..END),
                polls_failing("prod", 220..700),
                polls_failing("healthy", 220..700),
                overdue(715..END),
                unresolved(UNRESOLVED_AT..END),
            ],
            ..scenario(
                "polls fail while the newest job is a failed one",
                16,
                [with_failure("prod"), healthy()],
            )
        },
        Scenario {
            exporters: vec![failing(600..1000, FailureReason::ServerError)],
            firing: vec![
                overdue(OVERDUE_AT..1000),
                polls_failing("prod", 620..1000),
                polls_failing("healthy", 620..1000),
            ],
            ..scenario(
                "recovery while polls fail",
                18,
                [cluster("prod", daily(-3..0).chain([job(780, JobEnd::Successful)])), healthy()],
            )
        },
        Scenario {
            // Six hours of failing polls, for six hours.
            exporters: vec![failing(100..END, FailureReason::Connect)],
            firing: vec![polls_failing("prod", 120..820), fires(POLLS_FAILING, CRITICAL, "prod", 820..END)],
            ..scenario("polls fail for long", 34, [cluster("prod", daily(-3..0))])
        },
        Scenario {
            exporters: vec![failing(0..END, FailureReason::Connect)],
            firing: vec![
                polls_failing("prod", 10..6 * HOUR),
                fires(POLLS_FAILING, CRITICAL, "prod", 6 * HOUR..END),
            ],
            ..scenario("polls fail from the start", 8, [cluster("prod", daily(-3..0))])
        },
        Scenario {
            exporters: vec![failing(100..400, FailureReason::Unauthorized)],
            firing: vec![
                fires(AUTH, CRITICAL, "prod", 105..400),
                fires(AUTH, CRITICAL, "healthy", 105..400),
                polls_failing("prod", 120..400),
                polls_failing("healthy", 120..400),
            ],
            ..scenario("the secret expires", 8, [cluster("prod", daily(-3..5)), healthy()])
        },
        Scenario {
            exporters: vec![
                Exporter { instance: "b:10027", ..failing(200..800, FailureReason::Timeout) },
                exporter("a:10027"),
            ],
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END)],
            ..scenario("polls of one of two exporters fail", 13, [with_failure("prod"), healthy()])
        },
    ]
}

/// Exporters that are down, and several exporters.
pub(super) fn outages() -> Vec<Scenario> {
    vec![
        Scenario {
            exporters: vec![exporter("a:10027"), exporter("b:10027")],
            firing: vec![failed(FAILED_AT..END), overdue(OVERDUE_AT..END), unresolved(UNRESOLVED_AT..END)],
            ..scenario("two exporters of one cluster", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![exporter("a:10027"), down("b:10027", 200..800)],
            firing: vec![failed(FAILED_AT..END), down_one(205..800), overdue(OVERDUE_AT..END)],
            ..scenario("one of two exporters is down", 13, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![down("a:10027", 300..700)],
            firing: vec![failed(FAILED_AT..END), down_all(305..700), overdue(715..END)],
            ..scenario("the exporter is down", 13, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![down("a:10027", 300..700)],
            firing: vec![failed(FAILED_AT..700), down_all(305..700)],
            ..scenario(
                "recovery while the exporter is down",
                13,
                [cluster(
                    "prod",
                    daily(-3..0).chain([job(2 * HOUR, JobEnd::Failed), job(400, JobEnd::Successful)]),
                )],
            )
        },
        Scenario {
            exporters: vec![Exporter { gone: 300, ..exporter("a:10027") }],
            firing: vec![failed(FAILED_AT..END), down_all(305..END)],
            ..scenario("the exporter is gone", 16, [with_failure("prod"), healthy()])
        },
        Scenario {
            exporters: vec![
                Exporter { shard: &["healthy"], ..exporter("a:10027") },
                Exporter { shard: &["prod"], ..down("b:10027", 300..700) },
            ],
            firing: vec![failed(FAILED_AT..END), down_one(305..700), overdue(715..END)],
            ..scenario("the exporter of a shard is down", 13, [with_failure("prod"), healthy()])
        },
    ]
}
