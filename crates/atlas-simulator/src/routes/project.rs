//! Endpoints of a project, each with a rate limit.

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::listing::{COMMON_PARAMETERS, PAGE_PARAMETERS, Query, Quirks, listing, listing_of};
use crate::auth::Account;
use crate::json;
use crate::response::{Refusal, invalid, json, not_found, rate_limited, refuse, unauthorized};
use crate::state::{Cluster, ClusterKind, Project};

/// The oldest version of export buckets; the one before it is deprecated.
const OLDEST_BUCKETS: Date = jiff::civil::date(2024, 5, 30);

/// Event types that can be filtered for: those about backups and expiring secrets.
const EVENT_TYPES: [&str; 14] = [
    "BUCKET_CREATED_AUDIT",
    "BUCKET_DELETED_AUDIT",
    "CPS_AUTO_EXPORT_FAILED",
    "CPS_EXPORT_FAILED",
    "CPS_EXPORT_SUCCESSFUL",
    "CPS_SNAPSHOT_BEHIND",
    "CPS_SNAPSHOT_FAILED",
    "CPS_SNAPSHOT_FALLBACK_FAILED",
    "CPS_SNAPSHOT_FALLBACK_SUCCESSFUL",
    "CPS_SNAPSHOT_SCHEDULE_UPDATED_AUDIT",
    "CPS_SNAPSHOT_STARTED",
    "CPS_SNAPSHOT_SUCCESSFUL",
    "GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING",
    "GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING",
];

/// An authenticated request.
pub(crate) struct ProjectRequest<'a> {
    pub(crate) account: &'a Account,
    pub(crate) version: Date,
    pub(crate) uri: &'a Uri,
}

/// Responds to a request for the project `id`. Rate-limited responses have headers with the limit.
pub(crate) fn group(
    project: &mut Project,
    id: &str,
    rest: &[&str],
    request: &ProjectRequest<'_>,
) -> Result<Response, Refusal> {
    let budget = match rest {
        [] => return Ok(json(StatusCode::OK, &json::project(id, project))),
        ["backup", "exportBuckets"] if request.version < OLDEST_BUCKETS => {
            let detail = "Export buckets need a version of 2024-05-30 or later.";
            return Err(refuse(StatusCode::NOT_ACCEPTABLE, "INVALID_ACCEPT_HEADER", detail));
        }
        ["clusters"] => &mut project.clusters_budget,
        ["events"] => &mut project.events_budget,
        ["backup", "exportBuckets"]
        | ["clusters", _, "backup", "exports" | "schedule" | "snapshots"]
        | ["clusters", _, "backup", "snapshots", "shardedClusters"] => &mut project.budget,
        _ => return Err(not_found()),
    };
    let taken = budget.take();
    let left = [
        ("ratelimit-limit", budget.capacity.to_string()),
        ("ratelimit-remaining", budget.left.floor().to_string()),
    ];
    let response = match taken {
        Ok(()) => resource(project, id, rest, request).into_response(),
        Err(wait) => rate_limited("RATE_LIMITED_TOKEN_BUCKET", "Too many requests.", wait),
    };
    Ok((left, response).into_response())
}

fn resource(
    project: &Project,
    id: &str,
    rest: &[&str],
    request: &ProjectRequest<'_>,
) -> Result<Response, Refusal> {
    if request.account.is_denied(request.uri.path()) {
        return Err(unauthorized());
    }
    match rest {
        ["clusters"] => {
            let listed: Vec<_> =
                project.clusters.iter().filter(|(_, cluster)| cluster.kind != ClusterKind::Flex).collect();
            let entry =
                |(name, cluster): &(&String, &Cluster)| json::cluster(name, cluster).unwrap_or_default();
            listing_of(&listed, entry, request.uri, &Quirks::default())
        }
        ["backup", "exportBuckets"] => {
            Query::of(request.uri).only(&PAGE_PARAMETERS)?;
            let buckets: Vec<_> = project.buckets.iter().map(json::bucket).collect();
            listing(&buckets, request.uri, &Quirks::default())
        }
        ["events"] => events(project, id, request.uri),
        ["clusters", name, "backup", resource @ ..] => backup(project, name, resource, request),
        _ => Err(not_found()),
    }
}

