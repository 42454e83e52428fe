//! What a cluster is, and which exports are expected of it.

use std::time::Duration;

use jiff::Timestamp;

use super::{ObjectId, Snapshot};

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
    /// The items of the backup policy.
    pub items: PolicyItems,
}

/// The items of a backup policy, by whether the export policy exports the snapshots that they take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyItems {
    /// The ids of those that it exports, sorted.
    exported: Box<[ObjectId]>,
    /// The ids of the others, sorted.
    others: Box<[ObjectId]>,
    /// True if any has the export frequency; `None` where Atlas does not say.
    matched: Option<bool>,
}

impl PolicyItems {
    /// The items of a policy, each with its id and its frequency in Atlas's word, under an export policy of `frequency`.
    #[must_use]
    pub fn new(items: &[(Option<ObjectId>, Option<String>)], frequency: &str) -> Self {
        let is_exported = |word: &str| word.eq_ignore_ascii_case(frequency);
        let ids = |wanted: bool| {
            let of = |(id, word): &(Option<ObjectId>, Option<String>)| {
                id.filter(|_| word.as_deref().is_some_and(|word| is_exported(word) == wanted))
            };
            let mut ids: Vec<_> = items.iter().filter_map(of).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.into_boxed_slice()
        };
        let words = || items.iter().map(|(_, word)| word.as_deref());
        let matched = words().flatten().any(is_exported);
        // An item without a word may be the one.
        let matched = (matched || words().all(|word| word.is_some())).then_some(matched);
        Self { exported: ids(true), others: ids(false), matched }
    }
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

    /// Returns true if the export policy exports a snapshot.
    ///
    /// The policy items that the snapshot belongs to decide. Its one word for them decides where Atlas lists none of them, or one
    /// that the policy has no longer.
    #[must_use]
    pub fn exports(&self, snapshot: &Snapshot) -> bool {
        let Some(frequency) = &self.frequency else { return false };
        let is_in =
            |ids: &[ObjectId], item: &Option<ObjectId>| item.is_some_and(|id| ids.binary_search(&id).is_ok());
        let items = &snapshot.policy_items;
        if items.iter().any(|item| is_in(&self.items.exported, item)) {
            return true;
        }
        let are_known = !items.is_empty() && items.iter().all(|item| is_in(&self.items.others, item));
        !are_known && snapshot.frequency.as_ref().is_some_and(|word| word.eq_ignore_ascii_case(frequency))
    }

    /// Returns true if no item of the backup policy takes snapshots of the export frequency, so that Atlas never exports any; `None` where
    /// Atlas does not say, or exports nothing by itself.
    #[must_use]
    pub fn policy_item_missing(&self) -> Option<bool> {
        self.items.matched.filter(|_| self.exports_itself()).map(|matched| !matched)
    }

