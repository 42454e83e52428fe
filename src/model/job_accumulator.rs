//! Accumulates the jobs of a listing, in any order, into a [`JobSummary`].

use std::collections::{BTreeMap, HashMap, hash_map};

use atlas_client::{CollectionProgress, ExportJob, JobState, MAX_ID, ObjectId, Page, PageOutcome, redact};
use jiff::Timestamp;

use super::job_summary::{FailedJob, JobId, JobKey, JobSummary, ListedJob, MAX_ACTIVE, MAX_FAILURES};
use super::recovery_point::NewestExport;

/// Approximate memory of a job while a listing is read.
const JOB_BYTES: usize = 160;

/// Approximate memory of a failed job with its reason.
const FAILURE_BYTES: usize = 1024;

/// The jobs of a listing that is being read.
///
/// A later page may list a job again in a later state. So the summary is computed at the end, and
/// depends neither on the order nor on the pages.
#[derive(Debug, Default)]
pub struct JobAccumulator {
    /// In the order of the listing.
    pub(super) jobs: Vec<JobRecord>,
    /// Indexes into `jobs` by job id.
    indexes: HashMap<JobId, usize>,
    pub(super) failed: BTreeMap<JobKey, FailedJob>,
    /// Total count of the last page.
    total_count: Option<u64>,
    /// True if two pages had different total counts.
    total_count_changed: bool,
}

/// The fields of a job that the summary needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JobRecord {
    pub(super) id: Option<JobId>,
    pub(super) state: JobState,
    pub(super) created_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    counts: CollectionProgress,
    snapshot: Option<ObjectId>,
}

impl JobRecord {
    pub(super) fn new(job: &ExportJob<'_>) -> Self {
        Self {
            id: job.id.as_deref().map(JobId::new),
            state: job.state,
            created_at: job.created_at,
            finished_at: job.finished_at,
            counts: job.counts,
            snapshot: job.snapshot_id.as_deref().and_then(ObjectId::parse),
        }
    }

    /// Returns a key that is greater for the later of two entries of the same job.
    ///
    /// Of two final states, the worse one counts as the later.
    fn progress(&self) -> impl Ord + use<> {
        let stage = match self.state {
            JobState::Queued => 0,
            JobState::Unknown => 1,
            JobState::InProgress => 2,
            JobState::Cancelled => 3,
            JobState::Successful => 4,
            JobState::Failed => 5,
        };
        (stage, self.finished_at, self.counts, self.created_at, self.snapshot)
    }

    /// Returns the seconds from creation to end; `None` if the end is before the creation, which
    /// only a wrong clock explains.
    fn duration_seconds(&self) -> Option<u64> {
        u64::try_from(self.finished_at?.duration_since(self.created_at?).as_secs()).ok()
    }
}

impl JobAccumulator {
    pub fn add_page(&mut self, page: Page<ExportJob<'_>>) -> PageOutcome {
        self.prepare(&page);
        let mut has_new = false;
        for job in page.entries {
            has_new |= self.add(job);
        }
        self.outcome(has_new)
    }

    /// Reserves memory for the jobs of a page, and records its total count.
    pub(super) fn prepare(&mut self, page: &Page<ExportJob<'_>>) {
        self.jobs.reserve(page.entries.len());
        self.indexes.reserve(page.entries.len());
        self.record_total_count(page.total_count);
    }

    pub(super) fn record_total_count(&mut self, jobs: u64) {
        self.total_count_changed |= self.total_count.replace(jobs).is_some_and(|before| before != jobs);
    }

    pub(super) fn outcome(&self, has_new: bool) -> PageOutcome {
        let kept_bytes = self.jobs.len() * JOB_BYTES + self.failed.len() * FAILURE_BYTES;
        PageOutcome { has_new, is_complete: false, entries: self.jobs.len(), kept_bytes }
    }

    /// Returns true if every page had this total count.
    pub(super) fn total_count_matches(&self, jobs: u64) -> bool {
        !self.total_count_changed && self.total_count == Some(jobs)
    }

