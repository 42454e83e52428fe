//! A listing, job by job and in any order, folded into a [`ClusterReport`].

use std::collections::{BTreeMap, HashMap, btree_map, hash_map};

use jiff::Timestamp;

use super::tail::{HEAD_LEAST, HEAD_PAGE, Tail};
use super::{
    ActiveJob, ClusterReport, Counts, ExportJob, Exports, FailedJob, JobId, JobKey, JobState, LatestJob,
    MAX_ID, SnapshotId,
};
use crate::redact;

/// How many failed jobs keep their reason, the newest ones. Counts are exact beyond it.
pub(super) const FAILURES_KEPT: usize = 20;

/// How many active jobs are followed, the oldest ones. Counts and ages are exact beyond it.
pub(super) const MAX_ACTIVE: usize = 1000;

/// Memory of a job while a listing is read, and of a failed one whose reason is kept, in bytes, roughly.
const JOB_BYTES: usize = 160;
const FAILURE_BYTES: usize = 1024;

/// Whether a job was already seen in this reading of the listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// The first time, or a job without id, which nobody can tell.
    First,
    /// Pages shift while they are read, so a job may be met twice. It counts once.
    Again,
}

/// A reading in progress.
///
/// Of each job only what figures need is kept until the end of the reading, because a later page may show the job once more,
/// and further on. So the report depends neither on the order of the listing nor on where its pages end.
#[derive(Debug, Default)]
pub struct Fold {
    jobs: HashMap<JobId, Seen>,
    nameless: Vec<Seen>,
    failed: BTreeMap<JobKey, FailedJob>,
    /// How many jobs the last page said that there are, and whether another said otherwise.
    promised: Option<u64>,
    unsteady: bool,
}

/// What figures need of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    state: JobState,
    finished_at: Option<Timestamp>,
    counts: Counts,
    created_at: Option<Timestamp>,
    snapshot: Option<SnapshotId>,
    /// How many other jobs were listed before it.
    place: u32,
}

impl Seen {
    pub(super) fn of(job: &ExportJob<'_>, place: u32) -> Self {
        Self {
            state: job.state,
            finished_at: job.finished_at,
            counts: job.counts,
            created_at: job.created_at,
            snapshot: job.snapshot_id.as_deref().and_then(SnapshotId::parse),
            place,
        }
    }

    /// Whether it was listed with the same words, wherever.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.advance() == other.advance()
    }

    /// What is greater in the sighting that is further on.
    fn advance(&self) -> impl Ord + use<> {
        (stage(self.state), self.finished_at, self.counts, self.created_at, self.snapshot)
    }
}

impl Fold {
    /// Makes room for so many more jobs at once.
    pub fn reserve(&mut self, jobs: usize) {
        self.jobs.reserve(jobs);
    }

    /// Takes in how many jobs a page says that there are.
    pub fn promise(&mut self, jobs: u64) {
        self.unsteady |= self.promised.replace(jobs).is_some_and(|before| before != jobs);
    }

    /// Whether every page said that there are so many jobs.
    pub(super) fn is_promised(&self, jobs: u64) -> bool {
        !self.unsteady && self.promised == Some(jobs)
    }

    /// Adds one job as listed.
    pub fn add(&mut self, job: ExportJob<'_>) -> Sighting {
        let seen = Seen::of(&job, u32::try_from(self.jobs()).unwrap_or(u32::MAX));
        let Some(id) = job.id.as_deref().map(JobId::new) else {
            self.nameless.push(seen);
            return Sighting::First;
        };
        self.keep_reason(&id, job);
        match self.jobs.entry(id) {
            hash_map::Entry::Occupied(mut known) => {
                if known.get().advance() < seen.advance() {
                    let place = known.get().place;
                    known.insert(Seen { place, ..seen });
                }
                Sighting::Again
            }
            hash_map::Entry::Vacant(place) => {
                place.insert(seen);
                Sighting::First
            }
        }
    }

