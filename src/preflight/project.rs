//! The check of a project, its clusters and its collectors.

use std::fmt::Write;
use std::time::Duration;

use atlas_client::{
    AtlasClient, Cause, Error, EventKind, ExportBucket, FailureReason, ListedCluster, PartialList, ProjectId,
    Schedule, Target, Unexportable,
};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::remediation::{Resource, hint};
use super::report::{CheckStatus, Row};
use crate::config::ProjectTarget;
use crate::discovery::targets::{self, SelectionWarning};
use crate::model::{CollectorKind, ExclusionReason, ExportExpectation};

/// Maximum number of projects that are checked concurrently, and of clusters of each.
pub(super) const CONCURRENCY: usize = 8;

/// Maximum number of clusters that a hint names.
const MAX_NAMES: usize = 8;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) each: Duration,
    /// Deadline of the whole check.
    pub(super) until: Instant,
}

impl Timeouts {
    pub(super) fn deadline(self) -> Instant {
        (Instant::now() + self.each).min(self.until)
    }

    fn is_over(self) -> bool {
        Instant::now() >= self.until
    }
}

pub(super) struct ProjectCheck<'a> {
    pub(super) atlas: AtlasClient,
    pub(super) id: &'a ProjectId,
    pub(super) target: &'a ProjectTarget,
    pub(super) disabled: &'a [CollectorKind],
    pub(super) timeouts: Timeouts,
}

