//! How answers and their headers are classed.

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

#[test]
fn an_answer_is_classed_by_status_and_code() {
    let check = |status: u16, body: &str, reason: FailureReason| {
        let status = StatusCode::from_u16(status).unwrap();
        let error = Error::answer(status, &HeaderMap::new(), body.as_bytes());
        assert_eq!(error.reason(), reason, "{error}");
    };
    check(401, r#"{"error":401,"errorCode":"UNEXPECTED_ERROR"}"#, FailureReason::Unauthorized);
    check(401, r#"{"error":401,"errorCode":"USER_UNAUTHORIZED"}"#, FailureReason::Forbidden);
    check(403, "", FailureReason::Forbidden);
    check(404, "<html>", FailureReason::NotFound);
    check(429, "{}", FailureReason::RateLimited);
    for status in [400, 402, 406, 410, 422] {
        check(status, "", FailureReason::BadRequest);
    }
    check(503, "", FailureReason::ServerError);
    check(302, "", FailureReason::InvalidResponse);
}

#[test]
fn a_missing_role_is_told_from_wrong_keys() {
    let check = |status: u16, code: &str, expected: bool| {
        let body = format!(r#"{{"error":{status},"errorCode":"{code}"}}"#);
        let status = StatusCode::from_u16(status).unwrap();
        let error = Error::answer(status, &HeaderMap::new(), body.as_bytes());
        assert_eq!(error.is_missing_role(), expected, "{error}");
    };
    check(403, "USER_UNAUTHORIZED", true);
    check(401, "NOT_IN_GROUP", true);
    check(401, "SOMETHING_NEW", true);
    check(401, "UNEXPECTED_ERROR", false);
    check(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST", false);
    check(403, "", false);
    check(404, "USER_UNAUTHORIZED", false);
}

#[test]
fn an_answers_text_is_one_bounded_line() {
    let body = serde_json::json!({"errorCode": "A\nB", "detail": "x\u{0}".repeat(1000)}).to_string();
    let error = Error::answer(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes()).to_string();
    assert!(error.starts_with("Atlas answered 400 Bad Request A B: x x"), "{error}");
    assert!(error.chars().count() < 400 && !error.contains(char::is_control), "{error}");
}
