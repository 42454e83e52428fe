//! Signing requests: a bearer token of a service account, or the digest of an API key.

mod digest;
mod token;

use std::time::Duration;

use reqwest::{Request, Response, StatusCode};
use secrecy::SecretString;
use tokio::time::timeout;

use url::Url;

use super::Error;
use super::door::Door;
use super::endpoint::Route;
use crate::config::{Credentials, SecretSource};
use crate::redact;
use digest::DigestAuth;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use digest::fuzzing;
use token::OAuthClient;

#[derive(Debug)]
pub(super) enum Auth {
    Token(OAuthClient),
    Digest(Box<DigestAuth>),
}

impl Auth {
    pub(super) fn new(base: &Url, credentials: &Credentials) -> Self {
        match credentials.clone() {
            Credentials::ServiceAccount { client_id, origin, client_secret, .. } => {
                Self::Token(OAuthClient::new(base, client_id, origin, client_secret))
            }
            Credentials::ApiKey { public_key, origin, private_key } => {
                Self::Digest(Box::new(DigestAuth::new(public_key, origin, private_key)))
            }
        }
    }

    /// Sends `request`, which has no body, signed; signs anew where Atlas asks for it.
    pub(super) async fn send(
        &self,
        door: &Door,
        route: &Route,
        request: &Request,
    ) -> Result<Response, Error> {
        match self {
            Self::Token(token) => token.send(door, route, request).await,
            Self::Digest(digest) => digest.send(door, route, request).await,
        }
    }
}

/// A second copy of a request without body.
fn copy(request: &Request) -> Result<Request, Error> {
    request.try_clone().ok_or_else(|| Error::invalid("a request that cannot be sent twice"))
}

fn is_unauthorized(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED
}

/// Longest time that a secret's file may take: a pipe that nobody fills, or a share that is gone, is no secret.
const SECRET_TIMEOUT: Duration = Duration::from_secs(5);

/// The secret as it is now. Files are read on a thread of their own: one that hangs holds up nobody else.
async fn secret(source: &SecretSource) -> Result<SecretString, Error> {
    if let SecretSource::Inline { secret, .. } = source {
        return Ok(secret.clone());
    }
    let file = source.clone();
    let read = tokio::task::spawn_blocking(move || file.read());
    match timeout(SECRET_TIMEOUT, read).await {
        Ok(Ok(read)) => read.map_err(|error| Error::Secret(redact::line(&error))),
        Ok(Err(error)) => Err(Error::Secret(error.to_string())),
        Err(_) => Err(Error::Secret(format!("reading it {source} takes too long"))),
    }
}

/// A header value that no log shows.
fn sensitive(text: &str) -> Result<reqwest::header::HeaderValue, Error> {
    let mut value = reqwest::header::HeaderValue::from_str(text)
        .map_err(|_| Error::invalid("credentials that no HTTP header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
