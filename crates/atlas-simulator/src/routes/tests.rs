mod events;
mod snapshots;

use std::time::Duration;

use axum::body::Body;
use serde_json::Value;

use super::*;
use crate::{Account, Cluster, ExportBucket, Project, Scheme, Snapshot, TokenBucket};

const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
const HOUR: Duration = Duration::from_hours(1);
const EXPORTS: &str = "clusters/prod/backup/exports";
const SNAPSHOTS: &str = "clusters/prod/backup/snapshots";
const SHARDED: &str = "clusters/wide/backup/snapshots/shardedClusters";
const BUCKETS: &str = "backup/exportBuckets";

/// One project, and an account with all roles.
struct Atlas {
    state: Arc<Mutex<AtlasState>>,
    token: String,
}

impl Atlas {
    fn new(project: Project) -> Self {
        let account = Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", "secret");
        let mut state = AtlasState {
            accounts: vec![account],
            projects: [(PROJECT.to_owned(), project)].into(),
            ..AtlasState::default()
        };
        let basic = "Basic bWRiX3NhX2lkXzE6c2VjcmV0";
        let token = state.sessions.issue_token(&state.accounts, basic).ok().unwrap();
        Self { state: Arc::new(Mutex::new(state)), token: format!("Bearer {token}") }
    }

