//! The JSON of the simulated Atlas, written from its documentation and recorded answers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::world::{Cluster, End, Job, Kind, Project, Shape, signed};

/// A job at `now`, exported to a bucket of that id. What does not apply is left out, not null, as Atlas does.
pub(super) fn job(job: &Job, bucket: &str, now: Timestamp) -> Value {
    let begins = job.created_at + signed(job.queued);
    let ends = begins + signed(job.running);
    let state = if now < begins {
        "Queued"
    } else if now < ends {
        "InProgress"
    } else {
        match &job.end {
            End::Successful => "Successful",
            End::Failed(..) => "Failed",
            End::Cancelled => "Cancelled",
            End::Never => "InProgress",
        }
    };
    let mut json = json!({
        "id": job.id,
        "snapshotId": job.snapshot_id,
        "exportBucketId": bucket,
        "createdAt": whole(job.created_at),
        "customData": [{"key": "exported by", "value": "myName"}],
        "prefix": format!("exported_snapshots/org/project/cluster/{}", whole(job.created_at)),
    });
    match job.shape {
        Shape::ReplicaSet(total) => {
            json["exportStatus"] =
                json!({"exportedCollections": exported(job, total, now), "totalCollections": total});
        }
        Shape::Sharded(shards) => {
            json["components"] = (0..shards)
                .map(|shard| json!({"exportId": format!("{}{shard:02}", &job.id[..22]), "replicaSetName": format!("shard-{shard}")}))
                .collect();
        }
    }
    let over = now >= ends && !matches!(job.end, End::Never);
    if over {
        json["finishedAt"] = json!(whole(ends));
    }
    if let (true, End::Failed(code, message)) = (over, &job.end) {
        json["stateReason"] = json!({"errorCode": code, "message": message});
    }
    json["state"] = json!(state);
    json
}

/// Collections done by `now`: none in the queue, all at the end, and a failed or cancelled job stops half way.
fn exported(job: &Job, total: u64, now: Timestamp) -> u64 {
    let ran = now.duration_since(job.created_at + signed(job.queued)).as_secs_f64();
    let part = (ran / job.running.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
    let reach = match job.end {
        End::Successful | End::Never => 1.0,
        End::Failed(..) | End::Cancelled => 0.5,
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a part of a small count
    let done = (total as f64 * part * reach).floor() as u64;
    done
}

fn whole(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// One page of a listing. `next` is linked only while there is one.
pub(super) fn page(
    results: &[Value],
    url: &str,
    number: usize,
    size: usize,
    next: bool,
    total: i64,
) -> Value {
    let link = |rel: &str, number: usize| json!({"rel": rel, "href": format!("{url}?itemsPerPage={size}&pageNum={number}")});
    let mut links = vec![link("self", number)];
    if number > 1 {
        links.push(link("previous", number - 1));
    }
    if next {
        links.push(link("next", number + 1));
    }
    json!({"links": links, "results": results, "totalCount": total})
}

/// An error of the Administration API.
pub(super) fn error(status: u16, reason: &str, code: &str, detail: &str) -> Value {
    json!({"error": status, "reason": reason, "errorCode": code, "detail": detail, "parameters": []})
}

/// An error of the token endpoint, which speaks OAuth.
pub(super) fn oauth_error(error: &str, description: &str) -> Value {
    json!({"error": error, "error_description": description})
}

/// A minted token.
pub(super) fn token(text: &str, life: u64) -> Value {
    json!({"access_token": text, "expires_in": life, "token_type": "Bearer"})
}

/// A project.
pub(super) fn project(id: &str, project: &Project) -> Value {
    json!({"id": id, "name": project.name, "orgId": project.organization, "created": "2020-01-01T00:00:00Z", "clusterCount": project.clusters.len(), "links": []})
}

/// A cluster in the listing of its project.
pub(super) fn cluster(name: &str, cluster: &Cluster) -> Value {
    let (provider, tier) = match cluster.kind {
        Kind::Dedicated => ("AWS", "M30"),
        Kind::SharedTier => ("TENANT", "M0"),
        Kind::Flex => ("FLEX", "FLEX"),
    };
    json!({
        "name": name,
        "backupEnabled": cluster.kind == Kind::Dedicated && !cluster.backup_disabled,
        "clusterType": "REPLICASET",
        "createDate": cluster.created_at.map_or_else(|| "2024-01-02T03:04:05Z".to_owned(), whole),
        "paused": cluster.paused,
        "replicationSpecs": [{
            "id": "65a1f0b2c3d4e5f60718293a",
            "regionConfigs": [{"providerName": provider, "regionName": "EU_WEST_1", "priority": 7, "electableSpecs": {"instanceSize": tier}}],
        }],
        "stateName": "IDLE",
        "links": [],
    })
}

/// A backup schedule.
pub(super) fn schedule(name: &str, cluster: &Cluster) -> Value {
    let mut json = json!({
        "autoExportEnabled": cluster.schedule.auto_export,
        "clusterId": "65a1f0b2c3d4e5f60718293b",
        "clusterName": name,
        "policies": [{"id": "65a1f0b2c3d4e5f60718293c", "policyItems": [{"frequencyType": "daily", "frequencyInterval": 1, "retentionUnit": "days", "retentionValue": 7}]}],
        "referenceHourOfDay": 3,
        "links": [],
    });
    if let Some(frequency) = &cluster.schedule.frequency {
        json["export"] = json!({"exportBucketId": cluster.schedule.bucket, "frequencyType": frequency});
    }
    json
}
