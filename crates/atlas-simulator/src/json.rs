//! JSON of the responses, written from Atlas's documentation and recorded responses.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::job::{Entry, Job, JobOutcome, Topology};
use crate::snapshot::{PolicyItem, Snapshot};
use crate::state::{Cluster, ClusterKind, Event, ExportBucket, Order, Project};

/// The export jobs of a cluster at `now`.
pub(crate) fn jobs(cluster: &Cluster, now: Timestamp) -> Vec<Value> {
    let bucket = &cluster.schedule.bucket;
    let listed = cluster.jobs.iter().map(|entry| match entry {
        Entry::Job(known) => job(known, bucket, now),
        Entry::Raw(json) => json.clone(),
    });
    let recurring = cluster.recurring.iter().flat_map(|recurring| recurring.jobs(now));
    sorted(cluster.order, listed.chain(recurring.map(|known| job(&known, bucket, now))))
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
fn job(job: &Job, bucket: &str, now: Timestamp) -> Value {
    let begins = job.created_at + job.queued;
    let ends = begins + job.running;
    let state = if now < begins {
        "Queued"
    } else if now < ends {
        "InProgress"
    } else {
        match &job.outcome {
            JobOutcome::Successful => "Successful",
            JobOutcome::Failed(..) => "Failed",
            JobOutcome::Cancelled => "Cancelled",
            JobOutcome::Never => "InProgress",
        }
    };
    let mut json = json!({
        "id": job.id,
        "snapshotId": job.snapshot_id,
        "exportBucketId": bucket,
        "createdAt": to_second(job.created_at),
        "customData": [{"key": "exported by", "value": "myName"}],
        "prefix": format!("exported_snapshots/org/project/cluster/{}", to_second(job.created_at)),
    });
    match job.topology {
        Topology::ReplicaSet(total) => {
            json["exportStatus"] =
                json!({"exportedCollections": exported(job, total, now), "totalCollections": total});
        }
        Topology::Sharded(shards) => {
            json["components"] = (0..shards)
                .map(|shard| json!({"exportId": format!("{}{shard:02}", &job.id[..22]), "replicaSetName": format!("shard-{shard}")}))
                .collect();
        }
    }
    let over = now >= ends && !matches!(job.outcome, JobOutcome::Never);
    if over {
        json["finishedAt"] = json!(to_second(ends));
    }
    if let (true, JobOutcome::Failed(code, message)) = (over, &job.outcome) {
        json["stateReason"] = json!({"errorCode": code, "message": message});
    }
    json["state"] = json!(state);
    json
}

/// Collections exported by `now`: none in the queue, all at the end, and half of them if the job
/// failed or was cancelled.
fn exported(job: &Job, total: u64, now: Timestamp) -> u64 {
    let ran = now.duration_since(job.created_at + job.queued).as_secs_f64();
    let part = (ran / job.running.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
    let limit = match job.outcome {
        JobOutcome::Successful | JobOutcome::Never => 1.0,
        JobOutcome::Failed(..) | JobOutcome::Cancelled => 0.5,
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a fraction of a small count
    let done = (total as f64 * part * limit).floor() as u64;
    done
}

fn to_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn project(id: &str, project: &Project) -> Value {
    json!({"id": id, "name": project.name, "orgId": project.organization, "created": "2020-01-01T00:00:00Z", "clusterCount": project.clusters.len(), "links": []})
}

/// A cluster in the listing of its project; `None` for a flex cluster, which that listing omits.
pub(crate) fn cluster(name: &str, cluster: &Cluster) -> Option<Value> {
    let (provider, tier) = match cluster.kind {
        ClusterKind::Dedicated => ("AWS", "M30"),
        ClusterKind::SharedTier => ("TENANT", "M0"),
        ClusterKind::Flex => return None,
    };
    let spec = |shard: usize| {
        json!({
            "id": format!("65a1f0b2c3d4e5f607182{shard:03x}"),
            "regionConfigs": [{"providerName": provider, "regionName": "EU_WEST_1", "priority": 7, "electableSpecs": {"instanceSize": tier}}],
        })
    };
    let specs: Vec<Value> = (0..cluster.shards.max(1)).map(spec).collect();
    Some(json!({
        "name": name,
        "backupEnabled": cluster.kind == ClusterKind::Dedicated && !cluster.backup_disabled,
        "clusterType": if cluster.shards > 0 { "SHARDED" } else { "REPLICASET" },
        "createDate": cluster.created_at.map_or_else(|| "2024-01-02T03:04:05Z".to_owned(), to_second),
        "paused": cluster.paused,
        "replicationSpecs": specs,
        "stateName": "IDLE",
        "links": [],
    }))
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
        let items: Vec<_> = items.iter().map(policy_item).collect();
        json["policies"] = json!([{"id": "65a1f0b2c3d4e5f60718293c", "policyItems": items}]);
    }
    if let Some(frequency) = &cluster.schedule.frequency {
        json["export"] = json!({"exportBucketId": cluster.schedule.bucket, "frequencyType": frequency});
    }
    json
}

/// An item of a backup policy; interval and retention are derived from the frequency.
fn policy_item(item: &PolicyItem) -> Value {
    let (interval, unit, value) = match item.frequency.as_str() {
        "hourly" => (6, "days", 7),
        "weekly" => (6, "weeks", 4),
        "monthly" => (40, "months", 12),
        "yearly" => (12, "years", 1),
        _ => (1, "days", 7),
    };
    json!({
        "id": item.id,
        "frequencyType": item.frequency,
        "frequencyInterval": interval,
        "retentionUnit": unit,
        "retentionValue": value,
    })
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
        json["policyItems"] = json!(snapshot.items);
    }
    if shards == 0 {
        json["type"] = json!("replicaSet");
        json["replicaSetName"] = json!("shard-0");
        json["cloudProvider"] = json!("AWS");
        return json;
    }
    let part = |shard: usize| format!("{}{shard:02x}", &snapshot.id[..22]);
    let member = |shard| json!({"id": part(shard), "replicaSetName": format!("shard-{shard}"), "cloudProvider": "AWS"});
    json["type"] = json!("shardedCluster");
    json["snapshotIds"] = (0..shards).map(part).collect();
    json["members"] = (0..shards).map(member).collect();
    json
}

/// An export bucket; some fields depend on the provider.
pub(crate) fn bucket(bucket: &ExportBucket) -> Value {
    let mut json = json!({
        "_id": bucket.id,
        "bucketName": bucket.name,
        "cloudProvider": bucket.provider,
        "links": [],
    });
    let role = json!("65a1f0b2c3d4e5f60718293e");
    match bucket.provider.as_str() {
        "AWS" => {
            json["iamRoleId"] = role;
            json["region"] = json!("eu-west-1");
            json["requirePrivateNetworking"] = json!(false);
        }
        "AZURE" => {
            json["roleId"] = role;
            json["serviceUrl"] = json!(format!("https://backups.blob.core.windows.net/{}", bucket.name));
            json["tenantId"] = json!("6f0d1c2b-3a49-4857-9665-748392a1b0cf");
        }
        _ => json["roleId"] = role,
    }
    json
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
