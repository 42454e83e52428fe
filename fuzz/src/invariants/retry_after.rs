//! Invariants of the headers about rate limits.

use std::time::{Duration, SystemTime};

use atlas_client::ProjectId;
use atlas_client::fuzzing::{rate_limit, requested_pause};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

use super::text::assert_single_line;

/// Checks `Retry-After`, `RateLimit-Limit` and `RateLimit-Remaining`, one on a line.
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
    assert_pause(&headers);
    assert_pause_and_quota_bounded(&headers);
}

/// Checks that seconds or a date, and nothing else, are a pause of that length.
fn assert_pause(headers: &HeaderMap) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_001);
    let text = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match requested_pause(headers, now) {
        None => assert!(!is_number, "{text:?} is a pause"),
        Some(pause) if is_number => {
            // Compared as text, because the number can be too large for an integer.
            let (digits, max) = (text.trim_start_matches('0'), u64::MAX.to_string());
            let is_beyond = (digits.len(), digits) > (max.len(), &max);
            let seconds = if pause.is_zero() { String::new() } else { pause.as_secs().to_string() };
            assert_eq!((&*seconds, pause.subsec_nanos()), (if is_beyond { &max } else { digits }, 0));
        }
        Some(pause) => {
            let date = httpdate::fmt_http_date(now + pause);
            assert!(text.contains(':'), "{text:?} is no date");
            assert_eq!(httpdate::parse_http_date(&date).ok(), Some(now + pause), "{text:?}");
        }
    }
}

/// Checks that no pause is longer than an hour, and no interval than ten times the configured one.
fn assert_pause_and_quota_bounded(headers: &HeaderMap) {
    let project = ProjectId::parse("32b6e34b3d91647abb20e7b8").expect("an id");
    let (start, hour) = (Instant::now(), Duration::from_hours(1));
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        let (try_acquire, quota, interval_multiplier) = rate_limit(&project, status, headers, start);
        if let Err(error) = try_acquire(start) {
            assert!(error.retry_after().is_some_and(|pause| pause <= hour), "{error:?}");
            assert_single_line(&error.to_string());
        }
        assert_eq!(try_acquire(start + hour), Ok(()));
        assert!(quota.is_none_or(|quota| quota.limit > 0 && quota.remaining <= quota.limit));
        assert!((1.0..=10.0).contains(&interval_multiplier), "{quota:?}");
    }
}
