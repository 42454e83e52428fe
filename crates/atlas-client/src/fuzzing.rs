//! Private functions for the invariants in `fuzz/` and for tests.

use std::time::{Duration, SystemTime};

use digest_auth::WwwAuthenticateHeader;
use reqwest::header::HeaderMap;
use reqwest::{Request, StatusCode};
use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use crate::auth::digest;
use crate::endpoint::{self, Endpoint, RequestContext};
use crate::inflate::Inflate;
use crate::pagination::{self, ListBuilder};
use crate::rate_limit::{RateLimiter, interval_multiplier};
use crate::types::{self, ListEntry};
use crate::{Error, MAX_ENTRIES, PartialList, ProjectId, Quota, Schedule, error};

pub fn api_url(base_url: &Url, segments: &[&str]) -> Result<Url, Error> {
    endpoint::api_url(base_url, segments)
}

/// Decompresses `body` in pieces of `piece` bytes, to at most `max` bytes.
pub fn gunzip(body: &[u8], max: usize, piece: usize) -> Result<Vec<u8>, Error> {
    let (mut inflate, mut text) = (Inflate::new(), Vec::new());
    for mut rest in body.chunks(piece.max(1)) {
        while !rest.is_empty() {
            text.reserve(piece);
            rest = inflate.write(rest, &mut text)?;
            if text.len() > max {
                return Err(Error::TooLarge(format!("more than {max} bytes")));
            }
        }
    }
    inflate.finish().map(|()| text)
}

#[must_use]
pub fn error_response(status: StatusCode, body: &[u8]) -> Error {
    Error::response(status, &HeaderMap::new(), body)
}

#[must_use]
pub fn requested_pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    error::requested_pause(headers, now)
}

/// Applies a response to a rate limiter. Returns a check of later requests, the quota, and the
/// multiplier of intervals.
pub fn rate_limit(
    project: &ProjectId,
    status: StatusCode,
    headers: &HeaderMap,
    received: Instant,
) -> (impl Fn(Instant) -> Result<(), Error>, Option<Quota>, f64) {
    let context = RequestContext { endpoint: Endpoint::EXPORTS, owner: Some(project.as_str().to_owned()) };
    let limiter = RateLimiter::default();
    limiter.update_from_headers(&context, status, headers, received);
    let quota = limiter.quota(project);
    (move |now| limiter.try_acquire(&context, now), quota, interval_multiplier(quota))
}

#[must_use]
pub fn digest_challenge(headers: &HeaderMap) -> Option<WwwAuthenticateHeader> {
    digest::challenge(headers)
}

pub fn digest_sign(
    challenge: &mut WwwAuthenticateHeader,
    public_key: &str,
    private_key: &SecretString,
    request: &Request,
) -> Result<Request, Error> {
    digest::respond(challenge, public_key, private_key, request)
}

#[allow(private_bounds)]
pub fn decode_list<T: ListEntry>(body: &[u8]) -> Result<PartialList<T>, Error> {
    pagination::decode_list(body)
}

/// Decodes the only page of a listing.
#[allow(private_bounds)]
pub fn decode_page<T: ListEntry>(body: &[u8]) -> Result<PartialList<T>, Error> {
    let mut builder = ListBuilder::default();
    let total_count = builder.read_page(body, MAX_ENTRIES)?.total_count;
    builder.finish(total_count)
}

pub fn decode_schedule(body: &[u8]) -> Result<Schedule, Error> {
    types::decode(body)
}

pub fn decode_project_name(body: &[u8]) -> Result<String, Error> {
    types::decode(body).map(|project: types::Project| project.name.0)
}

pub fn decode_token_life(body: &[u8]) -> Result<Duration, Error> {
    types::decode_token(body).map(|token| token.life)
}
