//! Projects and their clusters.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::array::BoundedVec;
use super::ids::ProjectId;
use super::json::entry;
use super::page::ListEntry;
use super::text::{Lenient, MAX_NAME, Name, Shown};
use crate::error::Error;
use crate::redact;

/// Reason why the snapshots of a cluster cannot be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unexportable {
    /// A cluster of a shared tier (`TENANT`).
    SharedTier,
    /// A flex cluster. Since 2026, the listing of clusters does not have them.
    Flex,
    /// Cloud backup is off for the cluster.
    BackupDisabled,
}

/// A cluster as its project lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedCluster {
    /// Name of the cluster, unique in its project.
    pub name: String,
    /// Reason why it cannot be exported; `None` if it can.
    pub unexportable: Option<Unexportable>,
    pub paused: Option<bool>,
    pub created_at: Option<Timestamp>,
    /// True for a sharded cluster, whose snapshots have an endpoint of their own.
    pub sharded: bool,
}

/// The response to `GET /groups/{groupId}`.
#[derive(Deserialize)]
pub(crate) struct Project {
    pub(crate) name: Shown<MAX_NAME>,
}

/// A project of an organization with its name. The name is for exclusions only, so an unreadable
/// name is not an error.
impl ListEntry for (ProjectId, Option<String>) {
    fn decode(raw: &RawValue) -> Result<Option<Self>, Error> {
        #[derive(Deserialize)]
        struct Project {
            id: String,
            #[serde(default)]
            name: Lenient,
        }
        let Project { id, name } = entry(raw)?;
        let id =
            ProjectId::parse(&id).ok_or_else(|| Error::invalid(&format!("{id:?} is not a project id")))?;
        let name = name.0.filter(|name| !name.trim().is_empty());
        Ok(Some((id, name.map(|name| redact::display(&name, MAX_NAME)))))
    }

    fn text_bytes(&self) -> usize {
        self.1.as_ref().map_or(0, String::len)
    }
}

/// Maximum number of shards of a cluster, and of regions of a shard.
const MAX_SPECS: usize = 1000;

/// An entry of `GET /groups/{groupId}/clusters`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cluster {
    name: Name,
    backup_enabled: Option<bool>,
    paused: Option<bool>,
    create_date: Option<String>,
    #[serde(rename = "clusterType")]
    kind: Option<String>,
    state_name: Option<String>,
    replication_specs: Option<BoundedVec<ReplicationSpec, MAX_SPECS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplicationSpec {
    region_configs: Option<BoundedVec<RegionConfig, MAX_SPECS>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegionConfig {
    provider_name: Option<String>,
}

impl ListEntry for ListedCluster {
    /// Returns `None` for a deleted cluster. Without `backupEnabled`, backup counts as on.
    fn decode(raw: &RawValue) -> Result<Option<Self>, Error> {
        let cluster: Cluster = entry(raw)?;
        let name = cluster.name.0;
        // In a path, these names would select another resource.
        if matches!(name.trim(), "" | "." | "..") {
            return Err(Error::invalid(&format!("{name:?} is not a cluster name")));
        }
        if cluster.state_name.as_deref() == Some("DELETED") {
            return Ok(None);
        }
        let specs = cluster.replication_specs.into_iter().flat_map(|specs| specs.0);
        let mut regions = specs.filter_map(|spec| spec.region_configs).flat_map(|regions| regions.0);
        let tier = regions.find_map(|region| match region.provider_name.as_deref() {
            Some("TENANT") => Some(Unexportable::SharedTier),
            Some("FLEX") => Some(Unexportable::Flex),
            _ => None,
        });
        let disabled = (cluster.backup_enabled == Some(false)).then_some(Unexportable::BackupDisabled);
        Ok(Some(Self {
            unexportable: tier.or(disabled),
            paused: cluster.paused,
            // An invalid date is ignored.
            created_at: cluster.create_date.and_then(|date| date.parse().ok()),
            sharded: matches!(cluster.kind.as_deref(), Some("SHARDED" | "GEOSHARDED")),
            name,
        }))
    }

    fn text_bytes(&self) -> usize {
        self.name.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_has_its_tier_backup_and_kind() {
        let listed = |json: &str| ListedCluster::decode(serde_json::from_str(json).unwrap());
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
    fn unreadable_project_name_is_ignored() {
        for (rest, name) in [
            (r#","name":"payments""#, Some("payments")),
            (r#","name":7"#, None),
            (r#","name":null"#, None),
            (r#","name":" ""#, None),
            ("", None),
        ] {
            let json = format!(r#"{{"id":"32b6e34b3d91647abb20e7b8"{rest}}}"#);
            let (_, read) =
                <(ProjectId, Option<String>)>::decode(serde_json::from_str(&json).unwrap()).unwrap().unwrap();
            assert_eq!(read.as_deref(), name, "{json}");
        }
    }
}
