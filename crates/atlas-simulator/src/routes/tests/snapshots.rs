use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::is_id;
use super::{Atlas, HOUR, column, one_of_each, sharded, snapshots};
use crate::{Cluster, ClusterKind, Job, JobOutcome, Order, Recurring, Schedule, Snapshot, Topology};

#[tokio::test]
async fn snapshots_are_paginated() {
    let taken = |hours| Snapshot::taken(HOUR * hours, "daily");
    let atlas = Atlas::with([(
        "prod",
        Cluster { snapshots: [3, 1, 2].map(taken).into(), order: Order::OldestFirst, ..Cluster::default() },
    )]);
    let all = atlas.column(&snapshots("prod"), "createdAt").await;
    assert_eq!(all.len(), 3);
    assert!(all.is_sorted(), "{all:?}");
    let (_, first) = atlas.get(&(snapshots("prod") + "?itemsPerPage=2&includeCount=false")).await;
    assert_eq!(column(&first, "createdAt"), all[..2]);
    assert!(first.get("totalCount").is_none());
    let (_, second) = atlas.get(&(snapshots("prod") + "?itemsPerPage=2&pageNum=2")).await;
    assert_eq!((column(&second, "createdAt"), &second["totalCount"]), (all[2..].to_vec(), &Value::from(3)));
}

#[tokio::test]
async fn unfinished_snapshot_omits_fields() {
    let queued = Snapshot {
        created_at: None,
        kind: "onDemand".to_owned(),
        status: "queued".to_owned(),
        ..Snapshot::taken(HOUR, "ondemand")
    };
    let at = "2026-03-04T05:06:07.89Z".parse().unwrap();
    let taken = Snapshot { created_at: Some(at), ..Snapshot::taken(HOUR, "monthly") };
    let atlas = Atlas::with([(
        "prod",
        Cluster { snapshots: vec![queued.clone(), taken], order: Order::AsGiven, ..Cluster::default() },
    )]);
    let (_, body) = atlas.get(&snapshots("prod")).await;
    let [first, second] = [&body["results"][0], &body["results"][1]];
    let fields = ["id", "frequencyType", "snapshotType", "status", "type"].map(|field| &first[field]);
    assert_eq!(fields, [&queued.id, "ondemand", "onDemand", "queued", "replicaSet"]);
    assert!(first.get("createdAt").is_none() && first.get("snapshotIds").is_none());
    // An on-demand snapshot belongs to no item of the policy, a scheduled one to at least one.
    let (_, schedule) = atlas.get("clusters/prod/backup/schedule").await;
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
    let (status, body) = atlas.get(&sharded("wide")).await;
    assert_eq!((status, &body["totalCount"]), (200, &Value::from(150)));
    assert_eq!(column(&body, "id").len(), 150);
    let snapshot = &body["results"][0];
    let members: Vec<_> =
        snapshot["members"].as_array().unwrap().iter().map(|member| member["id"].clone()).collect();
    assert_eq!(snapshot["snapshotIds"], Value::from(members));
    assert_eq!(
        (&snapshot["type"], &snapshot["members"][2]["replicaSetName"]),
        (&"shardedCluster".into(), &"shard-2".into())
    );
    assert!(
        snapshot["members"].as_array().unwrap().iter().all(|member| is_id(member["id"].as_str().unwrap()))
    );
    assert_eq!(snapshot["snapshotIds"].as_array().unwrap().len(), 3);
    assert_eq!(atlas.column("clusters", "clusterType").await, ["REPLICASET", "SHARDED"]);
    let (_, clusters) = atlas.get("clusters").await;
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
        (snapshots("wide"), 400, "CLUSTER_IS_SHARDED"),
        (sharded("prod"), 400, "CLUSTER_IS_NOT_SHARDED"),
        (snapshots("flex"), 400, "CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"),
        (snapshots("free"), 400, "BACKUP_NOT_SUPPORTED"),
        (snapshots("gone"), 404, "CLUSTER_NOT_FOUND"),
        (sharded("gone"), 404, "CLUSTER_NOT_FOUND"),
        (snapshots("prod") + "/shardedCluster", 404, "RESOURCE_NOT_FOUND"),
    ] {
        let (seen, body) = atlas.get(&path).await;
        assert_eq!((seen, &body["errorCode"]), (status, &code.into()), "{path}: {body}");
    }
}

