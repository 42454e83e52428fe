//! The status of all clusters, as a page and as JSON.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use tokio::time::Instant;

use super::gzip::gzip;
use super::query::Query;
use super::state::{AppState, RequestLimiter};
use super::{negotiate, status_page};
use crate::status::Status;

/// Maximum number of concurrent responses. Each is in memory until sent: about 1 KB per cluster.
const MAX_CONCURRENT: usize = 4;

#[derive(Debug)]
struct ClustersApi {
    state: Arc<AppState>,
    requests: RequestLimiter,
    renderings: RequestLimiter,
}

pub(super) fn routes(state: Arc<AppState>, requests: RequestLimiter) -> Router {
    let mut router = Router::new().route("/api/v1/clusters", get(json));
    if state.telemetry_path != "/" {
        router = router.route("/", get(page));
    }
    let renderings = RequestLimiter::new(MAX_CONCURRENT);
    router.with_state(Arc::new(ClustersApi { state, requests, renderings }))
}

async fn page(
    State(api): State<Arc<ClustersApi>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let render = |status: Status<'_>, query: &Query| {
        let config = api.state.config.borrow().clone();
        status_page::render(status, query, &config, &api.state.telemetry_path).into_string()
    };
    api.respond(query.as_deref(), &headers, "text/html; charset=utf-8", render).await
}

async fn json(
    State(api): State<Arc<ClustersApi>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let render = |mut status: Status<'_>, query: &Query| {
        query.apply(&mut status.clusters);
        status.json()
    };
    api.respond(query.as_deref(), &headers, "application/json", render).await
}

impl ClustersApi {
    async fn respond(
        &self,
        query: Option<&str>,
        headers: &HeaderMap,
        content_type: &'static str,
        render: impl FnOnce(Status<'_>, &Query) -> String,
    ) -> Response {
        let response = async {
            let query = match Query::parse(query) {
                Ok(query) => query,
                Err(error) => return (StatusCode::BAD_REQUEST, error + "\n").into_response(),
            };
            let AppState { store, metrics, config, .. } = &*self.state;
            let view = store.view(Instant::now());
            let interval = config.borrow().poll.interval;
            let text = render(Status::of(&view, metrics.reload().error, interval, Timestamp::now()), &query);
            compressed(text, content_type, headers)
        };
        self.requests.run(self.renderings.run(response)).await
    }
}

/// Returns a response without caching, compressed if the client accepts gzip.
fn compressed(text: String, content_type: &'static str, headers: &HeaderMap) -> Response {
    let common = [
        (header::CONTENT_TYPE, content_type),
        (header::VARY, "accept-encoding"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    if negotiate::gzip(headers.get_all(header::ACCEPT_ENCODING))
        && let Ok(body) = gzip(|encoder| encoder.write_all(text.as_bytes()))
    {
        return (common, [(header::CONTENT_ENCODING, "gzip")], body).into_response();
    }
    (common, text).into_response()
}
