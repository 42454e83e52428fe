//! Failure events, and the search for their clusters.

use super::*;

#[tokio::test]
async fn event_is_attributed_to_its_cluster() {
    let names = ["a", "b", "c", "d", "e"];
    let simulator = simulator(atlas_state(names.map(|name| (name, cluster([]))))).await;
    // Events older than a month, of unknown clusters, or of other types are ignored.
    let old = Event::new("CPS_EXPORT_FAILED", Some("b"), DAY * 30);
    add_event(&simulator, old.clone());
    add_event(&simulator, Event::new(FAILED, Some("c"), DAY * 32));
    add_event(&simulator, Event::new(FAILED, Some("gone"), HOUR));
    add_event(&simulator, Event::new("CPS_EXPORT_SUCCESSFUL", Some("d"), HOUR));
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    let timestamps = |scrape: &Scrape| names.map(|name| event(scrape, name));
    let of = |event: &Event| Some(event.created.as_second() as f64);
    assert_eq!(timestamps(&scrape), [None, of(&old), None, None, None]);

    // The unknown cluster is searched for once more. Afterwards, each interval costs one request,
    // although the last hour is read again.
    exporter.polled_again(4.0).await;
    let quiet = rate(&simulator, "/events?").await;
    assert!((2..=6).contains(&quiet), "{quiet}");
    assert_eq!(rate(&simulator, "clusterNames=").await, 0);

    let news = Event::new(FAILED, Some("e"), Duration::ZERO);
    add_event(&simulator, news.clone());
    let scrape = exporter.until(|scrape| event(scrape, "e").is_some()).await;
    assert_eq!(timestamps(&scrape), [None, of(&old), None, None, of(&news)]);
    assert_eq!(rate(&simulator, "clusterNames=").await, 0, "known events cause no search");

    // Events of a cluster that is added later are searched for.
    let past = Event::new(FAILED, Some("new"), DAY * 3);
    add_event(&simulator, past.clone());
    assert_eq!(rate(&simulator, "clusterNames=new").await, 0);
    update_project(&simulator, |project| drop(project.clusters.insert("new".to_owned(), cluster([]))));
    exporter.reload(&setup(&simulator).project(PROJECT));
    let scrape = exporter.until(|scrape| event(scrape, "new").is_some()).await;
    assert_eq!(event(&scrape, "new"), of(&past));
}

#[tokio::test]
async fn events_of_many_clusters_need_few_requests() {
    let names: Vec<String> = (0..120).map(|number| format!("cluster-{number:03}")).collect();
    let simulator = simulator(atlas_state([])).await;
    for name in &names {
        add_cluster(&simulator, name, Cluster::default());
    }
    add_event(&simulator, Event::new(FAILED, Some("cluster-077"), HOUR));
    let exporter = ExporterBuilder::new(&simulator)
        .poll_interval("10s")
        .set("discovery.interval", "10m")
        .set("collectors.snapshots", false)
        .start()
        .await;
    exporter.until(|scrape| event(scrape, "cluster-077").is_some()).await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    assert!(names.iter().filter(|name| event(&scrape, name).is_some()).count() == 1);
    // Three groups of fifty, and then a binary search: two requests for each of six steps.
    let requested = requests(&simulator, "/events?");
    assert!(requested <= 1 + 3 + 2 * 6, "{requested}");
    let longest = simulator.state().requests.iter().map(|seen| seen.line.len()).max().unwrap();
    assert!(longest < 2048, "{longest}");
}

/// Returns a project in which every cluster has a failure event, and their names.
fn all_failed(count: usize) -> (Vec<String>, AtlasState) {
    let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
    let mut all = atlas_state([]);
    let project = all.projects.get_mut(PROJECT).unwrap();
    for name in &names {
        project.clusters.insert(name.clone(), Cluster::default());
        project.events.push(Event::new(FAILED, Some(name), HOUR));
    }
    (names, all)
}

#[tokio::test]
async fn failing_clusters_are_requested_once() {
    let (names, all) = all_failed(40);
    let simulator = simulator(all).await;
    let exporter = ExporterBuilder::new(&simulator).without_collectors(&["snapshots"]).start().await;
    let scrape = exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    assert!(names.iter().all(|name| event(&scrape, name).is_some()));
    assert_eq!(requests(&simulator, "/events?"), 1 + 1 + 40);
}

#[tokio::test]
async fn rejected_cluster_name_hides_no_other_events() {
    let names = ["a", "b", "odd", "c"];
    let simulator = simulator(atlas_state(names.map(|name| (name, cluster([]))))).await;
    for name in ["a", "c"] {
        add_event(&simulator, Event::new(FAILED, Some(name), HOUR));
    }
    let refusal = FaultKind::error(400, "INVALID_QUERY_PARAMETER");
    simulator.state().faults.push(Fault::lasting("?clusterNames=odd", refusal));
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.until(|scrape| event(scrape, "a").is_some() && event(scrape, "c").is_some()).await;
    assert_eq!((event(&scrape, "b"), event(&scrape, "odd")), (None, None));
}

#[tokio::test]
async fn interrupted_search_is_continued() {
    let (names, all) = all_failed(12);
    let simulator = simulator(all).await;
    // Requests for one cluster fail for some intervals: four attempts for the first, one each for
    // later ones.
    let alone = |name: &str| format!("EXPORT_FAILED&clusterNames={name}&itemsPerPage");
    let down = FaultKind::error(500, "UNEXPECTED_ERROR");
    simulator.state().faults.push(Fault::passing(&format!("?{}", alone("c5")), down, 6));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    exporter.until(|scrape| names.iter().all(|name| event(scrape, name).is_some())).await;
    for name in &names {
        let expected = if name == "c5" { 7 } else { 1 };
        assert_eq!(requests(&simulator, &alone(name)), expected, "{name}");
    }
}

