//! A listing, job by job and in any order, folded into a [`ClusterReport`].

use std::collections::{BTreeMap, HashMap, btree_map, hash_map};

use jiff::Timestamp;

use super::{
    ActiveJob, ClusterReport, Counts, ExportJob, Exports, FailedJob, JobId, JobKey, JobState, LatestJob,
    SnapshotId,
};

/// How many failed jobs keep their reason, the newest ones. Counts are exact beyond it.
pub(super) const FAILURES_KEPT: usize = 20;

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
}

/// What figures need of a job.
#[derive(Debug)]
struct Seen {
    state: JobState,
    finished_at: Option<Timestamp>,
    counts: Counts,
    created_at: Option<Timestamp>,
    snapshot: Option<SnapshotId>,
}

impl Seen {
    /// What is greater in the sighting that is further on.
    fn advance(&self) -> impl Ord {
        (stage(self.state), self.finished_at, self.counts, self.created_at, self.snapshot)
    }
}

impl Fold {
    /// Makes room for so many more jobs at once.
    pub fn reserve(&mut self, jobs: usize) {
        self.jobs.reserve(jobs);
    }

    /// Adds one job as listed.
    pub fn add(&mut self, job: ExportJob<'_>) -> Sighting {
        let seen = Seen {
            state: job.state,
            finished_at: job.finished_at,
            counts: job.counts,
            created_at: job.created_at,
            snapshot: job.snapshot_id.as_deref().and_then(SnapshotId::parse),
        };
        let Some(id) = job.id.as_deref().map(JobId::new) else {
            self.nameless.push(seen);
            return Sighting::First;
        };
        self.keep_reason(&id, job);
        match self.jobs.entry(id) {
            hash_map::Entry::Occupied(mut known) => {
                if known.get().advance() < seen.advance() {
                    known.insert(seen);
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
        let snapshot_id = job.snapshot_id.map(|id| id.into_owned().into());
        let failed = FailedJob { key: key.clone(), snapshot_id, reason: job.reason.into_owned() };
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

    /// Ends the reading.
    #[must_use]
    pub fn finish(self) -> ClusterReport {
        let mut tally = Tally::default();
        tally.successful.reserve(self.jobs.len());
        for job in &self.nameless {
            tally.count(job);
        }
        for (id, job) in self.jobs {
            tally.count(&job);
            // Without both parts of the key a job cannot be placed before or after another.
            if let Some(created_at) = job.created_at {
                tally.place(JobKey { created_at, id }, &job);
            }
        }
        tally.finish(self.failed)
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
    success: Option<(JobKey, Option<i64>)>,
    failures: Vec<JobKey>,
    /// Snapshots with a successful job, and with one that is active.
    successful: Vec<SnapshotId>,
    active: Vec<SnapshotId>,
}

impl Tally {
    /// The figures for which a job need not be placed.
    fn count(&mut self, job: &Seen) {
        let report = &mut self.report;
        match (job.state, job.snapshot) {
            (JobState::Successful, Some(snapshot)) => self.successful.push(snapshot),
            (state, Some(snapshot)) if state.is_active() => self.active.push(snapshot),
            _ => {}
        }
        report.jobs[job.state] += 1;
        if job.state.is_terminal() {
            let newest = &mut report.last_finished[job.state];
            *newest = (*newest).max(job.finished_at);
        }
        if let (true, Some(created_at)) = (job.state.is_active(), job.created_at) {
            let oldest = &mut report.oldest_active_created[job.state];
            *oldest = Some(oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        }
    }

    /// The figures that ask which job is newer.
    fn place(&mut self, key: JobKey, job: &Seen) {
        let (state, counts) = (job.state, job.counts);
        match state {
            JobState::Failed => self.failures.push(key.clone()),
            JobState::Successful if self.success.as_ref().is_none_or(|(newest, _)| *newest < key) => {
                // An end before the beginning is a broken clock, not a duration.
                let seconds =
                    job.finished_at.map(|finished| finished.duration_since(key.created_at).as_secs());
                self.report.exports.newest = Some((key.created_at, job.snapshot));
                self.success = Some((key.clone(), seconds.filter(|seconds| *seconds >= 0)));
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
