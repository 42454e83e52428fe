//! Requests in, answers out, in Atlas's order: who are you, which version, is there budget left, what do you want.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::Date;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::auth::{Minted, Verdict, authorization, nonce_count};
use super::limit::Bucket;
use super::misbehave::{add_headers, json};
use super::world::{Cluster, Kind, Project, Seen, World};
use super::{lock, wire};

/// The oldest version of the API; later dates resolve to the newest version before them.
const OLDEST_VERSION: Date = jiff::civil::date(2023, 1, 1);

const TOKEN_PATH: &str = "/api/oauth/token";

/// Bodies that are read: a token request is tiny.
const LARGEST_REQUEST: usize = 64 * 1024;

pub(super) async fn answer(State(world): State<Arc<Mutex<World>>>, request: Request) -> Response {
    let _waits = Waits::begin(&world);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_REQUEST).await.unwrap_or_default();
    let fault = fault(&mut lock(&world), parts.uri.path());
    let played = match fault {
        Some(fault) => fault.play().await,
        None => None,
    };
    let response = match played {
        Some(response) => response,
        None if parts.uri.path() == TOKEN_PATH => {
            token(&mut lock(&world), &parts.method, &parts.headers, &body)
        }
        None => {
            let mut world = lock(&world);
            let mut response = resource(&mut world, &parts.method, &parts.uri, &parts.headers);
            if response.status().is_success() {
                add_headers(&mut response, &world.headers);
            }
            response
        }
    };
    let authorization = authorization(&parts.headers).unwrap_or_default();
    lock(&world).remember(Seen {
        line: format!("{} {}", parts.method, parts.uri),
        accept: accept(&parts.headers).to_owned(),
        nonce_count: nonce_count(&authorization),
        scheme: authorization.split(' ').next().unwrap_or_default().to_owned(),
        status: response.status().as_u16(),
    });
    response
}

fn accept(headers: &HeaderMap) -> &str {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A request that waits for its answer, or until whoever asked is gone.
struct Waits(Arc<Mutex<World>>);

impl Waits {
    fn begin(world: &Arc<Mutex<World>>) -> Self {
        let mut known = lock(world);
        known.under_way += 1;
        known.most_under_way = known.most_under_way.max(known.under_way);
        Self(world.clone())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        lock(&self.0).under_way -= 1;
    }
}

/// The fault that a request meets, used up by one.
fn fault(world: &mut World, path: &str) -> Option<super::Misbehaviour> {
    let fault = world.faults.iter_mut().find(|fault| fault.hits(path) && fault.times != Some(0))?;
    fault.times = fault.times.map(|times| times - 1);
    Some(fault.what.clone())
}

fn token(world: &mut World, method: &Method, headers: &HeaderMap, body: &[u8]) -> Response {
    let refuse =
        |status, error, description| json(status, &wire::oauth_error(error, description).to_string());
    if method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "POST only");
    }
    let form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    if !form || body != b"grant_type=client_credentials" {
        return refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "only client_credentials is supported",
        );
    }
    match world.sessions.mint(&world.accounts, headers) {
        Minted::Token { text, life } => json(StatusCode::OK, &wire::token(&text, life.as_secs()).to_string()),
        Minted::Unknown => refuse(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed"),
        Minted::TooMany { wait } => {
            let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many tokens");
            set(&mut response, "retry-after", wait.as_secs() + 1);
            response
        }
    }
}

