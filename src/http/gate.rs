//! What stands before every page: the web configuration's users, headers and rate limit.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::Instant;

use super::guarded::guarded;
use super::page;
use super::timeouts::Timeouts;

use crate::web::{RateLimit, Verdict, WebConfig};

/// The page that anybody may ask for at any time, since probes bring no password: it says no more than that someone answers.
pub(super) const OPEN: &str = "/-/healthy";

/// As Go says it.
const UNAUTHORIZED: &str = "Unauthorized\n";

/// Headers of every response, unless the web configuration sets them.
static DEFAULT_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let plain = |name, value| (name, HeaderValue::from_static(value));
    [
        (header::CONTENT_SECURITY_POLICY, page::content_security_policy()),
        plain(header::REFERRER_POLICY, "no-referrer"),
        plain(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        plain(header::X_FRAME_OPTIONS, "DENY"),
    ]
    .into_iter()
    .collect()
});

#[derive(Debug, Clone)]
pub(super) struct Gate {
    pages: TowerToHyperService<Router>,
    web: watch::Receiver<Arc<WebConfig>>,
    bucket: Arc<Mutex<Bucket>>,
}

impl Gate {
    pub(super) fn new(pages: Router, web: watch::Receiver<Arc<WebConfig>>) -> Self {
        Self { pages: TowerToHyperService::new(pages), web, bucket: Arc::default() }
    }

    /// Answers a request. Only a response that needed permission keeps its connection from being evicted.
    pub(super) fn call(
        &self,
        request: Request<Incoming>,
        timeouts: &Timeouts,
    ) -> impl Future<Output = Response> + use<> {
        timeouts.set_idle();
        let (web, gate, timeouts) = (self.web.borrow().clone(), self.clone(), timeouts.clone());
        // No page reads a body, and none should wait in memory while a password is verified.
        let request = request.map(|_| Body::empty());
        async move {
            let is_open = request.uri().path() == OPEN;
            let refusal = if is_open { None } else { gate.refusal(&web, request.headers()).await };
            let response_guard = (refusal.is_none() && !is_open).then(|| timeouts.start_response());
            let mut response = match refusal {
                Some(refusal) => refusal,
                None => match gate.pages.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                },
            };
            for (name, value) in DEFAULT_HEADERS.iter().chain(&web.headers) {
                // A header that is set to nothing is not sent.
                if value.is_empty() {
                    response.headers_mut().remove(name);
                } else {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            guarded(response, response_guard)
        }
    }

    /// The answer to whoever may not pass.
    async fn refusal(&self, web: &WebConfig, headers: &HeaderMap) -> Option<Response> {
        if let Some(limit) = web.rate_limit
            && !self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(limit, Instant::now())
        {
            return Some(too_many());
        }
        let users = web.users.as_ref()?;
        if let Some((name, password)) = credentials(headers) {
            match users.verify(&name, &password).await {
                Verdict::Right => return None,
                Verdict::Busy => return Some(too_many()),
                Verdict::Wrong => {}
            }
        }
        let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))];
        Some((StatusCode::UNAUTHORIZED, challenge, UNAUTHORIZED).into_response())
    }
}

fn too_many() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response()
}

/// Name and password of an `Authorization: Basic` (RFC 7617). A name that is not UTF-8 is nobody's.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8_lossy(&decoded[..colon]).into_owned();
    Some((name, decoded[colon + 1..].to_vec()))
}

/// Tokens that requests take and time brings back; full at first.
#[derive(Debug, Default)]
struct Bucket {
    /// Tokens that are missing, and when they were counted.
    missing: Option<(f64, Instant)>,
}

impl Bucket {
    fn take(&mut self, limit: RateLimit, now: Instant) -> bool {
        let missing = self.missing.map_or(0.0, |(missing, then)| {
            let back = now.duration_since(then).as_secs_f64() / limit.interval.as_secs_f64();
            (missing - back).max(0.0)
        });
        let allowed = missing + 1.0 <= f64::from(limit.burst);
        self.missing = Some((if allowed { missing + 1.0 } else { missing }, now));
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn credentials_are_those_of_rfc_7617() {
        let read = |value: &str| {
            let headers = [(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap())];
            credentials(&headers.into_iter().collect())
        };
        let alice = |password: &[u8]| Some(("alice".to_owned(), password.to_owned()));
        assert_eq!(read("Basic YWxpY2U6c2VjcmV0"), alice(b"secret"));
        assert_eq!(read("bASIC YWxpY2U6c2VjcmV0"), alice(b"secret"));
        // Only the first colon parts them.
        assert_eq!(read(&format!("Basic {}", BASE64_STANDARD.encode("alice:a:b:"))), alice(b"a:b:"));
        assert_eq!(read(&format!("Basic {}", BASE64_STANDARD.encode("alice:"))), alice(b""));
        let odd = read(&format!("Basic {}", BASE64_STANDARD.encode(b"\xff:\xfe")));
        assert_eq!(odd, Some(("\u{fffd}".to_owned(), vec![0xfe])));
        for nobody in ["", "Basic", "Basic ", "Basic !", "Basic YWxpY2U=", "Bearer YWxpY2U6c2VjcmV0"] {
            assert_eq!(read(nobody), None, "{nobody}");
        }
        assert_eq!(credentials(&HeaderMap::new()), None);
    }

    #[test]
    fn a_bucket_fills_as_time_goes_by_and_no_further_than_full() {
        let (mut bucket, start) = (Bucket::default(), Instant::now());
        let limit = RateLimit { interval: Duration::from_secs(10), burst: 3 };
        let mut taken = |seconds: u64, times: usize| {
            let now = start + Duration::from_secs(seconds);
            (0..times).filter(|_| bucket.take(limit, now)).count()
        };
        assert_eq!(taken(0, 5), 3);
        assert_eq!(taken(9, 5), 0);
        assert_eq!(taken(10, 5), 1);
        assert_eq!(taken(30, 5), 2);
        assert_eq!(taken(1000, 5), 3);
        let nothing = RateLimit { burst: 0, ..limit };
        assert!(!Bucket::default().take(nothing, start));
    }
}
