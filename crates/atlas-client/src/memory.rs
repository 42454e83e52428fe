//! One budget for the memory of all bodies and listings that are being read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::Error;

/// Two bodies of the largest size, or 64 pages of 500 jobs.
const BUDGET_BYTES: usize = 33 * 1024 * 1024;

/// Bytes of one permit. A semaphore of a 32-bit machine has too few permits to count single bytes.
const PERMIT_BYTES: usize = 1024;

/// Time for which memory can be held although other readings wait for it. A request takes a
/// fraction of a second.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// Interval between two revocations.
const REVOKE_INTERVAL: Duration = Duration::from_millis(50);

/// Clones share the budget.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    permits: Arc<Semaphore>,
    /// Held by the reading that gives up its memory next.
    revoking: Arc<Mutex<()>>,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        let permits = Arc::new(Semaphore::new(BUDGET_BYTES / PERMIT_BYTES));
        Self { permits, revoking: Arc::default() }
    }
}

impl MemoryBudget {
    /// Creates a reservation of nothing yet.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), held: None, since: Instant::now() }
    }
}

/// Memory that a reading may use, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: MemoryBudget,
    held: Option<OwnedSemaphorePermit>,
    /// The time of the first permit; a wait for it does not count.
    since: Instant,
}

impl Reservation {
    /// Waits until it covers `bytes` in all.
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

    /// Waits until other readings need the memory that this one has held for long: bodies that
    /// stall must delay the others by seconds, not by their timeout.
    pub(crate) async fn revoked(&self) {
        if self.held.is_none() {
            return std::future::pending().await;
        }
        sleep_until(self.since + UNDISTURBED).await;
        loop {
            // One at a time, so that no more give up memory than is needed.
            let _turn = self.budget.revoking.lock().await;
            sleep(REVOKE_INTERVAL).await;
            // The semaphore hands every free permit to the first in its queue.
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
    async fn memory_of_readings_that_stall_is_revoked_for_those_that_wait() {
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
            assert!(start.elapsed() <= UNDISTURBED + 3 * REVOKE_INTERVAL, "{:?}", start.elapsed());
            let finished = stalled.iter().filter(|task| task.is_finished()).count();
            assert_eq!(finished, revoked, "no more than are needed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_kept_while_no_reading_waits() {
        let budget = MemoryBudget::default();
        let reservation = reserved(&budget, 30 * MIB).await;
        let waiting = reserved(&budget, 4 * MIB);
        assert!(tokio::time::timeout(UNDISTURBED / 2, waiting).await.is_err());
        let revoked = tokio::time::timeout(Duration::from_hours(1), reservation.revoked()).await;
        assert!(revoked.is_err(), "a wait that is over revokes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn wait_for_memory_does_not_count_as_holding_it() {
        let budget = MemoryBudget::default();
        let all = reserved(&budget, BUDGET_BYTES).await;
        let mut late = budget.reserve();
        let waited = tokio::join!(late.grow(BUDGET_BYTES), async {
            sleep(2 * UNDISTURBED).await;
            drop(all);
        });
        assert!(waited.0.is_ok());
        let revoked = tokio::time::timeout(UNDISTURBED / 2, late.revoked()).await;
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
    async fn reading_that_waits_for_more_can_lose_what_it_holds() {
        let budget = MemoryBudget::default();
        let (mut one, mut other) = (reserved(&budget, 16 * MIB).await, reserved(&budget, 17 * MIB).await);
        assert!(one.grow(3 * MIB).await.is_ok(), "it has as much");
        let grown = tokio::join!(async { one.grow(20 * MIB).await.map_err(|_| drop(one)).is_ok() }, async {
            other.grow(20 * MIB).await.map_err(|_| drop(other)).is_ok()
        });
        assert!(grown.0 != grown.1, "one gives way to the other: {grown:?}");
    }
}
