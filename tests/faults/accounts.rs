//! Faults of credentials, token requests, roles and rate limits.

use std::sync::LazyLock;
use std::time::Duration;

use atlas_simulator::{AtlasState, Entry, Fault as SimulatorFault, FaultKind, TokenBucket};
use serde_json::json;

use super::jobs;
use super::scenario::{Auth, Fault, Impact, Injection, Metric, Outcome, Recovery};
use Outcome::{Fails, Succeeds};

type Change = fn(&mut AtlasState);

fn state_fault(
    name: &'static str,
    description: &'static str,
    outcome: Outcome,
    apply: Change,
    revert: Change,
) -> Fault {
    Fault::new(name, description, Injection::State(apply, revert), outcome)
}

fn nothing(_: &mut AtlasState) {}

/// Project of the first fault.
const FIRST: &str = "32b6e34b3d91647abb000000";

const TOKEN: &str = "oauth/token";

fn list(state: &mut AtlasState, jobs: impl IntoIterator<Item = serde_json::Value>) {
    let cluster = state.projects.get_mut(FIRST).unwrap().clusters.get_mut("faulty-0").unwrap();
    cluster.jobs = jobs.into_iter().map(Entry::Raw).collect();
}

/// Revokes the token or nonce before the next second page of a listing.
fn sign_out_between_pages(state: &mut AtlasState) {
    list(state, (0..600).map(|number| {
        json!({"id": format!("65a1f0b2c3d4e5f6{number:08x}"), "createdAt": "2026-03-02T03:04:05Z", "state": "Successful"})
    }));
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

/// Creates a fault of a token response without a usable lifetime.
fn reported_lifetime(name: &'static str, description: &'static str, apply: Change) -> Fault {
    state_fault(name, description, Succeeds(&[]), apply, |state| state.sessions.reported_lifetime = None)
}

pub(super) fn sessions() -> Vec<Fault> {
    const ALL: &[Metric] = &[("jobs", "state=\"Successful\"", Some(600.0))];
    let walk = |name, description| {
        state_fault(name, description, Succeeds(ALL), sign_out_between_pages, signed_back_in)
    };
    vec![
        walk("a token that ends in a walk", "between two pages of a listing").after_good_poll(),
        walk("a nonce that ends in a walk", "between two pages of a listing").auth(Auth::ApiKey),
        state_fault(
            "a token that is revoked",
            "between two polls",
            Succeeds(&[]),
            |state| state.sessions.revoke_tokens(),
            nothing,
        )
        .after_good_poll(),
        state_fault(
            "nonces that end",
            "between two polls",
            Succeeds(&[]),
            |state| state.sessions.expire_nonces(),
            nothing,
        )
        .auth(Auth::ApiKey),
        state_fault(
            "nonces of a short life",
            "300 ms",
            Succeeds(&[]),
            |state| state.sessions.nonce_lifetime = Duration::from_millis(300),
            |state| {
                state.sessions.nonce_lifetime = Duration::from_mins(5);
            },
        )
        .auth(Auth::ApiKey),
        state_fault(
            "a good nonce that is called stale",
            "once",
            Succeeds(&[]),
            |state| state.sessions.stale_digests = 1,
            nothing,
        )
        .auth(Auth::ApiKey),
        reported_lifetime("a life that is missing", "no `expires_in`", |state| {
            state.sessions.reported_lifetime = Some("");
        }),
        reported_lifetime("a life of null", "`\"expires_in\":null`", |state| {
            state.sessions.reported_lifetime = Some("null");
        }),
        reported_lifetime("a life in words", "`\"expires_in\":\"soon\"`", |state| {
            state.sessions.reported_lifetime = Some("\"soon\"");
        }),
    ]
}

pub(super) fn secrets() -> Vec<Fault> {
    let file = |name: &'static str, description: &'static str, secret, auth| {
        Fault::new(name, description, Injection::Secret(secret), Fails("unauthorized")).auth(auth)
    };
    let rotated = |name, auth| {
        Fault::new(name, "on disk and in Atlas at once", Injection::Rotation, Succeeds(&[]))
            .auth(auth)
            .after_good_poll()
    };
    vec![
        file(
            "a wrong secret on disk",
            "the token is revoked, too",
            Some("mdb_sa_sk_wrong"),
            Auth::ServiceAccountFile,
        ),
        file("an empty secret on disk", "the token is revoked, too", Some("\n"), Auth::ServiceAccountFile)
            .after_good_poll(),
        file("no secret on disk", "the token is revoked, too", None, Auth::ServiceAccountFile)
            .after_good_poll(),
        file("a wrong private key on disk", "another text", Some("wrong-key"), Auth::ApiKeyFile),
        file("no private key on disk", "no file", None, Auth::ApiKeyFile).after_good_poll(),
        rotated("a secret that is rotated", Auth::ServiceAccountFile),
        rotated("a private key that is rotated", Auth::ApiKeyFile),
        state_fault(
            "an account that is deleted",
            "Atlas does not know it",
            Fails("unauthorized"),
            |state| {
                state.accounts.iter_mut().for_each(|account| account.id.push_str("-gone"));
            },
            |state| {
                state.accounts.iter_mut().for_each(|account| account.id.truncate(account.id.len() - 5));
            },
        )
        .auth(Auth::ApiKey),
        state_fault(
            "a role that is taken away",
            "no Project Backup Manager",
            Fails("forbidden"),
            |state| {
                state.accounts.iter_mut().for_each(|account| account.denied = vec!["exports"]);
            },
            |state| {
                state.accounts.iter_mut().for_each(|account| account.denied.clear());
            },
        ),
        state_fault(
            "an account that leaves its projects",
            "`NOT_IN_GROUP`",
            Fails("forbidden"),
            |state| {
                state.accounts.iter_mut().for_each(|account| account.projects = Some(Vec::new()));
            },
            |state| {
                state.accounts.iter_mut().for_each(|account| account.projects = None);
            },
        ),
    ]
}

/// Creates a fault of token requests; tokens expire so soon that one is needed.
fn sign_in(name: &'static str, description: &'static str, reason: &'static str, apply: Change) -> Fault {
    state_fault(name, description, Fails(reason), apply, |state| {
        state.faults.retain(|fault| fault.path != TOKEN);
    })
    .recovery(Recovery::AfterPause)
}

fn fail_sign_ins(state: &mut AtlasState, what: FaultKind) {
    state.sessions.token_lifetime = Duration::from_secs(11);
    state.faults.push(SimulatorFault::lasting(TOKEN, what));
}

fn refuse_sign_ins(state: &mut AtlasState, status: u16, code: &'static str, wait: Option<&str>) {
    let headers = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
    fail_sign_ins(state, FaultKind::Status(status, code, headers));
}

pub(super) fn sign_ins() -> Vec<Fault> {
    vec![
        sign_in("a sign-in of 500", "an error of Atlas", "server_error", |state| {
            refuse_sign_ins(state, 500, "UNEXPECTED_ERROR", None);
        }),
        sign_in("a sign-in of 503", "`Retry-After: 2`", "server_error", |state| {
            refuse_sign_ins(state, 503, "UNAVAILABLE", Some("2"));
        }),
        sign_in("a sign-in of 429", "`Retry-After: 2`", "rate_limited", |state| {
            refuse_sign_ins(state, 429, "rate_limited", Some("2"));
        }),
        sign_in("a sign-in of 404", "nothing is there", "not_found", |state| {
            refuse_sign_ins(state, 404, "RESOURCE_NOT_FOUND", None);
        }),
        sign_in("a sign-in that hangs", "no response", "timeout", |state| {
            fail_sign_ins(state, FaultKind::HANG);
        }),
        sign_in("a sign-in with a page", "HTML for people", "invalid_response", |state| {
            fail_sign_ins(state, FaultKind::Status(200, "", Vec::new()));
        }),
        sign_in("a sign-in that breaks off", "half an answer", "invalid_response", |state| {
            fail_sign_ins(state, FaultKind::Truncated);
        }),
        sign_in("a sign-in without a token", "`{\"expires_in\":3600}`", "invalid_response", |state| {
            fail_sign_ins(state, FaultKind::Body(r#"{"expires_in":3600}"#));
        }),
        sign_in("a token that no header can carry", "with line breaks", "invalid_response", |state| {
            fail_sign_ins(state, FaultKind::Body(r#"{"access_token":"eyJ0\r\nx: y","expires_in":3600}"#));
        }),
        sign_in("a token of 10 KB", "longer than any token", "too_large", |state| {
            static ANSWER: LazyLock<String> =
                LazyLock::new(|| json!({"access_token": "e".repeat(10_000), "expires_in": 3600}).to_string());
            fail_sign_ins(state, FaultKind::Body(&ANSWER));
        }),
        sign_in("a sign-in without end", "64 MiB", "too_large", |state| {
            fail_sign_ins(state, FaultKind::EndlessBody);
        }),
    ]
}

pub(super) fn rate_limits() -> Vec<Fault> {
    vec![
        state_fault(
            "a budget of which nothing is left",
            "`RateLimit-Remaining: 0` with every answer",
            Succeeds(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "1200".to_owned()), ("ratelimit-remaining", "0".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        state_fault(
            "a budget of nothing",
            "`RateLimit-Limit: 0` with every answer",
            Succeeds(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "0".to_owned()), ("ratelimit-remaining", "0".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        state_fault(
            "a budget in words",
            "`RateLimit-Limit: many`",
            Succeeds(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "many".to_owned()), ("ratelimit-remaining", "-5".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        state_fault(
            "a budget that is used up",
            "by others; one request a minute comes back",
            Fails("rate_limited"),
            |state| {
                state.projects.get_mut(FIRST).unwrap().budget = TokenBucket::new(1, 1).with(0.0);
            },
            |state| {
                state.projects.get_mut(FIRST).unwrap().budget = TokenBucket::new(1200, 500);
            },
        )
        .impact(Impact::ProjectWaits)
        .recovery(Recovery::AfterWait)
        .after_good_poll(),
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
                let clusters = &mut state.projects.get_mut(FIRST).unwrap().clusters;
                let cluster = clusters.remove("faulty-0").unwrap();
                clusters.insert("another".to_owned(), cluster);
            },
            |state| {
                let clusters = &mut state.projects.get_mut(FIRST).unwrap().clusters;
                let cluster = clusters.remove("another").unwrap();
                clusters.insert("faulty-0".to_owned(), cluster);
            },
        )
        .impact(Impact::Cluster),
    ]
}
