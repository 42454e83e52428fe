//! A token bucket, as Atlas limits each set of its endpoints.

use std::time::Duration;

use tokio::time::Instant;

/// So many requests at once, and so many a minute.
#[derive(Debug)]
pub struct Bucket {
    /// The most that can be saved up.
    pub capacity: u32,
    /// Refilled in a minute.
    pub per_minute: u32,
    /// What is left.
    pub left: f64,
    filled: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(capacity: u32, per_minute: u32) -> Self {
        Self { capacity, per_minute, left: f64::from(capacity), filled: None }
    }

    /// The bucket with so many requests left.
    #[must_use]
    pub fn with(self, left: f64) -> Self {
        Self { left, ..self }
    }

    /// Takes one request out, or says how long to wait for it.
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
    async fn a_bucket_empties_and_refills() {
        let mut bucket = Bucket::new(2, 60);
        assert!(bucket.take().is_ok() && bucket.take().is_ok());
        let wait = bucket.take().unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        tokio::time::advance(wait).await;
        assert!(bucket.take().is_ok());
        assert!(bucket.take().is_err());
    }
}
