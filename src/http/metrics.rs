//! Scrapes of the metrics.
//!
//! Gzip bodies are cached for one second, so that concurrent scrapes share a rendering. Plain text,
//! which few scrapers request, is rendered while it is sent.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::gzip::gzip;
use super::negotiate;
use super::state::{AppState, RequestLimiter};
use crate::metrics::process::ProcessStats;
use crate::metrics::{Exposition, Format};

/// Lifetime of a cached body, from the end of its rendering: waiting scrapes share the body.
const CACHE_TTL: Duration = Duration::from_secs(1);

/// Gzip bodies younger than [`CACHE_TTL`], by format. A lock is held while a body is rendered.
#[derive(Debug, Default)]
struct MetricsCache {
    text: Arc<Mutex<Option<Bytes>>>,
    open_metrics: Arc<Mutex<Option<Bytes>>>,
}

#[derive(Debug)]
struct MetricsEndpoint {
    state: Arc<AppState>,
    cache: MetricsCache,
    requests: RequestLimiter,
}

pub(super) fn routes(state: Arc<AppState>, requests: RequestLimiter) -> Router {
    let path = state.telemetry_path.clone();
    let endpoint = MetricsEndpoint { state, cache: MetricsCache::default(), requests };
    Router::new().route(&path, get(metrics)).with_state(Arc::new(endpoint))
}

async fn metrics(State(endpoint): State<Arc<MetricsEndpoint>>, headers: HeaderMap) -> Response {
    let MetricsEndpoint { state, cache, requests } = &*endpoint;
    requests.run(respond(state, cache, &headers)).await
}

async fn respond(state: &Arc<AppState>, cache: &MetricsCache, headers: &HeaderMap) -> Response {
    let format = negotiate::format(headers.get_all(header::ACCEPT));
    let body = if negotiate::gzip(headers.get_all(header::ACCEPT_ENCODING)) {
        let body = compressed(state, cache, format).await;
        body.map(|body| ([(header::CONTENT_ENCODING, "gzip")], body).into_response())
    } else {
        exposition(state, format).map(|exposition| {
            Body::from_stream(stream::iter(exposition.chunks().map(Ok::<_, Infallible>))).into_response()
        })
    };
    let headers = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept, accept-encoding")];
    match body {
        Ok(body) => (headers, body).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response(),
    }
}

async fn compressed(state: &Arc<AppState>, cache: &MetricsCache, format: Format) -> anyhow::Result<Bytes> {
    let slot = match format {
        Format::Text => &cache.text,
        Format::OpenMetrics => &cache.open_metrics,
    };
    let mut cached = slot.clone().lock_owned().await;
    if let Some(body) = &*cached {
        return Ok(body.clone());
    }
    let (state, slot) = (state.clone(), slot.clone());
    // Ten thousand clusters would block a runtime thread for too long. The task holds the lock, so
    // a client that disconnects in the meantime does not cause a second rendering.
    let rendered = tokio::task::spawn_blocking(move || {
        let exposition = exposition(&state, format)?;
        let body = Bytes::from(gzip(|encoder| exposition.write_to(encoder))?);
        *cached = Some(body.clone());
        tokio::spawn(async move {
            sleep(CACHE_TTL).await;
            *slot.lock().await = None;
        });
        anyhow::Ok(body)
    });
    rendered.await.context("failed to render the metrics")?
}

