//! Incremental listings: only jobs newer than a checkpoint are read.
//!
//! A listing grows with every export, and nearly all of its jobs ended long ago. After a full
//! listing, a checkpoint summarizes the oldest jobs: all of them have ended and are older than the
//! jobs before them. An incremental listing stops at the checkpoint and merges it with the newer
//! jobs.
//!
//! A checkpoint is valid if all of the following hold; otherwise a full listing follows:
//!
//! 1. The total count equals the number of newer jobs and jobs of the checkpoint.
//! 2. All newer jobs are newer than the checkpoint, and all jobs of the checkpoint have ended.
//! 3. The first job of the checkpoint is unchanged.
//!
//! Two changes are not detected: a job of the checkpoint that changes after its end, and a removed
//! job if an older one is added. So the full listing is repeated at intervals.

use std::collections::HashSet;

use atlas_client::{ExportJob, JobState, Page, PageOutcome};
use jiff::Timestamp;

use super::job_accumulator::{JobAccumulator, JobRecord, summarize};
use super::job_summary::{JobSummary, MAX_FAILURES};

/// Page size of incremental listings. Shorter listings have no checkpoint: they are one request.
pub const NEWEST_PAGE_SIZE: usize = 100;

/// Minimum number of jobs before the checkpoint. The rest of the page is for jobs created later.
pub(super) const MIN_NEWER_JOBS: usize = NEWEST_PAGE_SIZE / 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListingCheckpoint {
    first: JobRecord,
    /// Creation of the newest job of the checkpoint.
    newest: Timestamp,
    /// Without snapshots of successful jobs and reasons of resolved failures, which the full
    /// listing has reported.
    summary: JobSummary,
}

impl JobAccumulator {
    /// Ends a full listing. Returns its summary, and a checkpoint if an incremental listing saves
    /// requests.
    #[must_use]
    pub fn into_checkpoint(mut self) -> (JobSummary, Option<ListingCheckpoint>) {
        let Some(split) = self.split_point() else { return (self.finish(), None) };
        let older = self.jobs.split_off(split.index);
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

    /// Returns the first index from which all jobs have ended and are older than the jobs before.
    ///
    /// `None` if a checkpoint there saves no request, or if the total count does not match: the
    /// listing changed while it was read, so a job may be missing.
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
        for index in (MIN_NEWER_JOBS..jobs.len()).rev() {
            let job = &jobs[index];
            // A job without id cannot be recognized, so it is read each time.
            let (true, Some(created_at), Some(_)) = (job.state.is_terminal(), job.created_at, &job.id) else {
                break;
            };
            newest = newest.max(created_at);
            if oldest_before[index].is_some_and(|oldest| oldest > newest) {
                split = Some(SplitPoint { index, newest });
            }
        }
        // Many small pages are more requests than a full listing with large pages.
        split.filter(|split| split.index < NEWEST_PAGE_SIZE.max(jobs.len() / 8))
    }
}

struct SplitPoint {
    index: usize,
    /// Creation of the newest job from `index` on.
    newest: Timestamp,
}

/// A listing that is read up to a checkpoint.
#[derive(Debug)]
pub struct IncrementalListing<'a> {
    checkpoint: &'a ListingCheckpoint,
    accumulator: JobAccumulator,
    reached_checkpoint: bool,
    /// False once a job shows that the checkpoint is no longer valid.
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
        PageOutcome { is_complete: self.is_complete(), ..self.accumulator.outcome(has_new) }
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

    fn is_complete(&self) -> bool {
        self.reached_checkpoint || !self.is_valid
    }

    /// Returns the summary of all jobs; `None` if the checkpoint is no longer valid.
    ///
    /// It has the snapshots of the newer jobs only, and at most one failed job of the checkpoint.
    #[must_use]
    pub fn finish(self) -> Option<JobSummary> {
        let older: u64 = self.checkpoint.summary.jobs.iter().map(|(_, jobs)| jobs).sum();
        let is_valid = self.reached_checkpoint
            && self.is_valid
            && self.accumulator.total_count_matches(older + self.accumulator.jobs());
        is_valid.then(|| {
            let mut summary = self.accumulator.finish();
            summary.merge_older(&self.checkpoint.summary);
            summary.exports.is_incremental = true;
            summary
        })
    }
}

impl JobSummary {
    /// Adds the jobs of a checkpoint, all of which have ended and are older.
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
