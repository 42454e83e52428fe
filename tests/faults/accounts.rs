//! Faults of who asks: tokens and nonces, secrets, the sign-in, roles and budgets.

use std::sync::LazyLock;
use std::time::Duration;

use atlas_simulator::{AtlasState, Entry, Fault as Play, FaultKind, TokenBucket};
use serde_json::json;

use super::jobs;
use super::scenario::{Fault, Figure, How, Others, Outcome, Recovery, Signs};
use Outcome::{Fails, Good};

type Change = fn(&mut AtlasState);

fn atlas_state(
    name: &'static str,
    made: &'static str,
    outcome: Outcome,
    apply: Change,
    lift: Change,
) -> Fault {
    Fault::new(name, made, How::World(apply, lift), outcome)
}

fn nothing(_: &mut AtlasState) {}

/// The project of the first fault.
const FIRST: &str = "32b6e34b3d91647abb000000";

const TOKEN: &str = "oauth/token";

fn list(state: &mut AtlasState, jobs: impl IntoIterator<Item = serde_json::Value>) {
    let cluster = state.projects.get_mut(FIRST).unwrap().clusters.get_mut("faulty-0").unwrap();
    cluster.jobs = jobs.into_iter().map(Entry::Raw).collect();
}

/// The next second page of a listing is asked for with what has just ended.
fn sign_out_on_the_way(state: &mut AtlasState) {
    list(state, (0..600).map(|number| {
        json!({"id": format!("65a1f0b2c3d4e5f6{number:08x}"), "createdAt": "2026-03-02T03:04:05Z", "state": "Successful"})
    }));
    state.faults.push(Play::passing("?pageNum=2", FaultKind::SignOut, 1));
}

fn signed_out(state: &mut AtlasState) {
    assert!(state.faults.iter().all(|fault| fault.times == Some(0)), "nobody was signed out on the way");
    state.faults.clear();
    list(state, jobs::plain());
}

/// A sign-in that is good, though it does not tell how long.
fn reported_lifetime(name: &'static str, made: &'static str, apply: Change) -> Fault {
    atlas_state(name, made, Good(&[]), apply, |state| state.sessions.reported_lifetime = None)
}

