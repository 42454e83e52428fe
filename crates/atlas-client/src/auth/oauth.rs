//! OAuth 2.0 client credentials (RFC 6749, section 4.4).
//!
//! One token serves all requests. Atlas issues ten tokens a minute and keeps a hundred valid, for
//! all programs with the same client id. So tokens are fetched one at a time, and renewed in the
//! background long before they expire.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use url::Url;

use super::signing::{copy, secret, sensitive};
use crate::credentials::Credentials;
use crate::endpoint::{Endpoint, RequestContext, authority};
use crate::error::{Error, FailureReason, Retry};
use crate::redact;
use crate::transport::Transport;
use crate::types::{AccessToken, decode_token};

/// Time before expiry at which a token is renewed, or half of its lifetime if that is less.
const RENEW_BEFORE: Duration = Duration::from_mins(10);

/// Maximum lifetime of a token. Atlas issues tokens for one hour.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// Minimum lifetime of a token, so that a lifetime of 0 does not cause a fetch for each request.
const MIN_LIFE: Duration = Duration::from_secs(10);

const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Minimum interval between refreshes caused by a 401. A 401 can also mean a missing role, which no
/// refresh fixes.
const REFRESH_AFTER_401_INTERVAL: Duration = Duration::from_mins(1);

/// Minimum interval between attempts with a refused secret.
const REFUSED_PAUSE: Duration = Duration::from_secs(30);

/// Interval after any other failure, doubled each time up to [`MAX_FAILED_PAUSE`].
const FAILED_PAUSE: Duration = Duration::from_secs(1);
const MAX_FAILED_PAUSE: Duration = Duration::from_mins(1);

/// Maximum `Retry-After` of the token endpoint that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Authentication of a service account; clones share its token.
#[derive(Debug, Clone)]
pub(crate) struct OAuthClient(Arc<TokenCache>);

#[derive(Debug)]
struct TokenCache {
    transport: Transport,
    credentials: Credentials,
    url: Url,
    token: watch::Sender<Option<Token>>,
    /// The last failure since the last token; locked while a token is fetched.
    failure: Mutex<Option<Failure>>,
}

#[derive(Debug, Clone)]
struct Token {
    /// Marked as sensitive, so that `Debug` hides it.
    header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
    /// Earliest time at which a 401 causes a refresh.
    refresh_at: Instant,
}

#[derive(Debug)]
struct Failure {
    error: Error,
    secret: SecretString,
    /// Number of failures in a row with this secret.
    count: u32,
    retry_at: Instant,
}

impl OAuthClient {
    pub(super) fn new(transport: Transport, base_url: &Url, credentials: Credentials) -> Self {
        let mut url = base_url.clone();
        url.set_path(&format!("{}api/oauth/token", base_url.path()));
        let (token, failure) = (watch::Sender::default(), Mutex::default());
        Self(Arc::new(TokenCache { transport, credentials, url, token, failure }))
    }

    pub(super) async fn send(&self, context: &RequestContext, request: &Request) -> Result<Response, Error> {
        let token = self.token().await?;
        let response = self.0.transport.send(context, signed(request, &token)?).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let refusal = self.0.transport.error_response(response).await;
        let may_refresh = refusal.row().is_some_and(|row| row.retry == Retry::NewToken);
        if !may_refresh || Instant::now() < token.refresh_at {
            return Err(refusal);
        }
        // The refused token stays in use until then, because it can work for other requests.
        let refresh_at = Instant::now() + REFRESH_AFTER_401_INTERVAL;
        match self.fetch_token(Some(token), refresh_at).await {
            Ok(newer) => self.0.transport.send(context, signed(request, &newer)?).await,
            Err(_) => Err(refusal),
        }
    }

    /// Returns the current token, or fetches one.
    async fn token(&self) -> Result<Token, Error> {
        let Some(token) = self.valid_token() else { return self.fetch_token(None, Instant::now()).await };
        if token.renew_at <= Instant::now() && self.0.failure.try_lock().is_ok() {
            tokio::spawn(self.clone().fetch(Some(token.clone()), Instant::now()));
        }
        Ok(token)
    }

    fn valid_token(&self) -> Option<Token> {
        self.0.token.borrow().clone().filter(|token| Instant::now() < token.expires_at)
    }

    /// Fetches a token. The fetch continues if the request that needs it is cancelled.
    async fn fetch_token(&self, old: Option<Token>, refresh_at: Instant) -> Result<Token, Error> {
        tokio::spawn(self.clone().fetch(old, refresh_at))
            .await
            .unwrap_or_else(|error| Err(Error::invalid(&format!("token request was cancelled: {error}"))))
    }