impl ProjectCheck<'_> {
    /// Returns the row of the project if it cannot be read, or else the rows of its clusters.
    pub(super) async fn rows(&self) -> Vec<Row> {
        let project_row = match self.atlas.project_name(self.id, self.deadline()).await {
            Ok(name) => Row::project(self.id, Some(&name)),
            Err(error) => return vec![self.failed(Row::project(self.id, None), &error)],
        };
        let row = |cluster: &str| project_row.clone().cluster(cluster);
        let mut rows = Vec::new();
        let answer = self.atlas.clusters(self.id, self.deadline()).await;
        if let Ok(PartialList { error: Some(error), .. }) | Err(error) = &answer {
            rows.push(self.failed(project_row.clone(), error));
        }
        let listed = answer.ok().map(|listing| listing.entries);
        let selected = targets::select_clusters(&self.target.selection, listed.as_deref());
        let asked = stream::iter(&selected.watched)
            .map(|(name, known)| {
                let target = Target { project_id: self.id.clone(), cluster_name: (*name).to_owned() };
                self.cluster(target, *known, listed.as_deref(), row(name))
            })
            .buffered(CONCURRENCY);
        let mut schedules = Vec::new();
        for (row, schedule) in asked.collect::<Vec<_>>().await {
            rows.push(row);
            schedules.extend(schedule);
        }
        rows.extend(selected.excluded.iter().map(|(cluster, reason)| {
            row(cluster).with(CheckStatus::Excluded, &format!("the cluster {}", reason.phrase()))
        }));
        if let Some(listed) = &listed {
            for warning in targets::selection_warnings(self.target, listed, &selected) {
                if let SelectionWarning::Pattern { pattern, .. } = warning {
                    let hint = format!(
                        "no cluster matches this name or pattern; the project has {}",
                        names_of(listed)
                    );
                    rows.push(project_row.clone().pattern(&pattern, &hint));
                }
            }
            if rows.is_empty() {
                rows.push(project_row.clone().note("the project has no clusters"));
            }
        }
        let exporting = schedules.first().map(|(target, _)| {
            let known = selected.watched.get(target.cluster_name.as_str()).copied().flatten();
            (target, known.is_some_and(|known| known.sharded))
        });
        let (collectors, buckets) = self.collectors(project_row, exporting).await;
        rows.extend(collectors);
        if let Some(buckets) = buckets {
            self.check_buckets(&mut rows, &schedules, &buckets).await;
        }
        rows.sort_by(|one, other| one.cluster_name.cmp(&other.cluster_name));
        rows
    }

    /// Returns the row of a cluster, and its schedule if auto export is on.
    async fn cluster(
        &self,
        target: Target,
        known: Option<&ListedCluster>,
        listed: Option<&[ListedCluster]>,
        row: Row,
    ) -> (Row, Option<(Target, Schedule)>) {
        if self.timeouts.is_over() {
            return (row.with(CheckStatus::Failed, "not checked: earlier requests took too long"), None);
        }
        let unexportable = known.and_then(|known| known.unexportable);
        if let Err(error) = self.atlas.try_export_jobs(&target, self.deadline()).await {
            let is_about_the_cluster =
                matches!(error.reason(), FailureReason::BadRequest | FailureReason::NotFound);
            let row = match (unexportable, listed) {
                (Some(reason), _) if is_about_the_cluster => row.fail(&error, &hint_on_unexportable(reason)),
                (_, Some(listed)) if error.row().is_some_and(|row| row.cause == Cause::NoSuchCluster) => {
                    row.fail(&error, &no_such_cluster(&target.cluster_name, listed))
                }
                _ => self.failed(row, &error),
            };
            return (row, None);
        }
        if let Some(reason) = unexportable {
            return (row.warn(&hint_on_unexportable(reason)), None);
        }
        match self.atlas.schedule(&target, self.deadline()).await {
            Err(error) => (self.failed(row, &error), None),
            Ok(schedule) => {
                let paused = known.and_then(|known| known.paused) == Some(true);
                let row = with_expectation(row, self.target.expected, &schedule, paused);
                (row, Some((target, schedule)).filter(|(_, schedule)| schedule.has_auto_export()))
            }
        }
    }

    /// Reads with each enabled collector. Returns a row if there are any, and the buckets that were
    /// read. A collector without access is a warning, because polls do not depend on it.
    ///
    /// `exporting` is a cluster with auto export, with true if it is sharded.
    async fn collectors(
        &self,
        mut row: Row,
        exporting: Option<(&Target, bool)>,
    ) -> (Option<Row>, Option<Vec<ExportBucket>>) {
        let (mut readable, mut failures, mut buckets) = (Vec::new(), String::new(), None);
        for collector in CollectorKind::ALL.into_iter().filter(|collector| !self.disabled.contains(collector))
        {
            let deadline = self.deadline();
            let outcome = match (collector, exporting) {
                (CollectorKind::Snapshots, None) => continue,
                (CollectorKind::Snapshots, Some((target, sharded))) => {
                    let listed = self.atlas.snapshots(target, sharded, deadline).await;
                    listed.and_then(PartialList::complete).map(drop)
                }
                // An empty list proves the access as well.
                (CollectorKind::Events, _) => {
                    let (kinds, now) = (&EventKind::ALL, Timestamp::now());
                    let listed = self.atlas.events(self.id, kinds, now, &[], deadline).await;
                    listed.and_then(PartialList::complete).map(drop)
                }
                (CollectorKind::Buckets, _) => {
                    let listed = self.atlas.export_buckets(self.id, deadline).await;
                    listed.and_then(PartialList::complete).map(|listed| buckets = Some(listed))
                }
            };
            row.collectors.insert(collector.as_str(), outcome.is_ok());
            match outcome {
                Ok(()) => readable.push(collector.as_str()),
                Err(error) => {
                    let hint = hint(&error, Resource::Collector(collector), &self.target.credentials);
                    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
                    let _ = write!(failures, "failed to read {}{code}: {hint}; ", collector.as_str());
                    row.error_code = row.error_code.or(error.code().map(str::to_owned));
                }
            }
        }
        if row.collectors.is_empty() {
            return (None, None);
        }
        let readable = match readable.join(", ") {
            none if none.is_empty() => "no collector has access".to_owned(),
            readable => format!("collectors with access: {readable}"),
        };
        let status = if failures.is_empty() { CheckStatus::Ok } else { CheckStatus::Warning };
        (Some(row.with(status, &(failures + &readable))), buckets)
    }

    /// Adds missing buckets to the rows of clusters. A second request confirms that the policy
    /// still names a bucket that is missing in the newer list.
    async fn check_buckets(
        &self,
        rows: &mut [Row],
        schedules: &[(Target, Schedule)],
        buckets: &[ExportBucket],
    ) {
        let missing = |schedule: &Schedule| {
            schedule.bucket().map(str::to_owned).filter(|id| buckets.iter().all(|bucket| bucket.id != *id))
        };
        for (target, schedule) in schedules {
            let Some(id) = missing(schedule).filter(|_| !self.timeouts.is_over()) else { continue };
            let again = self.atlas.schedule(target, self.deadline()).await;
            if !again.is_ok_and(|again| missing(&again).as_ref() == Some(&id)) {
                continue;
            }
            let is_of_cluster = |row: &&mut Row| row.cluster_name.as_ref() == Some(&target.cluster_name);
            if let Some(row) = rows.iter_mut().find(is_of_cluster) {
                row.status = CheckStatus::Problem;
                row.hint = format!(
                    "the project has no export bucket {id}, so every export fails; \
                     select another bucket in the export policy, or create the bucket again"
                );
            }
        }
    }

    fn failed(&self, row: Row, error: &Error) -> Row {
        row.fail(error, &hint(error, Resource::Project, &self.target.credentials))
    }

    fn deadline(&self) -> Instant {
        self.timeouts.deadline()
    }
}