pub(super) fn sessions() -> Vec<Fault> {
    const ALL: &[Figure] = &[("jobs", "state=\"Successful\"", Some(600.0))];
    let walk = |name, made| atlas_state(name, made, Good(ALL), sign_out_on_the_way, signed_out);
    vec![
        walk("a token that ends in a walk", "between two pages of a listing").late(),
        walk("a nonce that ends in a walk", "between two pages of a listing").signs(Signs::Key),
        atlas_state(
            "a token that is revoked",
            "between two polls",
            Good(&[]),
            |state| state.sessions.revoke_tokens(),
            nothing,
        )
        .late(),
        atlas_state(
            "nonces that end",
            "between two polls",
            Good(&[]),
            |state| state.sessions.expire_nonces(),
            nothing,
        )
        .signs(Signs::Key),
        atlas_state(
            "nonces of a short life",
            "300 ms",
            Good(&[]),
            |state| state.sessions.nonce_lifetime = Duration::from_millis(300),
            |state| {
                state.sessions.nonce_lifetime = Duration::from_mins(5);
            },
        )
        .signs(Signs::Key),
        atlas_state(
            "a good nonce that is called stale",
            "once",
            Good(&[]),
            |state| state.sessions.stale_digests = 1,
            nothing,
        )
        .signs(Signs::Key),
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
    let file = |name: &'static str, made: &'static str, secret, signs| {
        Fault::new(name, made, How::Secret(secret), Fails("unauthorized")).signs(signs)
    };
    let rotated = |name, signs| {
        Fault::new(name, "on disk and in Atlas at once", How::Rotation, Good(&[])).signs(signs).late()
    };
    vec![
        file(
            "a wrong secret on disk",
            "the token is revoked, too",
            Some("mdb_sa_sk_wrong"),
            Signs::AccountByFile,
        ),
        file("an empty secret on disk", "the token is revoked, too", Some("\n"), Signs::AccountByFile).late(),
        file("no secret on disk", "the token is revoked, too", None, Signs::AccountByFile).late(),
        file("a wrong private key on disk", "another text", Some("wrong-key"), Signs::KeyByFile),
        file("no private key on disk", "no file", None, Signs::KeyByFile).late(),
        rotated("a secret that is rotated", Signs::AccountByFile),
        rotated("a private key that is rotated", Signs::KeyByFile),
        atlas_state(
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
        .signs(Signs::Key),
        atlas_state(
            "a role that is taken away",
            "no Project Backup Manager",
            Fails("forbidden"),
            |state| {
                state.accounts.iter_mut().for_each(|account| account.backup_manager = false);
            },
            |state| {
                state.accounts.iter_mut().for_each(|account| account.backup_manager = true);
            },
        ),
        atlas_state(
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

/// A fault of the sign-in; tokens live for so short a time that one is needed soon.
fn of_mint(name: &'static str, made: &'static str, reason: &'static str, apply: Change) -> Fault {
    atlas_state(name, made, Fails(reason), apply, |state| state.faults.retain(|fault| fault.path != TOKEN))
        .recovery(Recovery::Pause)
}

fn misbehave(state: &mut AtlasState, what: FaultKind) {
    state.sessions.token_lifetime = Duration::from_secs(11);
    state.faults.push(Play::lasting(TOKEN, what));
}

fn refuse(state: &mut AtlasState, status: u16, code: &'static str, wait: Option<&str>) {
    let headers = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
    misbehave(state, FaultKind::Status(status, code, headers));
}

pub(super) fn mint() -> Vec<Fault> {
    vec![
        of_mint("a sign-in of 500", "an error of Atlas", "server_error", |state| {
            refuse(state, 500, "UNEXPECTED_ERROR", None);
        }),
        of_mint("a sign-in of 503", "`Retry-After: 2`", "server_error", |state| {
            refuse(state, 503, "UNAVAILABLE", Some("2"));
        }),
        of_mint("a sign-in of 429", "`Retry-After: 2`", "rate_limited", |state| {
            refuse(state, 429, "rate_limited", Some("2"));
        }),
        of_mint("a sign-in of 404", "nothing is there", "not_found", |state| {
            refuse(state, 404, "RESOURCE_NOT_FOUND", None);
        }),
        of_mint("a sign-in that hangs", "nothing is said", "timeout", |state| {
            misbehave(state, FaultKind::Hang);
        }),
        of_mint("a sign-in with a page", "HTML for people", "invalid_response", |state| {
            misbehave(state, FaultKind::Html);
        }),
        of_mint("a sign-in that breaks off", "half an answer", "invalid_response", |state| {
            misbehave(state, FaultKind::Truncated);
        }),
        of_mint("a sign-in without a token", "`{\"expires_in\":3600}`", "invalid_response", |state| {
            misbehave(state, FaultKind::Body(r#"{"expires_in":3600}"#));
        }),
        of_mint("a token that no header can carry", "with line breaks", "invalid_response", |state| {
            misbehave(state, FaultKind::Body(r#"{"access_token":"eyJ0\r\nx: y","expires_in":3600}"#));
        }),
        of_mint("a token of 10 KB", "longer than any token", "too_large", |state| {
            static ANSWER: LazyLock<String> =
                LazyLock::new(|| json!({"access_token": "e".repeat(10_000), "expires_in": 3600}).to_string());
            misbehave(state, FaultKind::Body(&ANSWER));
        }),
        of_mint("a sign-in without end", "64 MiB", "too_large", |state| {
            misbehave(state, FaultKind::EndlessBody);
        }),
    ]
}

pub(super) fn budgets() -> Vec<Fault> {
    vec![
        atlas_state(
            "a budget of which nothing is left",
            "`RateLimit-Remaining: 0` with every answer",
            Good(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "1200".to_owned()), ("ratelimit-remaining", "0".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        atlas_state(
            "a budget of nothing",
            "`RateLimit-Limit: 0` with every answer",
            Good(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "0".to_owned()), ("ratelimit-remaining", "0".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        atlas_state(
            "a budget in words",
            "`RateLimit-Limit: many`",
            Good(&[]),
            |state| {
                state.headers =
                    vec![("ratelimit-limit", "many".to_owned()), ("ratelimit-remaining", "-5".to_owned())];
            },
            |state| state.headers.clear(),
        ),
        atlas_state(
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
        .others(Others::Wait)
        .recovery(Recovery::Kept)
        .late(),
        atlas_state(
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
        .others(Others::Gone),
        atlas_state(
            "a cluster that is deleted",
            "and made again",
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
        .others(Others::Unharmed),
    ]
}
