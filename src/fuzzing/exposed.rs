//! What was read, as it is exposed: a reader of its own takes every line apart again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use atlas_client::fuzzing::Details;
use atlas_client::{ProjectId, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::metrics::self_metrics::SelfMetrics;
use crate::metrics::{Exposition, Format};
use crate::model::{ExportExpectation, JobSummary};
use crate::store::{GoodPoll, Store};

const PROJECT: &str = "32b6e34b3d91647abb20e7b8";

/// What is known of a project with one cluster.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) details: Details,
    pub(crate) report: JobSummary,
}

/// Whatever the names and words are, each line of the exposition is a sample of its own, and says them.
pub(crate) fn is_exposed(Known { details, report }: Known) {
    let id = ProjectId::parse(PROJECT).expect("an id");
    let cluster_name = details.cluster.as_ref().map_or("a", |cluster| &cluster.name).to_owned();
    let target = Target { project_id: id.clone(), cluster_name };
    let (now, finished_at) = (Instant::now(), Timestamp::from_second(1_800_000_000).expect("a moment"));
    let store = Store::new(Duration::from_mins(15));
    store.add_project(&id);
    store.record_project_name(&id, details.name.clone());
    store.add_cluster(&target, ExportExpectation::default());
    store.record_listed_cluster(&target, details.cluster.as_ref(), true);
    store.record_schedule(&target, Ok(details.schedule));
    store.set_collectors(Duration::from_mins(30), &[]);
    store.record_buckets(&id, now, Ok(details.buckets.clone()));
    let poll = GoodPoll { report, last_progress: None, finished_at, finished: now };
    store.record_poll(&target, finished_at, Duration::from_secs(1), Ok(poll));
    let view = Arc::new(store.view(now));
    for format in [Format::Text, Format::OpenMetrics] {
        let metrics = Arc::new(SelfMetrics::new(&[], Timestamp::UNIX_EPOCH));
        let exposition = Exposition::new(view.clone(), metrics, Duration::from_mins(1), None, format);
        let text: String = exposition.expect("an exposition").pieces().collect();
        let samples = samples(&text, format);
        let says = |label: &str, value: &str| {
            assert!(
                samples.contains(&(label.to_owned(), value.to_owned())),
                "{label} is not {value:?}: {text}"
            );
        };
        says("cluster_name", &target.cluster_name);
        says("project", &details.name);
        details.buckets.iter().for_each(|bucket| says("bucket", &bucket.name));
    }
}

/// The labels of all samples, each of which is there once.
fn samples(text: &str, format: Format) -> BTreeSet<(String, String)> {
    let (mut labels, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let text = text.strip_suffix(format.end()).expect("an end");
    for line in
        text.strip_suffix('\n').expect("a last line").split('\n').filter(|line| !line.starts_with("# "))
    {
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
            let (value, after) = unescaped(quoted).expect("a quote at the end");
            labels.insert((label.to_owned(), value));
            assert!(after.starts_with([',', '}']), "{line}");
            rest = after;
        }
    }
    labels
}

/// A value up to its closing quote, and what is behind that.
fn unescaped(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = quoted.chars();
    loop {
        match letters.next()? {
            '"' => return Some((value, letters.as_str())),
            '\\' => value.push(match letters.next()? {
                'n' => '\n',
                letter @ ('\\' | '"') => letter,
                _ => return None,
            }),
            letter => value.push(letter),
        }
    }
}
