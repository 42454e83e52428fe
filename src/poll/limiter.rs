//! Limits how many polls start at once and how many are in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Maximum duration of a quick poll.
const MAX_QUICK: Duration = Duration::from_secs(1);

/// Maximum time for which a poll holds its start permit. With eight permits, at least 64 polls per
/// second can start.
const MAX_START_HOLD: Duration = Duration::from_millis(125);

/// Maximum number of polls, and of other readings, in flight.
///
/// Each has a connection to Atlas with up to half a megabyte of buffers. A quarter is reserved for
/// targets whose last poll was quick.
const MAX_IN_FLIGHT: usize = 256;

/// Number of file descriptors reserved for the HTTP server and everything else.
const RESERVED_DESCRIPTORS: u64 = 64;

/// Limits polls with separate permits for quick and slow ones.
///
/// A poll that takes longer than a second is slow, and the next one of the same target counts as
/// slow, too. So targets that hang do not delay the others.
#[derive(Debug)]
pub struct PollLimiter {
    quick: Limits,
    slow: Limits,
}

#[derive(Debug)]
struct Limits {
    starts: Semaphore,
    in_flight: Semaphore,
}

impl Limits {
    fn new(starts: usize, in_flight: usize) -> Self {
        Self { starts: Semaphore::new(starts), in_flight: Semaphore::new(in_flight.max(1)) }
    }

    /// Starts `work` when a permit is free. Returns the unfinished future if it is slow.
    async fn start<F: Future>(&self, work: impl FnOnce() -> F) -> Result<F::Output, Pin<Box<F>>> {
        let permit = self.starts.acquire().await;
        let started = Instant::now();
        // Created after the wait: thousands of waiting polls need no memory for their futures.
        let mut work = Box::pin(work());
        let mut outcome = timeout_at(started + MAX_START_HOLD, &mut work).await;
        drop(permit);
        if outcome.is_err() {
            outcome = timeout_at(started + MAX_QUICK, &mut work).await;
        }
        outcome.map_err(|_| work)
    }
}

impl PollLimiter {
    /// Creates a limiter with `concurrency` start permits each for quick and for slow polls.
    #[must_use]
    pub fn new(concurrency: u32) -> Arc<Self> {
        let concurrency = concurrency as usize;
        let in_flight = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(MAX_IN_FLIGHT, |(soft, _)| {
            // Polls and other readings each use at most a quarter of the remaining descriptors.
            let share = soft.saturating_sub(RESERVED_DESCRIPTORS) / 4;
            usize::try_from(share).unwrap_or(usize::MAX).min(MAX_IN_FLIGHT)
        });
        let quick = in_flight / 4;
        Arc::new(Self {
            quick: Limits::new(concurrency, quick),
            slow: Limits::new(concurrency, in_flight - quick),
        })
    }

