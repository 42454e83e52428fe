//! The memory budget of all bodies and listings in progress.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;

/// Size of the budget: two bodies of the maximum size, or 64 pages of 500 jobs.
const BUDGET_BYTES: usize = 33 * 1024 * 1024;

/// Bytes of one permit. A semaphore on a 32-bit machine has too few permits for single bytes.
const PERMIT_BYTES: usize = 1024;

/// Minimum time for which a reading can hold memory that others wait for. Most requests take a
/// fraction of a second.
const MIN_HOLD: Duration = Duration::from_secs(5);

const REVOKE_INTERVAL: Duration = Duration::from_millis(50);

/// Memory limit of all readings; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    permits: Arc<Semaphore>,
    /// Lock of the reading that gives up its memory next.
    revoking: Arc<Mutex<()>>,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        let permits = Arc::new(Semaphore::new(BUDGET_BYTES / PERMIT_BYTES));
        Self { permits, revoking: Arc::default() }
    }
}

impl MemoryBudget {
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), held: None, since: Instant::now() }
    }
}

/// Memory of one reading, which is released on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: MemoryBudget,
    held: Option<OwnedSemaphorePermit>,
    /// Time of the first permit; the wait for it does not count.
    since: Instant,
}

impl Reservation {
    /// Waits until the reservation covers `bytes` in total.
    pub(crate) async fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(PERMIT_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let more = tokio::select! {
            biased;
            more = self.budget.permits.clone().acquire_many_owned(missing) => more.ok(),
            () = self.revoked() => return Err(Error::revoked()),
        };
        match (&mut self.held, more) {
            (Some(held), Some(more)) => held.merge(more),
            (held, more) => (*held, self.since) = (more, Instant::now()),
        }
        Ok(())
    }

    /// Waits until other readings need the memory of this one, which has held it for long.
    ///
    /// A stalled body delays the others by seconds, not by its timeout.
    pub(crate) async fn revoked(&self) {
        if self.held.is_none() {
            return std::future::pending().await;
        }
        sleep_until(self.since + MIN_HOLD).await;
        loop {
            // One at a time, so that no reading is revoked needlessly.
            let _turn = self.budget.revoking.lock().await;
            sleep(REVOKE_INTERVAL).await;
            // The semaphore gives free permits to the first waiter at once.
            if self.budget.permits.available_permits() == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    async fn reserved(budget: &MemoryBudget, bytes: usize) -> Reservation {
        let mut reservation = budget.reserve();
        reservation.grow(bytes).await.unwrap();
        reservation
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_readings_give_up_memory_for_waiting_ones() {
        let budget = MemoryBudget::default();
        let start = Instant::now();
        let mut stalled = Vec::new();
        for _ in 0..3 {
            let reservation = reserved(&budget, 11 * MIB).await;
            stalled.push(tokio::spawn(async move { reservation.revoked().await }));
        }
        let mut kept = Vec::new();
        for revoked in [1, 2] {
            kept.push(reserved(&budget, 11 * MIB).await);
            assert!(start.elapsed() <= MIN_HOLD + 3 * REVOKE_INTERVAL, "{:?}", start.elapsed());
            let finished = stalled.iter().filter(|task| task.is_finished()).count();
            assert_eq!(finished, revoked, "only those that are needed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_kept_while_no_reading_waits() {
        let budget = MemoryBudget::default();
        let reservation = reserved(&budget, 30 * MIB).await;
        let waiting = reserved(&budget, 4 * MIB);
        assert!(tokio::time::timeout(MIN_HOLD / 2, waiting).await.is_err());
        let revoked = tokio::time::timeout(Duration::from_hours(1), reservation.revoked()).await;
        assert!(revoked.is_err(), "a wait that is over revokes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn wait_for_memory_does_not_count_as_holding_it() {
        let budget = MemoryBudget::default();
        let all = reserved(&budget, BUDGET_BYTES).await;
        let mut late = budget.reserve();
        let waited = tokio::join!(late.grow(BUDGET_BYTES), async {
            sleep(2 * MIN_HOLD).await;
            drop(all);
        });
        assert!(waited.0.is_ok());
        let revoked = tokio::time::timeout(MIN_HOLD / 2, late.revoked()).await;
        assert!(revoked.is_err(), "it has held its memory for a moment");
    }

    #[tokio::test(start_paused = true)]
    async fn reading_that_holds_nothing_is_not_revoked() {
        let budget = MemoryBudget::default();
        let small = budget.reserve();
        let _all = reserved(&budget, BUDGET_BYTES).await;
        assert!(tokio::time::timeout(Duration::from_hours(1), small.revoked()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_reading_can_lose_its_memory() {
        let budget = MemoryBudget::default();
        let (mut one, mut other) = (reserved(&budget, 16 * MIB).await, reserved(&budget, 17 * MIB).await);
        assert!(one.grow(3 * MIB).await.is_ok(), "it holds as much");
        let grown = tokio::join!(async { one.grow(20 * MIB).await.map_err(|_| drop(one)).is_ok() }, async {
            other.grow(20 * MIB).await.map_err(|_| drop(other)).is_ok()
        });
        assert!(grown.0 != grown.1, "one gives way to the other: {grown:?}");
    }
}
