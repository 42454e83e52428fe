//! Shared state of the endpoints, and the limit of concurrent requests.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use exporter_web::GuardedBody;
use tokio::sync::Semaphore;

use crate::metrics::self_metrics::SelfMetrics;
use crate::reload::ReloadHandle;
use crate::reloadable_config::ConfigReceiver;
use crate::store::Store;

#[derive(Debug, Clone)]
pub struct AppState {
    pub store: Arc<Store>,
    pub metrics: Arc<SelfMetrics>,
    pub config: ConfigReceiver,
    pub telemetry_path: String,
    /// Requests reloads; `None` if the endpoint is disabled.
    pub reload: Option<ReloadHandle>,
    /// Maximum number of concurrent scrapes and status pages; 0 for no limit.
    pub max_requests: usize,
}

#[derive(Debug, Clone)]
pub(super) struct RequestLimiter {
    permits: Arc<Semaphore>,
    max: usize,
}

impl RequestLimiter {
    pub(super) fn new(max: usize) -> Self {
        let permits = if max > 0 { max } else { Semaphore::MAX_PERMITS };
        Self { permits: Arc::new(Semaphore::new(permits)), max }
    }

    /// Returns `response`, or 503 if there are too many requests.
    ///
    /// The permit of a request is released when its response has been sent.
    pub(super) async fn run(&self, response: impl Future<Output = Response>) -> Response {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return response.await.map(|body| GuardedBody::wrap(body, permit));
        }
        // The text of promhttp.
        let text = format!("Limit of concurrent requests reached ({}), try again later.\n", self.max);
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}
