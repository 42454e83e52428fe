//! What every task follows, replaced as a whole when the configuration is read anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::atlas::Atlas;
use crate::config::{DetailConfig, PollConfig};
use crate::model::{OrganizationId, ProjectId};
use crate::revocable::{Permits, RevocableSemaphore};

/// Work that takes longer is slow. It gives its place to the next and goes on without, and begins its next time among its like,
/// so that it takes not even this second from the quick ones.
const SLOW: Duration = Duration::from_secs(1);

/// A place is held no shorter than this, however long the queue: with eight places, 320 begin in a second.
const LEAST_PATIENCE: Duration = Duration::from_millis(25);

/// First work is spread over this time, or over an interval where that is shorter.
const FIRST_SPREAD: Duration = Duration::from_secs(3);

/// Repeated work comes this part of its interval early or late, so that clusters do not fall into step.
const JITTER: f64 = 0.1;

/// The settings in force, and the news that they have changed.
pub type Follow = watch::Receiver<Arc<Settings>>;

/// What tasks follow.
#[derive(Debug)]
pub struct Settings {
    /// How clusters are polled.
    pub poll: PollConfig,
    /// How often organizations, projects and schedules are read.
    pub discovery_interval: Duration,
    /// How often the configuration was read anew.
    pub reloads: u64,
    /// How details are read.
    pub detail: DetailConfig,
    /// Who asks for a project.
    pub projects: BTreeMap<ProjectId, Atlas>,
    /// Who asks for an organization.
    pub organizations: BTreeMap<OrganizationId, Atlas>,
    /// Where polls wait for their turn.
    pub polls: Arc<Lanes>,
    /// Where the readings of discovery and of details wait for their turn.
    pub readings: Arc<Lanes>,
}

/// Maximum number of polls, and of readings, in flight: each has a connection to Atlas, which takes up to half a megabyte for buffers.
const MAX_IN_FLIGHT: usize = 256;

/// Maximum number of those that were slow the last time. The rest is for quick ones.
const MAX_SLOW_IN_FLIGHT: usize = 192;

/// File descriptors that are left to the pages and to everything else.
const OTHER_DESCRIPTORS: u64 = 64;

/// Bounds how much work begins at once and how much is in flight, and sees to it that what hangs does not hold up the rest.
#[derive(Debug)]
pub struct Lanes {
    width: usize,
    quick: Lane,
    slow: Lane,
    in_flight: RevocableSemaphore,
    slow_in_flight: RevocableSemaphore,
}

/// Permission to have a request in flight.
#[derive(Debug)]
pub struct InFlight {
    slow: Option<Permits>,
    permits: Permits,
}

impl InFlight {
    /// Waits until other work needs the permission more: this work has taken long.
    pub async fn revoked(&self) {
        let slow = async {
            match &self.slow {
                Some(slow) => slow.revoked().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = slow => {}
            () = self.permits.revoked() => {}
        }
    }
}

/// A queue for so many places. While work waits long for its turn, places are lent for a shorter and shorter time.
#[derive(Debug)]
struct Lane {
    places: Semaphore,
    patience_ms: AtomicU64,
}

impl Lane {
    fn new(width: usize) -> Self {
        Self { places: Semaphore::new(width), patience_ms: AtomicU64::new(millis(SLOW)) }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms.load(Ordering::Relaxed))
    }

    /// Takes in whether a piece of work waited long. Two at once may count as one: it is a matter of degree.
    fn learn(&self, waited: bool) {
        let patience = self.patience();
        let patience = if waited { patience / 2 } else { patience * 2 };
        self.patience_ms.store(millis(patience.clamp(LEAST_PATIENCE, SLOW)), Ordering::Relaxed);
    }
}

