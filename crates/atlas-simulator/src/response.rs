//! Responses in Atlas's form.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, detail } = self;
        // An access list names the address that it refused.
        let parameters: &[&str] = if code.contains("ACCESS_LIST") { &["203.0.113.7"] } else { &[] };
        let reason = status.canonical_reason().unwrap_or_default();
        let body = json!({
            "error": status.as_u16(),
            "reason": reason,
            "errorCode": code,
            "detail": detail,
            "parameters": parameters,
        });
        let response = json(status, body.to_string());
        // Atlas repeats the code in a header, but not on a 401.
        if status == StatusCode::UNAUTHORIZED {
            return response;
        }
        ([("x-error-code", code)], response).into_response()
    }
}

pub(crate) fn refuse(status: StatusCode, code: &'static str, detail: &str) -> Refusal {
    Refusal { status, code, detail: detail.to_owned() }
}

pub(crate) fn unauthorized() -> Refusal {
    let detail = "Current user is not authorized to perform this action.";
    refuse(StatusCode::FORBIDDEN, "USER_UNAUTHORIZED", detail)
}

pub(crate) fn not_found() -> Refusal {
    refuse(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "Cannot find the resource.")
}

pub(crate) fn bad_request(code: &'static str, detail: &str) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, code, detail)
}

pub(crate) fn invalid(detail: &str) -> Refusal {
    bad_request("INVALID_QUERY_PARAMETER", detail)
}

pub(crate) fn rate_limited(code: &'static str, detail: &str, wait: Duration) -> Response {
    let retry_after = [(header::RETRY_AFTER, (wait.as_secs() + 1).to_string())];
    (retry_after, refuse(StatusCode::TOO_MANY_REQUESTS, code, detail)).into_response()
}

pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

pub(crate) fn ok(body: &Value) -> Response {
    json(StatusCode::OK, body.to_string())
}

/// The value of a header, empty without it.
pub(crate) fn value(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(crate) fn add_headers(response: &mut Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
}
