//! Health and readiness probes, and the reload endpoint.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::state::AppState;
use crate::reload::ReloadScope;

/// Path of the health probe, which needs no password and is not rate limited.
pub(super) const HEALTHY: &str = "/-/healthy";

pub(super) fn routes(state: Arc<AppState>) -> Router {
    Router::new()
        .route(HEALTHY, get(async || "atlas-backup-exporter is healthy.\n"))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload).put(reload))
        .with_state(state)
}

async fn ready(State(state): State<Arc<AppState>>) -> Response {
    if state.store.is_ready() {
        "atlas-backup-exporter is ready.\n".into_response()
    } else {
        let text = "The first discovery and the first poll of every cluster have not completed yet.\n";
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

/// Reloads the configuration, as in Prometheus.
///
/// Requests from other sites are refused, since a browser may send the password with them.
async fn reload(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let Some(handle) = &state.reload else {
        let text = "The reload endpoint is disabled; enable it with `--web.enable-lifecycle`.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    };
    if is_cross_site(&headers) {
        let text = "Reloads are not allowed from pages of other sites.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    match handle.reload(ReloadScope::All).await {
        Ok(()) => "Configuration reloaded.\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Returns true if a browser sent the request from a page of another site.
///
/// Browsers send `Sec-Fetch-Site` over HTTPS only. Without it, `Origin` decides.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    origin.zip(host).is_none_or(|(origin, host)| !origin.eq_ignore_ascii_case(host))
}
