//! Projects, their clusters, and the backup schedules of those.

use serde::Deserialize;

use super::array::{Each, Gather, push};
use super::text::{Id, Lenient, MAX_NAME, MAX_WORD, Name, Shown};
use super::{RawValue, entry, time};
use crate::atlas::Error;
use crate::model::{
    ListedCluster, ObjectId, PolicyItems, ProjectId, Schedule as ExportSchedule, Unexportable,
};
use crate::redact;

/// `GET /groups/{groupId}`
#[derive(Deserialize)]
pub(in crate::atlas) struct Project {
    pub(in crate::atlas) name: Shown<MAX_NAME>,
}

/// One of `GET /orgs/{orgId}/groups`
#[derive(Deserialize)]
pub(in crate::atlas) struct ListedProject {
    id: String,
    #[serde(default)]
    name: Lenient,
}

impl ListedProject {
    /// A project without a valid id is an error: left out, it would be missing without a word. Its
    /// name is only needed for exclusions: one that cannot be read costs itself, not the project.
    pub(in crate::atlas) fn read(raw: &RawValue) -> Result<Option<(ProjectId, Option<String>)>, Error> {
        let Self { id, name } = entry(raw)?;
        let id = ProjectId::parse(&id).ok_or_else(|| Error::invalid(&format!("{id:?} is no project id")))?;
        let name = name.0.filter(|name| !name.trim().is_empty());
        Ok(Some((id, name.map(|name| redact::display(&name, MAX_NAME)))))
    }
}

