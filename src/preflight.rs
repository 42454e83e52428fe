//! `check`: reads every organization, project and cluster once, and suggests fixes.

mod project;
mod remediation;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::{ENDPOINTS, Error, OrganizationId, PartialList};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::config::{Config, OrganizationConfig, ProjectTarget};
use crate::discovery::clients::{self, Clients};
use crate::discovery::targets::{self, ListedProjects, SelectionWarning};
use crate::metrics::self_metrics::SelfMetrics;
use project::{CONCURRENCY, ProjectCheck, Timeouts};
use remediation::{Resource, hint};
pub use report::{CheckStatus, Report, Row, Terminal};

/// Maximum timeout of a request; `poll.timeout` can be shorter.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const TOTAL_TIMEOUT: Duration = Duration::from_mins(2);

/// Checks all clusters, whatever the shard.
pub async fn check(config: &Config) -> Result<Report, Error> {
    let metrics = Arc::new(SelfMetrics::new(&ENDPOINTS, Timestamp::now()));
    let clients = &Clients::new(metrics, config)?;
    let timeouts =
        Timeouts { each: REQUEST_TIMEOUT.min(config.poll.timeout), until: Instant::now() + TOTAL_TIMEOUT };
    let asked = stream::iter(&config.organizations)
        .filter_map(|entry| async move { Some((entry, clients.of(&entry.credentials)?)) })
        .map(|(entry, atlas)| async move { (entry, atlas.projects(&entry.id, timeouts.deadline()).await) })
        .buffered(CONCURRENCY);
    let mut rows = Vec::new();
    for (credentials, at) in clients::expired(config, Timestamp::now()) {
        let hint = format!(
            "the secret of the {credentials} expired at {at} according to `expires_at`; create a new secret, \
             or correct the date"
        );
        rows.push(Row::default().warn(&hint));
    }
    let mut listed: BTreeMap<OrganizationId, ListedProjects> = BTreeMap::new();
    for (entry, answer) in asked.collect::<Vec<_>>().await {
        let row = Row::organization(&entry.id);
        rows.push(match answer {
            Ok(PartialList { error: Some(error), .. }) | Err(error) => {
                row.fail(&error, &hint(&error, Resource::Organization, &entry.credentials))
            }
            Ok(PartialList { entries: found, .. }) if found.is_empty() => row.warn(
                "no projects found; check that the id is that of an organization, and that the credentials \
                 have a role in its projects",
            ),
            Ok(PartialList { entries: found, .. }) => {
                let found: ListedProjects = found.into_iter().collect();
                let excluded = match targets::excluded_projects(config, entry, &found) {
                    0 => String::new(),
                    count => format!(", {count} of them excluded by `exclude_projects`"),
                };
                let projects = match found.len() {
                    1 => "1 project".to_owned(),
                    count => format!("{count} projects"),
                };
                listed.insert(entry.id.clone(), found);
                row.note(&format!("the credentials have a role in {projects}{excluded}"))
            }
        });
    }
    let projects = targets::select_projects(config, |id| listed.get(id));
    let asked = stream::iter(&projects)
        .filter_map(|(id, target)| async move { Some((id, target, clients.of(&target.credentials)?)) })
        .map(|(id, target, atlas)| async move {
            let check = ProjectCheck { atlas, id, target, disabled: &config.collectors.disabled, timeouts };
            (target, check.rows().await)
        })
        .buffered(CONCURRENCY);
    let of_projects: Vec<_> = asked.collect().await;
    for organization in &config.organizations {
        if let Some(listed) = listed.get(&organization.id) {
            rows.extend(unmatched(organization, listed, &of_projects));
        }
    }
    rows.extend(of_projects.into_iter().flat_map(|(_, rows)| rows));
    Ok(Report { rows, proxy: config.proxy.clone(), warnings: config.warnings.clone() })
}

/// Returns the rows of an organization's exclusions without a match. Unreadable projects can hide a
/// match.
fn unmatched(
    organization: &OrganizationConfig,
    listed: &ListedProjects,
    of_projects: &[(&ProjectTarget, Vec<Row>)],
) -> impl Iterator<Item = Row> {
    let of_organization =
        of_projects.iter().filter(|(target, _)| target.organization.as_ref() == Some(&organization.id));
    let rows: Vec<_> = of_organization.flat_map(|(_, rows)| rows).collect();
    let unread = rows.iter().any(|row| row.cluster_name.is_none() && row.status == CheckStatus::Failed);
    let names: Vec<_> = rows.iter().filter_map(|row| row.cluster_name.as_deref()).collect();
    let found = targets::organization_warnings(organization, listed, (!unread).then_some(&names));
    found.into_iter().filter_map(|warning| {
        let SelectionWarning::Pattern { pattern, kind } = warning else { return None };
        let except =
            if kind == "cluster" { " (projects with a [[projects]] entry are not compared)" } else { "" };
        let hint = format!("no {kind} of the organization matches this name or pattern{except}");
        Some(Row::organization(&organization.id).pattern(&pattern, &hint))
    })
}