/// Endpoints of the backups of a cluster.
fn backup(
    project: &Project,
    name: &str,
    resource: &[&str],
    request: &ProjectRequest<'_>,
) -> Result<Response, Refusal> {
    let cluster = dedicated(project, name)?;
    let now = Timestamp::now();
    match resource {
        ["schedule"] => Ok(json(StatusCode::OK, &json::schedule(name, cluster))),
        ["exports"] if request.account.backup_manager => {
            let Cluster { overlap, total_count: total, unlinked, .. } = *cluster;
            listing(&json::jobs(cluster, now), request.uri, &Quirks { overlap, total, unlinked })
        }
        ["exports"] => Err(unauthorized()),
        ["snapshots"] => {
            Query::of(request.uri).only(&PAGE_PARAMETERS)?;
            is_sharded(cluster, false)?;
            listing(&json::snapshots(cluster, now), request.uri, &Quirks::default())
        }
        ["snapshots", "shardedClusters"] => {
            Query::of(request.uri).only(&COMMON_PARAMETERS)?;
            is_sharded(cluster, true)?;
            let all = json::snapshots(cluster, now);
            let link = json!({"rel": "self", "href": request.uri.path()});
            let body = json!({"links": [link], "results": all, "totalCount": all.len()});
            Ok(json(StatusCode::OK, &body))
        }
        _ => Err(not_found()),
    }
}

/// The cluster if it is dedicated.
fn dedicated<'a>(project: &'a Project, name: &str) -> Result<&'a Cluster, Refusal> {
    let (status, code, detail) = match project.clusters.get(name) {
        None => (StatusCode::NOT_FOUND, "CLUSTER_NOT_FOUND", "No cluster of that name exists in the group."),
        Some(cluster) => match cluster.kind {
            ClusterKind::Dedicated => return Ok(cluster),
            ClusterKind::SharedTier => {
                (StatusCode::BAD_REQUEST, "BACKUP_NOT_SUPPORTED", "This cluster is of a shared tier.")
            }
            ClusterKind::Flex => {
                (StatusCode::BAD_REQUEST, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "This is a flex cluster.")
            }
        },
    };
    Err(refuse(status, code, detail))
}

/// Refuses a cluster of the other topology. Atlas documents neither the error codes nor that it
/// refuses.
fn is_sharded(cluster: &Cluster, wanted: bool) -> Result<(), Refusal> {
    let (code, detail) = match (cluster.shards > 0, wanted) {
        (true, false) => {
            ("CLUSTER_IS_SHARDED", "The snapshots of this cluster are those of a sharded cluster.")
        }
        (false, true) => ("CLUSTER_IS_NOT_SHARDED", "This cluster is a replica set."),
        _ => return Ok(()),
    };
    Err(refuse(StatusCode::BAD_REQUEST, code, detail))
}

/// The events that the query selects, newest first.
fn events(project: &Project, id: &str, uri: &Uri) -> Result<Response, Refusal> {
    let query = Query::of(uri);
    query.only(&[&PAGE_PARAMETERS[..], &["eventType", "clusterNames", "minDate", "maxDate"]].concat())?;
    let kinds: Vec<&str> = query.all("eventType").collect();
    let clusters: Vec<&str> = query.all("clusterNames").collect();
    let (from, to) = (query.time("minDate")?, query.time("maxDate")?);
    if let Some(unknown) = kinds.iter().find(|kind| !EVENT_TYPES.contains(kind)) {
        return Err(invalid(&format!("Unknown event type {unknown}.")));
    }
    let mut selected: Vec<_> = project
        .events
        .iter()
        .filter(|event| kinds.is_empty() || kinds.contains(&event.kind.as_str()))
        .filter(|event| {
            clusters.is_empty() || event.cluster.as_deref().is_some_and(|name| clusters.contains(&name))
        })
        .filter(|event| {
            from.is_none_or(|from| from <= event.shown()) && to.is_none_or(|to| event.shown() <= to)
        })
        .collect();
    selected.sort_by_key(|event| std::cmp::Reverse(event.created));
    let selected: Vec<_> = selected.into_iter().map(|event| json::event(event, id)).collect();
    listing(&selected, uri, &Quirks::default())
}
