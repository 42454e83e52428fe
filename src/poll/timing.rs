//! Startup delays, intervals and jitter of tasks.

use std::time::Duration;

use atlas_client::AtlasClient;
use tokio::time::{Instant, sleep_until};

use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};

/// Maximum startup delay. With a shorter interval, the interval is the maximum.
const MAX_STARTUP_DELAY: Duration = Duration::from_secs(3);

/// Maximum relative deviation from an interval, so that polls do not synchronize.
const MAX_JITTER: f64 = 0.1;

/// Returns the startup delay of task `index` of `count`. Delays are distributed evenly.
#[must_use]
pub(crate) fn startup_delay(index: usize, count: usize, interval: Duration) -> Duration {
    #[allow(clippy::cast_precision_loss)] // clusters, far below 2^52
    let part = index as f64 / count.max(1) as f64;
    MAX_STARTUP_DELAY.min(interval).mul_f64(part)
}

/// Sleeps until `pause` after `began`, with jitter, or until a reload replaces the client `used`.
///
/// Other reloads can change the pause. `report` is called with the end of the sleep.
pub(crate) async fn sleep_until_due(
    receiver: &mut ConfigReceiver,
    began: Instant,
    used: Option<&AtlasClient>,
    client: impl Fn(&ReloadableConfig) -> Option<AtlasClient>,
    pause: impl Fn(&ReloadableConfig) -> Duration,
    report: impl Fn(Instant),
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
        report(until);
        tokio::select! {
            () = sleep_until(until) => return,
            changed = receiver.changed() => if changed.is_err() {
                // The supervisor was dropped, so the exporter is shutting down.
                return std::future::pending().await;
            },
        }
    }
}

/// Returns `interval` with jitter of up to 10%. `random` is from 0 to 1; 0.5 means no jitter.
#[must_use]
pub(crate) fn with_jitter(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 + MAX_JITTER * (2.0 * random - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_delays_are_distributed_and_begin_at_zero() {
        let minute = Duration::from_mins(1);
        assert_eq!(startup_delay(0, 30, minute), Duration::ZERO);
        assert_eq!(startup_delay(15, 30, minute), MAX_STARTUP_DELAY / 2);
        assert!(startup_delay(29, 30, minute) < MAX_STARTUP_DELAY);
        assert!(startup_delay(29, 30, Duration::from_millis(100)) < Duration::from_millis(100));
    }

    #[test]
    fn jitter_is_at_most_ten_percent() {
        let check = |random, seconds| {
            assert_eq!(with_jitter(Duration::from_mins(1), random), Duration::from_secs(seconds));
        };
        check(0.0, 54);
        check(0.5, 60);
        check(1.0, 66);
    }
}
