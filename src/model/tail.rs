//! What need not be read again: the older part of a listing, once all its jobs have ended.
//!
//! A listing has as many jobs as the cluster has had exports, and nearly all of them ended long ago. After a reading of the whole, the
//! jobs from some place on may be such that every job before it is newer, and every job from it on has ended. That is the tail.
//! The next reading stops at it, and its report is that of the new head over that of the tail.
//!
//! It holds as long as the listing counts as many jobs as the head and the tail have together, the head has nothing that is older
//! than the tail, and the place is found as it was. Then the head has every job that is newer, whatever the order. What no reading of
//! the head alone can see is a job of the tail that changes although it has ended, and one that vanishes while another appears in
//! its place; so the whole is read again now and then.

use super::fold::{FAILURES_KEPT, Fold, Seen, Sighting};
use super::{ClusterReport, ExportJob, JobId, JobState, SnapshotSet};
use jiff::Timestamp;

/// Jobs that are asked for at once while the tail is known. A listing of no more has no tail: it is read in one request anyway.
pub const HEAD_PAGE: usize = 100;

/// The newest jobs, which are read each time, although they may have ended. They leave room for as many new ones on the page.
pub(super) const HEAD_LEAST: usize = HEAD_PAGE / 2;

/// The older part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The first job in it, as it was listed.
    seam: (JobId, Seen),
    /// Creation of the newest job in it.
    newest: Timestamp,
    /// How many jobs are in it.
    jobs: u64,
    /// What it says, but for the snapshots of its successful jobs. Of its failures there is the newest, and only while it is not made good:
    /// the full walk told the others.
    report: ClusterReport,
}

impl Tail {
    pub(super) fn new(seam: (JobId, Seen), newest: Timestamp, jobs: u64, mut report: ClusterReport) -> Self {
        report.exports.successful = SnapshotSet::default();
        report.keep_newest_failure();
        Self { seam, newest, jobs, report }
    }
}

/// A reading of what is listed before a tail.
#[derive(Debug)]
pub struct Head<'a> {
    tail: &'a Tail,
    fold: Fold,
    /// Whether the tail was reached.
    reached: bool,
    /// Whether everything that was read is as it must be for the tail to hold.
    fits: bool,
}

impl<'a> Head<'a> {
    /// Begins a reading.
    #[must_use]
    pub fn new(tail: &'a Tail) -> Self {
        Self { tail, fold: Fold::default(), reached: false, fits: true }
    }

    /// Makes room for so many more jobs at once.
    pub fn reserve(&mut self, jobs: usize) {
        self.fold.reserve(jobs);
    }

    /// Takes in how many jobs a page says that the whole listing has.
    pub fn promise(&mut self, jobs: u64) {
        self.fold.promise(jobs);
    }

    /// Adds one job as listed.
    pub fn add(&mut self, job: ExportJob<'_>) -> Sighting {
        let (seam, at_seam) = &self.tail.seam;
        if !self.reached && job.id.as_deref() == Some(seam.as_str()) {
            self.reached = true;
            self.fits &= at_seam.is_like(&Seen::of(&job, 0));
        }
        if self.reached {
            self.fits &= job.id.is_some()
                && job.state.is_terminal()
                && job.created_at.is_some_and(|created_at| created_at <= self.tail.newest);
            return Sighting::First;
        }
        self.fits &= job.created_at.is_none_or(|created_at| created_at > self.tail.newest);
        self.fold.add(job)
    }

    /// Returns what was read of the head so far.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Whether there is nothing more to read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.reached || !self.fits
    }

    /// Ends the reading: what the whole listing says, or `None` where the tail does not hold. The snapshots of successful jobs are
    /// those of the head, and so are the failed jobs, but for the newest one that is not made good.
    #[must_use]
    pub fn finish(self) -> Option<ClusterReport> {
        let complete = self.reached && self.fold.is_promised(self.tail.jobs + self.fold.jobs());
        if !complete || !self.fits {
            return None;
        }
        let tail = &self.tail.report;
        let mut report = self.fold.finish();
        report.append(tail);
        report.exports.partial = true;
        Some(report)
    }
}

impl ClusterReport {
    /// Adds what is older: every job of `tail` is older than every job of this report that has a time, and has ended.
    pub(super) fn append(&mut self, tail: &Self) {
        for state in JobState::ALL {
            self.jobs[state] += tail.jobs[state];
            self.moments[state] = self.moments[state].max(tail.moments[state]);
        }
        if self.latest.is_none() {
            self.latest.clone_from(&tail.latest);
        }
        if self.last_success_created.is_none() {
            self.last_success_created = tail.last_success_created;
            self.last_success_seconds = tail.last_success_seconds;
            self.exports.newest = tail.exports.newest;
            self.failures_since_success += tail.failures_since_success;
            self.oldest_failure_created = tail.oldest_failure_created.or(self.oldest_failure_created);
        }
        let room = FAILURES_KEPT - self.failed.len();
        self.failed.extend(tail.failed.iter().take(room).cloned());
        self.exports.successful = self.exports.successful.union(&tail.exports.successful);
    }
}

#[cfg(test)]
mod tests;