    /// Returns a newer token than `old`.
    async fn fetch(self, old: Option<Token>, refresh_at: Instant) -> Result<Token, Error> {
        let mut failure = self.0.failure.lock().await;
        // Another request can have fetched it in the meantime. Atlas can return the same text again.
        let is_newer = |token: &Token| old.is_none_or(|old| token.expires_at != old.expires_at);
        if let Some(newer) = self.valid_token().filter(is_newer) {
            return Ok(newer);
        }
        let secret = secret(&self.0.credentials.secret).await?;
        // A changed secret is tried at once.
        failure.take_if(|last| last.secret.expose_secret() != secret.expose_secret());
        if let Some(last) = failure.as_ref().filter(|last| Instant::now() < last.retry_at) {
            return Err(last.error.clone());
        }
        let outcome = timeout(FETCH_TIMEOUT, self.request_token(&secret, refresh_at)).await;
        match outcome.unwrap_or_else(|_| Err(Error::timeout(&authority(&self.0.url), FETCH_TIMEOUT))) {
            Ok(token) => {
                *failure = None;
                self.0.token.send_replace(Some(token.clone()));
                Ok(token)
            }
            Err(error) => {
                let count = failure.as_ref().map_or(0, |last| last.count);
                if count == 0 {
                    self.log_failure(&error, &secret);
                }
                let retry_at = Instant::now() + pause_after(&error, count);
                *failure = Some(Failure { error: error.clone(), secret, count: count + 1, retry_at });
                Err(error)
            }
        }
    }

    async fn request_token(&self, secret: &SecretString, refresh_at: Instant) -> Result<Token, Error> {
        let transport = &self.0.transport;
        let request = transport
            .post(self.0.url.clone())
            .header(ACCEPT, HeaderValue::from_static(Endpoint::TOKEN.media_type))
            .basic_auth(&self.0.credentials.id, Some(secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")])
            .build()
            .map_err(|error| Error::setup(&error))?;
        let context = RequestContext { endpoint: Endpoint::TOKEN, owner: None };
        let body = transport
            .body(transport.send(&context, request).await?)
            .await
            .map_err(|error| Error::NoToken(Box::new(error)))?;
        let AccessToken { access_token, life } = decode_token(&body)?;
        redact::register(redact::Kind::Token, access_token.expose_secret());
        let life = life.min(MAX_LIFE);
        let renew_in = life.saturating_sub(RENEW_BEFORE).max(life / 2).max(MIN_LIFE);
        tracing::debug!(life_seconds = life.as_secs(), "fetched an access token");
        Ok(Token {
            header: sensitive(&format!("Bearer {}", access_token.expose_secret()))?,
            renew_at: Instant::now() + renew_in,
            expires_at: Instant::now() + life.max(MIN_LIFE),
            refresh_at,
        })
    }

    fn log_failure(&self, error: &Error, secret: &SecretString) {
        let is_refused = error.reason() == FailureReason::Unauthorized;
        let credentials = &self.0.credentials;
        tracing::warn!(
            client_id = credentials.id,
            client_id_source = credentials.origin,
            client_secret = %credentials.secret,
            reason = error.reason().as_str(),
            error = %error,
            hint = credentials.hint_for(secret.expose_secret()).filter(|_| is_refused),
            "failed to get an access token"
        );
    }
}

/// Returns the pause after an error that follows this number of failures in a row.
fn pause_after(error: &Error, failures: u32) -> Duration {
    let pause = match error.reason() {
        FailureReason::Unauthorized | FailureReason::Forbidden => REFUSED_PAUSE,
        _ => FAILED_PAUSE.saturating_mul(2u32.saturating_pow(failures)).min(MAX_FAILED_PAUSE),
    };
    pause.max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER))
}

fn signed(request: &Request, token: &Token) -> Result<Request, Error> {
    let mut signed = copy(request)?;
    signed.headers_mut().insert(AUTHORIZATION, token.header.clone());
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: StatusCode, retry_after: Option<Duration>) -> Error {
        Error::Response { status, code: None, detail: None, address: None, retry_after }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let seconds = |error: &Error| [0, 1, 5, 6, 99].map(|failures| pause_after(error, failures).as_secs());
        assert_eq!(seconds(&Error::Timeout(String::new())), [1, 2, 32, 60, 60]);
        let refused = Error::NoToken(Box::new(answer(StatusCode::UNAUTHORIZED, None)));
        assert_eq!(seconds(&refused), [30; 5]);
    }

    #[test]
    fn retry_after_is_respected_within_an_hour() {
        let limited = |seconds| answer(StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(seconds)));
        assert_eq!(pause_after(&limited(90), 0).as_secs(), 90);
        assert_eq!(pause_after(&limited(u64::MAX), 0), MAX_RETRY_AFTER);
    }
}
