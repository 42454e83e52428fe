//! HTTP endpoints of the exporter. A request never causes a request to Atlas.

mod clusters_api;
mod gzip;
mod metrics;
pub(crate) mod negotiate;
mod probes;
mod query;
mod state;
mod status_page;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use exporter_web::ServeOptions;

use probes::HEALTHY;
pub use state::AppState;
use state::RequestLimiter;

/// Returns the options for serving the router.
#[must_use]
pub fn serve_options() -> ServeOptions {
    let plain = |name, value| (name, HeaderValue::from_static(value));
    let default_headers = [
        (header::CONTENT_SECURITY_POLICY, status_page::content_security_policy()),
        plain(header::REFERRER_POLICY, "no-referrer"),
        plain(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        plain(header::X_FRAME_OPTIONS, "DENY"),
    ];
    ServeOptions { open_path: Some(HEALTHY), default_headers: default_headers.into_iter().collect() }
}

/// Returns the router of all endpoints.
pub fn router(state: AppState) -> Router {
    let state = Arc::new(state);
    let requests = RequestLimiter::new(state.max_requests);
    probes::routes(state.clone())
        .merge(clusters_api::routes(state.clone(), requests.clone()))
        .merge(metrics::routes(state, requests))
        .fallback(async || (StatusCode::NOT_FOUND, "not found; see /\n"))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
}
