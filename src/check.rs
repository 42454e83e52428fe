//! Preflight for people: asks every organization, project and cluster of a configuration once, and says what to do about each
//! that cannot be watched.

mod advice;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::atlas::{self, Atlas, Error};
use crate::clients::Clients;
use crate::config::Config;
use crate::model::{
    Expected, Frequency, ListedCluster, OrganizationId, ProjectId, Schedule, Target, Unexportable,
};
use crate::plan::{self, Complaint, Project};
use crate::self_metrics::SelfMetrics;
use advice::Asked;
pub use report::{Report, Row, Verdict};

/// Questions that are under way at once.
const AT_ONCE: usize = 8;

/// Nobody waits longer for one answer at a terminal; less where the configuration says so.
const PATIENCE: Duration = Duration::from_secs(15);

/// Asks everything once. The shard does not matter: all clusters are asked.
pub async fn check(config: &Config) -> Result<Report, Error> {
    let metrics = Arc::new(SelfMetrics::new(&atlas::ENDPOINTS, Timestamp::now()));
    let clients = Clients::new(metrics, config)?;
    let patience = PATIENCE.min(config.poll.timeout);
    let mut rows = Vec::new();
    let mut listed: BTreeMap<OrganizationId, BTreeSet<ProjectId>> = BTreeMap::new();
    for organization in &config.organizations {
        let Some(atlas) = clients.of(&organization.credentials) else { continue };
        match atlas.projects(&organization.id, Instant::now() + patience).await {
            Ok(projects) => {
                if projects.is_empty() {
                    rows.push(Row::of_organization(&organization.id).warn(
                        "Atlas lists no project: add the credentials to each project with the role Project Backup Manager",
                    ));
                }
                listed.insert(organization.id.clone(), projects.into_iter().collect());
            }
            Err(error) => {
                let advice = advice::on(&error, Asked::Organization, &organization.credentials);
                rows.push(Row::of_organization(&organization.id).fail(&error, advice));
            }
        }
    }
    let projects = plan::projects(config, &listed);
    let asked = stream::iter(&projects)
        .map(|(id, plan)| async {
            match clients.of(&plan.credentials) {
                Some(atlas) => project(&atlas, id, plan, patience).await,
                None => Vec::new(),
            }
        })
        .buffered(AT_ONCE);
    rows.extend(asked.collect::<Vec<_>>().await.into_iter().flatten());
    Ok(Report { rows })
}

/// The rows of a project: its own if it cannot be read, those of its clusters otherwise.
async fn project(atlas: &Atlas, id: &ProjectId, plan: &Project, patience: Duration) -> Vec<Row> {
    let row = |name: Option<&str>| Row::of_project(id, name);
    let name = match atlas.project_name(id, Instant::now() + patience).await {
        Ok(name) => name,
        Err(error) => {
            let advice = advice::on(&error, Asked::Project, &plan.credentials);
            return vec![row(None).fail(&error, advice)];
        }
    };
    let mut rows = Vec::new();
    let listed = match atlas.clusters(id, Instant::now() + patience).await {
        Ok(listed) => Some(listed),
        Err(error) => {
            let advice = advice::on(&error, Asked::Clusters, &plan.credentials);
            rows.push(row(Some(&name)).fail(&error, advice));
            None
        }
    };
    let selected = plan::clusters(&plan.selection, listed.as_deref());
    let row = |cluster: &str| Row::of_project(id, Some(&name)).cluster(cluster);
    let asked = stream::iter(&selected.watched)
        .map(|(cluster, known)| {
            let target = Target { project_id: id.clone(), cluster_name: (*cluster).to_owned() };
            let row = row(cluster);
            let listed = listed.as_deref();
            async move { cluster_row(atlas, &target, *known, listed, plan, row, patience).await }
        })
        .buffered(AT_ONCE);
    rows.extend(asked.collect::<Vec<_>>().await);
    rows.extend(selected.left_out.iter().map(|(cluster, reason)| row(cluster).leave_out(*reason)));
    if let Some(listed) = &listed {
        for complaint in plan::complaints(&plan.selection, listed, &selected) {
            if let Complaint::NoMatch { pattern } = complaint {
                rows.push(row(&pattern).warn("no cluster of the project matches this pattern"));
            }
        }
        if rows.is_empty() {
            rows.push(Row::of_project(id, Some(&name)).warn("the project has no clusters"));
        }
    }
    rows.sort_by(|one, other| one.cluster_name.cmp(&other.cluster_name));
    rows
}

