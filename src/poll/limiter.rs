//! Limits how many polls start at once and how many are in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Longest time of a quick poll.
const SLOW: Duration = Duration::from_secs(1);

/// Longest time for which a poll holds its start permit: with eight permits, at least 64 polls
/// start in a second.
const START_HOLD: Duration = Duration::from_millis(125);

/// Maximum number of polls, and of readings, in flight: each has a connection to Atlas, which takes
/// up to half a megabyte for buffers. A quarter is reserved for targets whose last poll was quick.
const MAX_IN_FLIGHT: usize = 256;

/// File descriptors that are left to the pages and to everything else.
const OTHER_DESCRIPTORS: u64 = 64;

/// A poll that takes longer than a second counts as slow, and so does the next one of its target.
/// Slow polls have limits of their own, so that targets that hang do not delay the others.
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

    /// Starts `work` when a permit is free, and returns it unfinished where it is slow.
    async fn start<F: Future>(&self, work: impl FnOnce() -> F) -> Result<F::Output, Pin<Box<F>>> {
        let permit = self.starts.acquire().await;
        let started = Instant::now();
        // Thousands of polls may wait for their permits; those take no memory for the future.
        let mut work = Box::pin(work());
        let mut outcome = timeout_at(started + START_HOLD, &mut work).await;
        drop(permit);
        if outcome.is_err() {
            outcome = timeout_at(started + SLOW, &mut work).await;
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
            // Polls and readings may take half of the descriptors that are left.
            let share = soft.saturating_sub(OTHER_DESCRIPTORS) / 4;
            usize::try_from(share).unwrap_or(usize::MAX).min(MAX_IN_FLIGHT)
        });
        let quick = in_flight / 4;
        Arc::new(Self {
            quick: Limits::new(concurrency, quick),
            slow: Limits::new(concurrency, in_flight - quick),
        })
    }

    /// Runs `work` within the limits. `slow` says whether it was slow the last time, and is set to
    /// whether it is now.
    ///
    /// Returns `None` where it turned out to be slow while no permit for slow work was free: it is
    /// cancelled then, and the caller repeats it among the slow work.
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

    /// Runs `work` until it is not cancelled, as its callers do.
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
    async fn poll_that_hangs_releases_its_start_permit_and_counts_as_slow() {
        let limiter = PollLimiter::new(1);
        let (mut slow, mut quick) = (false, false);
        for expected in [START_HOLD, Duration::ZERO] {
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

    /// Wait of a quick poll behind so many that have begun to hang.
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
    async fn hanging_polls_delay_a_quick_one_by_seconds() {
        assert!(wait_behind(8).await <= SLOW);
        let waited = wait_behind(MAX_IN_FLIGHT - 1).await;
        assert!(waited < Duration::from_secs(6), "{waited:?}");
        let waited = wait_behind(1000).await;
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn polls_in_flight_are_bounded_and_quick_ones_have_a_reserve() {
        let limiter = PollLimiter::new(8);
        let in_flight = AtomicUsize::new(0);
        // The guard counts cancelled polls, too.
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
                let most = if second < 20 { MAX_IN_FLIGHT } else { MAX_IN_FLIGHT * 3 / 4 };
                assert!(in_flight.load(Ordering::Relaxed) <= most);
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
    async fn slow_polls_take_turns() {
        let limiter = PollLimiter::new(8);
        let polls = (0..1000).map(async |_| run(&limiter, &mut false, hang).await);
        // A minute for each of six times 192, and the first seconds.
        tokio::time::timeout(Duration::from_mins(7), join_all(polls)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn many_polls_of_nearly_a_second_are_started_in_time() {
        // With eight at a time, a thousand answers of 900 ms would take 112 seconds.
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
    async fn quick_polls_hold_their_start_permits_to_the_end() {
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
