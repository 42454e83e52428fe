//! OAuth 2.0 client credentials (RFC 6749, section 4.4) as Atlas speaks them.
//!
//! One token serves every request. Atlas mints ten a minute and keeps a hundred alive, and others may use the same client; so
//! tokens are minted one at a time, well before the old one ends, and seldom where that does not help. While a token is good,
//! nobody waits for the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};
use url::Url;

use super::{copy, is_unauthorized, secret, sensitive};
use crate::atlas::door::Door;
use crate::atlas::endpoint::{Endpoint, Route};
use crate::atlas::{Error, Retry, wire};
use crate::config::{SecretSource, client_hint};
use crate::model::FailureReason;
use crate::redact;

/// A token is renewed this long before it ends, or at half its life where that is shorter.
const RENEW_BEFORE: Duration = Duration::from_mins(10);

/// Longest life that is believed; Atlas says an hour.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A token is used for this long whatever its life is said to be: a life of nothing must not mint with every request.
const MINT_EVERY: Duration = Duration::from_secs(10);

/// Longest time that a mint may take, whoever waits for it.
const MINT_TIMEOUT: Duration = Duration::from_secs(10);

/// A 401 makes a token doubtful, but may mean something that no new token cures: at most one a minute is minted for doubts.
const DOUBT_EVERY: Duration = Duration::from_mins(1);

/// What a new token did not cure may be cured by a later one: an outage of the sign-in ends.
const UNCURED_FOR: Duration = Duration::from_mins(5);

/// Pause after a refused secret, doubled with the second refusal; a secret that has changed on disk is tried at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
const REFUSED_PAUSE_MOST: Duration = Duration::from_mins(1);

/// Pause after a mint that failed otherwise, doubled each time: six attempts in the first minute, then one a minute.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
const FAILED_PAUSE_MOST: Duration = Duration::from_mins(1);

/// Longest pause that the token endpoint can ask for.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(in crate::atlas) struct TokenAuth {
    minter: Arc<Minter>,
}

/// What a mint needs; it goes on when the poll that began it is cut off.
#[derive(Debug)]
struct Minter {
    client_id: String,
    /// Source of the id.
    origin: String,
    client_secret: SecretSource,
    url: Url,
    /// Held while a token is minted.
    minting: Arc<Mutex<()>>,
    state: StdMutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    serial: u64,
    failure: Option<Failure>,
    failures: u32,
    doubted_at: Option<Instant>,
    /// Paths whose 401 a new token did not cure, and when: for a while, their next ones raise no doubt.
    uncured: HashMap<String, Instant>,
}

#[derive(Debug, Clone)]
struct Token {
    serial: u64,
    /// Marked as sensitive: it does not print.
    header: HeaderValue,
    renew_at: Instant,
    ends_at: Instant,
}

/// The last attempt to mint, until it may be repeated.
#[derive(Debug)]
struct Failure {
    error: Error,
    until: Instant,
    /// The secret that was refused.
    secret: Option<SecretString>,
}