    /// Adds a job, and returns true if it is new.
    ///
    /// Pages can shift while they are read, so a job may be listed twice; it counts once. A job
    /// without id always counts as new.
    pub fn add(&mut self, job: ExportJob<'_>) -> bool {
        let record = JobRecord::new(&job);
        let Some(id) = record.id.clone() else {
            self.jobs.push(record);
            return true;
        };
        self.keep_reason(&id, job);
        match self.indexes.entry(id) {
            hash_map::Entry::Occupied(index) => {
                let known = &mut self.jobs[*index.get()];
                if known.progress() < record.progress() {
                    *known = record;
                }
                false
            }
            hash_map::Entry::Vacant(index) => {
                index.insert(self.jobs.len());
                self.jobs.push(record);
                true
            }
        }
    }

    fn keep_reason(&mut self, id: &JobId, job: ExportJob<'_>) {
        let (JobState::Failed, Some(created_at)) = (job.state, job.created_at) else { return };
        let key = JobKey { created_at, id: id.clone() };
        let is_full = self.failed.len() == MAX_FAILURES;
        if is_full && self.failed.first_key_value().is_some_and(|(oldest, _)| key < *oldest) {
            return;
        }
        let failed = FailedJob {
            key: key.clone(),
            snapshot_id: job.snapshot_id.map(|id| redact::display(&id, MAX_ID).into()),
            reason: job.reason.into_owned(),
            finished_at: job.finished_at,
        };
        if self.failed.get(&key).is_none_or(|known| *known < failed) {
            self.failed.insert(key, failed);
        }
        if self.failed.len() > MAX_FAILURES {
            self.failed.pop_first();
        }
    }

    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.jobs.len() as u64
    }

    #[must_use]
    pub fn finish(self) -> JobSummary {
        summarize(self.jobs, self.failed)
    }
}

/// Summarizes jobs without duplicates. `failed` has the reasons of failed jobs.
pub(super) fn summarize(jobs: Vec<JobRecord>, failed: BTreeMap<JobKey, FailedJob>) -> JobSummary {
    let mut summary = JobSummary::default();
    summary.exports.successful.reserve(jobs.len());
    let mut ordered = Vec::with_capacity(jobs.len());
    for job in jobs {
        summary.jobs[job.state] += 1;
        if job.state.is_terminal() {
            let finished = &mut summary.last_finished[job.state];
            *finished = (*finished).max(job.finished_at);
        } else if job.state.is_active() {
            let created = &mut summary.oldest_active_created[job.state];
            *created = created.iter().copied().chain(job.created_at).min();
            summary.exports.active.extend(job.snapshot);
        }
        if job.state == JobState::Successful {
            summary.exports.successful.extend(job.snapshot);
        }
        // A job without creation time or id has no place in the order.
        if let (Some(created_at), Some(id)) = (job.created_at, job.id.clone()) {
            ordered.push((JobKey { created_at, id }, job));
        }
    }
    ordered.sort_unstable_by(|(key, _), (other, _)| key.cmp(other));
    let listed = |(key, job): &(JobKey, JobRecord)| ListedJob {
        key: key.clone(),
        state: job.state,
        counts: job.counts,
    };
    summary.latest = ordered.last().map(listed);

    let last_success = ordered.iter().rposition(|(_, job)| job.state == JobState::Successful);
    if let Some((key, job)) = last_success.map(|index| &ordered[index]) {
        summary.last_success_created = Some(key.created_at);
        summary.last_success_seconds = job.duration_seconds();
        summary.exports.newest = Some(NewestExport { created_at: key.created_at, snapshot: job.snapshot });
    }
    let since_success = &ordered[last_success.map_or(0, |index| index + 1)..];
    let mut failures = since_success.iter().filter(|(_, job)| job.state == JobState::Failed).peekable();
    summary.oldest_failure_created = failures.peek().map(|(key, _)| key.created_at);
    summary.failures_since_success = failures.count() as u64;

    let active = ordered.iter().filter(|(_, job)| job.state.is_active());
    summary.active = active.take(MAX_ACTIVE).map(listed).collect();
    // A job listed twice may have a failed entry with another creation time, which does not count.
    let is_listed = |failed: &FailedJob| ordered.binary_search_by(|(key, _)| key.cmp(&failed.key)).is_ok();
    summary.failed = failed.into_values().rev().filter(is_listed).collect();
    summary
}

#[cfg(test)]
mod tests;
