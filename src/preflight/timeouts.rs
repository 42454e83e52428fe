//! How long requests may take.

use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) each: Duration,
    pub(super) until: Instant,
}

impl Timeouts {
    pub(super) fn deadline(self) -> Instant {
        (Instant::now() + self.each).min(self.until)
    }

    pub(super) fn is_over(self) -> bool {
        Instant::now() >= self.until
    }
}
