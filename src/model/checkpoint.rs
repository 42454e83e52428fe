//! The older part of a listing, which need not be read again once all its jobs have ended.
//!
//! A listing grows with every export, and nearly all of its jobs ended long ago. After a full
//! reading, the jobs from some place on may have ended and be older than all before: they are the
//! checkpoint. The next reading stops there, and merges the newer jobs with it.
//!
//! The checkpoint is valid while the total count is that of the jobs that were read and those of
//! the checkpoint, nothing that was read is older, and its first job is unchanged. Two changes go
//! unseen: a job of the checkpoint that changes after its end, and one that vanishes while another
//! appears behind the split. So the whole listing is read again now and then.

use std::collections::HashSet;

use atlas_client::{ExportJob, JobState, Page, PageOutcome};
use jiff::Timestamp;

use super::job_accumulator::{JobAccumulator, JobRecord, summarize};
use super::job_summary::{JobSummary, MAX_FAILURES};

/// Page size while there is a checkpoint. A shorter listing has none: it takes one request anyway.
pub const NEWEST_PAGE_SIZE: usize = 100;

/// Number of the newest jobs that are always read. The rest of the page has room for new ones.
pub(super) const MIN_NEWER_JOBS: usize = NEWEST_PAGE_SIZE / 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingCheckpoint {
    first: JobRecord,
    newest: Timestamp,
    /// Without the snapshots of successful jobs and the reasons of resolved failures: the full
    /// reading reported them.
    summary: JobSummary,
}

impl JobAccumulator {
    /// Ends the reading of a whole listing, and returns the part of it that need not be read again.
    #[must_use]
    pub fn into_checkpoint(mut self) -> (JobSummary, Option<ListingCheckpoint>) {
        let Some(split) = self.split_point() else { return (self.finish(), None) };
        let older = self.jobs.split_off(split.place);
        let (newer_failed, older_failed) =
            self.failed.into_iter().partition(|(key, _)| key.created_at > split.newest);
        let first = older[0].clone();
        let mut older = summarize(older, older_failed);
        let mut summary = summarize(self.jobs, newer_failed);
        summary.merge_older(&older);
        older.exports.successful = HashSet::new();
        older.keep_newest_failure();
        (summary, Some(ListingCheckpoint { first, newest: split.newest, summary: older }))
    }

    /// Returns the first place from which on all jobs have ended and are older than all before.
    /// `None` if that saves no request, or if the total count does not match: a listing that
    /// changed while it was read may have hidden a job.
    fn split_point(&self) -> Option<SplitPoint> {
        let jobs = &self.jobs;
        if jobs.len() <= NEWEST_PAGE_SIZE || !self.total_count_matches(self.jobs()) {
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
        for place in (MIN_NEWER_JOBS..jobs.len()).rev() {
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
        // Many small pages cost more requests than the whole listing in large ones.
        split.filter(|split| split.place < NEWEST_PAGE_SIZE.max(jobs.len() / 8))
    }
}

struct SplitPoint {
    place: usize,
    /// Creation of the newest job from there on.
    newest: Timestamp,
}

/// A reading of what is listed before a checkpoint.
#[derive(Debug)]
pub struct IncrementalListing<'a> {
    checkpoint: &'a ListingCheckpoint,
    accumulator: JobAccumulator,
    reached_checkpoint: bool,
    /// False as soon as a job shows that the checkpoint is no longer valid.
    is_valid: bool,
}

impl<'a> IncrementalListing<'a> {
    #[must_use]
    pub fn new(checkpoint: &'a ListingCheckpoint) -> Self {
        Self { checkpoint, accumulator: JobAccumulator::default(), reached_checkpoint: false, is_valid: true }
    }

    pub fn add_page(&mut self, page: Page<ExportJob<'_>>) -> PageOutcome {
        self.accumulator.prepare(&page);
        let mut has_new = false;
        for job in page.entries {
            has_new |= self.add(job);
        }
        PageOutcome { is_complete: self.is_over(), ..self.accumulator.outcome(has_new) }
    }

    fn add(&mut self, job: ExportJob<'_>) -> bool {
        let ListingCheckpoint { first, newest, .. } = self.checkpoint;
        if !self.reached_checkpoint && job.id.as_deref() == first.id.as_deref() {
            self.reached_checkpoint = true;
            self.is_valid &= *first == JobRecord::new(&job);
        }
        if self.reached_checkpoint {
            self.is_valid &= job.id.is_some()
                && job.state.is_terminal()
                && job.created_at.is_some_and(|created_at| created_at <= *newest);
            return true;
        }
        self.is_valid &= job.created_at.is_none_or(|created_at| created_at > *newest);
        self.accumulator.add(job)
    }

    fn is_over(&self) -> bool {
        self.reached_checkpoint || !self.is_valid
    }

    /// Returns the summary of the whole listing; `None` if the checkpoint is no longer valid. It
    /// has the snapshots of the newer jobs only, and at most one failed job of the checkpoint.
    #[must_use]
    pub fn finish(self) -> Option<JobSummary> {
        let older: u64 = self.checkpoint.summary.jobs.iter().map(|(_, jobs)| jobs).sum();
        let is_valid = self.reached_checkpoint
            && self.is_valid
            && self.accumulator.total_count_matches(older + self.accumulator.jobs());
        is_valid.then(|| {
            let mut summary = self.accumulator.finish();
            summary.merge_older(&self.checkpoint.summary);
            summary.exports.partial = true;
            summary
        })
    }
}

impl JobSummary {
    /// Adds the jobs of a checkpoint, which have ended and are older than all jobs of this summary.
    fn merge_older(&mut self, checkpoint: &Self) {
        for state in JobState::ALL {
            self.jobs[state] += checkpoint.jobs[state];
            self.last_finished[state] = self.last_finished[state].max(checkpoint.last_finished[state]);
        }
        if self.latest.is_none() {
            self.latest.clone_from(&checkpoint.latest);
        }
        if self.last_success_created.is_none() {
            self.last_success_created = checkpoint.last_success_created;
            self.last_success_seconds = checkpoint.last_success_seconds;
            self.exports.newest = checkpoint.exports.newest;
            self.failures_since_success += checkpoint.failures_since_success;
            self.oldest_failure_created = checkpoint.oldest_failure_created.or(self.oldest_failure_created);
        }
        self.failed.extend(checkpoint.failed.iter().cloned());
        self.failed.truncate(MAX_FAILURES);
        self.exports.successful.extend(&checkpoint.exports.successful);
    }
}

#[cfg(test)]
mod tests;
