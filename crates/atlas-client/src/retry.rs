//! Retries of failed requests.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;

pub(crate) const MAX_RETRIES: usize = 3;

/// First pause between two attempts, doubled each time and jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Repeats `once` while its error may pass: at most `retries` times, each after at least the pause
/// that Atlas asks for, and not at all where that ends after `deadline`.
///
/// Returns the last error of Atlas, or [`Error::Timeout`] if it did not answer.
pub(crate) async fn retry<T, F>(once: impl Fn() -> F, retries: usize, deadline: Instant) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut last = None;
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(retries)
        .with_jitter()
        // Without a seed, all requests would have the same jitter.
        .with_jitter_seed(fastrand::u64(..))
        .build();
    loop {
        let Ok(outcome) = timeout_at(deadline, once()).await else {
            return Err(last.unwrap_or(Error::Timeout));
        };
        let error = match outcome {
            Err(error) if error.may_pass() => error,
            final_outcome => return final_outcome,
        };
        let pause = match &error {
            // Nothing was sent, so it was no attempt.
            Error::RateLimited { .. } => Some(FIRST_PAUSE.mul_f64(1.0 + fastrand::f64())),
            _ => pauses.next(),
        };
        let Some(pause) = pause else { return Err(error) };
        // The jitter keeps requests that share a quota from coming back at once.
        let pause = pause.saturating_add(error.retry_after().unwrap_or_default());
        if Instant::now().checked_add(pause).is_none_or(|at| at >= deadline) {
            return Err(error);
        }
        tracing::debug!(error = %error, pause_seconds = pause.as_secs_f64(), "retrying a request to Atlas");
        last = Some(error);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
