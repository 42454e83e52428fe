//! Classes of error responses, and `Retry-After`.

use super::*;

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let check = |value: &str, seconds: Option<u64>| {
        assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
    };
    check("0", Some(0));
    check(" 120 ", Some(120));
    check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
    check("Sun, 06 Nov 1994 08:49:27 GMT", Some(0));
    check("99999999999999999999999", Some(u64::MAX));
    for nonsense in ["", "-1", "soon", "1.5"] {
        check(nonsense, None);
    }
}

fn answer(status: u16, code: &str) -> Error {
    let body = format!(r#"{{"error":{status},"errorCode":"{code}"}}"#);
    Error::response(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
}

/// Checks status, code, reason, retry and `is_lasting` of each row.
#[test]
fn every_error_response_follows_the_table() {
    use FailureReason::{BadRequest, Forbidden, NotFound, RateLimited, ServerError, Unauthorized};
    use Retry::{Backoff, NewToken, No};
    for (status, code, reason, retry, lasting) in [
        (401, "UNEXPECTED_ERROR", Unauthorized, NewToken, false),
        (401, "NO_CURRENT_USER", Unauthorized, NewToken, false),
        (401, "invalid_token", Unauthorized, NewToken, false),
        (401, "", Unauthorized, NewToken, false),
        (401, "USER_UNAUTHORIZED", Forbidden, No, true),
        (403, "USER_UNAUTHORIZED", Forbidden, No, true),
        (401, "USER_CANNOT_ACCESS_GROUP", Forbidden, No, true),
        (403, "USER_CANNOT_ACCESS_ORG", Forbidden, No, true),
        (403, "ACCESS_FORBIDDEN", Forbidden, No, true),
        (401, "NOT_IN_GROUP", Forbidden, No, true),
        (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", Forbidden, No, false),
        (403, "ORG_REQUIRES_ACCESS_LIST", Forbidden, No, false),
        (403, "RESOURCE_REQUIRES_ACCESS_LIST", Forbidden, No, false),
        (403, "", Forbidden, No, false),
        (403, "SOMETHING_NEW", Forbidden, No, true),
        (403, "FEATURE_UNSUPPORTED", Forbidden, No, true),
        (401, "SOMETHING_NEW", Forbidden, NewToken, false),
        (404, "CLUSTER_NOT_FOUND", NotFound, No, false),
        (404, "GROUP_NOT_FOUND", NotFound, No, false),
        (404, "RESOURCE_NOT_FOUND", NotFound, No, false),
        (404, "BACKUP_CONFIG_NOT_FOUND", NotFound, No, true),
        (404, "", NotFound, No, false),
        (404, "USER_UNAUTHORIZED", NotFound, No, false),
        (400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API", BadRequest, No, true),
        (410, "VERSION_GONE", BadRequest, No, false),
        (406, "", BadRequest, No, false),
        (400, "INVALID_VERSION_DATE", BadRequest, No, false),
        (402, "ACCOUNT_SUSPENDED", BadRequest, No, false),
        (402, "", BadRequest, No, false),
        (422, "X", BadRequest, No, false),
        (429, "RATE_LIMITED_TOKEN_BUCKET", RateLimited, Backoff, false),
        (429, "", RateLimited, Backoff, false),
        (500, "UNEXPECTED_ERROR", ServerError, Backoff, false),
        (503, "", ServerError, Backoff, false),
        (599, "", ServerError, Backoff, false),
    ] {
        let error = answer(status, code);
        let row = error.row().unwrap();
        assert_eq!((error.reason(), row.retry), (reason, retry), "{error}");
        assert_eq!(error.may_pass(), retry == Backoff, "{error}");
        assert_eq!(error.lasting_refusal().is_some(), lasting, "{error}");
    }
}

#[test]
fn refused_token_is_about_the_secret_not_the_resource() {
    use FailureReason::{Forbidden, RateLimited, ServerError, Unauthorized};
    for (status, code, reason) in [
        (400, "invalid_request", Unauthorized),
        (401, "invalid_client", Unauthorized),
        (401, "USER_UNAUTHORIZED", Unauthorized),
        (401, "IP_ADDRESS_NOT_ON_ACCESS_LIST", Forbidden),
        (403, "ORG_REQUIRES_ACCESS_LIST", Forbidden),
        (429, "rate_limited", RateLimited),
        (503, "", ServerError),
    ] {
        let error = Error::NoToken(Box::new(answer(status, code)));
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.lasting_refusal().is_none(), "{error}");
        assert_eq!(error.may_pass(), status >= 429, "{error}");
    }
    assert_eq!(Error::NoToken(Box::new(Error::Timeout(String::new()))).reason(), FailureReason::Timeout);
}

#[test]
fn status_that_is_no_error_has_no_row() {
    for status in [200, 302, 600, 999] {
        assert!(answer(status, "USER_UNAUTHORIZED").row().is_none(), "{status}");
        assert_eq!(answer(status, "").reason(), FailureReason::InvalidResponse, "{status}");
    }
}

#[test]
fn code_of_the_header_stands_in_for_the_body() {
    let mut headers = HeaderMap::new();
    headers.insert("x-error-code", "CLUSTER_NOT_FOUND".parse().unwrap());
    let code = |body: &str| {
        let error = Error::response(StatusCode::NOT_FOUND, &headers, body.as_bytes());
        error.code().map(str::to_owned)
    };
    assert_eq!(code(""), Some("CLUSTER_NOT_FOUND".to_owned()));
    assert_eq!(code(r#"{"errorCode":"GROUP_NOT_FOUND"}"#), Some("GROUP_NOT_FOUND".to_owned()));
    headers.insert("x-error-code", " ".parse().unwrap());
    assert_eq!(Error::response(StatusCode::FORBIDDEN, &headers, b"").code(), None);
}

#[test]
fn text_of_an_answer_is_one_bounded_line() {
    let body = serde_json::json!({"errorCode": "A\nB", "detail": "x\u{0}".repeat(1000)}).to_string();
    let error = Error::response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes()).to_string();
    assert!(error.starts_with("Atlas answered 400 Bad Request A B: x\\u{0}x"), "{error}");
    assert!(error.chars().count() < 400 && !error.contains(char::is_control), "{error}");
}
