//! A listing, job by job and in any order, folded into a [`ClusterReport`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::{ActiveJob, ClusterReport, Counts, ExportJob, FailedJob, JobKey, JobState, LatestJob};

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
    jobs: HashMap<Box<str>, Seen>,
    nameless: Vec<Seen>,
    failed: BTreeMap<JobKey, FailedJob>,
}

/// What figures need of a job. The order of the fields makes `max` of two sightings the one that is further on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    stage: u8,
    state: JobState,
    finished_at: Option<Timestamp>,
    counts: Counts,
    created_at: Option<Timestamp>,
}

impl Fold {
    /// Adds one job as listed.
    pub fn add(&mut self, job: ExportJob) -> Sighting {
        let seen = Seen {
            stage: stage(job.state),
            state: job.state,
            finished_at: job.finished_at,
            counts: job.counts,
            created_at: job.created_at,
        };
        let Some(id) = job.id.clone() else {
            self.nameless.push(seen);
            return Sighting::First;
        };
        self.keep_reason(&id, job);
        if let Some(known) = self.jobs.get_mut(&id) {
            if *known < seen {
                *known = seen;
            }
            return Sighting::Again;
        }
        self.jobs.insert(id, seen);
        Sighting::First
    }

    fn keep_reason(&mut self, id: &str, job: ExportJob) {
        let (JobState::Failed, Some(created_at)) = (job.state, job.created_at) else { return };
        let key = JobKey { created_at, id: id.into() };
        let failed = FailedJob { key: key.clone(), snapshot_id: job.snapshot_id, reason: job.reason };
        let known = self.failed.entry(key).or_insert_with(|| failed.clone());
        if *known < failed {
            *known = failed;
        }
        if self.failed.len() > FAILURES_KEPT {
            self.failed.pop_first();
        }
    }

    /// Ends the reading.
    #[must_use]
    pub fn finish(self) -> ClusterReport {
        let mut tally = Tally::default();
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
    failures: BTreeSet<JobKey>,
}

impl Tally {
    /// The figures for which a job need not be placed.
    fn count(&mut self, job: &Seen) {
        let report = &mut self.report;
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
            JobState::Failed => {
                self.failures.insert(key.clone());
            }
            JobState::Successful if self.success.as_ref().is_none_or(|(newest, _)| *newest < key) => {
                // An end before the beginning is a broken clock, not a duration.
                let seconds =
                    job.finished_at.map(|finished| finished.duration_since(key.created_at).as_secs());
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
        let failed = reasons.into_values().rev().filter(|job| self.failures.contains(&job.key)).collect();
        if let Some((success, seconds)) = self.success {
            self.failures = self.failures.split_off(&success);
            self.report.last_success_seconds = seconds;
        }
        self.report.active.sort_by(|a, b| a.key.cmp(&b.key));
        ClusterReport {
            failures_since_success: self.failures.len() as u64,
            oldest_failure_created: self.failures.first().map(|key| key.created_at),
            failed,
            ..self.report
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
        let jobs = [
            early,
            job("a", 5, JobState::Failed),
            job("c", 5, JobState::Cancelled),
            job("b", 5, JobState::Queued),
        ];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let latest = fold(order.map(|i| jobs[i].clone())).latest.unwrap();
            assert_eq!((&*latest.key.id, latest.state), ("c", JobState::Cancelled));
        }
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
        assert_eq!(&*report.failed[0].key.id, "e");
        let recovered = fold(jobs.into_iter().chain([job("g", 60, JobState::Successful)]));
        assert_eq!(recovered.failures_since_success, 0);
        assert_eq!(recovered.oldest_failure_created, None);
        assert_eq!(recovered.unresolved().count(), 0);
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
    fn the_oldest_active_and_the_last_finished_are_that() {
        let jobs = [
            job("a", 7, JobState::Queued),
            job("b", 3, JobState::Queued),
            job("c", 5, JobState::InProgress),
            job("d", 2, JobState::Failed),
            job("e", 1, JobState::Failed),
        ];
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]] {
            let report = fold(order.map(|i| jobs[i].clone()));
            assert_eq!(report.oldest_active_created[JobState::Queued], jobs[1].created_at);
            assert_eq!(report.oldest_active_created[JobState::InProgress], jobs[2].created_at);
            assert_eq!(report.last_finished[JobState::Failed], jobs[3].finished_at);
            assert_eq!(report.active.iter().map(|job| &*job.key.id).collect::<Vec<_>>(), ["b", "c", "a"]);
        }
    }

    #[test]
    fn a_second_sighting_is_told_from_a_first() {
        let mut fold = Fold::default();
        let sightings = [JobState::Queued, JobState::Successful, JobState::Queued]
            .map(|state| fold.add(job("a", 0, state)));
        assert_eq!(sightings, [Sighting::First, Sighting::Again, Sighting::Again]);
        let nameless = ExportJob { id: None, ..job("", 0, JobState::Failed) };
        assert_eq!([fold.add(nameless.clone()), fold.add(nameless)], [Sighting::First; 2]);
    }

    #[test]
    fn of_two_ends_of_one_job_the_worse_counts_whatever_the_order() {
        let mut reasoned = job("x", 0, JobState::Failed);
        reasoned.reason.error_code = Some("E".to_owned());
        let mut bare = job("x", 0, JobState::Failed);
        bare.finished_at = None;
        let views = [bare, job("x", 0, JobState::Successful), reasoned, job("x", 0, JobState::Cancelled)];
        let expected = fold(views.clone());
        assert_eq!(expected.failures_since_success, 1);
        assert!(expected.last_finished[JobState::Failed].is_some());
        assert_eq!(expected.failed[0].reason.error_code.as_deref(), Some("E"));
        for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            assert_eq!(fold(order.map(|i| views[i].clone())), expected, "{order:?}");
        }
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
        assert_eq!(report.failed.len(), FAILURES_KEPT);
        assert_eq!(&*report.failed[0].key.id, "099");
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

    /// The same jobs, those with an id repeated at will and seen less far on, in another order.
    fn listing_with_repeats() -> impl Strategy<Value = (Vec<ExportJob>, Vec<ExportJob>)> {
        (listing(), proptest::collection::vec(any::<prop::sample::Index>(), 0..10)).prop_flat_map(
            |(jobs, picks)| {
                let named: Vec<_> = jobs.iter().filter(|job| job.id.is_some()).cloned().collect();
                let mut again = jobs.clone();
                if !named.is_empty() {
                    again.extend(picks.iter().enumerate().map(|(i, pick)| {
                        let mut job = pick.get(&named).clone();
                        if i % 2 == 0 && job.state != JobState::Unknown {
                            job.state = JobState::Queued;
                            job.finished_at = None;
                            job.counts = Counts::default();
                        }
                        job
                    }));
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
