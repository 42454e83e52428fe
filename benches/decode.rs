//! What a page of 500 export jobs costs to decode and fold, against a mere scan of its bytes. See `README.md` beside this.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::cast_precision_loss)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use atlas_backup_exporter::atlas::fold_page;
use atlas_backup_exporter::model::Fold;

const JOBS: usize = 500;

/// Bytes that are read before a page is read again: more than any cache holds.
const COLD: usize = 256 << 20;
const ROUNDS: usize = 3;

fn main() {
    let page = page().into_bytes();
    let pages = vec![page.clone(); COLD / page.len()];
    let (mut folds, mut reports, mut scans) = (Vec::new(), Vec::new(), Vec::new());
    // The first round finds memory that the allocator never had in hands; it does not count.
    for round in 0..=ROUNDS {
        // In turn, so that whatever else the machine does falls on all alike.
        for (number, page) in pages.iter().enumerate() {
            let (times, time) = match number % 3 {
                0 => (&mut folds, time(|| folded(page))),
                1 => (&mut reports, time(|| folded(page).finish())),
                _ => (&mut scans, time(|| memchr::memchr_iter(b'"', black_box(page)).count())),
            };
            if round > 0 {
                times.push(time);
            }
        }
    }
    let scan = median(scans);
    println!("a page of {JOBS} jobs, {} bytes, each copy cold; medians\n", page.len());
    println!("| | µs | scans |\n|---|---|---|");
    for (what, time) in [("decode and fold", median(folds)), ("and report", median(reports)), ("scan", scan)]
    {
        let ratio = time.as_secs_f64() / scan.as_secs_f64();
        println!("| {what} | {:.1} | {ratio:.1} |", time.as_secs_f64() * 1e6);
    }
}

fn folded(page: &[u8]) -> Fold {
    let mut fold = Fold::default();
    fold_page(black_box(page), &mut fold).unwrap();
    fold
}

/// How long `work` takes, without what becomes of its result.
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

/// A page as Atlas writes it: newest first, a failure in every 25 jobs.
fn page() -> String {
    let listing = "https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8/clusters/payments-production/backup/exports";
    let mut jobs = String::new();
    for number in 0..JOBS {
        if number > 0 {
            jobs.push(',');
        }
        let day = JOBS - number;
        let id = format!("65a1f0b2c3d4e5f6{:08x}", 0x071_8293 + day * 0x1b_0053);
        let date = format!("{}-{:02}-{:02}", 2024 + day / 336, 1 + day / 28 % 12, 1 + day % 28);
        let (state, end, reason) = match number {
            0 | 1 => ("Queued", false, ""),
            2 | 3 => ("InProgress", false, ""),
            _ if number % 25 == 7 => (
                "Failed",
                true,
                r#","stateReason":{"errorCode":"EXPORT_BUCKET_ACCESS_DENIED","message":"The IAM role could not write to the export bucket: access denied."}"#,
            ),
            _ if number % 50 == 11 => ("Cancelled", true, ""),
            _ => ("Successful", true, ""),
        };
        let finished = if end { format!(r#""finishedAt":"{date}T04:21:37Z","#) } else { String::new() };
        write!(
            jobs,
            r#"{{"id":"{id}","snapshotId":"75{}","exportBucketId":"65a0c0ffee0123456789abcd","createdAt":"{date}T03:04:05Z",{finished}"state":"{state}"{reason},"exportStatus":{{"exportedCollections":{},"totalCollections":184}},"customData":[{{"key":"exported by","value":"atlas backup policy"}},{{"key":"environment","value":"production"}}],"prefix":"exported_snapshots/65a0aaaaaaaaaaaaaaaaaaaa/32b6e34b3d91647abb20e7b8/payments-production/{date}T0304/1705287845","links":[{{"rel":"self","href":"{listing}/{id}"}},{{"rel":"https://cloud.mongodb.com/group","href":"https://cloud.mongodb.com/api/atlas/v2/groups/32b6e34b3d91647abb20e7b8"}}]}}"#,
            &id[2..],
            if end { 184 } else { 21 },
        )
        .unwrap();
    }
    format!(
        r#"{{"links":[{{"rel":"self","href":"{listing}?itemsPerPage=500&pageNum=1"}},{{"rel":"next","href":"{listing}?itemsPerPage=500&pageNum=2"}}],"results":[{jobs}],"totalCount":1234}}"#
    )
}
