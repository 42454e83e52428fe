//! JSON of the responses, written from Atlas's documentation and recorded responses.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::job::{Entry, Job, JobOutcome};
use crate::snapshot::Snapshot;
use crate::state::{Cluster, ClusterKind, Event, ExportBucket, Order, Project};

/// The export jobs of a cluster at `now`.
pub(crate) fn jobs(cluster: &Cluster, now: Timestamp) -> Vec<Value> {
    let listed = cluster.jobs.iter().map(|entry| match entry {
        Entry::Job(known) => job(known, cluster, now),
        Entry::Raw(json) => json.clone(),
    });
    let recurring = cluster.recurring.iter().flat_map(|recurring| recurring.jobs(now));
    sorted(cluster.order, listed.chain(recurring.map(|known| job(&known, cluster, now))))
}

/// The snapshots of a cluster at `now`.
pub(crate) fn snapshots(cluster: &Cluster, now: Timestamp) -> Vec<Value> {
    let frequency = cluster.schedule.frequency.as_deref().unwrap_or("daily");
    let recurring = cluster.recurring.iter().flat_map(|recurring| recurring.snapshots(now, frequency));
    let all = cluster.snapshots.iter().cloned().chain(recurring);
    sorted(cluster.order, all.map(|known| snapshot(&known, cluster.shards)))
}

fn sorted(order: Order, listed: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut listed: Vec<_> = listed.collect();
    if order != Order::AsGiven {
        listed.sort_by_key(|entry| entry["createdAt"].as_str().unwrap_or_default().to_owned());
    }
    if order == Order::NewestFirst {
        listed.reverse();
    }
    listed
}

/// A job at `now`. As in Atlas, fields that do not apply are omitted, not null.
fn job(job: &Job, cluster: &Cluster, now: Timestamp) -> Value {
    let begins = job.created_at + job.queued;
    let ends = begins + job.running;
    let state = match job.outcome {
        _ if now < begins => "Queued",
        _ if now < ends => "InProgress",
        JobOutcome::Never => "InProgress",
        JobOutcome::Successful => "Successful",
        JobOutcome::Failed(..) => "Failed",
        JobOutcome::Cancelled => "Cancelled",
    };
    let mut json = json!({
        "id": job.id,
        "snapshotId": job.snapshot_id,
        "exportBucketId": cluster.schedule.bucket,
        "state": state,
        "createdAt": to_second(job.created_at),
        "customData": [{"key": "exported by", "value": "myName"}],
        "prefix": format!("exported_snapshots/org/project/cluster/{}", to_second(job.created_at)),
    });
    if cluster.shards == 0 {
        json["exportStatus"] =
            json!({"exportedCollections": exported(job, now), "totalCollections": job.collections});
    } else {
        let component = |shard| {
            json!({
                "exportId": format!("{}{shard:02}", &job.id[..22]),
                "replicaSetName": format!("shard-{shard}"),
            })
        };
        json["components"] = (0..cluster.shards).map(component).collect();
    }
    if !matches!(state, "Queued" | "InProgress") {
        json["finishedAt"] = json!(to_second(ends));
    }
    if let ("Failed", JobOutcome::Failed(code, message)) = (state, &job.outcome) {
        json["stateReason"] = json!({"errorCode": code, "message": message});
    }
    json
}

/// Collections exported by `now`: none in the queue, all at the end, and half of them if the job
/// failed or was cancelled.
fn exported(job: &Job, now: Timestamp) -> u64 {
    let ran = Duration::try_from(now.duration_since(job.created_at + job.queued)).unwrap_or_default();
    let done = if ran < job.running {
        job.collections * ran.as_secs() / job.running.as_secs().max(1)
    } else {
        job.collections
    };
    match job.outcome {
        JobOutcome::Successful | JobOutcome::Never => done,
        JobOutcome::Failed(..) | JobOutcome::Cancelled => done / 2,
    }
}

fn to_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn project(id: &str, project: &Project) -> Value {
    json!({
        "id": id,
        "name": project.name,
        "orgId": project.organization,
        "created": "2020-01-01T00:00:00Z",
        "clusterCount": project.clusters.len(),
        "links": [],
    })
}