async fn cluster_row(
    atlas: &Atlas,
    target: &Target,
    known: Option<&ListedCluster>,
    listed: Option<&[ListedCluster]>,
    plan: &Project,
    row: Row,
    patience: Duration,
) -> Row {
    let unexportable = known.and_then(|known| known.unexportable);
    match atlas.try_export_jobs(target, Instant::now() + patience).await {
        Err(error) => {
            let advice = match (unexportable, known, listed) {
                (Some(reason), ..) => advice_on_unexportable(reason),
                (None, None, Some(listed)) => no_such_cluster(&target.cluster_name, listed),
                _ => advice::on(&error, Asked::Exports, &plan.credentials),
            };
            return row.fail(&error, advice);
        }
        Ok(()) => {
            if let Some(reason) = unexportable {
                return row.refuse(advice_on_unexportable(reason));
            }
        }
    }
    match atlas.schedule(target, Instant::now() + patience).await {
        Err(error) => {
            let advice = advice::on(&error, Asked::Schedule, &plan.credentials);
            row.fail(&error, advice)
        }
        Ok(schedule) => {
            let paused = known.and_then(|known| known.paused) == Some(true);
            judge(row, plan.expected, &schedule, paused)
        }
    }
}

/// A cluster that can be read: is what is expected of it clear?
fn judge(row: Row, expected: Expected, schedule: &Schedule, paused: bool) -> Row {
    let configured = expected.interval.is_some();
    let frequency = schedule.frequency.as_deref().filter(|word| !word.is_empty());
    match (schedule.auto_export, expected.export, frequency) {
        _ if paused => row.note("the cluster is paused"),
        (Some(false), Some(true), _) => row.warn("auto export is off, but export_expected is true: switch it on in the cluster's backup policy"),
        (Some(false), None, _) if !configured => row.note("auto export is off: Atlas exports nothing by itself; export_expected = true or expected_interval would call that a fault"),
        (Some(true), _, Some(word)) if !configured && Frequency::parse(word).is_none() => row.warn(&format!(
            "exports come {word:?}, which this version cannot count: set expected_interval for the project"
        )),
        (Some(true), _, None) if !configured => {
            row.warn("auto export is on, but no frequency is told: set expected_interval for the project")
        }
        (Some(true), _, Some(word)) if !configured => row.note(&format!("exported {}", word.to_lowercase())),
        _ => row.note(&expected.interval.map_or_else(String::new, |interval| {
            format!("an export is expected every {:#}", jiff::SignedDuration::try_from(interval).unwrap_or_default())
        })),
    }
}

fn advice_on_unexportable(reason: Unexportable) -> String {
    match reason {
        Unexportable::BackupDisabled => {
            format!("the cluster {}: switch it on, or take it out of clusters", reason.phrase())
        }
        _ => format!("the cluster {}: take it out of clusters", reason.phrase()),
    }
}

/// Names of a project that are listed in an advice.
const MOST_NAMES: usize = 8;

fn no_such_cluster(name: &str, listed: &[ListedCluster]) -> String {
    if let Some(meant) = plan::meant(name, listed) {
        return format!("no such cluster; did you mean {meant:?}?");
    }
    let mut names: Vec<_> = listed.iter().take(MOST_NAMES).map(|cluster| cluster.name.as_str()).collect();
    match listed.len() {
        0 => return "no such cluster: the project has none".to_owned(),
        more if more > MOST_NAMES => names.push("..."),
        _ => {}
    }
    format!("no such cluster; the project has {}", names.join(", "))
}