    fn keep_reason(&mut self, id: &JobId, job: ExportJob<'_>) {
        let (JobState::Failed, Some(created_at)) = (job.state, job.created_at) else { return };
        let key = JobKey { created_at, id: id.clone() };
        // What would be the first to go is not copied at all.
        let full = self.failed.len() == FAILURES_KEPT;
        if full && self.failed.first_key_value().is_some_and(|(oldest, _)| key < *oldest) {
            return;
        }
        let snapshot_id = job.snapshot_id.map(|id| redact::display(&id, MAX_ID).into());
        let (reason, finished_at) = (job.reason.into_owned(), job.finished_at);
        let failed = FailedJob { key: key.clone(), snapshot_id, reason, finished_at };
        match self.failed.entry(key) {
            btree_map::Entry::Occupied(known) if *known.get() >= failed => {}
            btree_map::Entry::Occupied(mut known) => *known.get_mut() = failed,
            btree_map::Entry::Vacant(place) => {
                place.insert(failed);
            }
        }
        if self.failed.len() > FAILURES_KEPT {
            self.failed.pop_first();
        }
    }

    /// Jobs so far, each counted once.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        (self.jobs.len() + self.nameless.len()) as u64
    }

    /// Returns how many bytes are kept so far, roughly.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        (self.jobs.len() + self.nameless.len()) * JOB_BYTES + self.failed.len() * FAILURE_BYTES
    }

    /// Ends the reading.
    #[must_use]
    pub fn finish(self) -> ClusterReport {
        let mut tally = Tally::default();
        tally.successful.reserve(self.jobs.len());
        for job in &self.nameless {
            tally.count(job);
        }
        for (id, job) in self.jobs {
            tally.add(id, &job);
        }
        tally.finish(self.failed)
    }

    /// Ends the reading of a whole listing, and says what of it need not be read again.
    #[must_use]
    pub fn settle(mut self) -> (ClusterReport, Option<Tail>) {
        let Some((place, newest)) = self.seam() else { return (self.finish(), None) };
        let jobs = self.jobs();
        let mut older = Tally::default();
        let mut seam = None;
        self.jobs.retain(|id, job| {
            if job.place == place {
                seam = Some((id.clone(), job.clone()));
            }
            if job.place >= place {
                older.add(id.clone(), job);
            }
            job.place < place
        });
        let failed;
        (self.failed, failed) = self.failed.into_iter().partition(|(key, _)| key.created_at > newest);
        let older = older.finish(failed);
        let jobs = jobs - self.jobs();
        let mut report = self.finish();
        report.append(&older);
        let tail = seam.map(|seam| Tail::new(seam, newest, jobs, older));
        (report, tail)
    }

    /// The place of the first job from which on all have ended, and are older than all before; and when the newest of them was
    /// created. `None` where that would spare nothing, or where the pages say otherwise than they count: what moves while it is read
    /// may have hidden a job.
    fn seam(&self) -> Option<(u32, Timestamp)> {
        let jobs = self.jobs.len() + self.nameless.len();
        if jobs <= HEAD_PAGE || !self.is_promised(jobs as u64) {
            return None;
        }
        let mut listed: Vec<&Seen> = self.jobs.values().chain(&self.nameless).collect();
        listed.sort_unstable_by_key(|job| job.place);
        let mut oldest: Option<Timestamp> = None;
        let oldest_before: Vec<_> = listed
            .iter()
            .map(|job| {
                let before = oldest;
                oldest = before.into_iter().chain(job.created_at).min();
                before
            })
            .collect();
        // A job that nobody can tell from others is read each time.
        let nameless = self.nameless.iter().map(|job| job.place as usize + 1).max().unwrap_or_default();
        let (mut newest, mut seam) = (None, None);
        for (place, job) in listed.iter().enumerate().skip(nameless.max(HEAD_LEAST)).rev() {
            let (true, Some(created_at)) = (job.state.is_terminal(), job.created_at) else { break };
            let newest =
                *newest.insert(newest.map_or(created_at, |newest: Timestamp| newest.max(created_at)));
            if oldest_before[place].is_some_and(|oldest| oldest > newest) {
                seam = Some((job.place, newest));
            }
        }
        // A long head in small pages costs more requests than a whole listing in large ones.
        seam.filter(|(place, _)| (*place as usize) < HEAD_PAGE.max(jobs / 8))
    }
}