/// The number of files that may be open; `None` where the system does not say.
fn descriptors() -> Option<u64> {
    rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Lanes {
    /// Lanes in which `width` may begin at once, slow ones apart.
    #[must_use]
    pub fn new(width: usize) -> Arc<Self> {
        let most = descriptors().map_or(usize::MAX, |all| {
            // Polls and readings may take half of what is left.
            usize::try_from(all.saturating_sub(OTHER_DESCRIPTORS) / 4).unwrap_or(usize::MAX).max(1)
        });
        Arc::new(Self {
            width,
            quick: Lane::new(width),
            slow: Lane::new(width),
            in_flight: RevocableSemaphore::new(MAX_IN_FLIGHT.min(most)),
            slow_in_flight: RevocableSemaphore::new(MAX_SLOW_IN_FLIGHT.min(most)),
        })
    }

    /// How much may begin at once.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Begins `work` when it has its turn; until then it takes no memory. `slow` tells whether it was slow the last time, and is told
    /// whether it was now.
    pub async fn pass<T, F: Future<Output = T>>(
        &self,
        slow: &mut bool,
        work: impl FnOnce(InFlight) -> F,
    ) -> T {
        let lane = if *slow { &self.slow } else { &self.quick };
        let of_slow = if *slow { Some(self.slow_in_flight.acquire().await) } else { None };
        let in_flight = InFlight { slow: of_slow, permits: self.in_flight.acquire().await };
        let asked = Instant::now();
        let place = lane.places.acquire().await;
        let began = Instant::now();
        let waited = began - asked > SLOW;
        let mut work = Box::pin(work(in_flight));
        let mut outcome = timeout_at(began + lane.patience(), &mut work).await;
        drop(place);
        if outcome.is_err() {
            outcome = timeout_at(began + SLOW, &mut work).await;
        }
        *slow = outcome.is_err();
        lane.learn(waited);
        match outcome {
            Ok(outcome) => outcome,
            Err(_) => work.await,
        }
    }
}

/// When to begin with number `index` of `count`.
#[must_use]
pub fn first_delay(index: usize, count: usize, interval: Duration) -> Duration {
    #[allow(clippy::cast_precision_loss)] // clusters, far below 2^52
    let part = index as f64 / count.max(1) as f64;
    FIRST_SPREAD.min(interval).mul_f64(part)
}

/// Waits until the `pause` after `began` is over, give or take a tenth, or until another client than the one that was `used` is
/// in force; follows the settings meanwhile. `client` and `pause` read them, and `tell` hears until when it waits.
pub async fn rest(
    follow: &mut Follow,
    began: Instant,
    used: Option<&Atlas>,
    client: impl Fn(&Settings) -> Option<Atlas>,
    pause: impl Fn(&Settings) -> Duration,
    tell: impl Fn(Instant),
) {
    let random = fastrand::f64();
    loop {
        let until = {
            let settings = follow.borrow_and_update();
            let same = match (used, client(&settings)) {
                (Some(used), Some(now)) => used.is(&now),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return;
            }
            began + jittered(pause(&settings), random)
        };
        tell(until);
        tokio::select! {
            () = sleep_until(until) => return,
            changed = follow.changed() => if changed.is_err() {
                // The settings are gone: so is everything, in a moment.
                return std::future::pending().await;
            },
        }
    }
}

/// `interval`, up to a tenth shorter or longer, as `random` (0 to 1) says.
#[must_use]
pub fn jittered(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_polls_are_spread_and_the_very_first_is_at_once() {
        let minute = Duration::from_mins(1);
        assert_eq!(first_delay(0, 30, minute), Duration::ZERO);
        assert_eq!(first_delay(15, 30, minute), FIRST_SPREAD / 2);
        assert!(first_delay(29, 30, minute) < FIRST_SPREAD);
        assert!(first_delay(29, 30, Duration::from_millis(100)) < Duration::from_millis(100));
    }

    #[test]
    fn repeated_work_comes_up_to_a_tenth_early_or_late() {
        let check = |random, seconds| {
            assert_eq!(jittered(Duration::from_mins(1), random), Duration::from_secs(seconds));
        };
        check(0.0, 54);
        check(0.5, 60);
        check(1.0, 66);
    }

    /// Takes a minute, unless the permission is revoked.
    async fn hang(in_flight: InFlight) {
        let _ = tokio::time::timeout(Duration::from_mins(1), in_flight.revoked()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_gives_its_slot_away_and_waits_among_its_like() {
        let lanes = Lanes::new(1);
        let start = Instant::now();
        let (mut slow, mut quick) = (false, false);
        let hanging = lanes.pass(&mut slow, hang);
        let next = async {
            lanes.pass(&mut quick, async |_| {}).await;
            start.elapsed()
        };
        let ((), waited) = tokio::join!(hanging, next);
        assert_eq!(waited, SLOW);
        assert!(slow && !quick);
        let begun = Instant::now();
        let hanging = lanes.pass(&mut slow, hang);
        let next = async {
            lanes.pass(&mut quick, async |_| {}).await;
            begun.elapsed()
        };
        assert_eq!(tokio::join!(hanging, next).1, Duration::ZERO, "a slow one is in a lane of its own");
    }

    /// `hanging` pieces of work that hang for a minute, and then a quick one, all in lanes of eight: how long that waits.
    async fn wait_behind(hanging: usize) -> Duration {
        let lanes = Lanes::new(8);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..hanging {
            let lanes = lanes.clone();
            tasks.spawn(async move {
                lanes.pass(&mut false, hang).await;
            });
        }
        // Everyone stands in the queue when time has passed.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let start = Instant::now();
        lanes.pass(&mut false, async |_| {}).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_hangs_is_passed_quickly() {
        assert!(wait_behind(8).await <= SLOW);
        let waited = wait_behind(MAX_IN_FLIGHT - 1).await;
        assert!(waited < Duration::from_secs(6), "{waited:?}");
        let waited = wait_behind(1000).await;
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn work_in_flight_is_bounded_and_quick_work_has_a_share() {
        let lanes = Lanes::new(8);
        let in_flight = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for _ in 0..1000 {
            let (lanes, in_flight) = (lanes.clone(), in_flight.clone());
            tokio::spawn(async move {
                let work = async |permission| {
                    in_flight.fetch_add(1, Ordering::Relaxed);
                    hang(permission).await;
                    in_flight.fetch_sub(1, Ordering::Relaxed);
                };
                loop {
                    lanes.pass(&mut true, &work).await;
                }
            });
        }
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(in_flight.load(Ordering::Relaxed) <= MAX_SLOW_IN_FLIGHT);
            let start = Instant::now();
            lanes.pass(&mut false, async |_| {}).await;
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
        assert_eq!(in_flight.load(Ordering::Relaxed), MAX_SLOW_IN_FLIGHT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_grows_is_worked_off() {
        // A thousand answers of 900 ms each minute would take eight places 112 seconds.
        let lanes = Lanes::new(8);
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let lanes = lanes.clone();
            tasks.spawn(async move {
                let mut slow = false;
                let answer = |_| tokio::time::sleep(Duration::from_millis(900));
                lanes.pass(&mut slow, answer).await;
                assert!(!slow);
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_held_while_nobody_waits_long() {
        let lanes = Lanes::new(2);
        let under_way = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (lanes, under_way) = (lanes.clone(), under_way.clone());
            tasks.spawn(async move {
                let work = async |_| {
                    assert!(under_way.fetch_add(1, Ordering::Relaxed) < 2);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    under_way.fetch_sub(1, Ordering::Relaxed);
                };
                lanes.pass(&mut false, work).await;
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
    }
}
