//! What every task follows, replaced as a whole when the configuration is read anew.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::atlas::Atlas;
use crate::config::PollConfig;
use crate::model::{OrganizationId, ProjectId};

/// Work that takes longer gives its slot to the next and goes on without: a lane bounds how much begins at once, and what hangs
/// does not hold up the rest. Whoever took that long begins its next work among its like, so that it takes not even this second
/// from the quick ones.
const SLOT_PATIENCE: Duration = Duration::from_secs(1);

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
    /// Who asks for a project.
    pub projects: BTreeMap<ProjectId, Atlas>,
    /// Who asks for an organization.
    pub organizations: BTreeMap<OrganizationId, Atlas>,
    /// Where polls wait for their turn.
    pub polls: Arc<Lanes>,
    /// Where discovery waits for its turn.
    pub readings: Arc<Lanes>,
}

/// Bounds how much work begins at once.
#[derive(Debug)]
pub struct Lanes {
    width: usize,
    quick: Semaphore,
    slow: Semaphore,
}

impl Lanes {
    /// Lanes in which `width` may begin at once, slow ones apart.
    #[must_use]
    pub fn new(width: usize) -> Arc<Self> {
        Arc::new(Self { width, quick: Semaphore::new(width), slow: Semaphore::new(width) })
    }

    /// How much may begin at once.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Does `work` when it has its turn. `slow` tells whether it was slow the last time, and is told whether it was now.
    pub async fn pass<T>(&self, slow: &mut bool, work: impl Future<Output = T>) -> T {
        let place = if *slow { &self.slow } else { &self.quick }.acquire().await;
        let began = Instant::now();
        let mut work = pin!(work);
        let outcome = if let Ok(outcome) = timeout(SLOT_PATIENCE, &mut work).await {
            outcome
        } else {
            drop(place);
            work.await
        };
        *slow = began.elapsed() > SLOT_PATIENCE;
        outcome
    }
}

/// Waits until the `pause` after `began` is over, give or take a tenth, or until another client than the one that was `used` is
/// in force; follows the settings meanwhile. `client` and `pause` read them.
pub async fn rest(
    follow: &mut Follow,
    began: Instant,
    used: Option<&Atlas>,
    client: impl Fn(&Settings) -> Option<Atlas>,
    pause: impl Fn(&Settings) -> Duration,
) {
    let random = fastrand::f64();
    loop {
        let same = match (used, client(&follow.borrow())) {
            (Some(used), Some(now)) => used.is(&now),
            (None, None) => true,
            _ => false,
        };
        if !same {
            return;
        }
        let until = began + jittered(pause(&follow.borrow_and_update()), random);
        tokio::select! {
            () = sleep_until(until) => return,
            changed = follow.changed() => if changed.is_err() {
                // The settings are gone: so is everything, in a moment.
                return std::future::pending().await;
            },
        }
    }
}

/// `interval`, moved by up to [`JITTER`] of it as `random` (0 to 1) says.
fn jittered(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_work_comes_up_to_a_tenth_early_or_late() {
        let check = |random, seconds| {
            assert_eq!(jittered(Duration::from_mins(1), random), Duration::from_secs(seconds));
        };
        check(0.0, 54);
        check(0.5, 60);
        check(1.0, 66);
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_gives_its_slot_away_and_waits_among_its_like() {
        let lanes = Lanes::new(1);
        let start = Instant::now();
        let (mut slow, mut quick) = (false, false);
        let hang = lanes.pass(&mut slow, tokio::time::sleep(Duration::from_mins(1)));
        let next = async {
            lanes.pass(&mut quick, async {}).await;
            start.elapsed()
        };
        let ((), waited) = tokio::join!(hang, next);
        assert_eq!(waited, SLOT_PATIENCE);
        assert!(slow && !quick);
        let begun = Instant::now();
        let hang = lanes.pass(&mut slow, tokio::time::sleep(Duration::from_mins(1)));
        let next = async {
            lanes.pass(&mut quick, async {}).await;
            begun.elapsed()
        };
        assert_eq!(tokio::join!(hang, next).1, Duration::ZERO, "a slow one is in a lane of its own");
    }
}
