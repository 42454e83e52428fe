//! Invariants of error responses.

use atlas_client::fuzzing::error_response;
use atlas_client::{Error, Retry, redact};
use reqwest::StatusCode;
use serde_json::json;

use super::text::{assert_redacted, assert_single_line};

/// Texts with a credential that must be redacted.
const PLANTED: [&str; 5] =
    ["mdb_sa_sk_Planted", "Bearer Planted", "basic Planted==", "Bearer\nPlanted", REGISTERED];

/// A secret that is found by its value only.
const REGISTERED: &str = "Planted-by-value";

/// Checks the errors of a body with error statuses.
pub fn error_body(bytes: &[u8]) {
    for status in [400, 401, 403, 404, 429, 503].map(StatusCode::from_u16) {
        let status = status.expect("a status");
        let error = error_response(status, bytes);
        assert_eq!(error, error_response(status, bytes), "decoded twice");
        let Error::Response { code, detail, .. } = &error else { panic!("{error:?}") };
        code.iter().chain(detail).for_each(|text| assert_redacted(text));
        assert_single_line(&error.to_string());
        assert!(error.lasting_refusal().is_none() || matches!(status.as_u16(), 400..=404));
        let is_retried = error.row().is_some_and(|row| row.retry == Retry::Backoff);
        assert_eq!(is_retried, matches!(status.as_u16(), 429 | 503));
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let line = redact::line(text);
    assert_eq!(redact::line(&line), line, "looks like a credential");
    if text.contains("Planted") {
        return;
    }
    redact::register(redact::Kind::Configuration, REGISTERED);
    for planted in PLANTED {
        for text in [format!("{text} {planted}"), format!("{planted} {text}")] {
            let body = json!({ "errorCode": text, "detail": text }).to_string();
            let message = error_response(StatusCode::UNAUTHORIZED, body.as_bytes()).to_string();
            assert!(!message.contains("Planted"), "a credential is in {message:?}");
        }
    }
}
