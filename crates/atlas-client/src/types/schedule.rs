//! Backup schedules.

use std::time::Duration;

use serde::Deserialize;

use super::array::BoundedVec;
use super::ids::ObjectId;
use super::snapshot::Snapshot;
use super::text::{Id, MAX_WORD, Shown};

/// Export policy of a cluster. Fields that Atlas omits are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "RawSchedule")]
pub struct Schedule {
    /// True if Atlas exports snapshots automatically.
    pub auto_export: Option<bool>,
    /// Export frequency, as Atlas names it, such as `daily`.
    pub frequency: Option<String>,
    /// Id of the export bucket.
    pub bucket_id: Option<String>,
    pub items: PolicyItems,
}

/// Items of a backup policy, sorted; `None` if Atlas omits them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyItems(Option<Box<[PolicyItem]>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PolicyItem {
    id: Option<ObjectId>,
    /// True if the item has the export frequency, so that its snapshots are exported.
    is_exported: Option<bool>,
}

impl PolicyItems {
    /// Creates the items of a policy from ids and frequencies, for the export frequency
    /// `frequency`.
    #[must_use]
    pub fn new(items: &[(Option<ObjectId>, Option<String>)], frequency: &str) -> Self {
        let is_exported = |word: &String| word.eq_ignore_ascii_case(frequency);
        let item = |(id, word): &(Option<ObjectId>, Option<String>)| PolicyItem {
            id: *id,
            is_exported: word.as_ref().map(is_exported),
        };
        let mut items: Vec<_> = items.iter().map(item).collect();
        items.sort_unstable();
        items.dedup();
        Self(Some(items.into()))
    }

    /// Returns the ids of the items with this value of `is_exported`.
    fn ids(&self, is_exported: bool) -> impl Iterator<Item = ObjectId> {
        let items = self.0.iter().flatten().filter(move |item| item.is_exported == Some(is_exported));
        items.filter_map(|item| item.id)
    }
}

impl Schedule {
    /// Returns the maximum time between exports, with months of 31 and years of 366 days; `None`
    /// for an unknown frequency.
    #[must_use]
    pub fn export_period(&self) -> Option<Duration> {
        let periods = [("daily", 1), ("weekly", 7), ("monthly", 31), ("yearly", 366)];
        let word = self.frequency.as_ref()?;
        let (_, days) = periods.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        Some(Duration::from_hours(24) * days)
    }

    /// Returns true if Atlas exports snapshots automatically; false if unknown.
    #[must_use]
    pub fn has_auto_export(&self) -> bool {
        self.auto_export == Some(true)
    }

    /// Returns the id of the bucket for automatic exports.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        self.bucket_id.as_deref().filter(|_| self.has_auto_export())
    }

    /// Returns true if the export policy exports a snapshot.
    ///
    /// The policy items of the snapshot decide. Its frequency decides if it has no items, or one
    /// that the policy no longer has.
    #[must_use]
    pub fn exports(&self, snapshot: &Snapshot) -> bool {
        let Some(frequency) = &self.frequency else { return false };
        let items = &snapshot.policy_items;
        if self.items.ids(true).any(|id| items.contains(&Some(id))) {
            return true;
        }
        let is_other = |item: &Option<ObjectId>| self.items.ids(false).any(|id| Some(id) == *item);
        let are_known = !items.is_empty() && items.iter().all(is_other);
        !are_known && snapshot.frequency.as_ref().is_some_and(|word| word.eq_ignore_ascii_case(frequency))
    }

    /// Returns true if no item of the backup policy has the export frequency, so that nothing is
    /// ever exported; `None` if unknown or if automatic exports are off.
    #[must_use]
    pub fn policy_item_missing(&self) -> Option<bool> {
        let items = self.items.0.as_ref().filter(|_| self.has_auto_export())?;
        let is_exported = |expected: Option<bool>| items.iter().any(|item| item.is_exported == expected);
        // An item without a frequency can have the export frequency.
        if is_exported(Some(true)) { Some(false) } else { (!is_exported(None)).then_some(true) }
    }

    /// Returns true if two schedules export the same snapshots. Other items are ignored.
    #[must_use]
    pub fn exports_same_snapshots(&self, other: &Self) -> bool {
        let decides = |schedule: &Self| {
            (schedule.auto_export, schedule.frequency.as_ref().map(|word| word.to_ascii_lowercase()))
        };
        decides(self) == decides(other) && self.items.ids(true).eq(other.items.ids(true))
    }
}

