use serde_json::json;

use super::{Atlas, HOUR, PROJECT, column};
use crate::{Event, Project};

/// Events of three clusters, and one of no cluster.
fn eventful() -> Atlas {
    let mut project = Project::new("payments");
    let at = |kind: &str, cluster, id: &str, time: &str| Event {
        id: id.to_owned(),
        created: time.parse().unwrap(),
        ..Event::new(kind, cluster, HOUR)
    };
    project.events = vec![
        at("CPS_EXPORT_FAILED", Some("prod"), "b", "2026-03-02T00:00:00.5Z"),
        at("CPS_EXPORT_SUCCESSFUL", Some("prod"), "d", "2026-03-04T00:00:00Z"),
        at("BUCKET_CREATED_AUDIT", None, "a", "2026-03-01T00:00:00Z"),
        at("CPS_AUTO_EXPORT_FAILED", Some("test"), "c", "2026-03-03T00:00:00Z"),
        at("SOMETHING_ELSE", Some("wide"), "e", "2026-03-05T00:00:00Z"),
    ];
    Atlas::new(project)
}

#[tokio::test]
async fn events_are_filtered_and_newest_first() {
    let atlas = eventful();
    for (query, ids) in [
        ("", "edcba"),
        ("eventType=CPS_EXPORT_FAILED", "b"),
        ("eventType=CPS_EXPORT_FAILED&eventType=CPS_AUTO_EXPORT_FAILED", "cb"),
        ("eventType=CPS_SNAPSHOT_FAILED", ""),
        ("clusterNames=prod", "db"),
        ("clusterNames=prod&clusterNames=test", "dcb"),
        ("clusterNames=pr%6Fd&eventType=CPS_EXPORT_FAILED&eventType=CPS_AUTO_EXPORT_FAILED", "b"),
        ("clusterNames=gone", ""),
        // Both bounds are inclusive, to the second.
        ("minDate=2026-03-03T00:00:00Z", "edc"),
        ("minDate=2026-03-03T00%3A00%3A01Z", "ed"),
        ("maxDate=2026-03-02T00:00:00Z", "ba"),
        ("maxDate=2026-03-01T23:59:59Z", "a"),
        ("minDate=2026-03-03T01:00:00%2B01:00&maxDate=2026-03-04T00:00:00Z", "dc"),
        ("itemsPerPage=2&pageNum=2", "cb"),
    ] {
        assert_eq!(atlas.column(&format!("events?{query}"), "id").await.concat(), ids, "{query}");
    }
}

#[tokio::test]
async fn events_with_invalid_query_are_refused() {
    let queries = [
        "minDate=2026-03-03",
        "minDate=yesterday",
        "minDate=",
        "maxDate=1772496000",
        "maxDate=2026-03-03T00:00:00",
        "maxDate=2026-03-03%2000:00:00Z",
        "maxDate=2026-03-03T00Z",
        "maxDate=2026-03-03T00:00:00Z[UTC]",
        // An unescaped plus is a space.
        "maxDate=2026-03-03T00:00:00+01:00",
        "eventType=CPS_EXPORT_FAILED,CPS_AUTO_EXPORT_FAILED",
        "eventType=cps_export_failed",
        "eventType=SOMETHING_ELSE",
        "eventType=CPS_EXPORT_FAILED&eventType=",
        "eventTypes=CPS_EXPORT_FAILED",
        "clusterName=prod",
        "excludedEventType=CPS_EXPORT_FAILED",
    ];
    let atlas = eventful();
    atlas.refuses_queries("events", &queries).await;
    atlas.get("events?maxDate=2026-03-03T00:00:00.123Z").await;
}

#[tokio::test]
async fn event_does_not_name_its_cluster() {
    let atlas = eventful();
    let body = atlas.get("events?clusterNames=test").await;
    let expected = json!({
        "id": "c", "created": "2026-03-03T00:00:00Z", "eventTypeName": "CPS_AUTO_EXPORT_FAILED",
        "groupId": PROJECT, "isGlobalAdmin": false, "links": [],
    });
    assert_eq!(body["results"][0], expected);
}

#[tokio::test]
async fn link_to_next_page_keeps_filters() {
    let atlas = eventful();
    let mut path =
        format!("/api/atlas/v2/groups/{PROJECT}/events?clusterNames=prod&clusterNames=test&itemsPerPage=1");
    let mut ids = String::new();
    for _ in 0..3 {
        let (_, rest) = path.split_once(&format!("{PROJECT}/")).unwrap();
        let body = atlas.get(rest).await;
        ids += &column(&body, "id").concat();
        let links = body["links"].as_array().unwrap();
        let next = links.iter().find(|link| link["rel"] == "next");
        path = next.map_or_else(String::new, |link| link["href"].as_str().unwrap().to_owned());
        assert!(path.matches("pageNum").count() <= 1, "{path}");
    }
    assert_eq!((ids.as_str(), path.as_str()), ("dcb", ""));
}