#[tokio::test]
async fn recurring_job_has_a_snapshot() {
    let since = Timestamp::now() - SignedDuration::from_hours(5) - SignedDuration::from_mins(30);
    let recurring = Recurring {
        salt: 7,
        since,
        every: HOUR,
        queued: Duration::ZERO,
        running: Duration::from_mins(20),
        topology: Topology::ReplicaSet(1),
        outcomes: vec![JobOutcome::Successful, JobOutcome::Cancelled],
    };
    let with = |frequency: Option<&str>| Cluster {
        recurring: Some(recurring.clone()),
        schedule: Schedule { frequency: frequency.map(str::to_owned), ..Schedule::default() },
        ..Cluster::default()
    };
    let atlas = Atlas::with([("prod", with(Some("weekly"))), ("quiet", with(None))]);
    let exported = atlas.column("clusters/prod/backup/exports", "snapshotId").await;
    assert_eq!(exported.len(), 6);
    assert_eq!(atlas.column(&snapshots("prod"), "id").await, exported);
    assert_eq!(atlas.column(&snapshots("prod"), "frequencyType").await, ["weekly"; 6]);
    assert_eq!(atlas.column(&snapshots("quiet"), "frequencyType").await, ["daily"; 6]);
    assert_eq!(atlas.column(&snapshots("prod"), "status").await, ["completed"; 6]);
    let times = |column: Vec<String>| column.iter().map(|at| at.parse().unwrap()).collect::<Vec<Timestamp>>();
    let jobs = times(atlas.column("clusters/prod/backup/exports", "createdAt").await);
    assert!(jobs.is_sorted_by(|newer, older| newer > older), "{jobs:?}");
    let taken = times(atlas.column(&snapshots("prod"), "createdAt").await);
    assert!(jobs.iter().zip(&taken).all(|(job, taken)| job.duration_since(*taken).as_secs() == 1));
}

#[tokio::test]
async fn job_names_snapshot_and_scheduled_bucket() {
    let snapshot = Snapshot::taken(HOUR, "daily");
    let job = Job::of(&snapshot, JobOutcome::Successful);
    let after = job.created_at.duration_since(snapshot.created_at.unwrap());
    assert_eq!((after.as_secs(), job.snapshot_id == snapshot.id, job.id == snapshot.id), (60, true, false));
    let bucket = "5f0e5a3b9c1d4e6f8a7b0001".to_owned();
    let elsewhere = Schedule { bucket: bucket.clone(), ..Schedule::default() };
    let old = Job::ended(HOUR * 9, JobOutcome::Successful);
    let derived = format!("{}{}", &old.id[8..], &old.id[..8]);
    let atlas = Atlas::with([
        ("prod", Cluster { schedule: elsewhere, ..Cluster::with([job]) }),
        ("plain", Cluster::with([old])),
    ]);
    assert_eq!(atlas.column("clusters/prod/backup/exports", "snapshotId").await, [snapshot.id]);
    assert_eq!(atlas.column("clusters/plain/backup/exports", "snapshotId").await, [derived]);
    assert_eq!(atlas.column("clusters/prod/backup/exports", "exportBucketId").await, [bucket.as_str()]);
    let (_, schedule) = atlas.get("clusters/prod/backup/schedule").await;
    assert_eq!(schedule["export"]["exportBucketId"], bucket.as_str());
    // The default bucket of schedules is the default bucket of projects.
    assert_eq!(
        atlas.column("clusters/plain/backup/exports", "exportBucketId").await,
        atlas.column("backup/exportBuckets", "_id").await
    );
}
