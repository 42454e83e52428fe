//! Incidents, and the alerts that fire in each.

mod jobs;
mod outages;
pub(crate) mod snapshots;

use std::ops::Range;

use atlas_backup_exporter::model::ExportExpectation;
use atlas_client::FailureReason;

use super::scenario::{
    Cluster, DAY, Details, Exporter, Firing, HOUR, Job, JobEnd, PROJECT, Scenario, cluster, daily, exporter,
    fires, fires_with, job,
};

const FAILED: &str = "AtlasBackupExportFailed";
const UNRESOLVED: &str = "AtlasBackupExportFailureUnresolved";
const OVERDUE: &str = "AtlasBackupExportOverdue";
const NO_SUCCESS: &str = "AtlasBackupExportNeverSucceeded";
const STALLED: &str = "AtlasBackupExportStalled";
const QUEUED: &str = "AtlasBackupExportQueuedTooLong";
const AUTO: &str = "AtlasBackupAutoExportDisabled";
const SLOW: &str = "AtlasBackupExportSlow";
const MISSING: &str = "AtlasBackupExportMissing";
const AUTO_EXPORT_FAILED: &str = "AtlasBackupAutoExportFailed";
const BUCKET: &str = "AtlasBackupExportBucketMissing";
const COLLECTOR: &str = "AtlasBackupExporterCollectorFailing";
const AUTH: &str = "AtlasBackupExporterAuthFailing";
const POLLS_FAILING: &str = "AtlasBackupExporterPollsFailing";
const DOWN: &str = "AtlasBackupExporterDown";
const CRITICAL: &str = "critical";
const WARNING: &str = "warning";

/// Returns an incident with one exporter.
pub(crate) fn scenario(
    name: &'static str,
    hours: i64,
    clusters: impl IntoIterator<Item = Cluster>,
) -> Scenario {
    Scenario {
        name,
        minutes: hours * HOUR,
        step: 5,
        exporters: vec![exporter("a:10027")],
        clusters: clusters.into_iter().collect(),
        firing: Vec::new(),
    }
}

/// Returns an exporter whose polls fail in some minutes.
fn failing(minutes: Range<i64>, reason: FailureReason) -> Exporter {
    Exporter { failing: vec![(minutes, reason)], ..exporter("a:10027") }
}

fn down(instance: &'static str, minutes: Range<i64>) -> Exporter {
    Exporter { down: vec![minutes], ..exporter(instance) }
}

/// First minute of the overdue alert in most scenarios: the last success ended at 2:25 of the day
/// before, the next is overdue 30 hours later, and the alert waits for a quarter of an hour.
const OVERDUE_AT: i64 = 30 * HOUR - (DAY - 145) + 5 + 15;

/// First minute in which the job of two o'clock has failed.
const FAILED_AT: i64 = 2 * HOUR + 25;

/// First minute in which that failure is unresolved for too long.
const UNRESOLVED_AT: i64 = 14 * HOUR + 5;

pub(crate) const END: i64 = i64::MAX;

fn with_failure(name: &'static str) -> Cluster {
    cluster(name, daily(-3..0).chain([job(2 * HOUR, JobEnd::Failed)]))
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

/// Returns a snapshot of each night, a minute before two.
pub(crate) fn nightly(days: Range<i64>) -> Vec<i64> {
    days.map(|day| day * DAY + 2 * HOUR - 1).collect()
}

pub(crate) fn all() -> Vec<Scenario> {
    [
        jobs::failures(),
        jobs::lateness(),
        jobs::expectations(),
        snapshots::jobs_never_created(),
        vec![snapshots::found_late()],
        outages::failing_polls(),
        outages::outages(),
    ]
    .into_iter()
    .flatten()
    .chain([snapshots::rare_exports()])
    .collect()
}

/// Returns the incidents with restarts of the exporters, which must not change the alerts.
pub(crate) fn all_with_restarts() -> Vec<Scenario> {
    let mut scenarios = all();
    for scenario in &mut scenarios {
        // Few restarts at critical times where progress or failures of the exporter matter; else
        // many.
        let restarts: Vec<i64> = match scenario.name {
            "105 of 105 for hours" => vec![285, 400],
            "a sharded cluster that is slow and then too slow" => vec![505, 520],
            "slow but moving" | "one waits while another is slow but moving" => vec![400, 500],
            // A restart forgets the last good poll, so that the six hours start again.
            "polls fail for long" => vec![900, 1200],
            _ if scenario.exporters.iter().all(Exporter::is_healthy) => {
                (35..scenario.minutes).step_by(35).collect()
            }
            _ => vec![390, 450],
        };
        for exporter in scenario.exporters.iter_mut().filter(|exporter| exporter.down.is_empty()) {
            exporter.down = restarts.iter().map(|minute| *minute..minute + 5).collect();
        }
    }
    scenarios
}
