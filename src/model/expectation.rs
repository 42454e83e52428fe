//! Expected exports of a cluster.

use atlas_client::Schedule;

use std::time::Duration;

/// The configured expectation for a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportExpectation {
    /// Maximum time between two exports, with precedence over the schedule.
    pub interval: Option<Duration>,
    /// True if exports are expected even without auto export; `None` if not configured.
    pub export: Option<bool>,
}

impl ExportExpectation {
    /// Returns the expected maximum time between two exports under a schedule, `None` if unknown.
    ///
    /// The configured interval comes first, then the frequency of auto export. If auto export is
    /// disabled and the configuration expects no export, the result is `None`.
    #[must_use]
    pub fn effective_interval(&self, schedule: Option<&Schedule>) -> Option<Duration> {
        let auto_export = schedule.and_then(|schedule| schedule.auto_export);
        if auto_export == Some(false) && self.export == Some(false) {
            return None;
        }
        let scheduled = || schedule.filter(|_| auto_export == Some(true))?.export_period();
        self.interval.or_else(scheduled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn schedule(auto_export: impl Into<Option<bool>>, frequency: &str) -> Schedule {
        let auto_export = auto_export.into();
        Schedule { auto_export, frequency: Some(frequency.to_owned()), ..Schedule::default() }
    }

    #[test]
    fn configured_interval_overrides_the_schedule() {
        let check = |configured: Option<u32>, schedule: Option<Schedule>, days: Option<u64>| {
            let expected = ExportExpectation { interval: configured.map(|days| DAY * days), export: None };
            let interval = expected.effective_interval(schedule.as_ref());
            assert_eq!(
                interval.map(|interval| interval.as_secs()),
                days.map(|days| days * 86_400),
                "{schedule:?}"
            );
        };
        for (word, days) in [("daily", 1), ("WEEKLY", 7), ("Monthly", 31), ("yearly", 366)] {
            check(None, Some(schedule(true, word)), Some(days));
            check(Some(2), Some(schedule(true, word)), Some(2));
        }
        check(None, Some(schedule(true, "fortnightly")), None);
        check(None, Some(Schedule { auto_export: Some(true), ..Schedule::default() }), None);
        check(None, Some(schedule(false, "daily")), None);
        check(None, Some(schedule(None, "daily")), None);
        check(None, None, None);
        check(Some(3), None, Some(3));
        check(Some(3), Some(schedule(false, "daily")), Some(3));
    }

    #[test]
    fn interval_is_none_if_no_export_is_expected() {
        let expected = ExportExpectation { interval: Some(DAY), export: Some(false) };
        assert_eq!(expected.effective_interval(Some(&schedule(false, "daily"))), None);
        assert_eq!(expected.effective_interval(Some(&schedule(true, "weekly"))), Some(DAY));
        assert_eq!(expected.effective_interval(None), Some(DAY));
    }
}