/// The response to `GET .../backup/schedule`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSchedule {
    auto_export_enabled: Option<bool>,
    export: Option<ExportPolicy>,
    policies: Option<BoundedVec<Policy, MAX_POLICIES>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    policy_items: Option<BoundedVec<RawItem, MAX_ITEMS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawItem {
    id: Option<String>,
    frequency_type: Option<Shown<MAX_WORD>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ExportPolicy {
    frequency_type: Option<Shown<MAX_WORD>>,
    export_bucket_id: Option<Id>,
}

/// Maximum number of backup policies. A cluster has one.
const MAX_POLICIES: usize = 16;

/// Maximum number of items in a backup policy.
const MAX_ITEMS: usize = 256;

impl From<RawSchedule> for Schedule {
    fn from(schedule: RawSchedule) -> Self {
        let ExportPolicy { frequency_type, export_bucket_id } = schedule.export.unwrap_or_default();
        let frequency = frequency_type.map(|text| text.0);
        // Items matter only for automatic exports.
        let policies = schedule.policies.filter(|_| schedule.auto_export_enabled == Some(true));
        let items = policies.zip(frequency.as_deref()).map(|(policies, word)| {
            let items = policies.0.into_iter().filter_map(|policy| policy.policy_items);
            let items = items.flat_map(|items| items.0).map(|item| {
                (item.id.and_then(|id| ObjectId::parse(&id)), item.frequency_type.map(|text| text.0))
            });
            PolicyItems::new(&items.collect::<Vec<_>>(), word)
        });
        Self {
            auto_export: schedule.auto_export_enabled,
            bucket_id: export_bucket_id.map(|id| id.0),
            items: items.unwrap_or_default(),
            frequency,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::json::decode;
    use super::*;

    #[test]
    fn schedule_is_decoded() {
        let schedule = |json: &str| decode::<Schedule>(json.as_bytes()).unwrap();
        assert_eq!(schedule("{}"), Schedule::default());
        assert_eq!(schedule(r#"{"autoExportEnabled":null,"export":null}"#), Schedule::default());
        let whole =
            schedule(r#"{"autoExportEnabled":true,"export":{"exportBucketId":"b","frequencyType":"daily"}}"#);
        assert_eq!((whole.auto_export, whole.frequency.as_deref()), (Some(true), Some("daily")));
        assert_eq!((whole.bucket_id.as_deref(), whole.policy_item_missing()), (Some("b"), None));
        let missing = |auto_export: bool, policies: &str| {
            let export = r#""export":{"frequencyType":"weekly"}"#;
            let json = format!(r#"{{"autoExportEnabled":{auto_export},{export},"policies":{policies}}}"#);
            schedule(&json).policy_item_missing()
        };
        let weekly =
            r#"{"id":"65a1f0b2c3d4e5f60718293b","frequencyType":"Weekly","frequencyInterval":6,"new":1}"#;
        let daily = r#"{"id":"odd","frequencyType":"daily"}"#;
        for (auto_export, policies, expected) in [
            (true, format!(r#"[{{}},{{"policyItems":[{daily},{weekly}]}}]"#), Some(false)),
            (true, format!(r#"[{{"id":"p","policyItems":[{daily}]}}]"#), Some(true)),
            (true, r#"[{"policyItems":null}]"#.to_owned(), Some(true)),
            (true, format!(r#"[{{"policyItems":[{daily},{{"id":null}}]}}]"#), None),
            (true, "null".to_owned(), None),
            (false, format!(r#"[{{"policyItems":[{daily}]}}]"#), None),
        ] {
            assert_eq!(missing(auto_export, &policies), expected, "{policies}");
        }
    }

    fn schedule(auto_export: impl Into<Option<bool>>, frequency: &str) -> Schedule {
        let auto_export = auto_export.into();
        Schedule { auto_export, frequency: Some(frequency.to_owned()), ..Schedule::default() }
    }

    const WORDS: [&str; 6] = ["hourly", "daily", "weekly", "monthly", "yearly", "ondemand"];

    fn item(number: usize) -> Option<ObjectId> {
        ObjectId::parse(&format!("{number:024x}"))
    }

    /// Creates a schedule with an item for each frequency, whose id is the index of its frequency.
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
    fn policy_items_decide_before_the_frequency() {
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
                // No item, a removed item, and an invalid id.
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
    fn policy_items_do_not_count_without_auto_export() {
        let items = PolicyItems::new(&[(None, Some("daily".to_owned()))], "weekly");
        let of = |auto_export| Schedule { items: items.clone(), ..schedule(auto_export, "weekly") };
        assert_eq!([true, false].map(|on| of(on).policy_item_missing()), [Some(true), None]);
    }

    #[test]
    fn items_of_other_frequencies_make_no_difference() {
        let of = |items: &[(usize, &str)]| {
            let items: Vec<_> =
                items.iter().map(|(id, word)| (item(*id), Some((*word).to_owned()))).collect();
            Schedule { items: PolicyItems::new(&items, "daily"), ..schedule(true, "daily") }
        };
        let one = of(&[(1, "daily"), (2, "weekly")]);
        for same in [of(&[(1, "daily")]), of(&[(3, "hourly"), (1, "DAILY")])] {
            assert!(one.exports_same_snapshots(&same), "{same:?}");
        }
        for other in [of(&[]), of(&[(2, "daily")]), of(&[(1, "daily"), (2, "daily")]), of(&[(1, "weekly")])] {
            assert!(!one.exports_same_snapshots(&other), "{other:?}");
        }
        let bucket_id = Some("b".to_owned());
        assert!(one.exports_same_snapshots(&Schedule {
            frequency: Some("DAILY".to_owned()),
            bucket_id,
            ..one.clone()
        }));
    }
}
