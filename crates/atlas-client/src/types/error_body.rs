//! Bodies of error responses.

use std::net::IpAddr;
use std::time::SystemTime;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::array::BoundedVec;
use super::text::Lenient;
use crate::error::{Error, MAX_CODE, requested_pause, tidy};
use crate::redact;

/// Maximum number of parameters of an error.
const MAX_PARAMETERS: usize = 64;

/// The body of an error response. Fields of another type are ignored: `error` is a number in errors
/// of Atlas and a string in those of OAuth, and `parameters` mixes strings and numbers.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody<'a> {
    #[serde(rename = "errorCode")]
    code: Lenient,
    error: Lenient,
    detail: Lenient,
    error_description: Lenient,
    message: Lenient,
    reason: Lenient,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
}

impl Error {
    /// Creates the error for an error response, from its status, headers and body.
    pub(crate) fn response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let body: ErrorBody<'_> = serde_json::from_slice(body).unwrap_or_default();
        let parameters: Option<BoundedVec<Lenient, MAX_PARAMETERS>> =
            body.parameters.and_then(|raw| serde_json::from_str(raw.get()).ok());
        let is_address = |text: Lenient| text.0?.parse::<IpAddr>().ok();
        // The header repeats the code, and is there if the body is not.
        let header = headers.get("x-error-code").and_then(|code| code.to_str().ok()).map(str::to_owned);
        let code = first_text([body.code, body.error]).or(header).filter(|code| !code.trim().is_empty());
        let detail = first_text([body.detail, body.error_description, body.message, body.reason]);
        Self::Response {
            status,
            code: code.map(|code| redact::display(code.trim(), MAX_CODE)),
            detail: detail.map(|detail| tidy(&detail)),
            address: parameters.and_then(|parameters| parameters.0.into_iter().find_map(is_address)),
            retry_after: requested_pause(headers, SystemTime::now()),
        }
    }
}

fn first_text(texts: impl IntoIterator<Item = Lenient>) -> Option<String> {
    texts.into_iter().filter_map(|text| text.0).find(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_body_of_every_shape_is_read() {
        let check = |body: &str, code: Option<&str>, detail: Option<&str>, address: Option<&str>| {
            let expected = Error::Response {
                status: StatusCode::BAD_REQUEST,
                code: code.map(str::to_owned),
                detail: detail.map(str::to_owned),
                address: address.map(|address| address.parse().unwrap()),
                retry_after: None,
            };
            let error = Error::response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes());
            assert_eq!(error, expected, "{body}");
        };
        check(
            r#"{"error":404,"errorCode":"CLUSTER_NOT_FOUND","detail":"d","reason":"Not Found"}"#,
            Some("CLUSTER_NOT_FOUND"),
            Some("d"),
            None,
        );
        check(
            r#"{"error":"invalid_client","error_description":"d"}"#,
            Some("invalid_client"),
            Some("d"),
            None,
        );
        check(r#"{"errorCode":"X","message":"m","status":403,"version":1}"#, Some("X"), Some("m"), None);
        check(r#"{"errorCode":"","detail":"","reason":"r"}"#, None, Some("r"), None);
        check(r#"{"errorCode":"X","detail":7,"parameters":null}"#, Some("X"), None, None);
        check(
            r#"{"errorCode":"X","parameters":["/path",0,"203.0.113.7","10.0.0.1"]}"#,
            Some("X"),
            None,
            Some("203.0.113.7"),
        );
        for odd in ["<html>", "", "[]", "7", r#"{"parameters":{"a":"10.0.0.1"}}"#] {
            check(odd, None, None, None);
        }
    }
}