/// One of `GET /groups/{groupId}/clusters`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::atlas) struct Cluster {
    name: Name,
    backup_enabled: Option<bool>,
    paused: Option<bool>,
    create_date: Option<String>,
    #[serde(rename = "clusterType")]
    kind: Option<String>,
    state_name: Option<String>,
    replication_specs: Option<Each<ReplicationSpec, Tier>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplicationSpec {
    region_configs: Option<Each<RegionConfig, Tier>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegionConfig {
    provider_name: Option<String>,
}

/// The first tier that has no exports.
#[derive(Default)]
struct Tier(Option<Unexportable>);

impl Gather<ReplicationSpec> for Tier {
    fn gather(&mut self, spec: ReplicationSpec) -> Result<(), String> {
        self.0 = self.0.or(spec.region_configs.and_then(|regions| regions.all.0));
        Ok(())
    }
}

impl Gather<RegionConfig> for Tier {
    fn gather(&mut self, region: RegionConfig) -> Result<(), String> {
        self.0 = self.0.or(match region.provider_name.as_deref() {
            Some("TENANT") => Some(Unexportable::SharedTier),
            Some("FLEX") => Some(Unexportable::Flex),
            _ => None,
        });
        Ok(())
    }
}

impl Cluster {
    pub(in crate::atlas) fn read(raw: &RawValue) -> Result<Option<ListedCluster>, Error> {
        entry::<Self>(raw)?.listed()
    }

    /// The cluster; `None` where it is listed, but gone.
    ///
    /// What Atlas does not say is not held against a cluster: only `backupEnabled: false` is a backup that is off.
    fn listed(self) -> Result<Option<ListedCluster>, Error> {
        let name = self.name.0;
        // What cannot stand in a path as it is would lead elsewhere.
        if matches!(name.trim(), "" | "." | "..") {
            return Err(Error::invalid(&format!("a cluster called {name:?}")));
        }
        if self.state_name.as_deref() == Some("DELETED") {
            return Ok(None);
        }
        let tier = self.replication_specs.and_then(|specs| specs.all.0);
        let disabled = (self.backup_enabled == Some(false)).then_some(Unexportable::BackupDisabled);
        Ok(Some(ListedCluster {
            unexportable: tier.or(disabled),
            paused: self.paused,
            // A date that cannot be read costs itself.
            created_at: time("createDate", self.create_date.as_deref()).ok().flatten(),
            sharded: matches!(self.kind.as_deref(), Some("SHARDED" | "GEOSHARDED")),
            name,
        }))
    }
}

/// `GET .../backup/schedule`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::atlas) struct Schedule {
    auto_export_enabled: Option<bool>,
    export: Option<ExportPolicy>,
    policies: Option<Each<Policy, Items>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    policy_items: Option<Each<PolicyItem, Items>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyItem {
    id: Option<String>,
    frequency_type: Option<Shown<MAX_WORD>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct ExportPolicy {
    frequency_type: Option<Shown<MAX_WORD>>,
    export_bucket_id: Option<Id>,
}

/// Maximum number of items in a backup policy.
const MAX_ITEMS: usize = 256;

/// The items of all policies, each with its id and its frequency.
#[derive(Default)]
struct Items(Vec<(Option<ObjectId>, Option<String>)>);

impl Gather<PolicyItem> for Items {
    fn gather(&mut self, item: PolicyItem) -> Result<(), String> {
        let id = item.id.and_then(|id| ObjectId::parse(&id));
        push::<_, MAX_ITEMS>(&mut self.0, (id, item.frequency_type.map(|text| text.0)))
    }
}

impl Gather<Policy> for Items {
    fn gather(&mut self, policy: Policy) -> Result<(), String> {
        let items = policy.policy_items.map(|items| items.all.0).unwrap_or_default();
        items.into_iter().try_for_each(|item| push::<_, MAX_ITEMS>(&mut self.0, item))
    }
}

impl From<Schedule> for ExportSchedule {
    fn from(schedule: Schedule) -> Self {
        let ExportPolicy { frequency_type, export_bucket_id } = schedule.export.unwrap_or_default();
        let frequency = frequency_type.map(|text| text.0);
        // Without exports of Atlas's own, nobody asks for the items.
        let policies = schedule.policies.filter(|_| schedule.auto_export_enabled == Some(true));
        let items = policies.zip(frequency.as_deref());
        Self {
            auto_export: schedule.auto_export_enabled,
            bucket_id: export_bucket_id.map(|id| id.0),
            items: items.map(|(items, word)| PolicyItems::new(&items.all.0, word)).unwrap_or_default(),
            frequency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn a_cluster_is_what_its_regions_and_its_backup_say() {
        let listed = |json: &str| decode::<Cluster>(json.as_bytes())?.listed();
        let region = |provider: &str| {
            format!(r#""replicationSpecs":[{{"regionConfigs":[{{"providerName":"{provider}"}}]}}]"#)
        };
        let check = |rest: &str, expected: Option<Unexportable>| {
            let json = format!(r#"{{"name":"a"{rest}}}"#);
            assert_eq!(listed(&json).unwrap().unwrap().unexportable, expected, "{json}");
        };
        check("", None);
        check(r#","backupEnabled":null,"paused":null,"replicationSpecs":null"#, None);
        check(&format!(r#","backupEnabled":true,{}"#, region("AWS")), None);
        check(r#","backupEnabled":false"#, Some(Unexportable::BackupDisabled));
        check(&format!(r#","backupEnabled":false,{}"#, region("TENANT")), Some(Unexportable::SharedTier));
        check(&format!(",{}", region("FLEX")), Some(Unexportable::Flex));
        check(
            r#","replicationSpecs":[{"regionConfigs":[]},{"regionConfigs":[{},{"providerName":"TENANT"}]}]"#,
            Some(Unexportable::SharedTier),
        );
        let whole =
            listed(r#"{"name":"a","paused":true,"createDate":"2026-01-02T03:04:05Z","stateName":"IDLE"}"#);
        let whole = whole.unwrap().unwrap();
        assert_eq!((whole.paused, whole.created_at), (Some(true), "2026-01-02T03:04:05Z".parse().ok()));
        for (kind, sharded) in [("REPLICASET", false), ("SHARDED", true), ("GEOSHARDED", true)] {
            let json = format!(r#"{{"name":"a","clusterType":"{kind}"}}"#);
            assert_eq!(listed(&json).unwrap().unwrap().sharded, sharded, "{kind}");
        }
        assert_eq!(listed(r#"{"name":"a","createDate":"soon"}"#).unwrap().unwrap().created_at, None);
        assert_eq!(listed(r#"{"name":"a","stateName":"DELETED"}"#), Ok(None));
        for json in [
            r"{}",
            r#"{"name":""}"#,
            r#"{"name":".."}"#,
            r#"{"name":"..\t"}"#,
            r#"{"name":"pr\nod"}"#,
            r#"{"name":"a","paused":"no"}"#,
        ] {
            assert!(listed(json).is_err(), "{json}");
        }
    }

    #[test]
    fn project_name_that_cannot_be_read_costs_itself() {
        for (rest, name) in [
            (r#","name":"payments""#, Some("payments")),
            (r#","name":7"#, None),
            (r#","name":null"#, None),
            (r#","name":" ""#, None),
            ("", None),
        ] {
            let json = format!(r#"{{"id":"32b6e34b3d91647abb20e7b8"{rest}}}"#);
            let (_, read) = ListedProject::read(serde_json::from_str(&json).unwrap()).unwrap().unwrap();
            assert_eq!(read.as_deref(), name, "{json}");
        }
    }

    #[test]
    fn a_schedule_says_what_it_says() {
        let schedule = |json: &str| ExportSchedule::from(decode::<Schedule>(json.as_bytes()).unwrap());
        assert_eq!(schedule("{}"), ExportSchedule::default());
        assert_eq!(schedule(r#"{"autoExportEnabled":null,"export":null}"#), ExportSchedule::default());
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
            (true, r#"[{"policyItems":[{"id":null}]}]"#.to_owned(), None),
            (true, "null".to_owned(), None),
            (false, format!(r#"[{{"policyItems":[{daily}]}}]"#), None),
        ] {
            assert_eq!(missing(auto_export, &policies), expected, "{policies}");
        }
    }
}
