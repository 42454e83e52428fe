//! The older part of a listing, which need not be read again once all its jobs have ended.
//!
//! A listing has as many jobs as the cluster has had exports, and nearly all of them ended long ago. After a reading of the whole, the
//! jobs from some place on may be such that every job before it is newer, and every job from it on has ended. That is the tail.
//! The next reading stops at it, and its report is that of the new head over that of the tail.
//!
//! The tail is valid as long as the listing counts as many jobs as the head and the tail have together, the head has nothing that is
//! older than the tail, and the first job of the tail is as it was. Then the head has every job that is newer, whatever the order.
//! Two changes go unseen: a job of the tail that changes although it has ended, and one that vanishes while another appears in its
//! place. So the whole listing is read again now and then.

use atlas_client::{ExportJob, JobState, Page, PageOutcome};
use jiff::Timestamp;

use super::fold::{Fold, JobRecord, Sighting, summarize};
use super::report::MAX_FAILURES;
use super::{ClusterReport, SnapshotSet};

/// Jobs that are asked for at once while the tail is known. A listing of no more has no tail: it is read in one request anyway.
pub const HEAD_PAGE: usize = 100;

/// Number of the newest jobs that are read each time, although they may have ended. They leave room for as many new ones on the page.
pub(super) const MIN_HEAD: usize = HEAD_PAGE / 2;

/// The older part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    first: JobRecord,
    newest: Timestamp,
    jobs: u64,
    /// Without the snapshots of successful jobs, of which there are thousands, and without the reasons of failures that a newer success
    /// has resolved: the full reading reported them.
    report: ClusterReport,
}

impl Fold {
    /// Ends the reading of a whole listing, and returns the part of it that need not be read again.
    #[must_use]
    pub fn settle(mut self) -> (ClusterReport, Option<Tail>) {
        let Some(split) = self.split_point() else { return (self.finish(), None) };
        let older = self.jobs.split_off(split.place);
        let (newer_failed, older_failed) =
            self.failed.into_iter().partition(|(key, _)| key.created_at > split.newest);
        let (first, jobs) = (older[0].clone(), older.len() as u64);
        let mut older = summarize(older, older_failed);
        let mut report = summarize(self.jobs, newer_failed);
        report.append(&older);
        older.exports.successful = SnapshotSet::default();
        older.keep_newest_failure();
        (report, Some(Tail { first, newest: split.newest, jobs, report: older }))
    }

    /// Returns the first place from which on all jobs have ended and are older than all jobs before. `None` where a tail would save no
    /// request, or where the total count is not the number of jobs: a listing that changed while it was read may have hidden one.
    fn split_point(&self) -> Option<SplitPoint> {
        let jobs = &self.jobs;
        if jobs.len() <= HEAD_PAGE || !self.total_count_matches(self.jobs()) {
            return None;
        }
        let oldest_before: Vec<Option<Timestamp>> = jobs
            .iter()
            .scan(None, |oldest, job| {
                let before = *oldest;
                *oldest = before.into_iter().chain(job.created_at).min();
                Some(before)
            })
            .collect();
        let (mut split, mut newest) = (None, Timestamp::MIN);
        for place in (MIN_HEAD..jobs.len()).rev() {
            let job = &jobs[place];
            // A job without id cannot be told from others, so it is read each time.
            let (true, Some(created_at), Some(_)) = (job.state.is_terminal(), job.created_at, &job.id) else {
                break;
            };
            newest = newest.max(created_at);
            if oldest_before[place].is_some_and(|oldest| oldest > newest) {
                split = Some(SplitPoint { place, newest });
            }
        }
        // A long head in small pages costs more requests than the whole listing in large ones.
        split.filter(|split| split.place < HEAD_PAGE.max(jobs.len() / 8))
    }
}

/// Start of the tail.
struct SplitPoint {
    place: usize,
    /// Creation of the newest job from there on.
    newest: Timestamp,
}

/// A reading of what is listed before a tail.
#[derive(Debug)]
pub struct Head<'a> {
    tail: &'a Tail,
    fold: Fold,
    reached_tail: bool,
    /// False as soon as a job shows that the tail is no longer valid.
    fits: bool,
}

impl<'a> Head<'a> {
    /// Begins a reading.
    #[must_use]
    pub fn new(tail: &'a Tail) -> Self {
        Self { tail, fold: Fold::default(), reached_tail: false, fits: true }
    }

    /// Adds a page of the listing.
    pub fn add_page(&mut self, page: Page<ExportJob<'_>>) -> PageOutcome {
        self.fold.prepare(&page);
        let mut has_new = false;
        for job in page.entries {
            has_new |= self.add(job) == Sighting::First;
        }
        PageOutcome { is_complete: self.is_over(), ..self.fold.outcome(has_new) }
    }

    /// Adds one job as listed.
    fn add(&mut self, job: ExportJob<'_>) -> Sighting {
        let Tail { first, newest, .. } = self.tail;
        if !self.reached_tail && job.id.as_deref() == first.id.as_deref() {
            self.reached_tail = true;
            self.fits &= *first == JobRecord::new(&job);
        }
        if self.reached_tail {
            self.fits &= job.id.is_some()
                && job.state.is_terminal()
                && job.created_at.is_some_and(|created_at| created_at <= *newest);
            return Sighting::First;
        }
        self.fits &= job.created_at.is_none_or(|created_at| created_at > *newest);
        self.fold.add(job)
    }

    /// Whether there is nothing more to read.
    fn is_over(&self) -> bool {
        self.reached_tail || !self.fits
    }

    /// Ends the reading: the report of the whole listing, or `None` where the tail is no longer valid. It has the snapshots of the
    /// successful jobs of the head only, and of the failed jobs of the tail the newest, unless a success has resolved it.
    #[must_use]
    pub fn finish(self) -> Option<ClusterReport> {
        let total = self.tail.jobs + self.fold.jobs();
        let is_valid = self.reached_tail && self.fits && self.fold.total_count_matches(total);
        is_valid.then(|| {
            let mut report = self.fold.finish();
            report.append(&self.tail.report);
            report.exports.partial = true;
            report
        })
    }
}

impl ClusterReport {
    /// Adds older jobs: every job of `tail` is older than every job of this report that has a time, and has ended.
    fn append(&mut self, tail: &Self) {
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
        self.failed.extend(tail.failed.iter().cloned());
        self.failed.truncate(MAX_FAILURES);
        self.exports.successful = self.exports.successful.union(&tail.exports.successful);
    }
}

#[cfg(test)]
mod tests;
