mod events;
mod snapshots;

use std::time::Duration;

use axum::body::Body;
use serde_json::Value;

use super::*;
use crate::{Account, Cluster, ExportBucket, Project, Scheme, Snapshot, TokenBucket};

const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
const HOUR: Duration = Duration::from_hours(1);
const PAGES: [(&str, u16); 8] = [
    ("", 200),
    ("?itemsPerPage=500&pageNum=1", 200),
    ("?includeCount=true&envelope=false&pretty=true", 200),
    ("?itemsPerPage=0", 400),
    ("?itemsPerPage=501", 400),
    ("?pageNum=0", 400),
    ("?pretty=yes", 400),
    ("?limit=5", 400),
];

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
        let basic = "Basic bWRiX3NhX2lkXzE6c2VjcmV0".parse().unwrap();
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, basic)]);
        let TokenResponse::Token { text, .. } = state.sessions.issue_token(&state.accounts, &headers) else {
            panic!("no token")
        };
        Self { state: Arc::new(Mutex::new(state)), token: format!("Bearer {text}") }
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

    async fn of_version(&self, path: &str, version: &str) -> (u16, Value) {
        let (parts, body) = self.respond(path, version).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.of_version(path, "2024-08-05").await
    }

    /// A field of every entry of a listing.
    async fn column(&self, path: &str, field: &str) -> Vec<String> {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        column(&body, field)
    }

    /// Asserts the status of each query after `path`, and the error code of refused ones.
    async fn check(&self, path: &str, queries: &[(&str, u16)]) {
        for (query, status) in queries {
            let (seen, body) = self.get(&format!("{path}{query}")).await;
            assert_eq!(seen, *status, "{path}{query}: {body}");
            assert_eq!(
                body["errorCode"] == "INVALID_QUERY_PARAMETER",
                *status == 400,
                "{path}{query}: {body}"
            );
        }
    }
}

fn column(body: &Value, field: &str) -> Vec<String> {
    let entries = body["results"].as_array().unwrap();
    entries.iter().map(|entry| entry[field].as_str().unwrap_or_default().to_owned()).collect()
}

fn snapshots(name: &str) -> String {
    format!("clusters/{name}/backup/snapshots")
}

fn sharded(name: &str) -> String {
    format!("clusters/{name}/backup/snapshots/shardedClusters")
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
    for path in [&snapshots("prod"), "backup/exportBuckets", "events"] {
        atlas.check(path, &PAGES).await;
    }
    for path in [&snapshots("prod"), "backup/exportBuckets"] {
        atlas.check(path, &[("?clusterNames=prod", 400), ("?eventType=CPS_EXPORT_FAILED", 400)]).await;
    }
    let unpaged = [
        ("", 200),
        ("?envelope=false&pretty=true", 200),
        ("?itemsPerPage=500", 400),
        ("?pageNum=1", 400),
        ("?includeCount=true", 400),
        ("?pretty=yes", 400),
        ("?limit=5", 400),
    ];
    atlas.check(&sharded("wide"), &unpaged).await;
}

#[tokio::test]
async fn buckets_have_the_fields_of_their_provider() {
    let mut project = Project::new("payments");
    for provider in ["AZURE", "GCP"] {
        let (id, name) = (format!("5f0e5a3b9c1d4e6f8a7b000{}", provider.len()), provider.to_lowercase());
        project.buckets.push(ExportBucket { id, name, provider: provider.to_owned() });
    }
    let atlas = Atlas::new(project);
    let path = "backup/exportBuckets";
    assert_eq!(atlas.column(path, "cloudProvider").await, ["AWS", "AZURE", "GCP"]);
    assert_eq!(atlas.column(path, "bucketName").await, ["backups-payments", "azure", "gcp"]);
    let (_, body) = atlas.get(path).await;
    for (at, field) in [(0, "iamRoleId"), (1, "roleId"), (1, "serviceUrl"), (1, "tenantId"), (2, "roleId")] {
        assert!(body["results"][at][field].is_string(), "{body}");
    }
    assert_eq!(atlas.column(&format!("{path}?itemsPerPage=2&pageNum=2"), "cloudProvider").await, ["GCP"]);
}

