//! A semaphore whose permits can be revoked.
//!
//! Work that hangs keeps its permits until it times out. Where other work waits for them, permits that have been held for
//! [`UNDISTURBED`] are revoked, oldest first, so that work that hangs delays the rest by seconds, not by its timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

/// Time from which permits are revoked when other work waits. A request takes a fraction of a second.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// Interval at which work that waits revokes the next permit.
const REVOKE_INTERVAL: Duration = Duration::from_millis(50);

/// Clones share the permits.
#[derive(Debug, Clone)]
pub(crate) struct RevocableSemaphore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    revoke: Notify,
}

/// The permits were needed by other work.
#[derive(Debug)]
pub(crate) struct Revoked;

impl RevocableSemaphore {
    pub(crate) fn new(permits: usize) -> Self {
        let permits = Arc::new(Semaphore::new(permits));
        Self(Arc::new(Shared { permits, waiting: AtomicUsize::new(0), revoke: Notify::new() }))
    }

    /// Waits for one permit.
    pub(crate) async fn acquire(&self) -> Permits {
        let held = self.0.acquire(1).await;
        Permits { shared: self.0.clone(), held: Some(held), since: Instant::now() }
    }

    /// Returns no permits yet, for work that began at `since`.
    pub(crate) fn reserve(&self, since: Instant) -> Permits {
        Permits { shared: self.0.clone(), held: None, since }
    }
}

/// Permits of one piece of work, until they are dropped.
#[derive(Debug)]
pub(crate) struct Permits {
    shared: Arc<Shared>,
    held: Option<OwnedSemaphorePermit>,
    since: Instant,
}

impl Permits {
    /// Waits until it has at least `count` permits; meanwhile, those that it has can be revoked.
    pub(crate) async fn grow(&mut self, count: usize) -> Result<(), Revoked> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(count.saturating_sub(held)).unwrap_or(u32::MAX);
        if missing == 0 {
            return Ok(());
        }
        let more = tokio::select! {
            biased;
            more = self.shared.acquire(missing) => more,
            () = self.revoked() => return Err(Revoked),
        };
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }

    /// Waits until the permits are revoked. Without effect if the work goes on nevertheless.
    pub(crate) async fn revoked(&self) {
        sleep_until(self.since + UNDISTURBED).await;
        loop {
            self.shared.revoke.notified().await;
            // The notification may be older than the wait that it was for.
            if self.shared.waiting.load(Ordering::Relaxed) > 0 {
                return;
            }
        }
    }
}

impl Shared {
    async fn acquire(&self, count: u32) -> OwnedSemaphorePermit {
        if let Ok(permits) = self.permits.clone().try_acquire_many_owned(count) {
            return permits;
        }
        let _waiting = Waiting::new(&self.waiting);
        let mut acquire = std::pin::pin!(self.permits.clone().acquire_many_owned(count));
        loop {
            tokio::select! {
                biased;
                permits = &mut acquire => if let Ok(permits) = permits { return permits },
                () = sleep(REVOKE_INTERVAL) => self.revoke.notify_one(),
            }
        }
    }
}

/// Counts work that waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permits_of_work_that_hangs_are_revoked_for_work_that_waits() {
        let semaphore = RevocableSemaphore::new(3);
        let start = Instant::now();
        let mut hanging = Vec::new();
        for _ in 0..3 {
            let permits = semaphore.acquire().await;
            hanging.push(tokio::spawn(async move { permits.revoked().await }));
        }
        let first = semaphore.acquire().await;
        assert!(start.elapsed() <= UNDISTURBED + 2 * REVOKE_INTERVAL, "{:?}", start.elapsed());
        let revoked = hanging.iter().filter(|task| task.is_finished()).count();
        assert_eq!(revoked, 1, "no more are revoked than are needed");
        let second = semaphore.acquire().await;
        assert!(start.elapsed() <= UNDISTURBED + 4 * REVOKE_INTERVAL, "{:?}", start.elapsed());
        drop((first, second));
    }

    #[tokio::test(start_paused = true)]
    async fn permits_are_kept_while_no_work_waits() {
        let semaphore = RevocableSemaphore::new(1);
        let permits = semaphore.acquire().await;
        // This wait gives up before the permit can be revoked.
        assert!(tokio::time::timeout(UNDISTURBED / 2, semaphore.acquire()).await.is_err());
        let revoked = tokio::time::timeout(Duration::from_hours(1), permits.revoked()).await;
        assert!(revoked.is_err(), "a wait that is over revokes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_needs_more_permits_can_lose_those_that_it_has() {
        let semaphore = RevocableSemaphore::new(10);
        let (mut one, mut other) = (semaphore.reserve(Instant::now()), semaphore.reserve(Instant::now()));
        one.grow(5).await.unwrap();
        other.grow(5).await.unwrap();
        assert!(one.grow(3).await.is_ok(), "it has as many");
        let grown = tokio::join!(async { one.grow(8).await.map_err(|Revoked| drop(one)).is_ok() }, async {
            other.grow(8).await.map_err(|Revoked| drop(other)).is_ok()
        });
        assert!(grown.0 != grown.1, "one gives way to the other: {grown:?}");
    }
}
