//! Invariants of the exposition, checked with an independent parser.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atlas_backup_exporter::metrics::self_metrics::SelfMetrics;
use atlas_backup_exporter::metrics::{Exposition, Format};
use atlas_backup_exporter::model::{ExportExpectation, JobSummary};
use atlas_backup_exporter::store::{Store, SuccessfulPoll};
use atlas_client::{ExportBucket, ListedCluster, ProjectId, Schedule, Target};
use jiff::Timestamp;
use tokio::time::Instant;

/// Readings of a project with one cluster.
#[derive(Default)]
pub(super) struct Readings {
    pub(super) project_name: String,
    pub(super) cluster: Option<ListedCluster>,
    pub(super) schedule: Schedule,
    pub(super) buckets: Vec<ExportBucket>,
    pub(super) summary: JobSummary,
}

/// Checks that each line of the exposition is one sample, with unchanged names.
pub(super) fn assert_exposed(readings: Readings) {
    let Readings { project_name, cluster, schedule, buckets, summary } = readings;
    let id = ProjectId::parse("32b6e34b3d91647abb20e7b8").expect("an id");
    let cluster_name = cluster.as_ref().map_or("a", |cluster| &cluster.name).to_owned();
    let target = Target { project_id: id.clone(), cluster_name };
    let (now, finished_at) = (Instant::now(), Timestamp::from_second(1_800_000_000).expect("a time"));
    let store = Store::new(Duration::from_mins(15));
    store.add_project(&id);
    store.record_project_name(&id, project_name.clone());
    store.add_cluster(&target, ExportExpectation::default());
    store.record_listed_cluster(&target, cluster.as_ref(), true);
    store.record_schedule(&target, Ok(schedule));
    store.set_collectors(Duration::from_mins(30), &[]);
    store.record_buckets(&id, now, Ok(buckets.clone()));
    let poll = SuccessfulPoll { summary, last_progress: None, finished_at, finished: now };
    store.record_poll(&target, finished_at, Duration::from_secs(1), Ok(poll));
    let view = Arc::new(store.view(now));
    for format in [Format::Text, Format::OpenMetrics] {
        let metrics = Arc::new(SelfMetrics::new(&[], Timestamp::UNIX_EPOCH));
        let exposition = Exposition::new(view.clone(), metrics, Duration::from_mins(1), None, format);
        let text: String = exposition.expect("an exposition").chunks().collect();
        let labels = labels(&text, format);
        let assert_label = |label: &str, value: &str| {
            let is_there = labels.contains(&(label.to_owned(), value.to_owned()));
            assert!(is_there, "{label} is not {value:?}: {text}");
        };
        assert_label("cluster_name", &target.cluster_name);
        assert_label("project", &project_name);
        for bucket in &buckets {
            assert_label("bucket", &bucket.name);
        }
    }
}

/// Returns the labels of all samples; a duplicate is an error.
fn labels(text: &str, format: Format) -> BTreeSet<(String, String)> {
    let (mut labels, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let text = text.strip_suffix(format.end()).expect("an end");
    let lines = text.strip_suffix('\n').expect("a last line").split('\n');
    for line in lines.filter(|line| !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(seen.insert(series), "twice: {series}");
        let value: f64 = value.parse().expect("a number");
        assert!(
            !series.contains("_ratio") || series.contains("budget") || (0.0..=1.0).contains(&value),
            "{line}"
        );
        let name = series.split('{').next().unwrap_or_default();
        assert!(name.starts_with("mongodbatlas_"), "{line}");
        let mut rest = &series[name.len()..];
        while !matches!(rest, "" | "}") {
            let (label, quoted) = rest[1..].split_once("=\"").expect("a label");
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            let (value, after) = unescape(quoted).expect("a quote at the end");
            labels.insert((label.to_owned(), value));
            assert!(after.starts_with([',', '}']), "{line}");
            rest = after;
        }
    }
    labels
}

/// Returns a value up to its closing quote, and the rest.
fn unescape(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                character @ ('\\' | '"') => character,
                _ => return None,
            }),
            character => value.push(character),
        }
    }
}
