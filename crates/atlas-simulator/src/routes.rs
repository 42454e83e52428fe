//! Routes. Checks are in Atlas's order: authentication, version, rate limit, resource.

mod listing;
mod project;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::civil::Date;
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::auth::{TokenRefusal, nonce_count};
use crate::fault::FaultKind;
use crate::response::{
    Refusal, add_headers, bad_request, json, not_found, ok, rate_limited, refuse, unauthorized, value,
};
use crate::state::{AtlasState, RecordedRequest, lock};
use crate::{gzip, json};
use listing::listing;
use project::{ProjectRequest, group};

/// The oldest version of the API; a later date means the latest version before it.
const OLDEST_VERSION: Date = jiff::civil::date(2023, 1, 1);

const TOKEN_PATH: &str = "/api/oauth/token";

/// Maximum length of a request body.
const MAX_REQUEST: usize = 64 * 1024;

pub(crate) async fn answer(State(state): State<Arc<Mutex<AtlasState>>>, request: Request) -> Response {
    let _in_flight = InFlight::begin(&state);
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_REQUEST).await.unwrap_or_default();
    let fault = fault(&mut lock(&state), &parts.uri);
    let faulty = match fault {
        Some(fault) => fault.apply().await,
        None => None,
    };
    let response = match faulty {
        Some(response) => response,
        None if parts.uri.path() == TOKEN_PATH => token(&mut lock(&state), &parts, &body),
        None => {
            let mut state = lock(&state);
            let mut response = resource(&mut state, &parts).into_response();
            if response.status().is_success() {
                add_headers(&mut response, &state.headers);
            }
            response
        }
    };
    let response = gzip::negotiate(&parts.headers, response).await;
    lock(&state).record(RecordedRequest {
        line: format!("{} {}", parts.method, parts.uri),
        accept: value(&parts.headers, header::ACCEPT).to_owned(),
        nonce_count: nonce_count(value(&parts.headers, header::AUTHORIZATION)),
        status: response.status().as_u16(),
        gzip: response.headers().contains_key(header::CONTENT_ENCODING),
    });
    response
}

/// A request until its response is sent or its client disconnects.
struct InFlight(Arc<Mutex<AtlasState>>);

impl InFlight {
    fn begin(state: &Arc<Mutex<AtlasState>>) -> Self {
        let mut guard = lock(state);
        guard.in_flight += 1;
        guard.max_in_flight = guard.max_in_flight.max(guard.in_flight);
        Self(state.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.0).in_flight -= 1;
    }
}

/// The fault that applies to a request; counts the request.
fn fault(state: &mut AtlasState, uri: &Uri) -> Option<FaultKind> {
    let fault = state.faults.iter_mut().find(|fault| fault.matches(uri) && fault.times != Some(0))?;
    fault.times = fault.times.map(|times| times - 1);
    let kind = fault.kind.clone();
    if matches!(kind, FaultKind::SignOut) {
        state.sessions.revoke_tokens();
        state.sessions.expire_nonces();
    }
    Some(kind)
}

fn token(state: &mut AtlasState, request: &Parts, body: &[u8]) -> Response {
    let refuse_client = |status, error, description| {
        json(status, json!({"error": error, "error_description": description}).to_string())
    };
    if request.method != Method::POST {
        return refuse_client(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "POST only");
    }
    let content_type = value(&request.headers, header::CONTENT_TYPE);
    if content_type != "application/x-www-form-urlencoded" || body != b"grant_type=client_credentials" {
        let description = "only client_credentials is supported";
        return refuse_client(StatusCode::BAD_REQUEST, "unsupported_grant_type", description);
    }
    let authorization = value(&request.headers, header::AUTHORIZATION);
    let sessions = &mut state.sessions;
    match sessions.issue_token(&state.accounts, authorization) {
        Ok(token) => {
            let mut body = json!({"access_token": token, "token_type": "Bearer"});
            let lifetime = sessions.token_lifetime.as_secs().to_string();
            let reported = sessions.reported_lifetime.unwrap_or(&lifetime);
            if let Ok(expires_in) = serde_json::from_str(reported) {
                body["expires_in"] = expires_in;
            }
            ok(&body)
        }
        Err(TokenRefusal::UnknownClient) => {
            refuse_client(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed")
        }
        // The only error of this endpoint that has the form of Atlas's errors, not of OAuth's.
        Err(TokenRefusal::RateLimited(wait)) => rate_limited("RATE_LIMITED", "too many tokens", wait),
    }
}

fn resource(state: &mut AtlasState, request: &Parts) -> Result<Response, Refusal> {
    let Parts { method, uri, headers, .. } = request;
    let target = uri.path_and_query().map_or_else(|| uri.path(), |target| target.as_str());
    let authorization = value(headers, header::AUTHORIZATION);
    let account = match state.sessions.authenticate(&state.accounts, method, target, authorization) {
        Ok(account) => account,
        Err(challenge) => {
            let detail = "You are not authorized for this resource.";
            let refusal = refuse(StatusCode::UNAUTHORIZED, "UNEXPECTED_ERROR", detail);
            return Ok(([(header::WWW_AUTHENTICATE, challenge)], refusal).into_response());
        }
    };
    if *method != Method::GET {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "GET only here"));
    }
    let version = version(headers)?;
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = uri.path().split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "atlas", "v2", "orgs", id, "groups"] if is_id(id) => {
            if account.is_denied(uri.path()) {
                return Err(unauthorized());
            }
            let of_organization: Vec<_> = state
                .projects
                .iter()
                .filter(|(project, known)| known.organization == *id && account.is_in(project))
                .collect();
            listing(&of_organization, |(id, project)| json::project(id, project), uri, &[], None)
        }
        ["api", "atlas", "v2", "groups", id, rest @ ..] if is_id(id) => match state.projects.get_mut(*id) {
            None => Err(refuse(StatusCode::NOT_FOUND, "GROUP_NOT_FOUND", "No group with that ID exists.")),
            Some(_) if !account.is_in(id) => Err(refuse(
                StatusCode::UNAUTHORIZED,
                "NOT_IN_GROUP",
                "The current user is not in the group, or the group does not exist.",
            )),
            Some(project) => group(project, id, rest, &ProjectRequest { account, version, uri }),
        },
        ["api", "atlas", "v2", "groups" | "orgs", _, ..] => {
            Err(bad_request("INVALID_GROUP_ID", "An invalid ID was specified."))
        }
        _ => Err(not_found()),
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The version of a dated media type, which is mandatory.
fn version(headers: &HeaderMap) -> Result<Date, Refusal> {
    let accept = value(headers, header::ACCEPT);
    let date = accept.strip_prefix("application/vnd.atlas.").and_then(|rest| rest.strip_suffix("+json"));
    let Some(date) = date else {
        let detail = "A dated version is mandatory.";
        return Err(refuse(StatusCode::NOT_ACCEPTABLE, "INVALID_ACCEPT_HEADER", detail));
    };
    match date.parse::<Date>() {
        Ok(date) if date >= OLDEST_VERSION => Ok(date),
        _ => Err(bad_request("INVALID_VERSION_DATE", "No such version.")),
    }
}