#[tokio::test]
async fn readded_cluster_is_searched_for_past_events() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let exporter = setup(&simulator).project(PROJECT).start().await;
    add_event(&simulator, Event::new(FAILED, Some("a"), HOUR));
    exporter.until(|scrape| event(scrape, "a").is_some()).await;
    update_project(&simulator, |project| drop(project.clusters.remove("a")));
    exporter.until(|scrape| scrape.up("a").is_none()).await;
    add_cluster(&simulator, "a", cluster([]));
    exporter.until(|scrape| event(scrape, "a").is_some()).await;
}

#[tokio::test]
async fn implausible_event_is_ignored() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let mut ahead = Event::new(FAILED, Some("a"), Duration::ZERO);
    ahead.created = "2999-01-01T00:00:00Z".parse().unwrap();
    add_event(&simulator, ahead);
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    // Readable events are not hidden.
    add_event(&simulator, Event::new(FAILED, Some("b"), HOUR));
    let scrape = exporter.until(|scrape| event(scrape, "b").is_some()).await;
    assert_eq!((event(&scrape, "a"), up(&scrape, "events")), (None, Some(0.0)));
}

#[tokio::test]
async fn ignored_cluster_filter_attributes_no_event() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let everywhere = concat!(
        r#"{"results":[{"id":"e1","created":"2026-11-01T00:00:00Z","#,
        r#""eventTypeName":"CPS_EXPORT_FAILED"}]}"#
    );
    simulator.state().faults.push(Fault::lasting("/events", FaultKind::Body(everywhere)));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    let scrape = exporter.polled_again(3.0).await;
    assert_eq!((event(&scrape, "a"), event(&scrape, "b")), (None, None));
    assert!(exporter.log().contains("the event e1 is listed for two clusters"), "{}", exporter.log());
}

#[tokio::test]
async fn event_during_an_outage_is_not_missed() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(1.0)).await;
    let fault = |what| simulator.state().faults.push(Fault::lasting("/events", what));
    fault(FaultKind::error(500, "UNEXPECTED_ERROR"));
    let news = Event::new(FAILED, Some("a"), Duration::ZERO);
    add_event(&simulator, news.clone());
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    simulator.state().faults.clear();
    let scrape = exporter.until(|scrape| event(scrape, "a").is_some()).await;
    assert_eq!(event(&scrape, "a"), Some(news.created.as_second() as f64));
    assert!(exporter.log().contains("the project's events can be read again"), "{}", exporter.log());
}

#[tokio::test]
async fn rate_limited_events_do_not_delay_polls() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    add_event(&simulator, Event::new(FAILED, Some("b"), HOUR));
    // The events of the project can be read, those of its clusters cannot.
    let budget = TokenBucket::new(300, 0).with(1.0);
    update_project(&simulator, |project| project.events_budget = budget);
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    let scrape = exporter.polled_again(2.0).await;
    assert_eq!((scrape.up("a"), event(&scrape, "b")), (Some(1.0), None));
    update_project(&simulator, |project| project.events_budget = TokenBucket::new(300, 100));
    // The exporter waits as `Retry-After` demands.
    assert!(up(&exporter.polled_again(2.0).await, "events") == Some(0.0));
}

#[tokio::test]
async fn events_before_a_failed_first_read_are_not_missed() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let old = Event::new(FAILED, Some("a"), DAY * 2);
    add_event(&simulator, old.clone());
    simulator.state().faults.push(Fault::lasting("/events", FaultKind::error(500, "E")));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    simulator.state().faults.clear();
    exporter.until(|scrape| event(scrape, "a") == Some(old.created.as_second() as f64)).await;
}

#[tokio::test]
async fn failed_search_is_repeated() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    add_event(&simulator, Event::new(FAILED, Some("b"), HOUR * 5));
    let no = || FaultKind::error(500, "E");
    simulator.state().faults.push(Fault::lasting("?clusterNames=", no()));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events") == Some(0.0)).await;
    simulator.state().faults.clear();
    exporter.until(|scrape| event(scrape, "b").is_some()).await;
}

#[tokio::test]
async fn unreadable_event_is_reported() {
    let simulator = simulator(atlas_state([("a", cluster([]))])).await;
    let odd = FaultKind::Body("{\"results\":[{}]}");
    simulator.state().faults.push(Fault::lasting("/events", odd));
    let exporter = setup(&simulator).start().await;
    exporter.until(|scrape| up(scrape, "events").is_some()).await;
    assert_eq!(up(&exporter.scrape().await, "events"), Some(0.0));
}

#[tokio::test]
async fn newest_event_is_exposed() {
    let simulator = simulator(atlas_state([("a", cluster([])), ("b", cluster([]))])).await;
    let newer = Event::new(FAILED, Some("a"), HOUR * 2);
    add_event(&simulator, newer.clone());
    add_event(&simulator, Event::new(FAILED, Some("a"), HOUR * 9));
    let exporter = setup(&simulator).start().await;
    let scrape = exporter.until(|scrape| event(scrape, "a").is_some()).await;
    assert_eq!(event(&scrape, "a"), Some(newer.created.as_second() as f64));
}