fn resource(world: &mut World, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let asked = uri.path_and_query().map_or_else(|| uri.path(), |asked| asked.as_str());
    let account = match world.sessions.check(&world.accounts, method, asked, headers) {
        Verdict::Granted(account) => account,
        Verdict::Refused { stale } => {
            let challenge = world.sessions.challenge(stale);
            let mut response = refuse(
                StatusCode::UNAUTHORIZED,
                "UNEXPECTED_ERROR",
                "You are not authorized for this resource.",
            );
            if let Ok(challenge) = challenge.parse() {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
    };
    if method != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "GET only here");
    }
    if let Err(response) = version(headers) {
        return *response;
    }
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = uri.path().split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(account) = world.accounts.iter().find(|known| known.id == account) else {
        return refuse(StatusCode::UNAUTHORIZED, "UNEXPECTED_ERROR", "The account is gone.");
    };
    match segments.as_slice() {
        ["api", "atlas", "v2", "orgs", id, "groups"] if is_id(id) => {
            let member = account.organization_member;
            let of_organization: Vec<_> = world
                .projects
                .iter()
                .filter(|(project, known)| known.organization == *id && account.is_in(project))
                .map(|(id, project)| wire::project(id, project))
                .collect();
            if member { listing(&of_organization, uri, &Quirks::default()) } else { unauthorized() }
        }
        ["api", "atlas", "v2", "groups", id, rest @ ..] if is_id(id) => {
            let (may_enter, backup_manager) = (account.is_in(id), account.backup_manager);
            match world.projects.get_mut(*id) {
                None => refuse(StatusCode::NOT_FOUND, "GROUP_NOT_FOUND", "No group with that ID exists."),
                Some(_) if !may_enter => refuse(
                    StatusCode::UNAUTHORIZED,
                    "NOT_IN_GROUP",
                    "The current user is not in the group, or the group does not exist.",
                ),
                Some(project) => group(project, id, rest, backup_manager, uri),
            }
        }
        ["api", "atlas", "v2", "groups" | "orgs", _, ..] => {
            refuse(StatusCode::BAD_REQUEST, "INVALID_GROUP_ID", "An invalid ID was specified.")
        }
        _ => not_found(),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What is asked of a project.
fn group(project: &mut Project, id: &str, rest: &[&str], backup_manager: bool, uri: &Uri) -> Response {
    match rest {
        [] => json(StatusCode::OK, &wire::project(id, project).to_string()),
        ["clusters"] => {
            let outcome = project.clusters_budget.take().map(|()| {
                let clusters = project.clusters.iter().map(|(name, cluster)| wire::cluster(name, cluster));
                listing(&clusters.collect::<Vec<_>>(), uri, &Quirks::default())
            });
            budgeted(&project.clusters_budget, outcome)
        }
        ["clusters", name, "backup", resource @ ("exports" | "schedule")] => {
            let outcome = project.budget.take().map(|()| match dedicated(project, name) {
                Err(refusal) => *refusal,
                Ok(cluster) if *resource == "schedule" => {
                    json(StatusCode::OK, &wire::schedule(name, cluster).to_string())
                }
                Ok(_) if !backup_manager => unauthorized(),
                Ok(cluster) => exports(cluster, uri),
            });
            budgeted(&project.budget, outcome)
        }
        _ => not_found(),
    }
}

/// An answer from a budget, or the refusal of one that is used up; either tells what is left.
fn budgeted(budget: &Bucket, outcome: Result<Response, Duration>) -> Response {
    let mut response = outcome.unwrap_or_else(|wait| {
        let code = "RATE_LIMITED_TOKEN_BUCKET";
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, code, "Too many requests.");
        set(&mut response, "retry-after", wait.as_secs() + 1);
        response
    });
    set(&mut response, "ratelimit-limit", u64::from(budget.capacity));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole requests, never below 0
    set(&mut response, "ratelimit-remaining", budget.left as u64);
    response
}

/// The cluster, if it is one that has backups of its own.
fn dedicated<'a>(project: &'a Project, name: &str) -> Result<&'a Cluster, Box<Response>> {
    let (status, code, detail) = match project.clusters.get(name) {
        None => (StatusCode::NOT_FOUND, "CLUSTER_NOT_FOUND", "No cluster of that name exists in the group."),
        Some(cluster) => match cluster.kind {
            Kind::Dedicated => return Ok(cluster),
            Kind::SharedTier => {
                (StatusCode::BAD_REQUEST, "BACKUP_NOT_SUPPORTED", "This cluster is of a shared tier.")
            }
            Kind::Flex => {
                (StatusCode::BAD_REQUEST, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", "This is a flex cluster.")
            }
        },
    };
    Err(Box::new(refuse(status, code, detail)))
}

fn unauthorized() -> Response {
    let detail = "Current user is not authorized to perform this action.";
    refuse(StatusCode::FORBIDDEN, "USER_UNAUTHORIZED", detail)
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "Cannot find the resource.")
}

/// A dated media type is mandatory, and no date lies before the first version.
fn version(headers: &HeaderMap) -> Result<(), Box<Response>> {
    let date =
        accept(headers).strip_prefix("application/vnd.atlas.").and_then(|rest| rest.strip_suffix("+json"));
    let Some(date) = date else {
        return Err(Box::new(refuse(
            StatusCode::NOT_ACCEPTABLE,
            "INVALID_ACCEPT_HEADER",
            "A dated version is mandatory.",
        )));
    };
    match date.parse::<Date>() {
        Ok(date) if date >= OLDEST_VERSION => Ok(()),
        _ => Err(Box::new(refuse(StatusCode::BAD_REQUEST, "INVALID_VERSION_DATE", "No such version."))),
    }
}

fn exports(cluster: &Cluster, uri: &Uri) -> Response {
    let quirks = Quirks { overlap: cluster.overlap, total: cluster.total_count, unlinked: cluster.unlinked };
    listing(&cluster.listing(Timestamp::now()), uri, &quirks)
}

/// How a listing differs from a plain one.
#[derive(Default)]
struct Quirks {
    /// So many entries of each page stand on the next one again.
    overlap: usize,
    /// `totalCount` where it should lie.
    total: Option<i64>,
    /// Whether pages come without links.
    unlinked: bool,
}

/// One page of everything, as the query asks.
fn listing(all: &[Value], uri: &Uri, quirks: &Quirks) -> Response {
    let size = number(uri, "itemsPerPage", 100).filter(|size| (1..=500).contains(size));
    let page = number(uri, "pageNum", 1).filter(|page| *page >= 1);
    let (Some(size), Some(page)) = (size, page) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY_PARAMETER",
            "itemsPerPage is 1 to 500, pageNum at least 1.",
        );
    };
    let step = size - quirks.overlap.min(size - 1);
    let start = ((page - 1) * step).min(all.len());
    let end = (start + size).min(all.len());
    let total = quirks.total.unwrap_or(i64::try_from(all.len()).unwrap_or(i64::MAX));
    let mut body = wire::page(&all[start..end], uri.path(), page, size, end < all.len(), total);
    if quirks.unlinked {
        body["links"] = Value::Array(Vec::new());
    }
    json(StatusCode::OK, &body.to_string())
}

/// A query parameter as a number; `None` if it is none.
fn number(uri: &Uri, name: &str, default: usize) -> Option<usize> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back();
    value.map_or(Some(default), |value| value.parse().ok())
}

fn refuse(status: StatusCode, code: &str, detail: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    json(status, &wire::error(status.as_u16(), reason, code, detail).to_string())
}

fn set(response: &mut Response, name: &'static str, value: u64) {
    response.headers_mut().insert(name, HeaderValue::from(value));
}
