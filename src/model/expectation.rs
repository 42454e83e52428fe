//! What a cluster is, and which exports are expected of it.

use std::time::Duration;

use super::Moment;

const DAY: Duration = Duration::from_hours(24);

/// How often an export policy exports. Atlas's set of words is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every year.
    Yearly,
}

impl Frequency {
    /// Reads Atlas's word, whatever its case; `None` if it is new to us.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let words = [
            ("daily", Self::Daily),
            ("weekly", Self::Weekly),
            ("monthly", Self::Monthly),
            ("yearly", Self::Yearly),
        ];
        words.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, frequency)| frequency)
    }

    /// The longest time from one export to the next: a month of 31 days, a year of 366.
    #[must_use]
    pub fn period(self) -> Duration {
        match self {
            Self::Daily => DAY,
            Self::Weekly => DAY * 7,
            Self::Monthly => DAY * 31,
            Self::Yearly => DAY * 366,
        }
    }
}

/// What a cluster's backup schedule says of exports. What Atlas did not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// Whether Atlas exports snapshots by itself.
    pub auto_export: Option<bool>,
    /// How often, in Atlas's word.
    pub frequency: Option<String>,
    /// Atlas's id of the bucket to export to.
    pub bucket_id: Option<String>,
}

impl Schedule {
    /// Whether Atlas is known to export snapshots by itself.
    #[must_use]
    pub fn exports_itself(&self) -> bool {
        self.auto_export == Some(true)
    }

    /// The id of the bucket that Atlas exports to by itself.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        self.bucket_id.as_deref().filter(|_| self.exports_itself())
    }

    /// Whether two schedules export the same snapshots.
    #[must_use]
    pub fn exports_like(&self, other: &Self) -> bool {
        (self.auto_export, &self.frequency) == (other.auto_export, &other.frequency)
    }
}

/// What the configuration says is expected of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// From one export to the next, whatever the schedule says.
    pub interval: Option<Duration>,
    /// Whether a cluster that Atlas does not export by itself is a fault; `None` leaves it open.
    pub export: Option<bool>,
}

impl Expected {
    /// The longest time from one export to the next under a schedule, as far as that was read.
    ///
    /// `None` where nobody knows: nothing is configured, and auto export is off or its frequency unknown. `None`, too, where
    /// nothing is expected: auto export is off, and the configuration calls that no fault.
    #[must_use]
    pub fn interval_under(&self, schedule: Option<&Schedule>) -> Option<Duration> {
        let auto_export = schedule.and_then(|schedule| schedule.auto_export);
        if auto_export == Some(false) && self.export == Some(false) {
            return None;
        }
        let scheduled = || {
            let frequency = schedule.filter(|_| auto_export == Some(true))?.frequency.as_deref()?;
            Some(Frequency::parse(frequency)?.period())
        };
        self.interval.or_else(scheduled)
    }
}

/// Why a cluster is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unexportable {
    /// It shares its servers (`TENANT`).
    SharedTier,
    /// It is a flex cluster. Since 2026 these are not in the listing of clusters.
    Flex,
    /// Its cloud backup is off.
    BackupDisabled,
    /// The configuration excludes it; never said by a listing.
    Configured,
}

impl Unexportable {
    /// Every reason, in the order of the exposition.
    pub const ALL: [Self; 4] = [Self::SharedTier, Self::Flex, Self::BackupDisabled, Self::Configured];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SharedTier => "shared_tier",
            Self::Flex => "flex",
            Self::BackupDisabled => "backup_disabled",
            Self::Configured => "configured",
        }
    }

    /// For a person: "the cluster ...".
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::SharedTier => "is of a shared tier, which has no exports",
            Self::Flex => "is a flex cluster, which has no exports",
            Self::BackupDisabled => "has its cloud backup switched off",
            Self::Configured => "is excluded by exclude_clusters",
        }
    }
}

/// A cluster as its project lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedCluster {
    /// Its name, unique in its project.
    pub name: String,
    /// Why it cannot be exported, if it cannot.
    pub unexportable: Option<Unexportable>,
    /// Whether it is paused.
    pub paused: Option<bool>,
    /// When it was created.
    pub created_at: Option<Moment>,
    /// Whether it is sharded; such clusters have snapshots of another kind.
    pub sharded: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(auto_export: impl Into<Option<bool>>, frequency: &str) -> Schedule {
        Schedule { auto_export: auto_export.into(), frequency: Some(frequency.to_owned()), bucket_id: None }
    }

    #[test]
    fn the_interval_is_the_configured_one_or_that_of_the_schedule_or_nothing() {
        let check = |configured: Option<u32>, schedule: Option<Schedule>, days: Option<u64>| {
            let expected = Expected { interval: configured.map(|days| DAY * days), export: None };
            let interval = expected.interval_under(schedule.as_ref());
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
    fn nothing_is_expected_where_a_cluster_without_auto_export_is_no_fault() {
        let expected = Expected { interval: Some(DAY), export: Some(false) };
        assert_eq!(expected.interval_under(Some(&schedule(false, "daily"))), None);
        assert_eq!(expected.interval_under(Some(&schedule(true, "weekly"))), Some(DAY));
        assert_eq!(expected.interval_under(None), Some(DAY));
    }
}
