//! Snapshots, export buckets and events.

use serde::Deserialize;

use super::array::{Each, Gather, push};
use super::text::{Id, MAX_NAME, MAX_WORD, Shown};
use super::{RawValue, entry, time};
use crate::atlas::Error;
use crate::model::{EventKind, ExportBucket, ObjectId, ProjectEvent, Snapshot as TakenSnapshot};

/// One of `GET .../backup/snapshots` or of `GET .../backup/snapshots/shardedClusters`, which say the same of a snapshot.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::atlas) struct Snapshot {
    id: String,
    created_at: Option<String>,
    frequency_type: Option<Shown<MAX_WORD>>,
    policy_items: Option<Each<String, PolicyItems>>,
    status: Option<String>,
    #[serde(rename = "snapshotType")]
    kind: Option<String>,
}

/// Maximum number of policy items that a snapshot belongs to.
const MAX_POLICY_ITEMS: usize = 64;

/// Ids of policy items; `None` for one that is not of Atlas's form.
#[derive(Default)]
struct PolicyItems(Vec<Option<ObjectId>>);

impl Gather<String> for PolicyItems {
    fn gather(&mut self, id: String) -> Result<(), String> {
        push::<_, MAX_POLICY_ITEMS>(&mut self.0, ObjectId::parse(&id))
    }
}

impl Snapshot {
    pub(in crate::atlas) fn read(raw: &RawValue) -> Result<Option<TakenSnapshot>, Error> {
        entry::<Self>(raw)?.taken()
    }

    /// The snapshot; `None` while it is not taken, and for a fallback one, which Atlas cannot export.
    fn taken(self) -> Result<Option<TakenSnapshot>, Error> {
        let is = |word: &Option<String>, one: &str| {
            word.as_ref().is_some_and(|word| word.eq_ignore_ascii_case(one))
        };
        if !is(&self.status, "completed") || is(&self.kind, "fallback") {
            return Ok(None);
        }
        let Some(created_at) = time("createdAt", self.created_at.as_deref())? else { return Ok(None) };
        let id = ObjectId::parse(&self.id)
            .ok_or_else(|| Error::invalid(&format!("{:?} is no snapshot id", self.id)))?;
        Ok(Some(TakenSnapshot {
            id,
            created_at,
            frequency: self.frequency_type.map(|text| text.0),
            policy_items: self.policy_items.map(|items| items.all.0).unwrap_or_default(),
        }))
    }
}

/// One of `GET /groups/{groupId}/backup/exportBuckets`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::atlas) struct Bucket {
    #[serde(rename = "_id")]
    id: Id,
    #[serde(rename = "bucketName")]
    name: Option<Shown<MAX_NAME>>,
    cloud_provider: Option<Shown<MAX_WORD>>,
}

impl Bucket {
    pub(in crate::atlas) fn read(raw: &RawValue) -> Result<Option<ExportBucket>, Error> {
        Ok(Some(entry::<Self>(raw)?.listed()))
    }

    fn listed(self) -> ExportBucket {
        ExportBucket {
            id: self.id.0,
            name: self.name.map(|text| text.0).unwrap_or_default(),
            cloud_provider: self.cloud_provider.map(|text| text.0).unwrap_or_default(),
        }
    }
}

/// One of `GET /groups/{groupId}/events`. The cluster is not in it: the query asks for that.
#[derive(Deserialize)]
pub(in crate::atlas) struct Event {
    id: Id,
    created: String,
    #[serde(rename = "eventTypeName")]
    kind: String,
}

impl Event {
    pub(in crate::atlas) fn read(raw: &RawValue) -> Result<Option<ProjectEvent>, Error> {
        entry::<Self>(raw)?.listed().map(Some)
    }

    fn listed(self) -> Result<ProjectEvent, Error> {
        let created_at =
            time("created", Some(&self.created))?.ok_or_else(|| Error::invalid("an event without a time"))?;
        let kind = EventKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind);
        Ok(ProjectEvent { created_at, id: self.id.0, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode;
    use super::*;

    #[test]
    fn a_snapshot_counts_when_it_is_taken_whole() {
        let taken = |json: &str| decode::<Snapshot>(json.as_bytes())?.taken();
        let json = |rest: &str| format!(r#"{{"id":"65a1f0b2c3d4e5f60718293a"{rest}}}"#);
        let whole = r#","createdAt":"2026-01-02T03:04:05Z","frequencyType":"ondemand","status":"Completed","snapshotType":"onDemand","new":1"#;
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
    fn a_bucket_has_an_id_with_an_underscore() {
        let bucket = |json: &str| decode::<Bucket>(json.as_bytes()).map(Bucket::listed);
        let whole = bucket(r#"{"_id":"b","bucketName":"n","cloudProvider":"AWS","iamRoleId":"r"}"#).unwrap();
        let expected =
            ExportBucket { id: "b".to_owned(), name: "n".to_owned(), cloud_provider: "AWS".to_owned() };
        assert_eq!(whole, expected);
        assert_eq!(bucket(r#"{"_id":"b"}"#).unwrap().name, "");
        assert!(bucket(r#"{"id":"b","bucketName":"n","cloudProvider":"AWS"}"#).is_err());
    }

    #[test]
    fn an_event_of_another_kind_is_no_error() {
        let event = |kind: &str| {
            let json = format!(
                r#"{{"id":"e","created":"2026-01-02T03:04:05Z","eventTypeName":"{kind}","groupId":"g"}}"#
            );
            decode::<Event>(json.as_bytes()).and_then(Event::listed).unwrap().kind
        };
        for kind in EventKind::ALL {
            assert_eq!(event(kind.as_str()), Some(kind));
        }
        assert_eq!(event("CLUSTER_CREATED"), None);
        let undated = r#"{"id":"e","created":"","eventTypeName":"CPS_EXPORT_FAILED"}"#;
        assert!(decode::<Event>(undated.as_bytes()).and_then(Event::listed).is_err());
    }
}
