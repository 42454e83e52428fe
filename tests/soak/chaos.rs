//! Random faults of Atlas, and random progress of jobs.

use std::sync::LazyLock;
use std::time::Duration;

use atlas_simulator::{Cluster, Fault, FaultKind, Order};
use fastrand::Rng;

use super::oracle::Job;

/// Final states; the exporter does not know the last.
const FINAL_STATES: [&str; 4] = ["Successful", "Failed", "Cancelled", "Archived"];

/// More jobs than a page may have.
static HUGE_PAGE: LazyLock<String> =
    LazyLock::new(|| format!("{{\"results\":[{}]}}", vec!["{}"; 500_000].join(",")));

const CODES: [Option<&str>; 3] = [None, Some("EXPORT_BUCKET_NOT_FOUND"), Some("EXPORT_BUCKET_ACCESS_DENIED")];

/// Returns a cluster with a random order and paging of its listing.
pub(crate) fn cluster(rng: &mut Rng) -> Cluster {
    let order = if rng.bool() { Order::NewestFirst } else { Order::OldestFirst };
    Cluster { order, overlap: rng.usize(0..3), unlinked: rng.u8(0..4) == 0, ..Cluster::default() }
}

/// Returns the past jobs of a cluster; one in twenty clusters has several pages of them.
pub(crate) fn past_jobs(rng: &mut Rng, now: i64) -> Vec<Job> {
    let jobs = if rng.u8(0..20) == 0 { rng.i64(150..700) } else { rng.i64(0..40) };
    let day = 24 * 3600;
    (0..jobs).map(|number| ended(rng, now - (jobs - number) * day)).collect()
}

fn ended(rng: &mut Rng, created: i64) -> Job {
    let mut job = queued(rng, created);
    end(rng, &mut job, created + 60);
    job
}

fn queued(rng: &mut Rng, created: i64) -> Job {
    Job {
        id: format!("{created:08x}{:016x}", rng.u64(..)),
        created,
        finished: None,
        state: "Queued",
        counts: (rng.u8(0..4) > 0).then(|| (0, rng.u64(0..90))),
        code: None,
    }
}

fn end(rng: &mut Rng, job: &mut Job, now: i64) {
    job.state = if rng.u8(0..3) == 0 { FINAL_STATES[rng.usize(0..FINAL_STATES.len())] } else { "Successful" };
    job.finished = (job.state == "Successful" || rng.bool()).then(|| now + rng.i64(0..2000));
    if job.state == "Failed" {
        job.code = CODES[rng.usize(0..CODES.len())];
    } else if job.state == "Successful" {
        job.counts = job.counts.map(|(_, total)| (total, total));
    }
}

/// Advances the jobs of a cluster by one change.
///
/// Only the newest jobs of long listings change. So a concurrent reading returns the state before
/// or after the change.
pub(crate) fn advance(rng: &mut Rng, jobs: &mut Vec<Job>, now: i64) {
    let active: Vec<usize> = (0..jobs.len()).filter(|index| jobs[*index].is_active()).collect();
    let choice = rng.u8(0..10);
    if choice == 0 && jobs.len() < 90 && jobs.len() > 3 && !jobs[0].is_active() {
        jobs.remove(0);
    } else if active.is_empty() || (active.len() < 3 && choice < 3) {
        // Two jobs may be created in the same second.
        let created = jobs.last().map_or(now, |job| job.created.max(now));
        jobs.push(queued(rng, created));
    } else {
        let job = &mut jobs[active[rng.usize(0..active.len())]];
        match (job.state, choice) {
            ("Queued", 9) | ("InProgress", 7..) => end(rng, job, now),
            ("Queued", _) => job.state = "InProgress",
            _ => job.counts = job.counts.map(|(done, total)| (rng.u64(done..=total), total)),
        }
    }
}

/// Returns random faults for the next seconds.
///
/// None of them is a plausible listing with wrong jobs, which no client could detect.
pub(crate) fn faults(rng: &mut Rng, clusters: usize, hard: bool) -> Vec<Fault> {
    let fault = |rng: &mut Rng| {
        let path = match rng.u8(0..12) {
            0 => String::new(),
            1 => "/api/oauth/token".to_owned(),
            2..=4 => "/backup/exports$".to_owned(),
            5 => "/clusters$".to_owned(),
            6 => "/backup/schedule$".to_owned(),
            7 => "/backup/snapshots$".to_owned(),
            8 => "/events".to_owned(),
            9 => "?pageNum=2".to_owned(),
            _ => format!("/c{}/backup/", rng.usize(0..clusters)),
        };
        let kind = fault_kind(rng, hard || path != "/api/oauth/token");
        // Faults that are expensive for the simulator occur a few times only.
        let most = if is_heavy(&kind) { 6 } else { 60 };
        let times = (is_heavy(&kind) || rng.bool()).then(|| rng.u32(1..most));
        Fault { path, kind, times }
    };
    (0..rng.usize(0..6)).map(|_| fault(rng)).collect()
}

fn is_heavy(kind: &FaultKind) -> bool {
    match kind {
        FaultKind::EndlessBody => true,
        FaultKind::Body(body) => body.len() == HUGE_PAGE.len(),
        _ => false,
    }
}

/// Returns a random kind of fault; without `refusals`, none after which the exporter backs off for
/// up to a minute.
fn fault_kind(rng: &mut Rng, refusals: bool) -> FaultKind {
    let wait = |rng: &mut Rng| vec![("retry-after", rng.u8(0..4).to_string())];
    match rng.u8(0..17) {
        0 => FaultKind::error(500, "UNEXPECTED_ERROR"),
        1 => FaultKind::Status(503, "UNAVAILABLE", wait(rng)),
        2 => FaultKind::Status(429, "RATE_LIMITED_TOKEN_BUCKET", wait(rng)),
        3 if refusals => FaultKind::error(401, "UNEXPECTED_ERROR"),
        4 if refusals => FaultKind::error(403, "USER_UNAUTHORIZED"),
        5 => FaultKind::error(404, "CLUSTER_NOT_FOUND"),
        6 => FaultKind::HANG,
        7 | 8 => FaultKind::Slow(Duration::from_millis(rng.u64(1..3000))),
        9 => FaultKind::Truncated,
        10 => FaultKind::Status(200, "", Vec::new()),
        11 => FaultKind::Body("{\"results\":null}"),
        12 => FaultKind::EndlessBody,
        13 => FaultKind::Body(&HUGE_PAGE),
        14 => FaultKind::Status(200, "", vec![("content-encoding", "br".to_owned())]),
        15 => FaultKind::Status(200, "", vec![("content-encoding", "gzip".to_owned())]),
        _ => FaultKind::Status(302, "", vec![("location", "http://127.0.0.1:9/elsewhere".to_owned())]),
    }
}