/// Where a state stands in the life of a job; of two ends the worse one counts.
fn stage(state: JobState) -> u8 {
    match state {
        JobState::Queued => 0,
        JobState::Unknown => 1,
        JobState::InProgress => 2,
        JobState::Cancelled => 3,
        JobState::Successful => 4,
        JobState::Failed => 5,
    }
}

/// Figures over jobs that are each added once.
#[derive(Debug, Default)]
struct Tally {
    report: ClusterReport,
    success: Option<(JobKey, Option<u64>)>,
    failures: Vec<JobKey>,
    /// Snapshots with a successful job, and with one that is active.
    successful: Vec<SnapshotId>,
    active: Vec<SnapshotId>,
}

impl Tally {
    fn add(&mut self, id: JobId, job: &Seen) {
        self.count(job);
        // Without both parts of the key a job cannot be placed before or after another.
        if let Some(created_at) = job.created_at {
            self.place(JobKey { created_at, id }, job);
        }
    }

    /// The figures for which a job need not be placed.
    fn count(&mut self, job: &Seen) {
        let report = &mut self.report;
        match (job.state, job.snapshot) {
            (JobState::Successful, Some(snapshot)) => self.successful.push(snapshot),
            (state, Some(snapshot)) if state.is_active() => self.active.push(snapshot),
            _ => {}
        }
        report.jobs[job.state] += 1;
        let moment = &mut report.moments[job.state];
        if job.state.is_terminal() {
            *moment = (*moment).max(job.finished_at);
        } else if job.state.is_active() {
            *moment = [*moment, job.created_at].into_iter().flatten().min();
        }
    }

    /// The figures that ask which job is newer.
    fn place(&mut self, key: JobKey, job: &Seen) {
        let (state, counts) = (job.state, job.counts);
        match state {
            JobState::Failed => self.failures.push(key.clone()),
            JobState::Successful if self.success.as_ref().is_none_or(|(newest, _)| *newest < key) => {
                // An end before the beginning is a broken clock, not a duration.
                let seconds = job.finished_at.and_then(|finished| {
                    u64::try_from(finished.duration_since(key.created_at).as_secs()).ok()
                });
                self.report.exports.newest = Some((key.created_at, job.snapshot));
                self.success = Some((key.clone(), seconds));
            }
            JobState::Queued | JobState::InProgress => {
                self.report.active.push(ActiveJob { key: key.clone(), state, counts });
            }
            _ => {}
        }
        if self.report.latest.as_ref().is_none_or(|latest| latest.key < key) {
            self.report.latest = Some(LatestJob { key, state, counts });
        }
    }

    fn finish(mut self, reasons: BTreeMap<JobKey, FailedJob>) -> ClusterReport {
        self.failures.sort_unstable();
        let has_failed = |job: &FailedJob| self.failures.binary_search(&job.key).is_ok();
        let failed = reasons.into_values().rev().filter(has_failed).collect();
        let mut unresolved = self.failures.as_slice();
        if let Some((success, seconds)) = self.success {
            unresolved = &unresolved[unresolved.partition_point(|key| *key < success)..];
            self.report.last_success_seconds = seconds;
            self.report.last_success_created = Some(success.created_at);
        }
        self.report.active.sort_by(|a, b| a.key.cmp(&b.key));
        self.report.active.truncate(MAX_ACTIVE);
        self.report.active.shrink_to_fit();
        ClusterReport {
            failures_since_success: unresolved.len() as u64,
            oldest_failure_created: unresolved.first().map(|key| key.created_at),
            failed,
            exports: Exports {
                successful: self.successful.into(),
                active: self.active.into(),
                ..self.report.exports
            },
            ..self.report
        }
    }
}

#[cfg(test)]
mod tests;
