//! Middleware for every request: rate limit, basic auth, response headers.

use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::time::Instant;

use crate::basic_auth::AuthResult;
use crate::config::WebConfig;
use crate::guarded_body::GuardedBody;
use crate::rate_limit::TokenBucket;
use crate::timeouts::Timeouts;

/// Settings of the application, in addition to the web configuration file.
#[derive(Debug, Clone, Default)]
pub struct ServeOptions {
    /// Path for probes, such as `/-/healthy`, without authentication and rate limit.
    pub open_path: Option<&'static str>,
    /// Headers of every response, unless the web configuration file sets them.
    pub default_headers: HeaderMap,
}

#[derive(Debug)]
pub(crate) struct Middleware {
    router: TowerToHyperService<Router>,
    options: ServeOptions,
    bucket: Mutex<TokenBucket>,
}

impl Middleware {
    pub(crate) fn new(router: Router, options: ServeOptions) -> Self {
        Self { router: TowerToHyperService::new(router), options, bucket: Mutex::default() }
    }

    /// Answers a request with the router, or refuses it.
    ///
    /// A response protects its connection from eviction, except on the open path and after a
    /// refusal.
    pub(crate) async fn call(
        &self,
        request: Request<Incoming>,
        web: &WebConfig,
        timeouts: &Timeouts,
    ) -> Response {
        timeouts.set_idle();
        // A body must not wait in memory while a password is verified.
        let request = request.map(|_| Body::empty());
        let is_open = Some(request.uri().path()) == self.options.open_path;
        let refusal = if is_open { None } else { self.refusal(web, request.headers()).await };
        let guard = (refusal.is_none() && !is_open).then(|| timeouts.start_response());
        let mut response = match refusal {
            Some(refusal) => refusal,
            None => self.router.call(request).await.unwrap_or_else(|never| match never {}),
        };
        for (name, value) in self.options.default_headers.iter().chain(&web.headers) {
            // A header with an empty value is not sent.
            if value.is_empty() {
                response.headers_mut().remove(name);
            } else {
                response.headers_mut().insert(name, value.clone());
            }
        }
        response.map(|body| GuardedBody::wrap(body, guard))
    }

    /// Returns the response to a request that is over the limit or not authenticated.
    async fn refusal(&self, web: &WebConfig, headers: &HeaderMap) -> Option<Response> {
        if let Some(limit) = web.rate_limit
            && !self.bucket.lock().unwrap_or_else(PoisonError::into_inner).try_take(limit, Instant::now())
        {
            return Some(too_many());
        }
        match web.basic_auth.as_ref()?.authenticate(headers).await {
            AuthResult::Accepted => None,
            AuthResult::Busy => Some(too_many()),
            AuthResult::Rejected => {
                let challenge = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"))];
                Some((StatusCode::UNAUTHORIZED, challenge, "Unauthorized\n").into_response())
            }
        }
    }
}

fn too_many() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response()
}
