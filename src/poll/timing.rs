//! When tasks run: startup delays, intervals and jitter.

use std::time::Duration;

use atlas_client::AtlasClient;
use tokio::time::{Instant, sleep_until};

use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};

/// First work is spread over this time, or over an interval where that is shorter.
const FIRST_SPREAD: Duration = Duration::from_secs(3);

/// Largest deviation from an interval, so that clusters do not fall into step.
const JITTER: f64 = 0.1;

/// When to begin with number `index` of `count`.
#[must_use]
pub(crate) fn startup_delay(index: usize, count: usize, interval: Duration) -> Duration {
    #[allow(clippy::cast_precision_loss)] // clusters, far below 2^52
    let part = index as f64 / count.max(1) as f64;
    FIRST_SPREAD.min(interval).mul_f64(part)
}

/// Waits until a `pause` after `began`, give or take a tenth, or until `used` is no longer the
/// client in force. A reload changes the wait. `tell` gets its end.
pub(crate) async fn sleep_until_due(
    receiver: &mut ConfigReceiver,
    began: Instant,
    used: Option<&AtlasClient>,
    client: impl Fn(&ReloadableConfig) -> Option<AtlasClient>,
    pause: impl Fn(&ReloadableConfig) -> Duration,
    tell: impl Fn(Instant),
) {
    let random = fastrand::f64();
    loop {
        let until = {
            let config = receiver.borrow_and_update();
            let same = match (used, client(&config)) {
                (Some(used), Some(now)) => used.shares_auth(&now),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return;
            }
            began + with_jitter(pause(&config), random)
        };
        tell(until);
        tokio::select! {
            () = sleep_until(until) => return,
            changed = receiver.changed() => if changed.is_err() {
                // The supervisor is gone: the exporter stops.
                return std::future::pending().await;
            },
        }
    }
}

/// `interval`, up to a tenth shorter or longer, as `random` (0 to 1) says.
#[must_use]
pub(crate) fn with_jitter(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 + JITTER * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_polls_are_spread_and_the_very_first_is_at_once() {
        let minute = Duration::from_mins(1);
        assert_eq!(startup_delay(0, 30, minute), Duration::ZERO);
        assert_eq!(startup_delay(15, 30, minute), FIRST_SPREAD / 2);
        assert!(startup_delay(29, 30, minute) < FIRST_SPREAD);
        assert!(startup_delay(29, 30, Duration::from_millis(100)) < Duration::from_millis(100));
    }

    #[test]
    fn repeated_work_comes_up_to_a_tenth_early_or_late() {
        let check = |random, seconds| {
            assert_eq!(with_jitter(Duration::from_mins(1), random), Duration::from_secs(seconds));
        };
        check(0.0, 54);
        check(0.5, 60);
        check(1.0, 66);
    }
}
