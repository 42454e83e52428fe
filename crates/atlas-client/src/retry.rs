//! Retries of failed requests.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::Error;

pub(crate) const MAX_RETRIES: u32 = 3;

/// First pause between attempts, doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Repeats `once` up to `retries` times after errors that can pass, within `deadline`.
///
/// Each retry waits at least for the pause that Atlas requests.
///
/// Returns the last error of Atlas, or [`Error::Timeout`] if `host` did not answer.
pub(crate) async fn retry<T, F>(
    once: impl Fn() -> F,
    host: &str,
    retries: u32,
    deadline: Instant,
) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let (start, mut last, mut attempts) = (Instant::now(), None, 0);
    loop {
        let Ok(outcome) = timeout_at(deadline, once()).await else {
            return Err(last.unwrap_or_else(|| Error::timeout(host, start.elapsed())));
        };
        let error = match outcome {
            Err(error) if error.may_pass() => error,
            final_outcome => return final_outcome,
        };
        let mut pause = FIRST_PAUSE;
        // A request that was not sent does not count as an attempt.
        if !matches!(error, Error::RateLimited { .. }) {
            if attempts == retries {
                return Err(error);
            }
            pause *= 1 << attempts;
            attempts += 1;
        }
        // Jitter spreads the retries of requests that share a quota.
        let pause =
            pause.mul_f64(1.0 + fastrand::f64()).saturating_add(error.retry_after().unwrap_or_default());
        if Instant::now().checked_add(pause).is_none_or(|at| at >= deadline) {
            return Err(error);
        }
        tracing::debug!(error = %error, pause_seconds = pause.as_secs_f64(), "retrying request to Atlas");
        last = Some(error);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
