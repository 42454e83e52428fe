//! A listing, job by job and in any order, folded into a [`ClusterReport`].

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;

use super::{ActiveJob, ByState, ClusterReport, Counts, ExportJob, FailedJob, JobKey, JobState, LatestJob};

/// How many unresolved failures keep their reason. Each is logged once; the count is exact beyond it.
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
/// A job that has ended is tallied as it is read and leaves only its id behind; one that has not ended is kept
/// until the end of the reading, because a later page may show it further on. So the report does not depend
/// on the order of the listing, nor on where its pages end.
#[derive(Debug, Default)]
pub struct Fold {
    ended: HashSet<Box<str>>,
    open: HashMap<Box<str>, ExportJob>,
    tally: Tally,
}

impl Fold {
    /// Adds one job as listed.
    pub fn add(&mut self, job: ExportJob) -> Sighting {
        let Some(id) = job.id.clone() else {
            self.tally.add(&job);
            return Sighting::First;
        };
        if self.ended.contains(&id) {
            return Sighting::Again;
        }
        if job.state.is_terminal() {
            self.tally.add(&job);
            let seen = self.open.remove(&id).is_some();
            self.ended.insert(id);
            return if seen { Sighting::Again } else { Sighting::First };
        }
        match self.open.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(job);
                Sighting::First
            }
            Entry::Occupied(mut entry) => {
                if stage(&job) > stage(entry.get()) {
                    entry.insert(job);
                }
                Sighting::Again
            }
        }
    }

    /// Ends the reading.
    #[must_use]
    pub fn finish(mut self) -> ClusterReport {
        for job in self.open.values() {
            self.tally.add(job);
        }
        self.tally.finish()
    }
}

/// How far an open job is: it moves from the queue to work, and its counts only rise.
fn stage(job: &ExportJob) -> (u8, Counts, Option<Timestamp>) {
    let rank = match job.state {
        JobState::Queued => 0,
        JobState::Unknown => 1,
        _ => 2,
    };
    (rank, job.counts, job.created_at)
}

/// Figures over jobs that are each added once.
#[derive(Debug, Default)]
struct Tally {
    jobs: ByState<u64>,
    latest: Option<LatestJob>,
    last_finished: ByState<Option<Timestamp>>,
    success: Option<(JobKey, Option<i64>)>,
    /// Failures newer than `success`.
    failures: BTreeSet<JobKey>,
    /// The newest of them in full.
    reasons: BTreeMap<JobKey, FailedJob>,
    oldest_active_created: ByState<Option<Timestamp>>,
    active: Vec<ActiveJob>,
}

impl Tally {
    fn add(&mut self, job: &ExportJob) {
        let state = job.state;
        self.jobs[state] += 1;
        if state.is_terminal() {
            let newest = &mut self.last_finished[state];
            *newest = (*newest).max(job.finished_at);
        }
        if let (true, Some(created_at)) = (state.is_active(), job.created_at) {
            let oldest = &mut self.oldest_active_created[state];
            *oldest = Some(oldest.map_or(created_at, |oldest| oldest.min(created_at)));
        }
        // Without both parts of the key a job cannot be placed before or after another.
        let (Some(id), Some(created_at)) = (job.id.clone(), job.created_at) else {
            return;
        };
        let key = JobKey { created_at, id };
        match state {
            JobState::Successful => self.succeed(&key, job),
            JobState::Failed => self.fail(&key, job),
            JobState::Queued | JobState::InProgress => {
                self.active.push(ActiveJob { key: key.clone(), state, counts: job.counts });
            }
            JobState::Cancelled | JobState::Unknown => {}
        }
        if self.latest.as_ref().is_none_or(|latest| latest.key < key) {
            self.latest = Some(LatestJob { key, state, counts: job.counts });
        }
    }

    fn succeed(&mut self, key: &JobKey, job: &ExportJob) {
        if self.success.as_ref().is_some_and(|(newest, _)| newest > key) {
            return;
        }
        // An end before the beginning is a broken clock, not a duration.
        let seconds = job
            .finished_at
            .map(|finished| finished.duration_since(key.created_at).as_secs())
            .filter(|seconds| *seconds >= 0);
        self.failures = self.failures.split_off(key);
        self.reasons = self.reasons.split_off(key);
        self.success = Some((key.clone(), seconds));
    }