impl TokenAuth {
    pub(super) fn new(base: &Url, client_id: String, origin: String, client_secret: SecretSource) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}api/oauth/token", base.path()));
        let (minting, state) = (Arc::default(), StdMutex::default());
        let minter = Minter { client_id, origin, client_secret, url, minting, state };
        Self { minter: Arc::new(minter) }
    }

    pub(super) async fn send(
        &self,
        door: &Door,
        route: &Route,
        request: &Request,
    ) -> Result<Response, Error> {
        let path = request.url().path();
        let token = self.token(door).await?;
        let response = door.send(route, signed(request, &token)?).await?;
        if !is_unauthorized(&response) {
            self.minter.state().uncured.remove(path);
            return Ok(response);
        }
        // The 401 stands, unless a newer token than the one it refused can be had. Where a role is missing, none can help.
        let refusal = door.refusal(response).await;
        if refusal.row().is_none_or(|row| row.retry != Retry::NewToken) {
            return Err(refusal);
        }
        let Some(newer) = self.newer(door, &token, path).await else { return Err(refusal) };
        let response = door.send(route, signed(request, &newer)?).await?;
        if is_unauthorized(&response) {
            self.minter.state().uncured.insert(path.to_owned(), Instant::now());
        }
        Ok(response)
    }

    /// The token in use; a new one if there is none.
    async fn token(&self, door: &Door) -> Result<Token, Error> {
        if let Some(token) = self.minter.state().usable() {
            if token.renew_at <= Instant::now()
                && let Ok(turn) = self.minter.minting.clone().try_lock_owned()
            {
                tokio::spawn(self.minter.clone().mint(door.clone(), turn));
            }
            return Ok(token);
        }
        let turn = self.minter.minting.clone().lock_owned().await;
        // Whoever had the turn before may have minted it.
        if let Some(token) = self.minter.state().usable() {
            return Ok(token);
        }
        self.mint(door, turn).await
    }

    /// A token newer than one that met a 401; `None` if there is none, or none should be minted for this.
    async fn newer(&self, door: &Door, doubted: &Token, path: &str) -> Option<Token> {
        let turn = self.minter.minting.clone().lock_owned().await;
        {
            let mut state = self.minter.state();
            if let Some(token) = state.usable().filter(|token| token.serial != doubted.serial) {
                return Some(token);
            }
            if !state.may_doubt(path, Instant::now()) {
                return None;
            }
        }
        // Until a new one is there, the old one stays: others may have no trouble with it.
        let minted = self.mint(door, turn).await.ok();
        if minted.is_none() {
            // Failed mints have a pause of their own, which a secret that has changed ends. This one must not outlast it.
            self.minter.state().doubted_at = None;
        }
        minted
    }

    async fn mint(&self, door: &Door, turn: OwnedMutexGuard<()>) -> Result<Token, Error> {
        let minted = tokio::spawn(self.minter.clone().mint(door.clone(), turn)).await;
        minted.unwrap_or_else(|error| Err(Error::invalid(&format!("minting a token was ended: {error}"))))
    }
}

impl Minter {
    async fn mint(self: Arc<Self>, door: Door, _turn: OwnedMutexGuard<()>) -> Result<Token, Error> {
        let secret = secret(&self.client_secret).await?;
        if let Some(error) = self.state().pausing(&secret) {
            return Err(error);
        }
        let outcome = timeout(MINT_TIMEOUT, self.ask(&door, &secret)).await.unwrap_or(Err(Error::Timeout));
        let outcome = outcome.and_then(|token| {
            Ok((sensitive(&format!("Bearer {}", token.access_token.expose_secret()))?, token.life))
        });
        let mut state = self.state();
        match outcome {
            Ok((header, life)) => {
                let life = life.min(LONGEST_LIFE);
                let now = Instant::now();
                let renew_in = life.saturating_sub(RENEW_BEFORE).max(life / 2);
                state.serial += 1;
                let token = Token {
                    serial: state.serial,
                    header,
                    renew_at: now + renew_in.max(MINT_EVERY),
                    ends_at: now + life.max(MINT_EVERY),
                };
                (state.failure, state.failures) = (None, 0);
                state.token = Some(token.clone());
                tracing::debug!(life_seconds = life.as_secs(), "minted an access token");
                Ok(token)
            }
            Err(error) => {
                if state.failures == 0 {
                    let is_refused = error.reason() == FailureReason::Unauthorized;
                    let hint = client_hint(&self.client_id, secret.expose_secret()).filter(|_| is_refused);
                    tracing::warn!(
                        client_id = self.client_id,
                        client_id_source = self.origin,
                        client_secret = %self.client_secret,
                        reason = error.reason().as_str(),
                        error = %error,
                        hint,
                        "cannot get an access token"
                    );
                }
                state.failure = Some(Failure::new(error.clone(), state.failures, secret));
                state.failures += 1;
                Err(error)
            }
        }
    }