fn exposition(state: &AppState, format: Format) -> anyhow::Result<Exposition> {
    let view = Arc::new(state.store.view(Instant::now()));
    let poll_interval = state.config.borrow().poll.interval;
    Ok(Exposition::new(view, state.metrics.clone(), poll_interval, ProcessStats::read(), format)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use atlas_client::{ProjectId, Target};
    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;
    use jiff::Timestamp;
    use tokio::sync::watch;

    use super::*;
    use crate::metrics::self_metrics::SelfMetrics;
    use crate::model::{ExportExpectation, JobSummary};
    use crate::poll::PollLimiter;
    use crate::reloadable_config::ReloadableConfig;
    use crate::store::{Store, SuccessfulPoll};

    const STALE_AFTER: Duration = Duration::from_mins(15);
    const JOBS: &str = "mongodbatlas_backup_export_jobs{";

    fn target() -> Target {
        let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
        Target { project_id, cluster_name: "prod".to_owned() }
    }

    fn app_state() -> Arc<AppState> {
        let store = Store::new(STALE_AFTER);
        store.add_project(&target().project_id);
        store.record_project_name(&target().project_id, "payments".to_owned());
        store.add_cluster(&target(), ExportExpectation::default());
        let config = ReloadableConfig {
            poll: crate::config::PollConfig::default(),
            discovery_interval: Duration::from_mins(10),
            reloads: 0,
            collectors: crate::config::CollectorConfig::default(),
            shard: crate::model::Shard::default(),
            atlas_link: crate::config::LinkTemplate::of_atlas(&"https://cloud.mongodb.com".parse().unwrap()),
            links: crate::config::LinkConfig::default(),
            project_clients: std::collections::BTreeMap::new(),
            organization_clients: std::collections::BTreeMap::new(),
            poll_limiter: PollLimiter::new(1),
            read_limiter: PollLimiter::new(1),
        };
        Arc::new(AppState {
            store: Arc::new(store),
            metrics: Arc::new(SelfMetrics::new(&["exports"], Timestamp::now())),
            config: watch::channel(Arc::new(config)).1,
            telemetry_path: "/metrics".to_owned(),
            reload: None,
            max_requests: 0,
        })
    }

    fn record_poll(state: &AppState) {
        let (finished_at, finished) = (Timestamp::now(), Instant::now());
        let poll =
            SuccessfulPoll { summary: JobSummary::default(), last_progress: None, finished_at, finished };
        state.store.record_poll(&target(), finished_at, Duration::ZERO, Ok(poll));
    }

    async fn scrape(state: &Arc<AppState>, cache: &MetricsCache) -> String {
        let headers = [(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))].into_iter().collect();
        let response = respond(state, cache, &headers).await;
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn gzip_body_is_cached_for_its_ttl_and_then_freed() {
        let (state, cache) = (app_state(), MetricsCache::default());
        let before = scrape(&state, &cache).await;
        assert!(!before.contains(JOBS));
        record_poll(&state);
        // The clock is paused, so the cached body is still valid.
        assert_eq!(scrape(&state, &cache).await, before);
        sleep(CACHE_TTL + Duration::from_millis(1)).await;
        assert!(cache.text.lock().await.is_none());
        assert!(scrape(&state, &cache).await.contains(JOBS));
    }

    #[tokio::test(start_paused = true)]
    async fn stale_metrics_are_withdrawn_with_the_next_rendering() {
        let (state, cache) = (app_state(), MetricsCache::default());
        record_poll(&state);
        sleep(STALE_AFTER).await;
        assert!(scrape(&state, &cache).await.contains(JOBS));
        sleep(CACHE_TTL + Duration::from_millis(1)).await;
        assert!(!scrape(&state, &cache).await.contains(JOBS));
    }

    #[tokio::test]
    async fn concurrent_scrapes_share_one_rendering() {
        let (state, cache) = (app_state(), MetricsCache::default());
        let scrape = || compressed(&state, &cache, Format::Text);
        let (first, second, other) =
            tokio::join!(scrape(), scrape(), compressed(&state, &cache, Format::OpenMetrics));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(first.as_ptr(), second.as_ptr());
        assert_ne!(first, other.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn disconnected_client_causes_no_second_rendering() {
        for _ in 0..100 {
            let (state, cache) = (app_state(), MetricsCache::default());
            tokio::select! {
                biased;
                // On a busy machine, the other thread may already have finished.
                _ = compressed(&state, &cache, Format::Text) => continue,
                () = std::future::ready(()) => {}
            }
            let cached = cache.text.lock().await.clone().expect("the rendering continued");
            let body = compressed(&state, &cache, Format::Text).await.unwrap();
            assert_eq!(body.as_ptr(), cached.as_ptr());
            return;
        }
        panic!("the rendering always finished before the client disconnected");
    }

    /// Returns an exposition without the `process_*` metrics, which change between scrapes.
    fn without_process(text: &[u8]) -> String {
        let lines = str::from_utf8(text).unwrap().lines().filter(|line| !line.starts_with("process_"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn plain_and_compressed_bodies_are_equal() {
        let (state, cache) = (app_state(), MetricsCache::default());
        record_poll(&state);
        for accept in ["text/plain", "application/openmetrics-text; version=1.0.0"] {
            let accept = (header::ACCEPT, HeaderValue::from_static(accept));
            let plain = respond(&state, &cache, &[accept.clone()].into_iter().collect()).await;
            let plain = axum::body::to_bytes(plain.into_body(), usize::MAX).await.unwrap();
            let offer = (header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
            let packed = respond(&state, &cache, &[accept, offer].into_iter().collect()).await;
            let packed = axum::body::to_bytes(packed.into_body(), usize::MAX).await.unwrap();
            let mut text = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut text).unwrap();
            assert_eq!(without_process(&text), without_process(&plain));
            assert!(text.len() > 1000);
        }
    }
}
