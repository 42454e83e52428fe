//! Responses in Atlas's form.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error of Atlas.
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
        let response = json(
            status,
            &json!({"error": status.as_u16(), "reason": reason, "errorCode": code, "detail": detail, "parameters": parameters}),
        );
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

pub(crate) fn invalid(detail: &str) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, "INVALID_QUERY_PARAMETER", detail)
}

pub(crate) fn rate_limited(code: &'static str, detail: &str, wait: Duration) -> Response {
    let retry_after = [(header::RETRY_AFTER, (wait.as_secs() + 1).to_string())];
    (retry_after, refuse(StatusCode::TOO_MANY_REQUESTS, code, detail)).into_response()
}

pub(crate) fn json(status: StatusCode, body: &impl ToString) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(crate) fn add_headers(response: &mut Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(*name, value);
        }
    }
}

/// One page of the listing at `url`, which may contain filters. Links to the next page if `next`.
pub(crate) fn page(
    results: &[Value],
    url: &str,
    number: usize,
    size: usize,
    next: bool,
    total: i64,
) -> Value {
    let joint = if url.contains('?') { '&' } else { '?' };
    let link = |rel: &str, number: usize| json!({"rel": rel, "href": format!("{url}{joint}itemsPerPage={size}&pageNum={number}")});
    let mut links = vec![link("self", number)];
    if number > 1 {
        links.push(link("previous", number - 1));
    }
    if next {
        links.push(link("next", number + 1));
    }
    json!({"links": links, "results": results, "totalCount": total})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_code_is_in_a_header_except_on_401() {
        for (status, repeated) in [(StatusCode::FORBIDDEN, true), (StatusCode::UNAUTHORIZED, false)] {
            let response = refuse(status, "SOME_CODE", "").into_response();
            assert_eq!(response.headers().contains_key("x-error-code"), repeated, "{status}");
        }
    }
}
