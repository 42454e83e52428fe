//! Requests in, answers out, in Atlas's order: who are you, which version, is there budget left,
//! what do you want.

mod listing;
mod project;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::auth::{Minted, Verdict, authorization, nonce_count};
use crate::fault::Misbehaviour;
use crate::response::{Refusal, add_headers, json, not_found, refuse, too_many, unauthorized};
use crate::state::{Project, Seen, World, lock};
use crate::{gzip, json as wire};
use listing::{Quirks, listing_of};
use project::{Asked, group};

/// The oldest version of the API; later dates resolve to the newest version before them.
const OLDEST_VERSION: Date = jiff::civil::date(2023, 1, 1);

const TOKEN_PATH: &str = "/api/oauth/token";

/// Bodies that are read: a token request is tiny.
const LARGEST_REQUEST: usize = 64 * 1024;

pub(crate) async fn answer(State(world): State<Arc<Mutex<World>>>, request: Request) -> Response {
    let _waits = Waits::begin(&world);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, LARGEST_REQUEST).await.unwrap_or_default();
    let fault = fault(&mut lock(&world), &parts.uri);
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
            let response = resource(&mut world, &parts.method, &parts.uri, &parts.headers);
            let mut response = response.into_response();
            if response.status().is_success() {
                add_headers(&mut response, &world.headers);
            }
            response
        }
    };
    let response = gzip::negotiate(&parts.headers, response).await;
    let authorization = authorization(&parts.headers).unwrap_or_default();
    lock(&world).remember(Seen {
        line: format!("{} {}", parts.method, parts.uri),
        accept: accept(&parts.headers).to_owned(),
        nonce_count: nonce_count(&authorization),
        scheme: authorization.split(' ').next().unwrap_or_default().to_owned(),
        status: response.status().as_u16(),
        gzip: response.headers().contains_key(header::CONTENT_ENCODING),
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
fn fault(world: &mut World, uri: &Uri) -> Option<Misbehaviour> {
    let fault = world.faults.iter_mut().find(|fault| fault.hits(uri) && fault.times != Some(0))?;
    fault.times = fault.times.map(|times| times - 1);
    let what = fault.what.clone();
    if matches!(what, Misbehaviour::SignOut) {
        world.sessions.revoke_tokens();
        world.sessions.expire_nonces();
    }
    Some(what)
}

fn token(world: &mut World, method: &Method, headers: &HeaderMap, body: &[u8]) -> Response {
    let refuse_client =
        |status, error, description| json(status, &json!({"error": error, "error_description": description}));
    if method != Method::POST {
        return refuse_client(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "POST only");
    }
    let form =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    if !form || body != b"grant_type=client_credentials" {
        let description = "only client_credentials is supported";
        return refuse_client(StatusCode::BAD_REQUEST, "unsupported_grant_type", description);
    }
    match world.sessions.mint(&world.accounts, headers) {
        Minted::Token { text, life } => {
            let mut token = json!({"access_token": text, "token_type": "Bearer"});
            let told = world.sessions.told_life;
            if let Some(life) =
                told.map_or(Some(json!(life.as_secs())), |told| serde_json::from_str(told).ok())
            {
                token["expires_in"] = life;
            }
            json(StatusCode::OK, &token)
        }
        Minted::Unknown => {
            refuse_client(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed")
        }
        // Of its errors, this one has the shape of Atlas's, not of OAuth's.
        Minted::TooMany { wait } => too_many("RATE_LIMITED", "too many tokens", wait),
    }
}

fn resource(world: &mut World, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Response, Refusal> {
    let asked = uri.path_and_query().map_or_else(|| uri.path(), |asked| asked.as_str());
    let account = match world.sessions.check(&world.accounts, method, asked, headers) {
        Verdict::Granted(account) => account,
        Verdict::Refused { stale } => {
            let detail = "You are not authorized for this resource.";
            let refusal = refuse(StatusCode::UNAUTHORIZED, "UNEXPECTED_ERROR", detail);
            let challenge = [(header::WWW_AUTHENTICATE, world.sessions.challenge(stale))];
            return Ok((challenge, refusal).into_response());
        }
    };
    if method != Method::GET {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "GET only here"));
    }
    let version = version(headers)?;
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = uri.path().split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let Some(account) = world.accounts.iter().find(|known| known.id == account) else {
        return Err(refuse(StatusCode::UNAUTHORIZED, "UNEXPECTED_ERROR", "The account is gone."));
    };
    match segments.as_slice() {
        ["api", "atlas", "v2", "orgs", id, "groups"] if is_id(id) => {
            if !account.organization_member {
                return Err(unauthorized());
            }
            let of_organization: Vec<_> = world
                .projects
                .iter()
                .filter(|(project, known)| known.organization == *id && account.is_in(project))
                .collect();
            let entry = |(id, project): &(&String, &Project)| wire::project(id, project);
            listing_of(&of_organization, entry, uri, &Quirks::default())
        }
        ["api", "atlas", "v2", "groups", id, rest @ ..] if is_id(id) => match world.projects.get_mut(*id) {
            None => Err(refuse(StatusCode::NOT_FOUND, "GROUP_NOT_FOUND", "No group with that ID exists.")),
            Some(_) if !account.is_in(id) => Err(refuse(
                StatusCode::UNAUTHORIZED,
                "NOT_IN_GROUP",
                "The current user is not in the group, or the group does not exist.",
            )),
            Some(project) => group(project, id, rest, &Asked { account, version, uri }),
        },
        ["api", "atlas", "v2", "groups" | "orgs", _, ..] => {
            Err(refuse(StatusCode::BAD_REQUEST, "INVALID_GROUP_ID", "An invalid ID was specified."))
        }
        _ => Err(not_found()),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A dated media type is mandatory, and no date lies before the first version.
fn version(headers: &HeaderMap) -> Result<Date, Refusal> {
    let date =
        accept(headers).strip_prefix("application/vnd.atlas.").and_then(|rest| rest.strip_suffix("+json"));
    let Some(date) = date else {
        let detail = "A dated version is mandatory.";
        return Err(refuse(StatusCode::NOT_ACCEPTABLE, "INVALID_ACCEPT_HEADER", detail));
    };
    match date.parse::<Date>() {
        Ok(date) if date >= OLDEST_VERSION => Ok(date),
        _ => Err(refuse(StatusCode::BAD_REQUEST, "INVALID_VERSION_DATE", "No such version.")),
    }
}