    fn fail(&mut self, key: &JobKey, job: &ExportJob) {
        if self.success.as_ref().is_some_and(|(newest, _)| newest > key) {
            return;
        }
        self.failures.insert(key.clone());
        self.reasons.insert(
            key.clone(),
            FailedJob { key: key.clone(), snapshot_id: job.snapshot_id.clone(), reason: job.reason.clone() },
        );
        if self.reasons.len() > FAILURES_KEPT {
            self.reasons.pop_first();
        }
    }

    fn finish(mut self) -> ClusterReport {
        self.active.sort_by(|a, b| a.key.cmp(&b.key));
        ClusterReport {
            jobs: self.jobs,
            latest: self.latest,
            last_finished: self.last_finished,
            last_success_seconds: self.success.and_then(|(_, seconds)| seconds),
            failures_since_success: self.failures.len() as u64,
            oldest_failure_created: self.failures.first().map(|key| key.created_at),
            newest_failures: self.reasons.into_values().rev().collect(),
            oldest_active_created: self.oldest_active_created,
            active: self.active,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::StateReason;

    /// A job created `minute` minutes after the beginning of the tests' time.
    fn job(id: &str, minute: i64, state: JobState) -> ExportJob {
        let at = |minute: i64| Timestamp::from_second(1_700_000_000 + minute * 60).ok();
        ExportJob {
            id: Some(id.into()),
            snapshot_id: None,
            created_at: at(minute),
            finished_at: state.is_terminal().then(|| at(minute + 20)).flatten(),
            state,
            counts: Counts::default(),
            reason: StateReason::default(),
        }
    }

    fn fold(jobs: impl IntoIterator<Item = ExportJob>) -> ClusterReport {
        let mut fold = Fold::default();
        for job in jobs {
            fold.add(job);
        }
        fold.finish()
    }

    #[test]
    fn an_empty_listing_knows_nothing_and_counts_nothing() {
        assert_eq!(fold([]), ClusterReport::default());
    }

    #[test]
    fn the_latest_is_by_creation_then_id_and_never_by_end() {
        let mut early = job("b", 0, JobState::Failed);
        early.finished_at = Timestamp::from_second(1_800_000_000).ok();
        let report = fold([early, job("a", 5, JobState::Queued), job("c", 5, JobState::Cancelled)]);
        let latest = report.latest.unwrap();
        assert_eq!((&*latest.key.id, latest.state), ("c", JobState::Cancelled));
    }

    #[test]
    fn failures_count_from_the_newest_success_on() {
        let jobs = [
            job("a", 0, JobState::Failed),
            job("b", 10, JobState::Successful),
            job("c", 20, JobState::Failed),
            job("d", 30, JobState::Cancelled),
            job("e", 40, JobState::Failed),
            job("f", 50, JobState::Unknown),
        ];
        let report = fold(jobs.clone());
        assert_eq!(report.failures_since_success, 2);
        assert_eq!(report.oldest_failure_created, jobs[2].created_at);
        assert_eq!(&*report.newest_failures[0].key.id, "e");
        let recovered = fold(jobs.into_iter().chain([job("g", 60, JobState::Successful)]));
        assert_eq!(recovered.failures_since_success, 0);
        assert_eq!(recovered.oldest_failure_created, None);
        assert!(recovered.newest_failures.is_empty());
    }

    #[test]
    fn a_job_that_cannot_be_placed_is_counted_and_nothing_more() {
        let mut nameless = job("a", 9, JobState::Failed);
        nameless.id = None;
        let mut timeless = job("b", 9, JobState::Successful);
        timeless.created_at = None;
        let report = fold([nameless.clone(), nameless, timeless]);
        assert_eq!(report.jobs[JobState::Failed], 2);
        assert_eq!(report.jobs[JobState::Successful], 1);
        assert_eq!(report.latest, None);
        assert_eq!(report.failures_since_success, 0);
        assert_eq!(report.last_success_seconds, None);
        assert!(report.last_finished[JobState::Failed].is_some());
    }

    #[test]
    fn a_job_met_twice_counts_once_and_furthest_on() {
        let mut running = job("a", 0, JobState::InProgress);
        running.counts = Counts { exported: Some(3), total: Some(9) };
        let views = [job("a", 0, JobState::Queued), running, job("a", 0, JobState::Successful)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let report = fold(order.map(|i| views[i].clone()));
            assert_eq!(report.jobs.iter().map(|(_, n)| n).sum::<u64>(), 1);
            assert_eq!(report.latest.unwrap().state, JobState::Successful);
        }
        let report = fold([1, 0].map(|i| views[i].clone()));
        assert_eq!(report.latest.unwrap().counts.exported, Some(3));
    }

    #[test]
    fn a_duration_is_never_negative_nor_guessed() {
        let mut odd = job("a", 0, JobState::Successful);
        assert_eq!(fold([odd.clone()]).last_success_seconds, Some(1200));
        odd.finished_at = Timestamp::from_second(1).ok();
        assert_eq!(fold([odd.clone()]).last_success_seconds, None);
        odd.finished_at = None;
        assert_eq!(fold([job("0", -9, JobState::Successful), odd]).last_success_seconds, None);
    }

    #[test]
    fn many_failures_are_counted_exactly_and_remembered_in_part() {
        let report = fold((0..100).map(|i| job(&format!("{i:03}"), i, JobState::Failed)));
        assert_eq!(report.failures_since_success, 100);
        assert_eq!(report.newest_failures.len(), FAILURES_KEPT);
        assert_eq!(&*report.newest_failures[0].key.id, "099");
        assert_eq!(report.oldest_failure_created, job("000", 0, JobState::Failed).created_at);
    }

    /// Listings with ties in time, missing parts and, through `listing_with_repeats`, jobs that are met twice.
    fn listing() -> impl Strategy<Value = Vec<ExportJob>> {
        let one = (0..12i64, 0..6usize, 0..10u8, proptest::option::of(0..5u64), 0..30i64);
        proptest::collection::vec(one, 0..40).prop_map(|jobs| {
            let build = |(i, (minute, state, gap, exported, end))| {
                let mut job = job(&format!("job{i}"), minute, JobState::ALL[state]);
                job.counts = Counts { exported, total: Some(4) };
                job.reason.error_code = Some(format!("code{i}"));
                match gap {
                    0 => job.id = None,
                    1 => job.created_at = None,
                    2 => job.finished_at = None,
                    3 => job.finished_at = Timestamp::from_second(1_700_000_000 + end).ok(),
                    _ => {}
                }
                job
            };
            jobs.into_iter().enumerate().map(build).collect()
        })
    }

    /// The same jobs, those with an id repeated at will, in another order.
    fn listing_with_repeats() -> impl Strategy<Value = (Vec<ExportJob>, Vec<ExportJob>)> {
        (listing(), proptest::collection::vec(any::<prop::sample::Index>(), 0..10)).prop_flat_map(
            |(jobs, picks)| {
                let named: Vec<_> = jobs.iter().filter(|job| job.id.is_some()).cloned().collect();
                let mut again = jobs.clone();
                if !named.is_empty() {
                    again.extend(picks.iter().map(|pick| pick.get(&named).clone()));
                }
                (Just(jobs), Just(again).prop_shuffle())
            },
        )
    }

    /// The report by its definition, with sorts and filters over the whole listing.
    fn by_definition(jobs: &[ExportJob]) -> (Option<String>, usize, Option<Timestamp>) {
        let mut placed: Vec<_> =
            jobs.iter().filter(|job| job.id.is_some() && job.created_at.is_some()).collect();
        placed.sort_by_key(|job| (job.created_at, job.id.clone()));
        let after_success =
            placed.iter().rposition(|job| job.state == JobState::Successful).map_or(0, |at| at + 1);
        let failures: Vec<_> =
            placed[after_success..].iter().filter(|job| job.state == JobState::Failed).collect();
        (
            placed.last().and_then(|job| job.id.as_deref()).map(str::to_owned),
            failures.len(),
            failures.first().and_then(|job| job.created_at),
        )
    }

    proptest! {
        #[test]
        fn the_report_is_the_same_for_every_order_and_repetition((jobs, again) in listing_with_repeats()) {
            prop_assert_eq!(fold(jobs), fold(again));
        }

        #[test]
        fn the_report_is_what_the_definition_says(jobs in listing()) {
            let report = fold(jobs.clone());
            let (latest, failures, oldest) = by_definition(&jobs);
            prop_assert_eq!(report.latest.map(|latest| latest.key.id.to_string()), latest);
            prop_assert_eq!(usize::try_from(report.failures_since_success).unwrap(), failures);
            prop_assert_eq!(report.oldest_failure_created, oldest);
            prop_assert_eq!(report.jobs.iter().map(|(_, n)| *n).sum::<u64>(), jobs.len() as u64);
        }
    }
}