/// Returns the row of a readable cluster, with the exports that are expected of it.
fn with_expectation(row: Row, expected: ExportExpectation, schedule: &Schedule, paused: bool) -> Row {
    if schedule.policy_item_missing() == Some(true) {
        let word = schedule.frequency.as_deref().unwrap_or_default();
        return row.warn(&format!(
            "auto export is set to {word} snapshots, but the backup policy has no {word} item, so nothing is \
             ever exported; add a {word} item, or change the export frequency"
        ));
    }
    if paused {
        return row.note("the cluster is paused");
    }
    let every = expected.effective_interval(Some(schedule)).map(|interval| {
        let day = Duration::from_hours(24);
        let days = (interval.as_secs() % day.as_secs() == 0).then_some(interval.as_secs() / day.as_secs());
        days.map_or_else(
            || format!("{:#}", SignedDuration::from_secs_f64(interval.as_secs_f64())),
            |days| format!("{days}d"),
        )
    });
    match (schedule.auto_export, expected.export, every) {
        (Some(false), Some(true), _) => row.warn(
            "auto export is off, but `export_expected` is true; enable auto export in the backup policy",
        ),
        (Some(false), Some(false), _) => row.note("auto export is off, and no export is expected"),
        (Some(false), None, Some(every)) => {
            row.warn(&format!("auto export is off, but an export is expected every {every}"))
        }
        (Some(false), None, None) => row
            .note("auto export is off, so Atlas exports nothing; set `export_expected = true` to be warned"),
        (_, _, Some(every)) if expected.interval.is_some() => {
            row.note(&format!("an export is expected every {every} (`expected_interval`)"))
        }
        (_, _, Some(every)) => row.note(&format!("an export is expected every {every} (backup policy)")),
        (_, _, None) => row.warn(&match schedule.frequency.as_deref() {
            Some(word) => format!(
                "the export frequency {word:?} is unknown to this version; set `expected_interval` \
                 for the project"
            ),
            None => "Atlas reports no export frequency; set `expected_interval` for the project".to_owned(),
        }),
    }
}

fn hint_on_unexportable(reason: Unexportable) -> String {
    let remedy = match reason {
        Unexportable::BackupDisabled => "enable it, or remove the cluster from `clusters`",
        _ => "remove it from `clusters`",
    };
    format!("the cluster {}; {remedy}", ExclusionReason::Unexportable(reason).phrase())
}

fn no_such_cluster(name: &str, listed: &[ListedCluster]) -> String {
    match targets::closest_name(name, listed) {
        Some(meant) => format!("no such cluster; did you mean {meant:?}?"),
        None => format!("no such cluster; the project has {}", names_of(listed)),
    }
}

/// Returns the names of the first clusters.
fn names_of(listed: &[ListedCluster]) -> String {
    let mut names: Vec<_> = listed.iter().take(MAX_NAMES).map(|cluster| cluster.name.as_str()).collect();
    match listed.len() {
        0 => names.push("none"),
        count if count > MAX_NAMES => names.push("..."),
        _ => {}
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use atlas_client::PolicyItems;

    use super::CheckStatus::{Ok, Warning};
    use super::*;

    #[test]
    fn hint_states_the_expected_interval() {
        let check = |auto: Option<bool>,
                     word: Option<&str>,
                     hours: Option<u64>,
                     must: Option<bool>,
                     status,
                     part: &str| {
            let schedule =
                Schedule { auto_export: auto, frequency: word.map(str::to_owned), ..Schedule::default() };
            let interval = hours.map(Duration::from_hours);
            let row = with_expectation(
                Row::default(),
                ExportExpectation { interval, export: must },
                &schedule,
                false,
            );
            assert!(
                row.status == status && row.hint.contains(part),
                "{schedule:?} {hours:?} {must:?}: {row:?}"
            );
        };
        check(Some(true), Some("weekly"), None, None, Ok, "an export is expected every 7d (backup policy)");
        check(Some(true), Some("weekly"), Some(24), None, Ok, "every 1d (`expected_interval`)");
        check(Some(true), Some("weekly"), Some(12), None, Ok, "every 12h (`expected_interval`)");
        check(Some(true), Some("hourly"), None, None, Warning, "\"hourly\" is unknown");
        check(Some(true), Some("hourly"), Some(24), None, Ok, "(`expected_interval`)");
        check(Some(true), None, None, None, Warning, "reports no export frequency");
        check(Some(false), Some("daily"), None, None, Ok, "auto export is off, so Atlas exports nothing");
        check(
            Some(false),
            None,
            Some(24),
            None,
            Warning,
            "auto export is off, but an export is expected every 1d",
        );
        check(Some(false), None, None, Some(true), Warning, "`export_expected` is true");
        check(Some(false), None, Some(24), Some(false), Ok, "no export is expected");
        let items = PolicyItems::new(&[(None, Some("daily".to_owned()))], "weekly");
        let frequency = Some("weekly".to_owned());
        let unmatched = Schedule { auto_export: Some(true), frequency, items, ..Schedule::default() };
        for paused in [false, true] {
            let row = with_expectation(Row::default(), ExportExpectation::default(), &unmatched, paused);
            assert!(row.status == Warning && row.hint.contains("nothing is ever exported"), "{row:?}");
        }
        let row = with_expectation(Row::default(), ExportExpectation::default(), &Schedule::default(), true);
        assert!(row.status == Ok && row.hint.contains("paused"));
    }
}
