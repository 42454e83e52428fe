//! Counters of the exporter itself: requests to Atlas, listings, and configuration reloads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atlas_client::RequestObserver;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// Histogram buckets in seconds, up to the default timeout of a poll.
///
/// Atlas takes 50 to 240 ms for most reads: median 95 ms, 95th percentile 236 ms in 398 responses
/// recorded by the tests of mongodb/mongodb-atlas-cli (`X-Envoy-Upstream-Service-Time`). The network
/// adds up to about 200 ms. Bounds are dense there, so that quantiles resolve a change.
const DURATION_BUCKETS: [f64; 12] = [0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Label value for requests without a response.
const NO_RESPONSE: &str = "none";

/// Status code with a series from the start, so that `rate()` sees the first response.
const INITIAL_CODE: &str = "200";

#[derive(Debug)]
pub struct SelfMetrics {
    requests: Mutex<BTreeMap<(&'static str, String), u64>>,
    durations: BTreeMap<&'static str, Histogram>,
    /// Pages read of export job listings.
    pub pages: Counter,
    pub full_listings: Counter,
    dropped_log_lines: Arc<AtomicU64>,
    pub started: Timestamp,
    reload: Mutex<Reload>,
}

/// Outcome of the last configuration reload.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The reason why the active configuration differs from the files; `None` if it does not.
    pub error: Option<String>,
    /// The time of the last successful load.
    pub succeeded_at: Timestamp,
    pub failures: u64,
}

impl SelfMetrics {
    /// Creates the metrics for these API endpoints. The configuration was loaded at `started`.
    #[must_use]
    pub fn new(endpoints: &[&'static str], started: Timestamp) -> Self {
        Self {
            requests: Mutex::new(
                endpoints.iter().map(|endpoint| ((*endpoint, INITIAL_CODE.to_owned()), 0)).collect(),
            ),
            durations: endpoints
                .iter()
                .map(|endpoint| (*endpoint, Histogram::new(DURATION_BUCKETS)))
                .collect(),
            pages: Counter::default(),
            full_listings: Counter::default(),
            dropped_log_lines: Arc::default(),
            started,
            reload: Mutex::new(Reload { error: None, succeeded_at: started, failures: 0 }),
        }
    }

    /// Sets the counter of dropped log lines, which the log writer increments.
    #[must_use]
    pub fn with_dropped_log_lines(self, dropped_log_lines: Arc<AtomicU64>) -> Self {
        Self { dropped_log_lines, ..self }
    }

    /// Records a reload at `now`, which may have been of one configuration file only.
    ///
    /// `failed` is about this reload. `error` is about all files: the reason why the active
    /// configuration differs from them, which may be an earlier reload of another file.
    pub fn count_reload(&self, failed: bool, error: Option<String>, now: Timestamp) {
        let mut reload = lock(&self.reload);
        if failed {
            reload.failures += 1;
        } else if error.is_none() {
            reload.succeeded_at = now;
        }
        reload.error = error;
    }

    #[must_use]
    pub fn dropped_log_lines(&self) -> u64 {
        self.dropped_log_lines.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn requests(&self) -> BTreeMap<(&'static str, String), u64> {
        lock(&self.requests).clone()
    }

    pub fn durations(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        self.durations.iter().map(|(endpoint, histogram)| (*endpoint, histogram))
    }

    #[must_use]
    pub fn reload(&self) -> Reload {
        lock(&self.reload).clone()
    }
}

impl RequestObserver for SelfMetrics {
    fn observe(&self, endpoint: &'static str, status: Option<u16>, elapsed: Duration) {
        let code = status.map_or_else(|| NO_RESPONSE.to_owned(), |status| status.to_string());
        *lock(&self.requests).entry((endpoint, code)).or_default() += 1;
        if let Some(histogram) = self.durations.get(endpoint) {
            histogram.observe(elapsed.as_secs_f64());
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
