//! What must hold of errors, whatever Atlas says of them.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;
use tokio::time::Instant;

use super::{
    Duration, Error, HeaderMap, MAX_MESSAGE, RETRY_AFTER, StatusCode, SystemTime, redact, requested_pause,
};
use crate::endpoint::{Endpoint, RequestContext};
use crate::fuzzing::is_a_line;
use crate::rate_limit::{RateLimiter, interval_multiplier};
use crate::types::ProjectId;

/// Texts with a credential in them, which is the word that is sought again.
const PLANTED: [&str; 5] =
    ["mdb_sa_sk_Planted", "Bearer Planted", "basic Planted==", "Bearer\nPlanted", KNOWN];

/// A secret that nothing but its value gives away.
const KNOWN: &str = "Planted-by-value";

/// A text of Atlas's is one short line, and nothing in it looks like a credential.
#[track_caller]
pub fn is_tidy(text: &str) {
    is_a_line(text);
    assert!(text.chars().count() <= MAX_MESSAGE + "...".len(), "{text:?}");
    // Where it was cut, the dots or what is left of a word may stand behind a scheme.
    assert!(text.ends_with("...") || redact::line(text) == text, "looks like a credential: {text:?}");
}

/// The body of an answer that is no success.
pub fn error_body(bytes: &[u8]) {
    for status in [400, 401, 403, 404, 429, 503].map(StatusCode::from_u16) {
        let status = status.expect("a status");
        let error = answer(status, bytes);
        assert_eq!(error, answer(status, bytes), "read twice");
        let Error::Answer { code, detail, .. } = &error else { panic!("{error:?}") };
        code.iter().chain(detail).for_each(|text| is_tidy(text));
        is_a_line(&error.to_string());
        assert!(error.lasting_refusal().is_none() || matches!(status.as_u16(), 400..=404));
        assert_eq!(error.may_pass(), matches!(status.as_u16(), 429 | 503));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let line = redact::line(text);
    assert_eq!(redact::line(&line), line, "looks like a credential");
    if text.contains("Planted") {
        return;
    }
    redact::register(redact::Kind::Configuration, KNOWN);
    for planted in PLANTED {
        for text in [format!("{text} {planted}"), format!("{planted} {text}")] {
            let body = json!({ "errorCode": text, "detail": text }).to_string();
            let said = answer(StatusCode::UNAUTHORIZED, body.as_bytes()).to_string();
            assert!(!said.contains("Planted"), "a credential is in {said:?}");
        }
    }
}

fn answer(status: StatusCode, body: &[u8]) -> Error {
    Error::answer(status, &HeaderMap::new(), body)
}

/// The headers that speak of budgets, one on a line: `Retry-After`, `RateLimit-Limit`,
/// `RateLimit-Remaining`.
pub fn retry_after(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    let names = [
        RETRY_AFTER,
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-remaining"),
    ];
    for (name, value) in names.into_iter().zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_001);
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let seconds = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match requested_pause(&headers, now) {
        None => assert!(!seconds, "{text:?} is a wait"),
        Some(wait) if seconds => {
            let digits = text.trim_start_matches('0');
            let told = if wait.is_zero() { String::new() } else { wait.as_secs().to_string() };
            let most = u64::MAX.to_string();
            let beyond = (digits.len(), digits) > (most.len(), &most);
            assert_eq!((told.as_str(), wait.subsec_nanos()), (if beyond { &most } else { digits }, 0));
        }
        Some(wait) => {
            let date = httpdate::fmt_http_date(now + wait);
            assert!(text.contains(':'), "{text:?} is no date");
            assert_eq!(httpdate::parse_http_date(&date).ok(), Some(now + wait), "{text:?}");
        }
    }
    is_paced(&headers);
}

/// Whatever Atlas asks for, nobody waits longer than an hour, or ten times as long as configured.
fn is_paced(headers: &HeaderMap) {
    const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
    let context = RequestContext { endpoint: Endpoint::Exports, owner: Some(PROJECT.to_owned()) };
    let (start, hour) = (Instant::now(), Duration::from_hours(1));
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let limiter = RateLimiter::default();
        limiter.update_from_headers(&context, status, headers, start);
        if let Err(error) = limiter.try_acquire(&context, start) {
            assert!(error.retry_after().is_some_and(|wait| wait <= hour), "{error:?}");
            is_a_line(&error.to_string());
        }
        assert_eq!(limiter.try_acquire(&context, start + hour), Ok(()));
        let quota = ProjectId::parse(PROJECT).and_then(|project| limiter.quota(&project));
        assert!(quota.is_none_or(|quota| quota.limit > 0 && quota.remaining <= quota.limit));
        assert!((1.0..=10.0).contains(&interval_multiplier(quota)), "{quota:?}");
    }
}
