//! The exporter's own pages. No request of anyone calls Atlas.

mod metrics;
mod negotiate;
mod query;
mod status_page;

use std::io::{self, Write};
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use exporter_web::{GuardedBody, ServeOptions};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::metrics::self_metrics::SelfMetrics;
use crate::reload::ReloadHandle;
use crate::reloadable_config::ConfigReceiver;
use crate::status::Status;
use crate::store::Store;
use metrics::MetricsCache;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use negotiate::fuzzing;
use query::Query;

/// Probes bring neither a password nor a token of the rate limit. The response says no more than that the exporter runs.
const HEALTHY: &str = "/-/healthy";

/// Status pages, and their JSON, that are answered at once.
const STATUS_AT_ONCE: usize = 4;

/// Level 1 took 59 ms for ten thousand clusters and made 1.97 MB of 46, level 2 66 ms and 1.32 MB, level 3
/// 79 ms and 1.29 MB, level 6 247 ms and 1.05 MB.
const GZIP_LEVEL: u32 = 2;

/// Initial capacity of a gzip body: that of a thousand clusters has 150 KB.
const GZIP_BUFFER: usize = 64 * 1024;

/// What the pages show.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The state of every cluster.
    pub store: Arc<Store>,
    /// What the exporter counts of itself.
    pub metrics: Arc<SelfMetrics>,
    /// The configuration in use.
    pub config: ConfigReceiver,
    /// The path of the metrics, `/metrics` by default.
    pub telemetry_path: String,
    /// Where a reload is asked for; `None` if no page may.
    pub reload: Option<ReloadHandle>,
    /// Scrapes and status pages at once; 0 for any number.
    pub max_requests: usize,
}

/// What the pages share.
#[derive(Debug)]
struct Shared {
    pages: Arc<Pages>,
    metrics_cache: MetricsCache,
    /// Of requests that cost something.
    places: Arc<Semaphore>,
    /// Of those for the status, whose answers are whole in memory until they are sent: a kilobyte a cluster.
    status_places: Arc<Semaphore>,
}

/// Answers unless too many answers are in progress. A response is, until it has been sent.
async fn within(places: &Arc<Semaphore>, most: usize, answer: impl Future<Output = Response>) -> Response {
    if let Ok(place) = places.clone().try_acquire_owned() {
        return answer.await.map(|body| GuardedBody::wrap(body, place));
    }
    // As promhttp, Prometheus's own library, says it.
    let text = format!("Limit of concurrent requests reached ({most}), try again later.\n");
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// How the pages are served.
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

/// The router of every page.
pub fn router(pages: Pages) -> Router {
    let mut router = Router::new()
        .route(HEALTHY, get(async || "atlas-backup-exporter is healthy.\n"))
        .route("/-/ready", get(ready))
        .route("/api/v1/clusters", get(clusters))
        .route("/-/reload", post(reload).put(reload));
    if pages.telemetry_path != "/" {
        router = router.route("/", get(overview));
    }
    let router = router.route(&pages.telemetry_path, get(metrics));
    let most = Some(pages.max_requests).filter(|most| *most > 0).unwrap_or(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let status_places = Arc::new(Semaphore::new(STATUS_AT_ONCE));
    let (pages, metrics_cache) = (Arc::new(pages), MetricsCache::default());
    router.with_state(Arc::new(Shared { pages, metrics_cache, places, status_places }))
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let answer = metrics::answer(&shared.pages, &shared.metrics_cache, &headers);
    within(&shared.places, shared.pages.max_requests, answer).await
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    if shared.pages.store.is_ready() {
        "Everything was asked for, well or badly, at least once.\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Not everything was asked for yet.\n").into_response()
    }
}

/// As Prometheus answers it; pages of other sites may not ask, since a browser may send a password with what they ask for.
async fn reload(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(handle) = &shared.pages.reload else {
        let text = "Reloading by request is off; it needs --web.enable-lifecycle.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    };
    if is_cross_site(&headers) {
        let text = "Reloading is not allowed from pages of other sites.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    match handle.reload().await {
        Ok(()) => "The configuration was read anew.\n".into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Whether a browser says that a page of another site makes this request: by `Sec-Fetch-Site`, or, as on plain HTTP, by `Origin` alone.
fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|origin| Some(origin.split_once("://")?.1));
    origin.zip(host).is_none_or(|(origin, host)| !origin.eq_ignore_ascii_case(host))
}

/// The page for people.
async fn overview(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let telemetry_path = &shared.pages.telemetry_path;
    let page =
        |status: Status<'_>, query: &Query| status_page::render(status, query, telemetry_path).into_string();
    answer_status(&shared, query.as_deref(), &headers, "text/html; charset=utf-8", page).await
}

/// The same for programs.
async fn clusters(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let json = |mut status: Status<'_>, query: &Query| {
        query.apply(&mut status.clusters);
        status.json()
    };
    answer_status(&shared, query.as_deref(), &headers, "application/json", json).await
}

async fn answer_status(
    shared: &Shared,
    query: Option<&str>,
    headers: &HeaderMap,
    content_type: &'static str,
    render: impl FnOnce(Status<'_>, &Query) -> String,
) -> Response {
    let answer = async {
        let query = match Query::parse(query) {
            Ok(query) => query,
            Err(error) => return (StatusCode::BAD_REQUEST, error + "\n").into_response(),
        };
        let pages = &shared.pages;
        let view = pages.store.view(Instant::now());
        let interval = pages.config.borrow().poll.interval;
        let now = jiff::Timestamp::now();
        let text = render(Status::of(&view, pages.metrics.reload().error, interval, now), &query);
        packed(text, content_type, headers)
    };
    let answer = within(&shared.status_places, STATUS_AT_ONCE, answer);
    within(&shared.places, shared.pages.max_requests, answer).await
}

/// An answer that is made anew each time, compressed for who takes it so.
fn packed(text: String, content_type: &'static str, headers: &HeaderMap) -> Response {
    let about = [
        (header::CONTENT_TYPE, content_type),
        (header::VARY, "accept-encoding"),
        // What is kept is older than what it says.
        (header::CACHE_CONTROL, "no-store"),
    ];
    if negotiate::gzip(headers.get_all(header::ACCEPT_ENCODING))
        && let Ok(body) = gzip(|encoder| encoder.write_all(text.as_bytes()))
    {
        return (about, [(header::CONTENT_ENCODING, "gzip")], body).into_response();
    }
    (about, text).into_response()
}

fn gzip(write: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(GZIP_BUFFER), Compression::new(GZIP_LEVEL));
    write(&mut encoder)?;
    encoder.finish()
}
