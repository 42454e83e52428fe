use jiff::Timestamp;
use serde_json::Value;

use super::super::is_id;
use super::{Atlas, BUCKETS, EXPORTS, HOUR, SHARDED, SNAPSHOTS, column, one_of_each};
use crate::{Cluster, ClusterKind, Job, JobOutcome, Order, Recurring, Schedule, Snapshot};

#[tokio::test]
async fn snapshots_are_paginated() {
    let taken = |hours| Snapshot::taken(HOUR * hours, "daily");
    let atlas = Atlas::with([(
        "prod",
        Cluster { snapshots: [3, 1, 2].map(taken).into(), order: Order::OldestFirst, ..Cluster::default() },
    )]);
    let all = atlas.column(SNAPSHOTS, "createdAt").await;
    assert!(all.len() == 3 && all.is_sorted(), "{all:?}");
    let first = atlas.get(&format!("{SNAPSHOTS}?itemsPerPage=2&includeCount=false")).await;
    assert_eq!((column(&first, "createdAt"), first.get("totalCount")), (all[..2].to_vec(), None));
    let second = atlas.get(&format!("{SNAPSHOTS}?itemsPerPage=2&pageNum=2")).await;
    assert_eq!((column(&second, "createdAt"), &second["totalCount"]), (all[2..].to_vec(), &3.into()));
}

#[tokio::test]
async fn unfinished_snapshot_omits_fields() {
    let queued = Snapshot {
        created_at: None,
        kind: "onDemand",
        status: "queued",
        ..Snapshot::taken(HOUR, "ondemand")
    };
    let at = "2026-03-04T05:06:07.89Z".parse().unwrap();
    let taken = Snapshot { created_at: Some(at), ..Snapshot::taken(HOUR, "monthly") };
    let atlas = Atlas::with([(
        "prod",
        Cluster { snapshots: vec![queued.clone(), taken], order: Order::AsGiven, ..Cluster::default() },
    )]);
    let body = atlas.get(SNAPSHOTS).await;
    let [first, second] = [&body["results"][0], &body["results"][1]];
    let fields = ["id", "frequencyType", "snapshotType", "status", "type"].map(|field| &first[field]);
    assert_eq!(fields, [&queued.id, "ondemand", "onDemand", "queued", "replicaSet"]);
    assert!(first.get("createdAt").is_none() && first.get("snapshotIds").is_none());
    // An on-demand snapshot belongs to no item of the policy, a scheduled one to at least one.
    let schedule = atlas.get("clusters/prod/backup/schedule").await;
    let items = schedule["policies"][0]["policyItems"].as_array().unwrap();
    let monthly = items.iter().find(|item| item["frequencyType"] == "monthly").unwrap();
    assert!(items.iter().all(|item| is_id(item["id"].as_str().unwrap())), "{schedule}");
    assert!(first.get("policyItems").is_none());
    assert_eq!(second["policyItems"], Value::from(vec![monthly["id"].clone()]));
    let fields = ["createdAt", "frequencyType", "snapshotType", "status"].map(|field| &second[field]);
    assert_eq!(fields, ["2026-03-04T05:06:07Z", "monthly", "scheduled", "completed"]);
}

#[tokio::test]
async fn sharded_snapshots_are_not_paginated() {
    let atlas = one_of_each();
    atlas.change(|project| {
        let wide = project.clusters.get_mut("wide").unwrap();
        wide.snapshots = (0..150).map(|hours| Snapshot::taken(HOUR * hours, "hourly")).collect();
    });
    let body = atlas.get(SHARDED).await;
    assert_eq!((column(&body, "id").len(), &body["totalCount"]), (150, &150.into()));
    let snapshot = &body["results"][0];
    let ids = [0, 1, 2].map(|shard: usize| snapshot["members"][shard]["id"].clone());
    assert!(ids.iter().all(|id| is_id(id.as_str().unwrap())), "{snapshot}");
    assert_eq!(snapshot["snapshotIds"], Value::from(ids.to_vec()));
    let fields = [&snapshot["type"], &snapshot["members"][2]["replicaSetName"]];
    assert_eq!(fields, ["shardedCluster", "shard-2"]);
    assert_eq!(atlas.column("clusters", "clusterType").await, ["REPLICASET", "SHARDED"]);
    let clusters = atlas.get("clusters").await;
    let specs = [0, 1].map(|at: usize| clusters["results"][at]["replicationSpecs"].as_array().unwrap().len());
    assert_eq!(specs, [1, 3]);
}

