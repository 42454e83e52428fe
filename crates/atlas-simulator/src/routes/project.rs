//! Endpoints of a project, each with a rate limit.

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::listing::{COMMON_PARAMETERS, Query, listing};
use crate::auth::Account;
use crate::json;
use crate::response::{Refusal, bad_request, invalid, not_found, ok, rate_limited, refuse, unauthorized};
use crate::state::{Cluster, ClusterKind, Project};

/// The oldest version of export buckets; the one before it is deprecated.
const OLDEST_BUCKETS: Date = jiff::civil::date(2024, 5, 30);

/// The event types that a client may filter for; Atlas has hundreds.
const EVENT_TYPES: [&str; 6] = [
    "CPS_AUTO_EXPORT_FAILED",
    "CPS_EXPORT_FAILED",
    "CPS_EXPORT_SUCCESSFUL",
    "CPS_SNAPSHOT_FAILED",
    "GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING",
    "GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING",
];

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
        [] => return Ok(ok(&json::project(id, project))),
        ["backup", "exportBuckets"] if request.version < OLDEST_BUCKETS => {
            let detail = "Export buckets need a version of 2024-05-30 or later.";
            return Err(refuse(StatusCode::NOT_ACCEPTABLE, "INVALID_ACCEPT_HEADER", detail));
        }
        ["clusters"] => &mut project.clusters_budget,
        ["events"] => &mut project.events_budget,
        ["backup", "exportBuckets"] | ["clusters", _, "backup", ..] => &mut project.budget,
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
            listing(&listed, |(name, cluster)| json::cluster(name, cluster), request.uri, &[], None)
        }
        ["backup", "exportBuckets"] => listing(&project.buckets, json::bucket, request.uri, &[], None),
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
        ["schedule"] => Ok(ok(&json::schedule(name, cluster))),
        ["exports"] => listing(&json::jobs(cluster, now), Value::clone, request.uri, &[], Some(cluster)),
        // Atlas documents neither these two error codes nor that it refuses.
        ["snapshots"] if cluster.shards > 0 => Err(bad_request(
            "CLUSTER_IS_SHARDED",
            "The snapshots of this cluster are those of a sharded cluster.",
        )),
        ["snapshots", "shardedClusters"] if cluster.shards == 0 => {
            Err(bad_request("CLUSTER_IS_NOT_SHARDED", "This cluster is a replica set."))
        }
        ["snapshots"] => listing(&json::snapshots(cluster, now), Value::clone, request.uri, &[], None),
        ["snapshots", "shardedClusters"] => {
            Query::of(request.uri).only(&COMMON_PARAMETERS)?;
            let all = json::snapshots(cluster, now);
            let link = json!({"rel": "self", "href": request.uri.path()});
            Ok(ok(&json!({"links": [link], "results": all, "totalCount": all.len()})))
        }
        _ => Err(not_found()),
    }
}

/// The cluster if it is dedicated.
fn dedicated<'a>(project: &'a Project, name: &str) -> Result<&'a Cluster, Refusal> {
    let Some(cluster) = project.clusters.get(name) else {
        let detail = "No cluster of that name exists in the group.";
        return Err(refuse(StatusCode::NOT_FOUND, "CLUSTER_NOT_FOUND", detail));
    };
    match cluster.kind {
        ClusterKind::Dedicated => Ok(cluster),
        ClusterKind::SharedTier => {
            Err(bad_request("BACKUP_NOT_SUPPORTED", "This cluster is of a shared tier."))
        }
        ClusterKind::Flex => {
            Err(bad_request("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "This is a flex cluster."))
        }
    }
}

/// The events that the query selects, newest first.
fn events(project: &Project, id: &str, uri: &Uri) -> Result<Response, Refusal> {
    let query = Query::of(uri);
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
            // Responses and filters have whole seconds.
            let created = Timestamp::from_second(event.created.as_second()).unwrap_or_default();
            from.is_none_or(|from| from <= created) && to.is_none_or(|to| created <= to)
        })
        .collect();
    selected.sort_by_key(|event| std::cmp::Reverse(event.created));
    let filters = ["eventType", "clusterNames", "minDate", "maxDate"];
    listing(&selected, |event| json::event(event, id), uri, &filters, None)
}
