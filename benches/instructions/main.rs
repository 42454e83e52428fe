//! Repeats one kind of work, whose instructions `tests/instructions` counts.
//!
//! See `benches/README.md`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

#[path = "../page/mod.rs"]
mod page;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use atlas_backup_exporter::metrics::self_metrics::SelfMetrics;
use atlas_backup_exporter::metrics::{Exposition, Format};
use atlas_backup_exporter::model::{ExportExpectation, JobAccumulator};
use atlas_backup_exporter::store::{Store, SuccessfulPoll};
use atlas_client::{ENDPOINTS, ProjectId, Target, decode_jobs};
use jiff::Timestamp;
use page::page;
use tokio::time::Instant;

const CLUSTERS: usize = 1000;
const STALE_AFTER: Duration = Duration::from_mins(15);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let times = || arguments[1].parse().unwrap();
    match arguments.first().map(String::as_str) {
        Some("accumulate") => accumulate(times()),
        Some("render") => render(times()),
        _ => println!("Run tests/instructions, which starts this program."),
    }
}

/// Decodes and accumulates a page of 500 export jobs.
fn accumulate(times: usize) {
    let page = page().into_bytes();
    for _ in 0..times {
        let mut accumulator = JobAccumulator::default();
        accumulator.add_page(decode_jobs(black_box(&page)).unwrap());
        black_box(accumulator.finish());
    }
}

/// Renders a view of a thousand clusters.
fn render(times: usize) {
    let at = Timestamp::from_second(1_767_225_600).unwrap();
    let store = store(at);
    let metrics = Arc::new(SelfMetrics::new(&ENDPOINTS, at));
    for _ in 0..times {
        let (view, interval) = (Arc::new(store.view(Instant::now())), Duration::from_mins(1));
        let exposition = Exposition::new(view, metrics.clone(), interval, None, Format::OpenMetrics).unwrap();
        exposition.write_to(&mut std::io::sink()).unwrap();
    }
}

fn store(at: Timestamp) -> Store {
    let mut accumulator = JobAccumulator::default();
    accumulator.add_page(decode_jobs(page().as_bytes()).unwrap());
    let summary = accumulator.finish();
    let store = Store::new(STALE_AFTER);
    let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
    store.add_project(&project_id);
    store.record_project_name(&project_id, "payments".to_owned());
    for number in 0..CLUSTERS {
        let target = Target { project_id: project_id.clone(), cluster_name: format!("cluster-{number}") };
        store.add_cluster(&target, ExportExpectation::default());
        let poll = SuccessfulPoll {
            summary: summary.clone(),
            last_progress: Some(at),
            finished_at: at,
            finished: Instant::now(),
        };
        store.record_poll(&target, at, Duration::from_millis(123), Ok(poll));
    }
    store
}
