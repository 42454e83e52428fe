//! Pauses of a collector that Atlas refuses.

use std::time::Duration;

/// Number of consecutive refusals that disable a collector. A single one may be transient.
const MIN_REFUSALS: u32 = 2;

/// Pause after the refusal that disables a collector; it doubles with each further refusal.
const MIN_PAUSE: Duration = Duration::from_mins(1);

/// Maximum pause, unless the interval is longer.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Consecutive refusals of a collector since the last reload, which may follow a fix.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Refusals {
    count: u32,
    reloads: u64,
}

impl Refusals {
    pub(super) fn add(&mut self, reloads: u64) {
        let before = if self.reloads == reloads { self.count } else { 0 };
        *self = Self { count: before.saturating_add(1), reloads };
    }

    pub(super) fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Returns true if and only if the collector is disabled.
    pub(super) fn are_confirmed(self) -> bool {
        self.count >= MIN_REFUSALS
    }

    /// Returns the pause until the next reading; `None` for the usual interval.
    pub(super) fn pause(self, interval: Duration, reloads: u64) -> Option<Duration> {
        if self.count == 0 || self.reloads != reloads {
            return None;
        }
        Some(match self.count.checked_sub(MIN_REFUSALS) {
            None => MIN_PAUSE.min(interval),
            Some(further) => {
                MIN_PAUSE.saturating_mul(2u32.saturating_pow(further)).min(MAX_PAUSE.max(interval))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the pauses after ten consecutive refusals in minutes.
    fn pauses(interval: u64) -> Vec<u64> {
        let mut refusals = Refusals::default();
        let mut next = || {
            refusals.add(0);
            refusals.pause(Duration::from_mins(interval), 0).unwrap().as_secs() / 60
        };
        (0..10).map(|_| next()).collect()
    }

    #[test]
    fn pauses_grow_from_a_minute_to_an_hour() {
        assert_eq!(pauses(10), [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pauses(180), [1, 1, 2, 4, 8, 16, 32, 64, 128, 180]);
        assert_eq!(pauses(1), [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn single_refusal_does_not_disable() {
        let mut refusals = Refusals::default();
        assert_eq!((refusals.are_confirmed(), refusals.pause(MIN_PAUSE, 0)), (false, None));
        refusals.add(0);
        let short = Duration::from_secs(1);
        assert_eq!((refusals.are_confirmed(), refusals.pause(short, 0)), (false, Some(short)));
        refusals.add(0);
        assert!(refusals.are_confirmed());
    }

    #[test]
    fn reload_resets_the_refusals() {
        let mut refusals = Refusals::default();
        refusals.add(0);
        refusals.add(0);
        assert_eq!(refusals.pause(MIN_PAUSE, 1), None);
        refusals.add(1);
        assert!(!refusals.are_confirmed());
    }
}
