//! What the exporter counts of itself: requests to Atlas, and readings of its configuration.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atlas_client::RequestObserver;
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

/// Bounds of the histogram of requests, in seconds: from a quick answer to the default time-out of a poll.
const BOUNDS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The code of a request that was never answered.
const NO_ANSWER: &str = "none";

/// The code that every endpoint counts from the start.
const GOOD: &str = "200";

/// Counters and gauges of the process; cloned handles would be one and the same, so it is shared as a whole.
#[derive(Debug)]
pub struct SelfMetrics {
    requests: Mutex<BTreeMap<(&'static str, String), u64>>,
    durations: BTreeMap<&'static str, Histogram>,
    /// Pages of export jobs that were read.
    pub pages: Counter,
    /// Listings of export jobs that were read to their end.
    pub full_listings: Counter,
    dropped_log_lines: Arc<AtomicU64>,
    pub started: Timestamp,
    reload: Mutex<Reload>,
}

/// How the configuration was read last.
#[derive(Debug, Clone)]
pub struct Reload {
    /// Why the last reading was refused; `None` if it was good.
    pub error: Option<String>,
    /// When the last good one was.
    pub succeeded_at: Timestamp,
    pub failures: u64,
}

impl SelfMetrics {
    /// Nothing counted yet, for these endpoints; the configuration was read well at `started`.
    #[must_use]
    pub fn new(endpoints: &[&'static str], started: Timestamp) -> Self {
        Self {
            requests: Mutex::new(
                endpoints.iter().map(|endpoint| ((*endpoint, GOOD.to_owned()), 0)).collect(),
            ),
            durations: endpoints.iter().map(|endpoint| (*endpoint, Histogram::new(BOUNDS))).collect(),
            pages: Counter::default(),
            full_listings: Counter::default(),
            dropped_log_lines: Arc::default(),
            started,
            reload: Mutex::new(Reload { error: None, succeeded_at: started, failures: 0 }),
        }
    }

    /// Takes the number of dropped log lines from this counter.
    #[must_use]
    pub fn with_dropped_log_lines(self, dropped_log_lines: Arc<AtomicU64>) -> Self {
        Self { dropped_log_lines, ..self }
    }

    /// Takes in that something of the configuration was read anew at `now`, whether it was refused, and why what is in force is not what
    /// is in the files, if it is not: that may be for something else.
    pub fn count_reload(&self, refused: bool, error: Option<String>, now: Timestamp) {
        let mut reload = lock(&self.reload);
        if refused {
            reload.failures += 1;
        } else if error.is_none() {
            reload.succeeded_at = now;
        }
        reload.error = error;
    }

    /// Lines of the log that were dropped.
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

    /// How the configuration was read last.
    #[must_use]
    pub fn reload(&self) -> Reload {
        lock(&self.reload).clone()
    }
}

impl RequestObserver for SelfMetrics {
    fn observe(&self, endpoint: &'static str, status: Option<u16>, elapsed: Duration) {
        let code = status.map_or_else(|| NO_ANSWER.to_owned(), |status| status.to_string());
        *lock(&self.requests).entry((endpoint, code)).or_default() += 1;
        if let Some(histogram) = self.durations.get(endpoint) {
            histogram.observe(elapsed.as_secs_f64());
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
