//! Snapshots and export buckets.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::array::BoundedVec;
use super::ids::ObjectId;
use super::json::entry;
use super::page::ListEntry;
use super::text::{Id, MAX_NAME, MAX_WORD, Shown};
use crate::error::Error;

/// A complete snapshot that can be exported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    pub id: ObjectId,
    pub created_at: Timestamp,
    /// Frequency, such as `daily` or `ondemand`. A snapshot can belong to items of other
    /// frequencies.
    pub frequency: Option<String>,
    /// Policy items of the snapshot; `None` for an id of another form.
    pub policy_items: Vec<Option<ObjectId>>,
}

/// A bucket that Atlas can export to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportBucket {
    pub id: String,
    /// Name of the bucket at the cloud provider.
    pub name: String,
    /// Cloud provider: `AWS`, `AZURE` or `GCP`.
    pub cloud_provider: String,
}

/// An entry of `GET .../backup/snapshots` or of `GET .../backup/snapshots/shardedClusters`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawSnapshot {
    id: String,
    created_at: Option<Timestamp>,
    frequency_type: Option<Shown<MAX_WORD>>,
    policy_items: Option<BoundedVec<String, MAX_POLICY_ITEMS>>,
    status: Option<String>,
    #[serde(rename = "snapshotType")]
    kind: Option<String>,
}

/// Maximum number of policy items of a snapshot.
const MAX_POLICY_ITEMS: usize = 64;

impl ListEntry for Snapshot {
    /// Returns `None` for incomplete snapshots, and for fallback snapshots, which Atlas cannot
    /// export.
    fn decode(raw: &RawValue) -> Result<Option<Self>, Error> {
        let raw: RawSnapshot = entry(raw)?;
        let is = |word: Option<String>, one: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(one));
        if !is(raw.status, "completed") || is(raw.kind, "fallback") {
            return Ok(None);
        }
        let Some(created_at) = raw.created_at else { return Ok(None) };
        let id = ObjectId::parse(&raw.id);
        let policy_items = raw.policy_items.into_iter().flat_map(|items| items.0);
        Ok(Some(Self {
            id: id.ok_or_else(|| Error::invalid(&format!("{:?} is not a snapshot id", raw.id)))?,
            created_at,
            frequency: raw.frequency_type.map(|text| text.0),
            policy_items: policy_items.map(|id| ObjectId::parse(&id)).collect(),
        }))
    }

    fn text_bytes(&self) -> usize {
        self.frequency.as_ref().map_or(0, String::len) + size_of_val(&*self.policy_items)
    }
}

/// An entry of `GET /groups/{groupId}/backup/exportBuckets`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBucket {
    #[serde(rename = "_id")]
    id: Id,
    #[serde(rename = "bucketName")]
    name: Option<Shown<MAX_NAME>>,
    cloud_provider: Option<Shown<MAX_WORD>>,
}

impl ListEntry for ExportBucket {
    fn decode(raw: &RawValue) -> Result<Option<Self>, Error> {
        let RawBucket { id, name, cloud_provider } = entry(raw)?;
        Ok(Some(Self {
            id: id.0,
            name: name.map(|text| text.0).unwrap_or_default(),
            cloud_provider: cloud_provider.map(|text| text.0).unwrap_or_default(),
        }))
    }

    fn text_bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.cloud_provider.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_counts_when_it_is_complete() {
        let taken = |json: &str| Snapshot::decode(serde_json::from_str(json).unwrap());
        let json = |rest: &str| format!(r#"{{"id":"65a1f0b2c3d4e5f60718293a"{rest}}}"#);
        let whole = concat!(
            r#","createdAt":"2026-01-02T03:04:05Z","frequencyType":"ondemand","#,
            r#""status":"Completed","snapshotType":"onDemand","new":1"#
        );
        let snapshot = taken(&json(whole)).unwrap().unwrap();
        assert_eq!(snapshot.frequency.as_deref(), Some("ondemand"));
        assert_eq!(snapshot.created_at, "2026-01-02T03:04:05Z".parse().unwrap());
        assert_eq!(snapshot.policy_items, []);
        let items = r#","policyItems":["65a1f0b2c3d4e5f60718293b","odd"]"#;
        let items = taken(&json(&format!("{whole}{items}"))).unwrap().unwrap().policy_items;
        assert_eq!(items, [ObjectId::parse("65a1f0b2c3d4e5f60718293b"), None]);
        for nothing in [
            "",
            r#","status":"completed""#,
            r#","status":"completed","createdAt":null"#,
            r#","status":"inProgress","createdAt":"2026-01-02T03:04:05Z""#,
            r#","status":"failed","createdAt":"2026-01-02T03:04:05Z""#,
            r#","status":"completed","createdAt":"2026-01-02T03:04:05Z","snapshotType":"fallback""#,
        ] {
            assert_eq!(taken(&json(nothing)), Ok(None), "{nothing}");
        }
        for wrong in [
            r#"{"status":"completed","createdAt":"2026-01-02T03:04:05Z"}"#.to_owned(),
            r#"{"id":"x","status":"completed","createdAt":"2026-01-02T03:04:05Z"}"#.to_owned(),
            json(r#","status":"completed","createdAt":"soon""#),
            json(r#","status":1"#),
            json(r#","status":"completed","createdAt":"2026-01-02T03:04:05Z","policyItems":"daily""#),
            json(&format!(r#","policyItems":[""{}]"#, r#","""#.repeat(MAX_POLICY_ITEMS))),
        ] {
            assert!(taken(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bucket_has_an_id_with_an_underscore() {
        let bucket =
            |json: &str| ExportBucket::decode(serde_json::from_str(json).unwrap()).map(Option::unwrap);
        let whole = bucket(r#"{"_id":"b","bucketName":"n","cloudProvider":"AWS","iamRoleId":"r"}"#).unwrap();
        let expected =
            ExportBucket { id: "b".to_owned(), name: "n".to_owned(), cloud_provider: "AWS".to_owned() };
        assert_eq!(whole, expected);
        assert_eq!(bucket(r#"{"_id":"b"}"#).unwrap().name, "");
        assert!(bucket(r#"{"id":"b","bucketName":"n","cloudProvider":"AWS"}"#).is_err());
    }
}
