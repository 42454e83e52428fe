//! Token buckets: Atlas's rate limit of a set of endpoints.

use std::time::Duration;

use tokio::time::Instant;

/// A rate limit: requests at once, and requests per minute.
#[derive(Debug)]
pub struct TokenBucket {
    pub capacity: u32,
    pub per_minute: u32,
    pub left: f64,
    filled: Option<Instant>,
}

impl TokenBucket {
    #[must_use]
    pub fn new(capacity: u32, per_minute: u32) -> Self {
        Self { capacity, per_minute, left: f64::from(capacity), filled: None }
    }

    /// Sets the number of tokens left.
    #[must_use]
    pub fn with(self, left: f64) -> Self {
        Self { left, ..self }
    }

    /// Takes one token, or returns the wait for the next one.
    pub(crate) fn take(&mut self) -> Result<(), Duration> {
        let now = Instant::now();
        let rate = f64::from(self.per_minute) / 60.0;
        if let Some(filled) = self.filled.replace(now) {
            self.left = (self.left + (now - filled).as_secs_f64() * rate).min(f64::from(self.capacity));
        }
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / rate.max(0.001)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bucket_when_empty_refills_over_time() {
        let mut bucket = TokenBucket::new(2, 60);
        assert!(bucket.take().is_ok() && bucket.take().is_ok());
        let wait = bucket.take().unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        tokio::time::advance(wait).await;
        assert!(bucket.take().is_ok());
        assert!(bucket.take().is_err());
    }
}
