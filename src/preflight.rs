//! Preflight for people: asks every organization, project and cluster of a configuration once, and says what to do about each
//! that cannot be watched.

mod collectors;
mod remediation;
mod report;
mod timeouts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{
    AtlasClient, Cause, ENDPOINTS, Error, FailureReason, ListedCluster, OrganizationId, PartialList,
    ProjectId, Schedule, Target, Unexportable,
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::{CollectorConfig, Config, OrganizationConfig};
use crate::discovery::clients::{self, Clients};
use crate::discovery::targets::{self, ListedProjects, ProjectTarget, SelectionWarning};
use crate::metrics::self_metrics::SelfMetrics;
use crate::model::{ExclusionReason, ExportExpectation};
use remediation::{Resource, hint};
pub use report::{CheckStatus, Report, Row, Terminal};
use timeouts::Timeouts;

/// Projects that are read concurrently, and clusters of each.
const CONCURRENCY: usize = 8;

/// Timeout of one answer; that of polls where it is shorter.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

const TOTAL_TIMEOUT: Duration = Duration::from_mins(2);

/// Maximum number of clusters that a hint names.
const MAX_NAMES: usize = 8;

/// Asks everything once. The shard does not matter: all clusters are asked.
pub async fn check(config: &Config) -> Result<Report, Error> {
    let metrics = Arc::new(SelfMetrics::new(&ENDPOINTS, Timestamp::now()));
    let clients = &Clients::new(metrics, config)?;
    let timeouts =
        Timeouts { each: ANSWER_TIMEOUT.min(config.poll.timeout), until: Instant::now() + TOTAL_TIMEOUT };
    let asked = stream::iter(&config.organizations)
        .filter_map(|entry| async move { Some((entry, clients.of(&entry.credentials)?)) })
        .map(|(entry, atlas)| async move { (entry, atlas.projects(&entry.id, timeouts.deadline()).await) })
        .buffered(CONCURRENCY);
    let mut rows = Vec::new();
    for (credentials, at) in clients::ended(config, Timestamp::now()) {
        let hint = format!(
            "by expires_at, the secret of the {credentials} ended {at}: make a new one, or put its date"
        );
        rows.push(Row::default().warn(&hint));
    }
    let mut listed: BTreeMap<OrganizationId, ListedProjects> = BTreeMap::new();
    for (entry, answer) in asked.collect::<Vec<_>>().await {
        let row = Row::of_organization(&entry.id);
        rows.push(match answer {
            Ok(PartialList { error: Some(error), .. }) | Err(error) => {
                row.fail(&error, &hint(&error, Resource::Organization, &entry.credentials))
            }
            Ok(PartialList { entries: found, .. }) if found.is_empty() => row.warn(
                "no project is listed: is the id an organization's, and are the credentials in its projects?",
            ),
            Ok(PartialList { entries: found, .. }) => {
                let found: ListedProjects = found.into_iter().collect();
                let excluded = match targets::excluded_projects(config, entry, &found) {
                    0 => String::new(),
                    count => format!(", {count} of them excluded by exclude_projects"),
                };
                let count = found.len();
                listed.insert(entry.id.clone(), found);
                row.note(&format!(
                    "lists {count} projects{excluded}; those that the credentials are not in are not listed"
                ))
            }
        });
    }
    let projects = targets::select_projects(config, |id| listed.get(id));
    let asked = stream::iter(&projects)
        .map(|(id, project)| async {
            match clients.of(&project.credentials) {
                Some(atlas) => project_rows(&atlas, id, project, &config.collectors, timeouts).await,
                None => Vec::new(),
            }
        })
        .buffered(CONCURRENCY);
    let of_projects: Vec<Row> = asked.collect::<Vec<_>>().await.into_iter().flatten().collect();
    for organization in &config.organizations {
        if let Some(listed) = listed.get(&organization.id) {
            rows.extend(unmatched(organization, listed, &projects, &of_projects));
        }
    }
    rows.extend(of_projects);
    Ok(Report { rows, proxy: config.proxy.clone(), warnings: config.warnings.clone() })
}

/// Rows of the exclusions of an organization that match nothing, as far as the rows of its projects show.
fn unmatched(
    organization: &OrganizationConfig,
    listed: &ListedProjects,
    projects: &BTreeMap<ProjectId, ProjectTarget>,
    rows: &[Row],
) -> impl Iterator<Item = Row> {
    let is_of = |row: &&Row| {
        let project = row.project_id.as_ref().and_then(|id| projects.get(id));
        project.is_some_and(|project| project.organization.as_ref() == Some(&organization.id))
    };
    let rows: Vec<_> = rows.iter().filter(is_of).collect();
    let unread = rows.iter().any(|row| row.cluster_name.is_none() && row.status == CheckStatus::Failed);
    let names: Vec<_> = rows.iter().filter_map(|row| row.cluster_name.as_deref()).collect();
    let found = targets::organization_warnings(organization, listed, (!unread).then_some(&names));
    found.into_iter().filter_map(|warning| {
        let SelectionWarning::Pattern { pattern, kind } = warning else { return None };
        let hint = format!("no {kind} of the organization matches");
        let row = Row::of_organization(&organization.id).cluster(&pattern).warn(&hint);
        Some(Row { is_pattern: true, ..row })
    })
}

/// The rows of a project: its own if it cannot be read, those of its clusters otherwise.
async fn project_rows(
    atlas: &AtlasClient,
    id: &ProjectId,
    project: &ProjectTarget,
    collector_config: &CollectorConfig,
    timeouts: Timeouts,
) -> Vec<Row> {
    let failed =
        |row: Row, error: &Error| row.fail(error, &hint(error, Resource::Project, &project.credentials));
    let name = match atlas.project_name(id, timeouts.deadline()).await {
        Ok(name) => name,
        Err(error) => return vec![failed(Row::of_project(id, None), &error)],
    };
    let project_row = || Row::of_project(id, Some(&name));
    let row = |cluster: &str| project_row().cluster(cluster);
    let mut rows = Vec::new();
    let answer = atlas.clusters(id, timeouts.deadline()).await;
    if let Ok(PartialList { error: Some(error), .. }) | Err(error) = &answer {
        rows.push(failed(project_row(), error));
    }
    let listed = answer.ok().map(|listing| listing.entries);
    let selected = targets::select_clusters(&project.selection, listed.as_deref());
    let asked = stream::iter(&selected.watched)
        .map(|(cluster, known)| {
            let target = Target { project_id: id.clone(), cluster_name: (*cluster).to_owned() };
            let (row, listed) = (row(cluster), listed.as_deref());
            async move {
                let (row, schedule) =
                    cluster_row(atlas, &target, *known, listed, project, row, timeouts).await;
                (row, schedule.map(|schedule| (target, schedule)))
            }
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
        for warning in
            targets::selection_warnings(&project.selection, listed, &selected, project.organization.as_ref())
        {
            if let SelectionWarning::Pattern { pattern, .. } = warning {
                let hint = format!("no cluster of the project matches; it has {}", names_of(listed));
                rows.push(Row { is_pattern: true, ..row(&pattern).warn(&hint) });
            }
        }
        if rows.is_empty() {
            rows.push(project_row().note("the project has no clusters"));
        }
    }
    let exporting = schedules.first().map(|(target, _)| {
        let known = selected.watched.get(target.cluster_name.as_str()).copied().flatten();
        (target.clone(), known.is_some_and(|known| known.sharded))
    });
    let mut collectors =
        collectors::ProjectCollectors { atlas, id, config: collector_config, exporting, buckets: None };
    rows.extend(collectors.row(project_row(), project, timeouts).await);
    collectors.judge_buckets(&mut rows, &schedules, timeouts).await;
    rows.sort_by(|one, other| one.cluster_name.cmp(&other.cluster_name));
    rows
}

/// The row of a cluster, and its schedule if Atlas exports it by itself.
async fn cluster_row(
    atlas: &AtlasClient,
    target: &Target,
    known: Option<&ListedCluster>,
    listed: Option<&[ListedCluster]>,
    project: &ProjectTarget,
    row: Row,
    timeouts: Timeouts,
) -> (Row, Option<Schedule>) {
    if timeouts.is_over() {
        return (row.with(CheckStatus::Failed, "not asked: the answers before it took too long"), None);
    }
    let unexportable = known.and_then(|known| known.unexportable);
    if let Err(error) = atlas.try_export_jobs(target, timeouts.deadline()).await {
        let is_about_the_cluster =
            matches!(error.reason(), FailureReason::BadRequest | FailureReason::NotFound);
        let hint = match (unexportable, listed) {
            (Some(reason), _) if is_about_the_cluster => hint_on_unexportable(reason),
            (_, Some(listed)) if error.row().is_some_and(|row| row.cause == Cause::NoSuchCluster) => {
                no_such_cluster(&target.cluster_name, listed)
            }
            _ => hint(&error, Resource::Project, &project.credentials),
        };
        return (row.fail(&error, &hint), None);
    }
    if let Some(reason) = unexportable {
        return (row.warn(&hint_on_unexportable(reason)), None);
    }
    match atlas.schedule(target, timeouts.deadline()).await {
        Err(error) => {
            let hint = hint(&error, Resource::Project, &project.credentials);
            (row.fail(&error, &hint), None)
        }
        Ok(schedule) => {
            let paused = known.and_then(|known| known.paused) == Some(true);
            (judge(row, project.expected, &schedule, paused), Some(schedule).filter(Schedule::exports_itself))
        }
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
    fn what_is_expected_of_a_cluster_is_judged() {
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
