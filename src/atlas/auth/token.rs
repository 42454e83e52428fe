//! OAuth 2.0 client credentials (RFC 6749, section 4.4) as Atlas speaks them.
//!
//! One token serves every request. Atlas mints ten a minute and keeps a hundred alive, and others may use the same
//! client; so tokens are minted one at a time, well before the old one ends, and seldom where that does not help.

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{copy, is_unauthorized, sensitive};
use crate::atlas::door::{self, Door};
use crate::atlas::{Error, wire};
use crate::config::SecretSource;

/// A token is renewed this long before it ends, or at half its life where that is shorter.
const RENEW_BEFORE: Duration = Duration::from_mins(10);

/// Longest life that is believed; Atlas says an hour.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// A token is used for this long whatever its life is said to be: a life of nothing must not mint with every request.
const MINT_EVERY: Duration = Duration::from_secs(10);

/// A 401 makes a token doubtful, but some 401s mean a missing role, which no new token cures: at most one in five
/// minutes is minted for such a doubt.
const DOUBT_EVERY: Duration = Duration::from_mins(5);

/// Pause after a refused secret, doubled with each refusal; a secret that has changed on disk is tried at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);
const REFUSED_PAUSE_MOST: Duration = Duration::from_mins(5);

/// Pause after a mint that failed otherwise, doubled each time: six attempts in the first minute, then one a minute.
const FAILED_PAUSE: Duration = Duration::from_secs(1);
const FAILED_PAUSE_MOST: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(in crate::atlas) struct TokenAuth {
    client_id: String,
    client_secret: SecretSource,
    url: Url,
    /// Locked while a token is minted, so that everyone waits for the same one.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    failure: Option<Failure>,
    failures: u32,
    doubted_at: Option<Instant>,
    serial: u64,
}

#[derive(Debug, Clone)]
struct Token {
    serial: u64,
    text: SecretString,
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
    pub(super) fn new(base: &Url, client_id: String, client_secret: SecretSource) -> Self {
        let mut url = base.clone();
        url.set_path(&format!("{}api/oauth/token", base.path()));
        Self { client_id, client_secret, url, state: Mutex::default() }
    }

    pub(super) async fn send(&self, door: &Door, request: &Request) -> Result<Response, Error> {
        let token = self.token(door, None).await?;
        let response = door.send(signed(request, &token)?).await?;
        if !is_unauthorized(&response) {
            return Ok(response);
        }
        let newer = self.token(door, Some(token.serial)).await?;
        if newer.serial == token.serial {
            return Ok(response);
        }
        door.send(signed(request, &newer)?).await
    }

    /// The token in use, or a new one where it is missing, old, or doubted by a 401. A doubt that comes too soon after
    /// the last leaves the token as it is.
    async fn token(&self, door: &Door, doubted: Option<u64>) -> Result<Token, Error> {
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let mut usable = None;
        if let Some(token) = state.token.clone().filter(|token| now < token.ends_at) {
            if doubted == Some(token.serial) {
                if state.doubted_at.is_some_and(|at| now < at + DOUBT_EVERY) {
                    return Ok(token);
                }
                state.doubted_at = Some(now);
                state.token = None;
            } else if now < token.renew_at {
                return Ok(token);
            } else {
                usable = Some(token);
            }
        }
        match self.mint(&mut state, door).await {
            Ok(token) => Ok(token),
            // Renewal begins early enough to fail for a while.
            Err(error) => usable.ok_or(error),
        }
    }

    async fn mint(&self, state: &mut State, door: &Door) -> Result<Token, Error> {
        let secret = self.client_secret.read().map_err(Error::Secret)?;
        if let Some(failure) = &state.failure {
            let changed = failure
                .secret
                .as_ref()
                .is_some_and(|refused| refused.expose_secret() != secret.expose_secret());
            if changed {
                state.failures = 0;
            } else if Instant::now() < failure.until {
                return Err(failure.error.clone());
            }
        }
        // Noted before the request leaves, so that an attempt which is cut off counts, too.
        let before = state.failures;
        state.failure = Some(failure(Error::Timeout, before, None));
        state.failures += 1;
        match self.ask(door, &secret).await {
            Ok(token) => {
                let now = Instant::now();
                let life = Duration::from_secs(token.expires_in).min(LONGEST_LIFE);
                let renew_in = life.saturating_sub(RENEW_BEFORE).max(life / 2);
                state.serial += 1;
                let token = Token {
                    serial: state.serial,
                    text: token.access_token,
                    renew_at: now + renew_in.max(MINT_EVERY),
                    ends_at: now + life.max(MINT_EVERY),
                };
                (state.failure, state.failures) = (None, 0);
                state.token = Some(token.clone());
                tracing::debug!(life_seconds = life.as_secs(), "minted an access token");
                Ok(token)
            }
            Err(error) => {
                state.failure = Some(failure(error.clone(), before, Some(secret)));
                Err(error)
            }
        }
    }

    async fn ask(&self, door: &Door, secret: &SecretString) -> Result<wire::Token, Error> {
        let request = door
            .post(self.url.clone())
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .basic_auth(&self.client_id, Some(secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")])
            .build()
            .map_err(Error::transport)?;
        match door::body(door.send(request).await?).await {
            Ok(body) => wire::decode(&body),
            Err(error) => Err(refusal(error)),
        }
    }
}

/// 400, 401 and 403 of the token endpoint are about the client, whatever OAuth calls them.
fn refusal(error: Error) -> Error {
    match error {
        Error::Answer { status, code, detail, .. }
            if matches!(
                status,
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ) =>
        {
            Error::TokenRefused { status, code, detail }
        }
        other => other,
    }
}

fn failure(error: Error, before: u32, secret: Option<SecretString>) -> Failure {
    let refused = matches!(error, Error::TokenRefused { .. });
    let (first, most) =
        if refused { (REFUSED_PAUSE, REFUSED_PAUSE_MOST) } else { (FAILED_PAUSE, FAILED_PAUSE_MOST) };
    let pause = first.saturating_mul(2u32.saturating_pow(before)).min(most);
    let asked_for = error.retry_after().unwrap_or_default().min(REFUSED_PAUSE_MOST);
    Failure { until: Instant::now() + pause.max(asked_for), secret: secret.filter(|_| refused), error }
}

fn signed(request: &Request, token: &Token) -> Result<Request, Error> {
    let mut signed = copy(request)?;
    let value = sensitive(&format!("Bearer {}", token.text.expose_secret()))?;
    signed.headers_mut().insert(AUTHORIZATION, value);
    Ok(signed)
}
