//! Faults of credentials, token requests, roles and rate limits.

use std::time::Duration;

use atlas_simulator::{
    Account, AtlasState, Entry, Fault as SimulatorFault, FaultKind, Project, Sessions, TokenBucket,
};
use serde_json::json;

use super::jobs;
use super::scenario::{Auth, Fault, Impact, Injection, Metric, Outcome, Recovery};
use Outcome::{Fails, Succeeds};

fn state_fault(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    apply: impl Fn(&mut AtlasState) + Send + Sync + 'static,
    revert: impl Fn(&mut AtlasState) + Send + Sync + 'static,
) -> Fault {
    Fault::new(name, description, Injection::State(Box::new(apply), Box::new(revert)), outcome)
}

/// Creates a fault that nothing has to revert, and no poll fails for.
fn harmless(
    name: &'static str,
    description: &'static str,
    apply: impl Fn(&mut Sessions) + Send + Sync + 'static,
) -> Fault {
    state_fault(name, description, Succeeds(&[]), move |state| apply(&mut state.sessions), |_| {})
}

/// Project of the first fault.
const FIRST: &str = "32b6e34b3d91647abb000000";

const TOKEN: &str = "oauth/token";

fn first_project(state: &mut AtlasState) -> &mut Project {
    state.projects.get_mut(FIRST).unwrap()
}

fn list(state: &mut AtlasState, jobs: impl IntoIterator<Item = serde_json::Value>) {
    let cluster = first_project(state).clusters.get_mut("faulty-0").unwrap();
    cluster.jobs = jobs.into_iter().map(Entry::Raw).collect();
}

/// Revokes the token or nonce before the next second page of a listing.
fn sign_out_between_pages(state: &mut AtlasState) {
    list(
        state,
        (0..600).map(|number| {
            let id = format!("65a1f0b2c3d4e5f6{number:08x}");
            json!({"id": id, "createdAt": "2026-03-02T03:04:05Z", "state": "Successful"})
        }),
    );
    state.faults.push(SimulatorFault::passing("?pageNum=2", FaultKind::SignOut, 1));
}

fn signed_back_in(state: &mut AtlasState) {
    assert!(
        state.faults.iter().all(|fault| fault.times == Some(0)),
        "no request was signed out between pages"
    );
    state.faults.clear();
    list(state, jobs::plain());
}

/// Creates a fault of a token response with this JSON as the lifetime.
fn reported_lifetime(name: &'static str, description: &'static str, lifetime: &'static str) -> Fault {
    harmless(name, description, move |sessions| sessions.reported_lifetime = Some(lifetime))
}

pub(super) fn sessions() -> Vec<Fault> {
    const ALL: &[Metric] = &[("jobs", "state=\"Successful\"", Some(600.0))];
    let walk = |name, description| {
        state_fault(name, description, Succeeds(ALL), sign_out_between_pages, signed_back_in)
    };
    vec![
        walk("a token that expires during a listing", "between two pages of a listing")
            .after_successful_poll(),
        walk("a nonce that expires during a listing", "between two pages of a listing").auth(Auth::ApiKey),
        harmless("a token that is revoked", "between two polls", Sessions::revoke_tokens)
            .after_successful_poll(),
        harmless("nonces that expire", "between two polls", Sessions::expire_nonces).auth(Auth::ApiKey),
        harmless("nonces with a short lifetime", "300 ms", |sessions| {
            sessions.nonce_lifetime = Duration::from_millis(300);
        })
        .auth(Auth::ApiKey),
        harmless("a fresh nonce that is declared stale", "once", |sessions| sessions.stale_digests = 1)
            .auth(Auth::ApiKey),
        reported_lifetime("a missing token lifetime", "no `expires_in`", ""),
        reported_lifetime("a token lifetime of null", "`\"expires_in\":null`", "null"),
        reported_lifetime("a token lifetime in words", "`\"expires_in\":\"soon\"`", "\"soon\""),
    ]
}

/// Creates a fault of all accounts.
fn account_fault(
    name: &'static str,
    description: &'static str,
    reason: &'static str,
    apply: fn(&mut Account),
    revert: fn(&mut Account),
) -> Fault {
    let each =
        |change: fn(&mut Account)| move |state: &mut AtlasState| state.accounts.iter_mut().for_each(change);
    state_fault(name, description, Fails(reason), each(apply), each(revert))
}

pub(super) fn secrets() -> Vec<Fault> {
    let file = |name: &'static str, description: &'static str, secret, auth| {
        Fault::new(name, description, Injection::Secret(secret), Fails("unauthorized")).auth(auth)
    };
    let rotated = |name, auth| {
        Fault::new(name, "on disk and in Atlas at once", Injection::Rotation, Succeeds(&[]))
            .auth(auth)
            .after_successful_poll()
    };
    vec![
        file(
            "a wrong secret on disk",
            "the token is revoked, too",
            Some("mdb_sa_sk_wrong"),
            Auth::ServiceAccountFile,
        ),
        file("an empty secret on disk", "the token is revoked, too", Some("\n"), Auth::ServiceAccountFile)
            .after_successful_poll(),
        file("no secret on disk", "the token is revoked, too", None, Auth::ServiceAccountFile)
            .after_successful_poll(),
        file("a wrong private key on disk", "another text", Some("wrong-key"), Auth::ApiKeyFile),
        file("no private key on disk", "no file", None, Auth::ApiKeyFile).after_successful_poll(),
        rotated("a secret that is rotated", Auth::ServiceAccountFile),
        rotated("a private key that is rotated", Auth::ApiKeyFile),
        account_fault(
            "an account that is deleted",
            "Atlas does not know it",
            "unauthorized",
            |account| account.id.push_str("-gone"),
            |account| account.id.truncate(account.id.len() - 5),
        )
        .auth(Auth::ApiKey),
        account_fault(
            "a role that is revoked",
            "no Project Backup Manager",
            "forbidden",
            |account| account.denied = vec!["exports"],
            |account| account.denied.clear(),
        ),
        account_fault(
            "an account that is removed from its projects",
            "`NOT_IN_GROUP`",
            "forbidden",
            |account| account.projects = Some(Vec::new()),
            |account| account.projects = None,
        ),
    ]
}