    /// Returns true if two schedules export the same snapshots. Items of another frequency do not count.
    #[must_use]
    pub fn exports_like(&self, other: &Self) -> bool {
        let decides = |schedule: &Self| {
            (schedule.auto_export, schedule.frequency.as_ref().map(|word| word.to_ascii_lowercase()))
        };
        decides(self) == decides(other) && self.items.exported == other.items.exported
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

/// The reason for not watching a cluster.
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
    pub created_at: Option<Timestamp>,
    /// Whether it is sharded; such clusters have snapshots of another kind.
    pub sharded: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(auto_export: impl Into<Option<bool>>, frequency: &str) -> Schedule {
        let auto_export = auto_export.into();
        Schedule { auto_export, frequency: Some(frequency.to_owned()), ..Schedule::default() }
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

    const WORDS: [&str; 6] = ["hourly", "daily", "weekly", "monthly", "yearly", "ondemand"];

    fn item(number: usize) -> Option<ObjectId> {
        ObjectId::parse(&format!("{number:024x}"))
    }

    /// A schedule that exports `frequency`, with an item for each word; the id of an item is the place of its word.
    fn with_items(frequency: &str) -> Schedule {
        let items: Vec<_> =
            WORDS.iter().enumerate().map(|(id, word)| (item(id), Some(word.to_uppercase()))).collect();
        Schedule { items: PolicyItems::new(&items, frequency), ..schedule(true, frequency) }
    }

    fn snapshot(word: Option<&str>, policy_items: Vec<Option<ObjectId>>) -> Snapshot {
        let (id, created_at) = (item(99).unwrap(), Timestamp::from_second(0).unwrap());
        Snapshot { id, created_at, frequency: word.map(str::to_owned), policy_items }
    }

    #[test]
    fn policy_items_decide_and_the_word_only_where_they_are_unknown() {
        for (index, frequency) in WORDS.iter().enumerate() {
            let (known, unknown) = (with_items(frequency), schedule(true, &frequency.to_uppercase()));
            for word in WORDS.map(Some).into_iter().chain([None]) {
                let by_word = word == Some(frequency);
                let other = (index + 1) % WORDS.len();
                let check = |schedule: &Schedule, items: Vec<Option<ObjectId>>, expected: bool| {
                    let snapshot = snapshot(word, items);
                    assert_eq!(
                        schedule.exports(&snapshot),
                        expected,
                        "{frequency} {snapshot:?} {schedule:?}"
                    );
                };
                check(&known, vec![item(index)], true);
                check(&known, vec![item(other), item(index)], true);
                check(&known, vec![item(77), None, item(index)], true);
                check(&known, vec![item(other)], false);
                // Nothing, an item that the policy has no longer, and an id that is none.
                check(&known, vec![], by_word);
                check(&known, vec![item(77)], by_word);
                check(&known, vec![item(other), item(77)], by_word);
                check(&known, vec![item(other), None], by_word);
                check(&unknown, vec![item(index)], by_word);
                check(&unknown, vec![], by_word);
                check(&Schedule::default(), vec![item(index)], false);
            }
        }
    }

    #[test]
    fn an_export_frequency_without_a_policy_item_is_told() {
        let check = |items: &[(usize, Option<&str>)], auto_export: bool, expected: Option<bool>| {
            let items: Vec<_> = items.iter().map(|(id, word)| (item(*id), word.map(str::to_owned))).collect();
            let items = PolicyItems::new(&items, "weekly");
            let schedule = Schedule { items, ..schedule(auto_export, "weekly") };
            assert_eq!(schedule.policy_item_missing(), expected, "{schedule:?}");
        };
        check(&[], true, Some(true));
        check(&[(0, Some("daily"))], true, Some(true));
        check(&[(0, Some("daily"))], false, None);
        check(&[(0, Some("daily")), (1, Some("Weekly"))], true, Some(false));
        check(&[(0, Some("daily")), (1, None)], true, None);
        assert_eq!(schedule(true, "weekly").policy_item_missing(), None, "the answer has no policies");
    }

    #[test]
    fn schedules_that_differ_in_other_items_export_the_same() {
        let of = |items: &[(usize, &str)]| {
            let items: Vec<_> =
                items.iter().map(|(id, word)| (item(*id), Some((*word).to_owned()))).collect();
            Schedule { items: PolicyItems::new(&items, "daily"), ..schedule(true, "daily") }
        };
        let one = of(&[(1, "daily"), (2, "weekly")]);
        for same in [of(&[(1, "daily")]), of(&[(3, "hourly"), (1, "DAILY")])] {
            assert!(one.exports_like(&same), "{same:?}");
        }
        for other in [of(&[]), of(&[(2, "daily")]), of(&[(1, "daily"), (2, "daily")]), of(&[(1, "weekly")])] {
            assert!(!one.exports_like(&other), "{other:?}");
        }
        let bucket_id = Some("b".to_owned());
        assert!(one.exports_like(&Schedule {
            frequency: Some("DAILY".to_owned()),
            bucket_id,
            ..one.clone()
        }));
    }
}
