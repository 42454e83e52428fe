//! What is asked of a project, its clusters and its collectors.

use std::fmt::Write;
use std::time::Duration;

use atlas_client::{
    AtlasClient, Cause, Error, EventKind, ExportBucket, FailureReason, ListedCluster, PartialList, ProjectId,
    Schedule, Target, Unexportable,
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use super::remediation::{Resource, hint};
use super::report::{CheckStatus, Row};
use crate::config::ProjectTarget;
use crate::discovery::targets::{self, SelectionWarning};
use crate::model::{CollectorKind, ExclusionReason, ExportExpectation};

/// Projects that are read concurrently, and clusters of each.
pub(super) const CONCURRENCY: usize = 8;

/// Maximum number of clusters that a hint names.
const MAX_NAMES: usize = 8;

/// How long requests may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) each: Duration,
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
    /// The collectors that are switched off.
    pub(super) off: &'a [CollectorKind],
    pub(super) timeouts: Timeouts,
}

impl ProjectCheck<'_> {
    /// The rows of a project: its own if it cannot be read, those of its clusters otherwise.
    pub(super) async fn rows(&self) -> Vec<Row> {
        let project_row = match self.atlas.project_name(self.id, self.deadline()).await {
            Ok(name) => Row::of_project(self.id, Some(&name)),
            Err(error) => return vec![self.failed(Row::of_project(self.id, None), &error)],
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
                    let hint = format!("no cluster of the project matches; it has {}", names_of(listed));
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
            self.judge_buckets(&mut rows, &schedules, &buckets).await;
        }
        rows.sort_by(|one, other| one.cluster_name.cmp(&other.cluster_name));
        rows
    }

    /// The row of a cluster, and its schedule if Atlas exports it by itself.
    async fn cluster(
        &self,
        target: Target,
        known: Option<&ListedCluster>,
        listed: Option<&[ListedCluster]>,
        row: Row,
    ) -> (Row, Option<(Target, Schedule)>) {
        if self.timeouts.is_over() {
            return (row.with(CheckStatus::Failed, "not asked: the answers before it took too long"), None);
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
                let row = judge(row, self.target.expected, &schedule, paused);
                (row, Some((target, schedule)).filter(|(_, schedule)| schedule.exports_itself()))
            }
        }
    }

    /// Reads with each collector that is on. Returns a row unless none is, and the buckets if they
    /// could be read. A collector without access is a warning: polls do not depend on it.
    ///
    /// `exporting` is a cluster with auto export, and whether it is sharded.
    async fn collectors(
        &self,
        mut row: Row,
        exporting: Option<(&Target, bool)>,
    ) -> (Option<Row>, Option<Vec<ExportBucket>>) {
        let (mut fine, mut trouble, mut buckets) = (Vec::new(), String::new(), None);
        for collector in CollectorKind::ALL.into_iter().filter(|collector| !self.off.contains(collector)) {
            let deadline = self.deadline();
            let outcome = match (collector, exporting) {
                (CollectorKind::Snapshots, None) => continue,
                (CollectorKind::Snapshots, Some((target, sharded))) => {
                    let listed = self.atlas.snapshots(target, sharded, deadline).await;
                    listed.and_then(PartialList::complete).map(drop)
                }
                // Whether it may be asked at all shows as well in a list of nothing.
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
                Ok(()) => fine.push(collector.as_str()),
                Err(error) => {
                    let hint = hint(&error, Resource::Collector(collector), &self.target.credentials);
                    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
                    let _ = write!(trouble, "{} cannot be read{code}: {hint}; ", collector.as_str());
                    row.error_code = row.error_code.or(error.code().map(str::to_owned));
                }
            }
        }
        if row.collectors.is_empty() {
            return (None, None);
        }
        let fine = match fine.join(", ") {
            fine if fine.is_empty() => "no collector has access".to_owned(),
            fine => format!("collectors with access: {fine}"),
        };
        let status = if trouble.is_empty() { CheckStatus::Ok } else { CheckStatus::Warning };
        (Some(row.with(status, &(trouble + &fine))), buckets)
    }

    /// Adds missing buckets to the rows of clusters. A second request confirms each: the policy
    /// must still name a bucket that a younger list lacks.
    async fn judge_buckets(
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
                    "its export bucket {id} is none of the project's, so no export can succeed: name another in the export policy, or create the bucket again"
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

/// A cluster that can be read: is what is expected of it clear?
fn judge(row: Row, expected: ExportExpectation, schedule: &Schedule, paused: bool) -> Row {
    if schedule.policy_item_missing() == Some(true) {
        let word = schedule.frequency.as_deref().unwrap_or_default();
        return row.warn(&format!(
            "auto export takes {word} snapshots, but no item of the backup policy is {word}: nothing will ever be exported; add such an item, or export another frequency"
        ));
    }
    if paused {
        return row.note("the cluster is paused");
    }
    let every = expected.effective_interval(Some(schedule)).map(|interval| {
        let day = Duration::from_hours(24);
        let days = (interval.as_secs() % day.as_secs() == 0).then_some(interval.as_secs() / day.as_secs());
        days.map_or_else(|| format!("{interval:?}"), |days| format!("{days}d"))
    });
    match (schedule.auto_export, expected.export, every) {
        (Some(false), Some(true), _) => row.warn(
            "auto export is off, but export_expected is true: switch it on in the cluster's backup policy",
        ),
        (Some(false), Some(false), _) => row.note("auto export is off, and no export is expected"),
        (Some(false), None, Some(every)) => {
            row.warn(&format!("auto export is off, but an export is expected every {every}"))
        }
        (Some(false), None, None) => row.note(
            "auto export is off: Atlas exports nothing by itself; export_expected = true would call that a fault",
        ),
        (_, _, Some(every)) if expected.interval.is_some() => {
            row.note(&format!("an export is expected every {every}, as configured"))
        }
        (_, _, Some(every)) => row.note(&format!("by its policy, an export is expected every {every}")),
        (_, _, None) => row.warn(&match schedule.frequency.as_deref() {
            Some(word) => format!(
                "its policy exports {word:?}, which this version cannot count: set expected_interval for the project"
            ),
            None => "no frequency is told: set expected_interval for the project".to_owned(),
        }),
    }
}

fn hint_on_unexportable(reason: Unexportable) -> String {
    let remedy = match reason {
        Unexportable::BackupDisabled => "switch it on, or take it out of clusters",
        _ => "take it out of clusters",
    };
    format!("the cluster {}: {remedy}", ExclusionReason::Unexportable(reason).phrase())
}

fn no_such_cluster(name: &str, listed: &[ListedCluster]) -> String {
    match targets::closest_name(name, listed) {
        Some(meant) => format!("no such cluster; did you mean {meant:?}?"),
        None => format!("no such cluster; the project has {}", names_of(listed)),
    }
}

/// The names of the first clusters.
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
    fn expectation_of_a_cluster_is_judged() {
        let check = |auto: Option<bool>,
                     word: Option<&str>,
                     days: Option<u32>,
                     must: Option<bool>,
                     status,
                     part: &str| {
            let schedule =
                Schedule { auto_export: auto, frequency: word.map(str::to_owned), ..Schedule::default() };
            let interval = days.map(|days| Duration::from_hours(24) * days);
            let row = judge(Row::default(), ExportExpectation { interval, export: must }, &schedule, false);
            assert!(
                row.status == status && row.hint.contains(part),
                "{schedule:?} {days:?} {must:?}: {row:?}"
            );
        };
        check(Some(true), Some("weekly"), None, None, Ok, "by its policy, an export is expected every 7d");
        check(Some(true), Some("weekly"), Some(1), None, Ok, "every 1d, as configured");
        check(Some(true), Some("hourly"), None, None, Warning, "\"hourly\", which this version cannot count");
        check(Some(true), Some("hourly"), Some(1), None, Ok, "as configured");
        check(Some(true), None, None, None, Warning, "no frequency is told");
        check(Some(false), Some("daily"), None, None, Ok, "auto export is off: Atlas exports nothing");
        check(
            Some(false),
            None,
            Some(1),
            None,
            Warning,
            "auto export is off, but an export is expected every 1d",
        );
        check(Some(false), None, None, Some(true), Warning, "export_expected is true");
        check(Some(false), None, Some(1), Some(false), Ok, "no export is expected");
        let items = PolicyItems::new(&[(None, Some("daily".to_owned()))], "weekly");
        let frequency = Some("weekly".to_owned());
        let unmatched = Schedule { auto_export: Some(true), frequency, items, ..Schedule::default() };
        for paused in [false, true] {
            let row = judge(Row::default(), ExportExpectation::default(), &unmatched, paused);
            assert!(row.status == Warning && row.hint.contains("nothing will ever be exported"), "{row:?}");
        }
        let row = judge(Row::default(), ExportExpectation::default(), &Schedule::default(), true);
        assert!(row.status == Ok && row.hint.contains("paused"));
    }
}