/// Creates a fault of token requests; tokens expire so soon that one is needed.
fn token_request(
    name: &'static str,
    description: &'static str,
    reason: &'static str,
    kind: FaultKind,
) -> Fault {
    let apply = move |state: &mut AtlasState| {
        state.sessions.token_lifetime = Duration::from_secs(11);
        state.faults.push(SimulatorFault::lasting(TOKEN, kind.clone()));
    };
    let revert = |state: &mut AtlasState| state.faults.retain(|fault| fault.path != TOKEN);
    state_fault(name, description, Fails(reason), apply, revert).recovery(Recovery::AfterPause)
}

pub(super) fn token_requests() -> Vec<Fault> {
    let wait = |status, code| FaultKind::Status(status, code, vec![("retry-after", "2".to_owned())]);
    let invalid = |name, description, kind| token_request(name, description, "invalid_response", kind);
    let unsendable = r#"{"access_token":"eyJ0\r\nx: y","expires_in":3600}"#;
    let long = json!({"access_token": "e".repeat(10_000), "expires_in": 3600}).to_string();
    vec![
        token_request(
            "a token request with 500",
            "an error of Atlas",
            "server_error",
            FaultKind::error(500, "UNEXPECTED_ERROR"),
        ),
        token_request(
            "a token request with 503",
            "`Retry-After: 2`",
            "server_error",
            wait(503, "UNAVAILABLE"),
        ),
        token_request(
            "a token request with 429",
            "`Retry-After: 2`",
            "rate_limited",
            wait(429, "rate_limited"),
        ),
        token_request(
            "a token request with 404",
            "no resource",
            "not_found",
            FaultKind::error(404, "RESOURCE_NOT_FOUND"),
        ),
        token_request("a token request that hangs", "no response", "timeout", FaultKind::HANG),
        invalid("a token request with an HTML page", "HTML", FaultKind::Status(200, "", Vec::new())),
        invalid("a truncated token response", "half a response", FaultKind::Truncated),
        invalid(
            "a token response without a token",
            "`{\"expires_in\":3600}`",
            FaultKind::Body(r#"{"expires_in":3600}"#),
        ),
        invalid("a token that is invalid in a header", "with line breaks", FaultKind::Body(unsendable)),
        token_request("a token of 10 KB", "longer than any token", "too_large", FaultKind::Body(long.leak())),
        token_request("an endless token response", "64 MiB", "too_large", FaultKind::EndlessBody),
    ]
}

/// Creates a fault of these rate limit headers in every response.
fn quota(
    name: &'static str,
    description: &'static str,
    limit: &'static str,
    remaining: &'static str,
) -> Fault {
    let apply = move |state: &mut AtlasState| {
        let headers = [("ratelimit-limit", limit), ("ratelimit-remaining", remaining)];
        state.headers = headers.map(|(name, value)| (name, value.to_owned())).into();
    };
    state_fault(name, description, Succeeds(&[]), apply, |state| state.headers.clear())
}

pub(super) fn rate_limits() -> Vec<Fault> {
    vec![
        quota("an exhausted rate limit", "`RateLimit-Remaining: 0` in every response", "1200", "0"),
        quota("a rate limit of 0", "`RateLimit-Limit: 0` in every response", "0", "0"),
        quota("a rate limit in words", "`RateLimit-Limit: many`", "many", "-5"),
        state_fault(
            "a rate limit used up by others",
            "one request per minute is refilled",
            Fails("rate_limited"),
            |state| first_project(state).budget = TokenBucket::new(1, 1).with(0.0),
            |state| first_project(state).budget = TokenBucket::new(1200, 500),
        )
        .impact(Impact::ProjectWaits)
        .recovery(Recovery::AfterWait)
        .after_successful_poll(),
        state_fault(
            "a project that is deleted",
            "`GROUP_NOT_FOUND`",
            Fails("not_found"),
            |state| {
                let project = state.projects.remove(FIRST).unwrap();
                state.projects.insert("f".repeat(24), project);
            },
            |state| {
                let project = state.projects.remove(&"f".repeat(24)).unwrap();
                state.projects.insert(FIRST.to_owned(), project);
            },
        )
        .impact(Impact::ProjectGone),
        state_fault(
            "a cluster that is deleted",
            "and created again",
            Fails("not_found"),
            |state| {
                let clusters = &mut first_project(state).clusters;
                let cluster = clusters.remove("faulty-0").unwrap();
                clusters.insert("another".to_owned(), cluster);
            },
            |state| {
                let clusters = &mut first_project(state).clusters;
                let cluster = clusters.remove("another").unwrap();
                clusters.insert("faulty-0".to_owned(), cluster);
            },
        )
        .impact(Impact::Cluster),
    ]
}
