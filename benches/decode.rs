//! Measures decoding and accumulating a page of 500 export jobs, relative to a scan of its bytes.
//!
//! See `benches/README.md`.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

mod page;

use std::hint::black_box;
use std::time::{Duration, Instant};

use atlas_backup_exporter::model::JobAccumulator;
use atlas_client::decode_jobs;
use page::{JOBS, page};

/// Total size of the pages in bytes: more than fits into CPU caches.
const TOTAL_SIZE: usize = 256 << 20;
const ROUNDS: usize = 3;

fn main() {
    let page = page().into_bytes();
    let pages = vec![page.clone(); TOTAL_SIZE / page.len()];
    let (mut accumulated, mut summaries, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    // The first round is a warm-up for the allocator and does not count.
    for round in 0..=ROUNDS {
        // The measurements alternate, so that other load affects all of them.
        for (number, page) in pages.iter().enumerate() {
            let (times, time) = match number % 3 {
                0 => (&mut accumulated, time(|| summarized(page))),
                1 => (&mut summaries, time(|| summarized(page).finish())),
                _ => (&mut scans, time(|| memchr::memchr_iter(b'"', black_box(page)).count())),
            };
            if round > 0 {
                times.push(time);
            }
        }
    }
    let scan = median(scans);
    println!("page of {JOBS} jobs, {} bytes, not in CPU caches; medians\n", page.len());
    println!("| | µs | scans |\n|---|---|---|");
    for (what, time) in
        [("decode and accumulate", median(accumulated)), ("and summary", median(summaries)), ("scan", scan)]
    {
        let ratio = time.as_secs_f64() / scan.as_secs_f64();
        println!("| {what} | {:.1} | {ratio:.1} |", time.as_secs_f64() * 1e6);
    }
}

fn summarized(page: &[u8]) -> JobAccumulator {
    let mut accumulator = JobAccumulator::default();
    accumulator.add_page(decode_jobs(black_box(page)).unwrap());
    accumulator
}

/// Returns the duration of `work`, without the drop of its result.
fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    let result = black_box(work());
    let took = began.elapsed();
    drop(result);
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