    async fn ask(&self, door: &Door, secret: &SecretString) -> Result<wire::Token, Error> {
        let request = door
            .post(self.url.clone())
            .header(ACCEPT, HeaderValue::from_static(Endpoint::Token.media_type()))
            .basic_auth(&self.client_id, Some(secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")])
            .build()
            .map_err(Error::transport)?;
        let route = Route { endpoint: Endpoint::Token, owner: None };
        match door.body(door.send(&route, request).await?).await {
            Ok(body) => wire::token(&body).inspect(|token| {
                redact::register(redact::Kind::Token, token.access_token.expose_secret());
            }),
            Err(error) => Err(refused(error)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self) -> Option<Token> {
        self.token.clone().filter(|token| Instant::now() < token.ends_at)
    }

    /// Whether the 401 of a path at `now` is reason enough for a new token.
    fn may_doubt(&mut self, path: &str, now: Instant) -> bool {
        self.uncured.retain(|_, since| now < *since + UNCURED_FOR);
        if self.uncured.contains_key(path) || self.doubted_at.is_some_and(|at| now < at + DOUBT_EVERY) {
            return false;
        }
        self.doubted_at = Some(now);
        true
    }

    /// The error of the last attempt, while its pause lasts; a secret that is not the refused one ends it.
    fn pausing(&mut self, secret: &SecretString) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        let changed =
            failure.secret.as_ref().is_some_and(|refused| refused.expose_secret() != secret.expose_secret());
        if changed {
            self.failures = 0;
            return None;
        }
        (Instant::now() < failure.until).then(|| failure.error.clone())
    }
}

impl Failure {
    fn new(error: Error, before: u32, secret: SecretString) -> Self {
        let refused = matches!(error.reason(), FailureReason::Unauthorized | FailureReason::Forbidden);
        let (first, most) =
            if refused { (REFUSED_PAUSE, REFUSED_PAUSE_MOST) } else { (FAILED_PAUSE, FAILED_PAUSE_MOST) };
        let pause = first.saturating_mul(2u32.saturating_pow(before)).min(most);
        let asked_for = error.retry_after().unwrap_or_default().min(LONGEST_PAUSE);
        Self { until: Instant::now() + pause.max(asked_for), secret: refused.then_some(secret), error }
    }
}

/// 400 and 401 of the token endpoint are about the client, whatever OAuth calls them, unless an access list refuses its
/// address; all else is not about the project that is asked for, either.
fn refused(error: Error) -> Error {
    let refused_address = error.code().is_some_and(|code| code.contains("ACCESS_LIST"));
    match error {
        Error::Answer { status, code, detail, .. }
            if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) && !refused_address =>
        {
            Error::TokenRefused { status, code, detail }
        }
        other => Error::NoToken(Box::new(other)),
    }
}

fn signed(request: &Request, token: &Token) -> Result<Request, Error> {
    let mut signed = copy(request)?;
    signed.headers_mut().insert(AUTHORIZATION, token.header.clone());
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses after so many failures in a row, in seconds.
    fn pauses(error: &Error) -> Vec<u64> {
        let pause =
            |before| Failure::new(error.clone(), before, SecretString::from("a")).until - Instant::now();
        (0..8).map(|before| pause(before).as_secs()).collect()
    }

    #[test]
    fn doubts_are_rare_and_not_raised_by_what_no_token_cures() {
        let start = Instant::now();
        let mut state =
            State { uncured: HashMap::from([("/no/role".to_owned(), start)]), ..State::default() };
        for (path, seconds, expected) in [
            ("/no/role", 0, false),
            ("/a", 0, true),
            ("/b", 59, false),
            ("/b", 60, true),
            ("/no/role", 299, false),
            ("/no/role", 301, true),
            ("/a", 999, true),
        ] {
            assert_eq!(
                state.may_doubt(path, start + Duration::from_secs(seconds)),
                expected,
                "{path} {seconds}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_a_bound() {
        assert_eq!(pauses(&Error::Timeout), [1, 2, 4, 8, 16, 32, 60, 60]);
        let refused = Error::TokenRefused { status: StatusCode::UNAUTHORIZED, code: None, detail: None };
        assert_eq!(pauses(&refused), [30, 60, 60, 60, 60, 60, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_atlas_asks_for_is_kept_within_reason() {
        let limited = |seconds| Error::Answer {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: None,
            detail: None,
            address: None,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(pauses(&limited(90))[0], 90);
        assert_eq!(pauses(&limited(u64::MAX))[0], LONGEST_PAUSE.as_secs());
    }
}
