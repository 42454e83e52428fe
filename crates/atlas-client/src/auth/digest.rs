//! HTTP Digest (RFC 7616). `digest_auth` computes the responses; [`Transport`] sends every request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use digest_auth::{AuthContext, WwwAuthenticateHeader};
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use reqwest::{Request, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};

use super::signing::{copy, secret, sensitive};
use crate::credentials::Credentials;
use crate::endpoint::RequestContext;
use crate::error::Error;
use crate::transport::Transport;

/// Maximum number of attempts: without a nonce, with a stale nonce, with a new nonce.
const MAX_ATTEMPTS: usize = 3;

/// Maximum length of a challenge in bytes. Every request repeats it; those of Atlas have about 150.
const MAX_CHALLENGE: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct DigestAuth {
    transport: Transport,
    credentials: Credentials,
    /// True after the hint for a malformed key was logged, until a key is accepted.
    hinted: AtomicBool,
    /// The current challenge, whose nonce all requests share until it is stale.
    challenge: Mutex<Option<WwwAuthenticateHeader>>,
}

impl DigestAuth {
    pub(super) fn new(transport: Transport, credentials: Credentials) -> Self {
        Self { transport, credentials, hinted: AtomicBool::new(false), challenge: Mutex::new(None) }
    }

    pub(super) async fn send(&self, context: &RequestContext, request: &Request) -> Result<Response, Error> {
        // The nonce that answered the previous attempt.
        let mut previous_nonce = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let private_key = secret(&self.credentials.secret).await?;
            let (signed, nonce) = self.sign(request, &private_key)?;
            let response = self.transport.send(context, signed).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                self.hinted.store(false, Ordering::Relaxed);
                return Ok(response);
            }
            let Some(challenge) = challenge(response.headers()) else { return Ok(response) };
            // A new nonce that is refused and not stale proves that the key is wrong.
            let is_wrong_key = nonce.is_some() && nonce == previous_nonce && !challenge.stale;
            if is_wrong_key {
                self.log_hint(&private_key);
            }
            if is_wrong_key || attempts == MAX_ATTEMPTS {
                return Ok(response);
            }
            previous_nonce = Some(challenge.nonce.clone());
            *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = Some(challenge);
        }
    }

    /// Logs once that a refused key looks malformed.
    fn log_hint(&self, private_key: &SecretString) {
        let Some(hint) = self.credentials.hint_for(private_key.expose_secret()) else { return };
        if !self.hinted.swap(true, Ordering::Relaxed) {
            let Credentials { id, secret, origin, .. } = &self.credentials;
            tracing::warn!(
                public_key = id,
                public_key_source = origin,
                private_key = %secret,
                hint,
                "Atlas refused the API key"
            );
        }
    }

    /// Returns the signed request and the nonce of its challenge.
    ///
    /// Without a challenge, the request stays unsigned, and Atlas answers with a challenge.
    fn sign(
        &self,
        request: &Request,
        private_key: &SecretString,
    ) -> Result<(Request, Option<String>), Error> {
        let mut challenge = self.challenge.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(challenge) = challenge.as_mut() else { return Ok((copy(request)?, None)) };
        let signed = respond(challenge, &self.credentials.id, private_key, request)?;
        Ok((signed, Some(challenge.nonce.clone())))
    }
}

/// Returns a signed copy of the request.
pub(crate) fn respond(
    challenge: &mut WwwAuthenticateHeader,
    public_key: &str,
    private_key: &SecretString,
    request: &Request,
) -> Result<Request, Error> {
    let url = request.url();
    let uri = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let context = AuthContext::new(public_key, private_key.expose_secret(), uri);
    let answer = challenge
        .respond(&context)
        .map_err(|error| Error::invalid(&format!("unusable digest challenge: {error}")))?;
    let mut signed = copy(request)?;
    signed.headers_mut().insert(AUTHORIZATION, sensitive(&answer.to_header_string())?);
    Ok(signed)
}

/// Returns the digest challenge of a response. Only visible ASCII is parsed, because `digest_auth`
/// slices by byte at offsets counted in characters.
pub(crate) fn challenge(headers: &HeaderMap) -> Option<WwwAuthenticateHeader> {
    headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= MAX_CHALLENGE)
        .filter(|value| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest ")))
        .find_map(|value| WwwAuthenticateHeader::parse(&value[7..]).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_that_is_too_long_is_none() {
        let given = |length: usize| {
            let value = format!("Digest realm=\"r\", qop=\"auth\", nonce=\"{}\"", "a".repeat(length));
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, value.parse().unwrap())]);
            challenge(&headers).is_some()
        };
        assert!(given(100) && given(MAX_CHALLENGE - 100) && !given(MAX_CHALLENGE));
    }
}
