//! What a server may do instead of answering.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::{StreamExt, stream};

use crate::gzip;
use crate::response::{add_headers, json, page, refuse};

/// A hang ends by itself one day.
const LONGEST_HANG: Duration = Duration::from_mins(10);

/// Jobs of a page that is far too long: more than a megabyte of JSON, of a few bytes each.
const HUGE_PAGE: usize = 500_000;

/// A body without end has one after all, so that no client fills a memory: 64 MiB.
const ENDLESS_CHUNKS: usize = 1024;

/// A misbehaviour for the requests whose path contains `path`.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the path, or, with a `$` behind it, its end, or, with a `?` before it, a part of
    /// the query; empty for all.
    pub path: String,
    /// What happens.
    pub what: Misbehaviour,
    /// How often it happens; `None` for as long as it stands.
    pub times: Option<u32>,
}

impl Fault {
    pub(crate) fn hits(&self, uri: &Uri) -> bool {
        if let Some(query) = self.path.strip_prefix('?') {
            return uri.query().is_some_and(|asked| asked.contains(query));
        }
        match self.path.strip_suffix('$') {
            Some(end) => uri.path().ends_with(end),
            None => uri.path().contains(&self.path),
        }
    }

    /// A fault that lasts.
    #[must_use]
    pub fn lasting(path: &str, what: Misbehaviour) -> Self {
        Self { path: path.to_owned(), what, times: None }
    }

    /// A fault that passes after `times` requests.
    #[must_use]
    pub fn passing(path: &str, what: Misbehaviour, times: u32) -> Self {
        Self { path: path.to_owned(), what, times: Some(times) }
    }
}

/// What happens instead of an answer.
#[derive(Debug, Clone)]
pub enum Misbehaviour {
    /// An error of Atlas with this status and code, with further headers; without a code, the page
    /// of a proxy.
    Status(u16, &'static str, Vec<(&'static str, String)>),
    /// Nothing, for a long time.
    Hang,
    /// An answer, but late.
    Slow(Duration),
    /// A body that breaks off in the middle.
    Truncated,
    /// A page for people, status 200.
    Html,
    /// JSON that is no listing, status 200.
    Body(&'static str),
    /// A listing that never ends.
    EndlessBody,
    /// The same page, and always the promise of a next one.
    CirclingPages,
    /// Always another page, and the promise of a next one.
    EndlessPages,
    /// A page of more jobs than anyone asked for.
    HugePage,
    /// Gzip that ends too soon.
    GzipTruncated,
    /// Gzip for one who was told of another encoding.
    OddEncoding,
    /// An error whose body does not come.
    SlowError(u16),
    /// A redirect.
    Redirect(String),
    /// Every token and every nonce ends, and then the request is answered.
    SignOut,
}

impl Misbehaviour {
    /// The answer, unless the request should be answered after all.
    pub(crate) async fn play(self) -> Option<Response> {
        let response = match self {
            Self::Status(status, code, headers) => {
                let status = code_of(status);
                let mut response = if code.is_empty() {
                    (status, Html("<html><h1>refused</h1></html>")).into_response()
                } else {
                    refuse(status, code, "The simulator refuses this by order.").into_response()
                };
                add_headers(&mut response, &headers);
                response
            }
            Self::Hang => {
                tokio::time::sleep(LONGEST_HANG).await;
                return None;
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
                    Err(std::io::Error::other("the simulator breaks off"))
                });
                json_body(Body::from_stream(half.chain(broken)))
            }
            Self::Html => Html("<!doctype html><title>Be back soon</title>").into_response(),
            Self::Body(text) => json(StatusCode::OK, &text),
            Self::EndlessBody => {
                let begin = stream::once(async { Bytes::from_static(b"{\"results\":[") });
                let jobs = Bytes::from("{\"state\":\"Successful\"},".repeat(3000));
                let chunks = stream::repeat(jobs).take(ENDLESS_CHUNKS);
                json_body(Body::from_stream(begin.chain(chunks).map(Ok::<_, std::io::Error>)))
            }
            Self::CirclingPages => one_more_page("65a10000000000000000cafe"),
            Self::EndlessPages => one_more_page(&format!("{:024x}", fastrand::u64(..))),
            Self::HugePage => {
                let jobs = vec!["{}"; HUGE_PAGE].join(",");
                json(StatusCode::OK, &format!("{{\"results\":[{jobs}]}}"))
            }
            Self::GzipTruncated => {
                let mut body = gzip::zipped(br#"{"results":[]}"#);
                body.truncate(body.len() - 8);
                encoded("gzip", body)
            }
            Self::OddEncoding => encoded("br", gzip::zipped(br#"{"results":[]}"#)),
            Self::SlowError(status) => {
                let begin = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) });
                let stall = stream::once(async {
                    tokio::time::sleep(LONGEST_HANG).await;
                    Ok(Bytes::new())
                });
                let mut response = json_body(Body::from_stream(begin.chain(stall)));
                *response.status_mut() = code_of(status);
                response
            }
            Self::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        };
        Some(response)
    }
}

fn code_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn one_more_page(id: &str) -> Response {
    let job = serde_json::json!({"id": id, "exportBucketId": "x", "state": "Successful", "createdAt": "2026-01-01T00:00:00Z"});
    json(StatusCode::OK, &page(&[job], "/", 1, 1, true, 1))
}

fn encoded(encoding: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, encoding)], body).into_response()
}

fn json_body(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
