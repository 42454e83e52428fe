//! Timeouts of a connection: first request, response, keep-alive.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Timeout of the first request, including the TLS handshake.
pub(crate) const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of rendering and sending a response, longer than any scrape timeout.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_mins(2);

/// Timeout of an idle connection. A scrape once a minute keeps its connection.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_mins(3);

/// The current deadline of one connection, shared with the responses that it serves.
#[derive(Debug, Clone)]
pub(crate) struct Timeouts(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    deadline: Instant,
    /// An idle connection can be closed to admit a new one.
    is_idle: bool,
}

impl Timeouts {
    pub(crate) fn new() -> Self {
        let deadline = Instant::now() + FIRST_REQUEST_TIMEOUT;
        Self(Arc::new(Mutex::new(State { deadline, is_idle: true })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks the connection as idle, with the keep-alive timeout.
    pub(crate) fn set_idle(&self) {
        *self.state() = State { deadline: Instant::now() + KEEP_ALIVE_TIMEOUT, is_idle: true };
    }

    /// Starts the response timeout, which lasts until the returned guard is dropped.
    pub(crate) fn start_response(&self) -> ResponseGuard {
        *self.state() = State { deadline: Instant::now() + RESPONSE_TIMEOUT, is_idle: false };
        ResponseGuard(self.clone())
    }

    /// Waits until the deadline has passed, or until `evict` ends an idle connection.
    pub(crate) async fn expired(&self, evict: &Notify) {
        loop {
            let deadline = self.state().deadline;
            tokio::select! {
                () = sleep_until(deadline) => if self.state().deadline <= Instant::now() { return },
                () = evict.notified() => if self.state().is_idle { return },
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct ResponseGuard(Timeouts);

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn only_an_idle_connection_is_evicted() {
        let (timeouts, evict) = (Timeouts::new(), Notify::new());
        let response = timeouts.start_response();
        let ask_twice = async {
            evict.notify_one();
            sleep(SOON).await;
            evict.notify_one();
        };
        tokio::select! {
            () = timeouts.expired(&evict) => panic!("a response was in progress"),
            () = ask_twice => {}
        }
        drop(response);
        let start = Instant::now();
        tokio::join!(timeouts.expired(&evict), async { evict.notify_one() });
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