    fn with(clusters: impl IntoIterator<Item = (&'static str, Cluster)>) -> Self {
        let project = Project::new("payments");
        Self::new(clusters.into_iter().fold(project, |project, (name, cluster)| project.with(name, cluster)))
    }

    fn change(&self, change: impl FnOnce(&mut Project)) {
        change(lock(&self.state).projects.get_mut(PROJECT).unwrap());
    }

    async fn respond(&self, path: &str, version: &str) -> Response {
        let request = Request::get(format!("/api/atlas/v2/groups/{PROJECT}/{path}"))
            .header(header::AUTHORIZATION, &self.token)
            .header(header::ACCEPT, format!("application/vnd.atlas.{version}+json"));
        answer(State(self.state.clone()), request.body(Body::empty()).unwrap()).await
    }

    async fn get_version(&self, path: &str, version: &str) -> (u16, Value) {
        let (parts, body) = self.respond(path, version).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.get_version(path, "2024-08-05").await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A field of every entry of a listing.
    async fn column(&self, path: &str, field: &str) -> Vec<String> {
        column(&self.get(path).await, field)
    }

    async fn refuses(&self, path: &str, status: u16, code: &str) {
        let (seen, body) = self.get_version(path, "2024-08-05").await;
        assert_eq!((seen, &body["errorCode"]), (status, &code.into()), "{path}: {body}");
    }

    async fn refuses_queries(&self, path: &str, queries: &[&str]) {
        for query in queries {
            self.refuses(&format!("{path}?{query}"), 400, "INVALID_QUERY_PARAMETER").await;
        }
    }
}

fn column(body: &Value, field: &str) -> Vec<String> {
    let entries = body["results"].as_array().unwrap();
    entries.iter().map(|entry| entry[field].as_str().unwrap_or_default().to_owned()).collect()
}

fn one_of_each() -> Atlas {
    let with = |shards| Cluster {
        shards,
        snapshots: vec![Snapshot::taken(HOUR, "daily"), Snapshot::taken(HOUR * 25, "weekly")],
        ..Cluster::default()
    };
    Atlas::with([("prod", with(0)), ("wide", with(3))])
}

#[tokio::test]
async fn query_parameters_of_listings_are_checked() {
    let atlas = one_of_each();
    let paths = [SNAPSHOTS, EXPORTS, BUCKETS, "clusters", "events"];
    for path in paths {
        for query in ["itemsPerPage=500&pageNum=1", "includeCount=true&envelope=false&pretty=true"] {
            atlas.get(&format!("{path}?{query}")).await;
        }
        let sizes = ["itemsPerPage=0", "itemsPerPage=501", "itemsPerPage=many", "pageNum=0"];
        atlas.refuses_queries(path, &sizes).await;
        atlas.refuses_queries(path, &["pretty=yes", "limit=5"]).await;
    }
    for path in &paths[..4] {
        atlas.refuses_queries(path, &["clusterNames=prod", "eventType=CPS_EXPORT_FAILED"]).await;
    }
    atlas.get(&format!("{SHARDED}?envelope=false&pretty=true")).await;
    let paged = ["itemsPerPage=500", "pageNum=1", "includeCount=true", "pretty=yes", "limit=5"];
    atlas.refuses_queries(SHARDED, &paged).await;
}

#[tokio::test]
async fn export_buckets_are_paginated() {
    let mut project = Project::new("payments");
    let second = ExportBucket { name: "archive".to_owned(), ..project.buckets[0].clone() };
    project.buckets.push(second);
    let atlas = Atlas::new(project);
    assert_eq!(atlas.column(BUCKETS, "bucketName").await, ["backups-payments", "archive"]);
    let path = format!("{BUCKETS}?itemsPerPage=1&pageNum=2");
    assert_eq!(atlas.column(&path, "bucketName").await, ["archive"]);
}

#[tokio::test]
async fn export_buckets_with_old_version_are_refused() {
    let atlas = one_of_each();
    for version in ["2024-05-29", "2023-01-01"] {
        let (status, body) = atlas.get_version(BUCKETS, version).await;
        assert_eq!((status, &body["errorCode"]), (406, &"INVALID_ACCEPT_HEADER".into()), "{version}");
    }
    assert_eq!(atlas.get_version(BUCKETS, "2024-05-30").await.0, 200);
    for path in [SNAPSHOTS, SHARDED, "events"] {
        assert_eq!(atlas.get_version(path, "2023-01-01").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn missing_role_denies_only_its_endpoints() {
    let paths = [SNAPSHOTS, SHARDED, BUCKETS, "events", EXPORTS, "clusters"];
    for (denied, refused) in [
        (&[][..], &[][..]),
        (&["snapshots"], &[SNAPSHOTS, SHARDED]),
        (&["shardedClusters"], &[SHARDED]),
        (&["exportBuckets", "events"], &[BUCKETS, "events"]),
        // Whole segments only.
        (&["vents", "Clusters"], &[]),
    ] {
        let atlas = one_of_each();
        lock(&atlas.state).accounts[0].denied = denied.to_vec();
        for path in paths {
            if refused.contains(&path) {
                atlas.refuses(path, 403, "USER_UNAUTHORIZED").await;
            } else {
                atlas.get(path).await;
            }
        }
    }
}

#[tokio::test]
async fn request_takes_a_token_of_its_endpoint() {
    let atlas = one_of_each();
    // Nothing is refilled while the test runs.
    atlas.change(|project| {
        (project.budget.per_minute, project.events_budget.per_minute) = (0, 0);
    });
    for (path, limit, remaining) in [
        (SNAPSHOTS, "1200", "1199"),
        (SHARDED, "1200", "1198"),
        (BUCKETS, "1200", "1197"),
        ("events", "300", "299"),
        ("clusters", "10000", "9999"),
        // Refused requests count as well.
        ("clusters/gone/backup/snapshots", "1200", "1196"),
        ("events?limit=5", "300", "298"),
    ] {
        let response = atlas.respond(path, "2024-08-05").await;
        let headers = ["ratelimit-limit", "ratelimit-remaining"].map(|name| &response.headers()[name]);
        assert_eq!(headers, [limit, remaining], "{path}");
    }
}

#[tokio::test]
async fn empty_bucket_refuses_only_its_endpoints() {
    let atlas = one_of_each();
    atlas.change(|project| project.events_budget = TokenBucket::new(300, 0).with(0.0));
    let refused = atlas.respond("events", "2024-08-05").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.headers()["x-error-code"], "RATE_LIMITED_TOKEN_BUCKET");
    atlas.get(SNAPSHOTS).await;
    atlas.change(|project| project.budget = TokenBucket::new(1200, 0).with(0.0));
    for path in [SNAPSHOTS, SHARDED, BUCKETS] {
        atlas.refuses(path, 429, "RATE_LIMITED_TOKEN_BUCKET").await;
    }
}