    /// Runs `work` within the limits. `slow` is true if it was slow the last time, and is updated.
    ///
    /// Returns `None` if quick work becomes slow while no permit for slow work is free. The work is
    /// cancelled, and the caller repeats it as slow work.
    pub async fn run<F: Future>(&self, slow: &mut bool, work: impl FnOnce() -> F) -> Option<F::Output> {
        let limits = if *slow { &self.slow } else { &self.quick };
        let in_flight = limits.in_flight.acquire().await;
        let unfinished = match limits.start(work).await {
            Ok(outcome) => {
                *slow = false;
                return Some(outcome);
            }
            Err(unfinished) => unfinished,
        };
        if std::mem::replace(slow, true) {
            return Some(unfinished.await);
        }
        let _slow_in_flight = self.slow.in_flight.try_acquire().ok()?;
        drop(in_flight);
        Some(unfinished.await)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Repeats `work` until it is not cancelled, as callers of the limiter do.
    async fn run<F: Future>(limiter: &PollLimiter, slow: &mut bool, work: impl Fn() -> F) -> F::Output {
        loop {
            if let Some(outcome) = limiter.run(slow, &work).await {
                return outcome;
            }
        }
    }

    async fn hang() {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }

    async fn quick_poll(limiter: &PollLimiter) -> Duration {
        let asked = Instant::now();
        run(limiter, &mut false, async || ()).await;
        asked.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_poll_releases_its_start_permit_and_is_slow() {
        let limiter = PollLimiter::new(1);
        let (mut slow, mut quick) = (false, false);
        for expected in [MAX_START_HOLD, Duration::ZERO] {
            let asked = Instant::now();
            let next = async {
                limiter.run(&mut quick, async || ()).await;
                asked.elapsed()
            };
            let (_, waited) = tokio::join!(limiter.run(&mut slow, hang), next);
            assert_eq!(waited, expected);
            assert!(slow && !quick);
        }
    }

    /// Returns the wait of a quick poll after this number of polls started and hang.
    async fn wait_behind(hanging: usize) -> Duration {
        let limiter = PollLimiter::new(8);
        let polls = (0..hanging).map(async |_| run(&limiter, &mut false, hang).await);
        tokio::select! {
            biased;
            _ = join_all(polls) => unreachable!(),
            waited = quick_poll(&limiter) => waited,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn hanging_polls_delay_a_quick_poll_by_seconds_only() {
        assert!(wait_behind(8).await <= MAX_QUICK);
        let waited = wait_behind(MAX_IN_FLIGHT - 1).await;
        assert!(waited < Duration::from_secs(6), "{waited:?}");
        let waited = wait_behind(1000).await;
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_in_flight_are_limited_with_a_quick_reserve() {
        let limiter = PollLimiter::new(8);
        let in_flight = AtomicUsize::new(0);
        // Cancelled polls drop the guard, too.
        let work = async || {
            let _counted = Counted::new(&in_flight);
            hang().await;
        };
        let polls = (0..1000).map(async |_| {
            let mut slow = false;
            loop {
                run(&limiter, &mut slow, work).await;
            }
        });
        let check = async {
            for second in 0..120 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let max = if second < 20 { MAX_IN_FLIGHT } else { MAX_IN_FLIGHT * 3 / 4 };
                assert!(in_flight.load(Ordering::Relaxed) <= max);
                if second >= 20 {
                    assert_eq!(quick_poll(&limiter).await, Duration::ZERO);
                }
            }
            assert_eq!(in_flight.load(Ordering::Relaxed), MAX_IN_FLIGHT * 3 / 4);
        };
        tokio::select! {
            _ = join_all(polls) => unreachable!(),
            () = check => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn thousand_hanging_polls_all_finish() {
        let limiter = PollLimiter::new(8);
        let polls = (0..1000).map(async |_| run(&limiter, &mut false, hang).await);
        // 1000 polls of one minute, 192 at a time, take six minutes.
        tokio::time::timeout(Duration::from_mins(7), join_all(polls)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn thousand_polls_of_almost_a_second_start_within_20s() {
        // With eight at a time, a thousand polls of 900 ms would take 112 seconds.
        let limiter = PollLimiter::new(8);
        let start = Instant::now();
        let polls = (0..1000).map(async |_| {
            let mut slow = false;
            run(&limiter, &mut slow, || tokio::time::sleep(Duration::from_millis(900))).await;
            assert!(!slow);
        });
        join_all(polls).await;
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn quick_polls_hold_their_start_permit_until_they_end() {
        let limiter = PollLimiter::new(2);
        let in_flight = AtomicUsize::new(0);
        let work = async || {
            let _counted = Counted::new(&in_flight);
            assert!(in_flight.load(Ordering::Relaxed) <= 2);
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        join_all((0..20).map(async |_| run(&limiter, &mut false, work).await)).await;
    }

    struct Counted<'a>(&'a AtomicUsize);

    impl<'a> Counted<'a> {
        fn new(count: &'a AtomicUsize) -> Self {
            count.fetch_add(1, Ordering::Relaxed);
            Self(count)
        }
    }

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
