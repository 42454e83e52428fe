//! Faults that are injected into responses.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use futures_util::{StreamExt, stream};

use crate::response::{add_headers, json, ok, refuse};

/// An endless body ends at 64 MiB, so that a client without a limit does not exhaust memory.
const ENDLESS_CHUNKS: usize = 1024;

/// A fault for the requests that match `path`.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the path; the end of the path with a `$` appended; a part of the query with a `?`
    /// prepended; empty for all requests.
    pub path: String,
    pub kind: FaultKind,
    /// Number of requests it still applies to; `None` for no limit.
    pub times: Option<u32>,
}

impl Fault {
    pub(crate) fn matches(&self, uri: &Uri) -> bool {
        if let Some(query) = self.path.strip_prefix('?') {
            return uri.query().is_some_and(|asked| asked.contains(query));
        }
        match self.path.strip_suffix('$') {
            Some(end) => uri.path().ends_with(end),
            None => uri.path().contains(&self.path),
        }
    }

    /// A fault without a limit.
    #[must_use]
    pub fn lasting(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), kind, times: None }
    }

    /// A fault for the next `times` requests.
    #[must_use]
    pub fn passing(path: &str, kind: FaultKind, times: u32) -> Self {
        Self { path: path.to_owned(), kind, times: Some(times) }
    }
}

/// Faulty behavior instead of a response.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// An error of Atlas with this status, code and additional headers; without a code, the HTML
    /// page of a proxy.
    Status(u16, &'static str, Vec<(&'static str, String)>),
    /// The usual response after a delay.
    Slow(Duration),
    /// A body that ends early, with an aborted connection.
    Truncated,
    /// This body with status 200.
    Body(&'static str),
    /// A page with an endless body.
    EndlessBody,
    /// Always another page, each with a link to the next one.
    EndlessPages,
    /// All tokens and nonces are revoked, then the request is processed.
    SignOut,
}

impl FaultKind {
    /// No response for longer than a client waits.
    pub const HANG: Self = Self::Slow(Duration::from_mins(10));

    /// An error of Atlas with this status and code.
    #[must_use]
    pub fn error(status: u16, code: &'static str) -> Self {
        Self::Status(status, code, Vec::new())
    }

    /// The faulty response; `None` if the request is to be processed.
    pub(crate) async fn apply(self) -> Option<Response> {
        let response = match self {
            Self::Status(status, code, headers) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut response = if code.is_empty() {
                    (status, Html("<html><h1>refused</h1></html>")).into_response()
                } else {
                    refuse(status, code, "The simulator is configured to refuse this.").into_response()
                };
                add_headers(&mut response, &headers);
                response
            }
            Self::Slow(wait) => {
                tokio::time::sleep(wait).await;
                return None;
            }
            Self::SignOut => return None,
            Self::Truncated => {
                let half = stream::once(async { Ok(Bytes::from_static(b"{\"results\":[{\"id\":\"65a1\",")) });
                let broken = stream::once(async {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Err(std::io::Error::other("the simulator aborts the response"))
                });
                json(StatusCode::OK, Body::from_stream(half.chain(broken)))
            }
            Self::Body(text) => json(StatusCode::OK, text),
            Self::EndlessBody => {
                let begin = stream::once(async { Bytes::from_static(b"{\"results\":[") });
                let jobs = Bytes::from("{\"state\":\"Successful\"},".repeat(3000));
                let chunks = stream::repeat(jobs).take(ENDLESS_CHUNKS);
                let body = Body::from_stream(begin.chain(chunks).map(Ok::<_, std::io::Error>));
                json(StatusCode::OK, body)
            }
            Self::EndlessPages => {
                let id = format!("{:024x}", fastrand::u64(..));
                let job = serde_json::json!({
                    "id": id,
                    "exportBucketId": "x",
                    "state": "Successful",
                    "createdAt": "2026-01-01T00:00:00Z",
                });
                let link = serde_json::json!({"rel": "next", "href": "/"});
                ok(&serde_json::json!({"results": [job], "links": [link], "totalCount": 1}))
            }
        };
        Some(response)
    }
}