#[tokio::test]
async fn export_buckets_with_old_version_are_refused() {
    let atlas = one_of_each();
    for (version, status) in
        [("2024-05-29", 406), ("2023-01-01", 406), ("2024-05-30", 200), ("2025-03-12", 200)]
    {
        let (seen, body) = atlas.of_version("backup/exportBuckets", version).await;
        assert_eq!(seen, status, "{version}: {body}");
        assert_eq!(body["errorCode"] == "INVALID_ACCEPT_HEADER", status == 406, "{version}: {body}");
    }
    for path in [&snapshots("prod"), &sharded("wide"), "events"] {
        assert_eq!(atlas.of_version(path, "2023-01-01").await.0, 200, "{path}");
    }
}

#[tokio::test]
async fn missing_role_denies_only_its_endpoints() {
    let paths = [
        snapshots("prod"),
        sharded("wide"),
        "backup/exportBuckets".to_owned(),
        "events".to_owned(),
        "clusters/prod/backup/exports".to_owned(),
        "clusters".to_owned(),
    ];
    for (denied, refused) in [
        (&[][..], &[][..]),
        (&["snapshots"], &[0, 1]),
        (&["prod/backup/snapshots"], &[0]),
        (&["shardedClusters"], &[1]),
        (&["exportBuckets", "events"], &[2, 3]),
        // Whole segments only.
        (&["vents", "Clusters"], &[]),
    ] {
        let atlas = one_of_each();
        lock(&atlas.state).accounts[0].denied = denied.iter().map(|end| (*end).to_owned()).collect();
        for (at, path) in paths.iter().enumerate() {
            let (status, body) = atlas.get(path).await;
            let expected = if refused.contains(&at) { 403 } else { 200 };
            assert_eq!(status, expected, "{denied:?} {path}: {body}");
            assert_eq!(
                body["errorCode"] == "USER_UNAUTHORIZED",
                expected == 403,
                "{denied:?} {path}: {body}"
            );
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
    let spent = || {
        let state = lock(&atlas.state);
        let project = &state.projects[PROJECT];
        [&project.budget, &project.events_budget, &project.clusters_budget]
            .map(|budget| format!("{} - {}", budget.capacity, f64::from(budget.capacity) - budget.left))
    };
    let mut expected = [0, 0];
    for (path, budget) in [
        (snapshots("prod"), 0),
        (sharded("wide"), 0),
        ("backup/exportBuckets".to_owned(), 0),
        ("events".to_owned(), 1),
        // Refused requests count as well.
        (snapshots("gone"), 0),
        ("events?limit=5".to_owned(), 1),
    ] {
        let response = atlas.respond(&path, "2024-08-05").await;
        expected[budget] += 1;
        let [backups, events] = expected;
        assert_eq!(
            spent(),
            [format!("1200 - {backups}"), format!("300 - {events}"), "10000 - 0".to_owned()],
            "{path}"
        );
        assert_eq!(response.headers()["ratelimit-limit"], ["1200", "300"][budget], "{path}");
    }
}

#[tokio::test]
async fn empty_bucket_refuses_only_its_endpoints() {
    let atlas = one_of_each();
    atlas.change(|project| project.events_budget = TokenBucket::new(300, 0).with(0.0));
    let refused = atlas.respond("events", "2024-08-05").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(atlas.get(&snapshots("prod")).await.0, 200);
    atlas.change(|project| project.budget = TokenBucket::new(1200, 0).with(0.0));
    for path in [&snapshots("prod"), &sharded("wide"), "backup/exportBuckets"] {
        let (status, body) = atlas.get(path).await;
        assert_eq!((status, &body["errorCode"]), (429, &"RATE_LIMITED_TOKEN_BUCKET".into()), "{path}");
    }
}