/// A cluster in the listing of its project.
pub(crate) fn cluster(name: &str, cluster: &Cluster) -> Value {
    let is_dedicated = cluster.kind == ClusterKind::Dedicated;
    let (provider, tier) = if is_dedicated { ("AWS", "M30") } else { ("TENANT", "M0") };
    let spec = |shard: usize| {
        json!({
            "id": format!("65a1f0b2c3d4e5f607182{shard:03x}"),
            "regionConfigs": [{
                "providerName": provider,
                "regionName": "EU_WEST_1",
                "priority": 7,
                "electableSpecs": {"instanceSize": tier},
            }],
        })
    };
    let specs: Vec<Value> = (0..cluster.shards.max(1)).map(spec).collect();
    json!({
        "name": name,
        "backupEnabled": is_dedicated && !cluster.backup_disabled,
        "clusterType": if cluster.shards > 0 { "SHARDED" } else { "REPLICASET" },
        "createDate": cluster.created_at.map_or_else(|| "2024-01-02T03:04:05Z".to_owned(), to_second),
        "paused": cluster.paused,
        "replicationSpecs": specs,
        "stateName": "IDLE",
        "links": [],
    })
}

pub(crate) fn schedule(name: &str, cluster: &Cluster) -> Value {
    let mut json = json!({
        "autoExportEnabled": cluster.schedule.auto_export,
        "clusterId": "65a1f0b2c3d4e5f60718293b",
        "clusterName": name,
        "referenceHourOfDay": 3,
        "links": [],
    });
    if let Some(items) = &cluster.schedule.items {
        let items: Value = items.iter().map(policy_item).collect();
        json["policies"] = json!([{"id": "65a1f0b2c3d4e5f60718293c", "policyItems": items}]);
    }
    if let Some(frequency) = &cluster.schedule.frequency {
        json["export"] = json!({"exportBucketId": cluster.schedule.bucket, "frequencyType": frequency});
    }
    json
}

/// An item of a backup policy; its id is derived from its frequency.
fn policy_item(frequency: &&str) -> Value {
    json!({
        "id": policy_item_id(frequency),
        "frequencyType": frequency,
        "frequencyInterval": 1,
        "retentionUnit": "days",
        "retentionValue": 7,
    })
}

fn policy_item_id(frequency: &&str) -> String {
    format!("65a1f0b2c3d4e5f607182{:03x}", frequency.bytes().map(u32::from).sum::<u32>())
}

/// A snapshot of a sharded cluster, or of a replica set if `shards` is 0.
fn snapshot(snapshot: &Snapshot, shards: usize) -> Value {
    let mut json = json!({
        "id": snapshot.id,
        "frequencyType": snapshot.frequency,
        "snapshotType": snapshot.kind,
        "status": snapshot.status,
        "mongodVersion": "8.0.4",
        "links": [],
    });
    if let Some(at) = snapshot.created_at {
        json["createdAt"] = json!(to_second(at));
    }
    if snapshot.status == "completed" {
        json["storageSizeBytes"] = json!(8_589_934_592_u64);
    }
    if snapshot.kind == "scheduled" && !snapshot.items.is_empty() {
        json["policyItems"] = snapshot.items.iter().map(policy_item_id).collect();
    }
    if shards == 0 {
        json["type"] = json!("replicaSet");
        json["replicaSetName"] = json!("shard-0");
        json["cloudProvider"] = json!("AWS");
        return json;
    }
    let part = |shard: usize| format!("{}{shard:02x}", &snapshot.id[..22]);
    let member = |shard| {
        let name = format!("shard-{shard}");
        json!({"id": part(shard), "replicaSetName": name, "cloudProvider": "AWS"})
    };
    json["type"] = json!("shardedCluster");
    json["snapshotIds"] = (0..shards).map(part).collect();
    json["members"] = (0..shards).map(member).collect();
    json
}

/// An export bucket, without the fields of its provider.
pub(crate) fn bucket(bucket: &ExportBucket) -> Value {
    json!({
        "_id": bucket.id,
        "bucketName": bucket.name,
        "cloudProvider": bucket.provider,
        "links": [],
    })
}

/// An event, which does not name its cluster.
pub(crate) fn event(event: &Event, project: &str) -> Value {
    json!({
        "id": event.id,
        "created": to_second(event.created),
        "eventTypeName": event.kind,
        "groupId": project,
        "isGlobalAdmin": false,
        "links": [],
    })
}