#[tokio::test]
async fn snapshots_of_the_other_topology_are_refused() {
    let atlas = one_of_each();
    atlas.change(|project| {
        for (name, kind) in [("flex", ClusterKind::Flex), ("free", ClusterKind::SharedTier)] {
            project.clusters.insert(name.to_owned(), Cluster { kind, ..Cluster::default() });
        }
    });
    for (path, status, code) in [
        ("wide/backup/snapshots", 400, "CLUSTER_IS_SHARDED"),
        ("prod/backup/snapshots/shardedClusters", 400, "CLUSTER_IS_NOT_SHARDED"),
        ("flex/backup/snapshots", 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"),
        ("free/backup/snapshots", 400, "BACKUP_NOT_SUPPORTED"),
        ("gone/backup/snapshots", 404, "CLUSTER_NOT_FOUND"),
        ("gone/backup/snapshots/shardedClusters", 404, "CLUSTER_NOT_FOUND"),
        ("prod/backup/snapshots/shardedCluster", 404, "RESOURCE_NOT_FOUND"),
    ] {
        atlas.refuses(&format!("clusters/{path}"), status, code).await;
    }
}

#[tokio::test]
async fn recurring_job_has_a_snapshot() {
    let recurring = Recurring {
        first: Job::ended(HOUR * 11 / 2, JobOutcome::Successful),
        interval: HOUR,
        outcomes: vec![JobOutcome::Successful, JobOutcome::Cancelled],
    };
    let with = |frequency: Option<&str>| Cluster {
        recurring: Some(recurring.clone()),
        schedule: Schedule { frequency: frequency.map(str::to_owned), ..Schedule::default() },
        ..Cluster::default()
    };
    let atlas = Atlas::with([("prod", with(Some("weekly"))), ("quiet", with(None))]);
    let exported = atlas.column(EXPORTS, "snapshotId").await;
    assert_eq!(atlas.column(EXPORTS, "state").await, ["Cancelled", "Successful"].repeat(3));
    assert_eq!(atlas.column(SNAPSHOTS, "id").await, exported);
    assert_eq!(atlas.column(SNAPSHOTS, "frequencyType").await, ["weekly"; 6]);
    assert_eq!(atlas.column("clusters/quiet/backup/snapshots", "frequencyType").await, ["daily"; 6]);
    let times = |column: Vec<String>| column.iter().map(|at| at.parse().unwrap()).collect::<Vec<Timestamp>>();
    let jobs = times(atlas.column(EXPORTS, "createdAt").await);
    assert!(jobs.is_sorted_by(|newer, older| newer > older), "{jobs:?}");
    let taken = times(atlas.column(SNAPSHOTS, "createdAt").await);
    assert!(jobs.iter().zip(&taken).all(|(job, taken)| job.duration_since(*taken).as_secs() == 1));
}

#[tokio::test]
async fn job_names_snapshot_and_scheduled_bucket() {
    let snapshot = Snapshot::taken(HOUR, "daily");
    let job = Job::of(&snapshot, JobOutcome::Successful);
    let after = job.created_at.duration_since(snapshot.created_at.unwrap());
    assert_eq!((after.as_secs(), job.snapshot_id == snapshot.id, job.id == snapshot.id), (60, true, false));
    let bucket = "5f0e5a3b9c1d4e6f8a7b0001";
    let elsewhere = Schedule { bucket: bucket.to_owned(), ..Schedule::default() };
    let atlas = Atlas::with([
        ("prod", Cluster { schedule: elsewhere, ..Cluster::with([job]) }),
        ("plain", Cluster::exported([snapshot.clone()])),
    ]);
    assert_eq!(atlas.column(EXPORTS, "snapshotId").await, [snapshot.id]);
    assert_eq!(atlas.column(EXPORTS, "exportBucketId").await, [bucket]);
    let schedule = atlas.get("clusters/prod/backup/schedule").await;
    assert_eq!(schedule["export"]["exportBucketId"], bucket);
    // The default bucket of schedules is the default bucket of projects.
    assert_eq!(
        atlas.column("clusters/plain/backup/exports", "exportBucketId").await,
        atlas.column(BUCKETS, "_id").await
    );
}
