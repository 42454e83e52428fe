use atlas_client::{CollectionProgress, ObjectId, StateReason};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::NewestExport;

/// Page size of a full listing.
const PAGE_SIZE: usize = 500;

#[derive(Debug, Clone)]
struct Job {
    number: u32,
    minute: i64,
    state: JobState,
    /// The missing field: 0 for the id, 1 for the creation time, otherwise none.
    gap: u8,
}

impl Job {
    fn new(number: u32, minute: i64, state: JobState) -> Self {
        Self { number, minute, state, gap: 9 }
    }

    fn at(&self, minutes: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + (self.minute + minutes) * 60).unwrap()
    }

    fn listed(&self) -> ExportJob<'static> {
        let ended = self.state.is_terminal();
        let reason = StateReason { error_code: Some(format!("E{}", self.number).into()), message: None };
        ExportJob {
            id: (self.gap != 0).then(|| format!("{:024x}", self.number).into()),
            snapshot_id: Some(format!("{:024x}", self.number / 2).into()),
            created_at: (self.gap != 1).then(|| self.at(0)),
            finished_at: ended.then(|| self.at(20 + i64::from(self.number % 50))),
            state: self.state,
            counts: CollectionProgress { exported: Some(u64::from(ended)), total: Some(1) },
            reason: if self.state == JobState::Failed { reason } else { StateReason::default() },
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
    Shuffled(u64),
}

/// A model of the listing of one cluster in Atlas.
#[derive(Debug, Clone)]
struct Model {
    jobs: Vec<Job>,
    order: Order,
    /// Number of jobs ever created.
    created: u32,
    minute: i64,
}

/// A change of the listing.
#[derive(Debug, Clone)]
enum Change {
    /// Adds this number of active jobs, created at one-minute intervals or all at once.
    AddJobs {
        count: u32,
        at_intervals: bool,
    },
    /// Adds a job that is older than others.
    AddOldJob,
    /// Advances all active jobs, to an active or a final state.
    Advance {
        to_final: bool,
    },
    RemoveJob(usize),
    Reorder(Order),
}

impl Model {
    fn new(jobs: u32, order: Order) -> Self {
        let mut model = Self { jobs: Vec::new(), order, created: 0, minute: 0 };
        model.apply(&Change::AddJobs { count: jobs, at_intervals: true });
        model.apply(&Change::Advance { to_final: true });
        model
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::AddJobs { count, at_intervals } => {
                for _ in 0..*count {
                    self.minute += i64::from(*at_intervals);
                    self.created += 1;
                    let state = JobState::ALL[(self.created as usize * 7) % 2];
                    self.jobs.push(Job::new(self.created, self.minute, state));
                }
            }
            Change::AddOldJob => {
                self.created += 1;
                self.jobs.push(Job::new(self.created, self.minute / 3, JobState::Failed));
            }
            Change::Advance { to_final } => {
                for job in self.jobs.iter_mut().filter(|job| !job.state.is_terminal()) {
                    job.state = match (job.state, *to_final, job.number % 11) {
                        (JobState::Unknown | JobState::InProgress, true, 0..6) => JobState::Successful,
                        (_, true, 6) => JobState::Cancelled,
                        (_, true, _) => JobState::Failed,
                        (_, false, 7) => JobState::Unknown,
                        (_, false, _) => JobState::InProgress,
                    };
                }
            }
            Change::RemoveJob(index) => {
                if !self.jobs.is_empty() {
                    self.jobs.remove(index % self.jobs.len());
                }
            }
            Change::Reorder(order) => self.order = *order,
        }
    }

    fn listing(&self) -> Vec<ExportJob<'static>> {
        let mut jobs = self.jobs.clone();
        match self.order {
            Order::OldestFirst => jobs.sort_by_key(|job| (job.minute, job.number)),
            Order::NewestFirst => jobs.sort_by_key(|job| std::cmp::Reverse((job.minute, job.number))),
            Order::Shuffled(seed) => fastrand::Rng::with_seed(seed).shuffle(&mut jobs),
        }
        jobs.iter().map(Job::listed).collect()
    }

    /// Returns the jobs of a page, the total count, and true if another page follows.
    fn page(&self, size: usize, number: usize) -> (Vec<ExportJob<'static>>, u64, bool) {
        let listing = self.listing();
        let page = listing.iter().skip(size * number).take(size).cloned().collect();
        (page, listing.len() as u64, listing.len() > size * (number + 1))
    }

    fn accumulate(&self, total_count: usize) -> JobAccumulator {
        let mut accumulator = JobAccumulator::default();
        for job in self.listing() {
            accumulator.add(job);
        }
        accumulator.record_total_count(total_count as u64);
        accumulator
    }

    /// Returns the summary of a full listing without changes.
    fn summary(&self) -> JobSummary {
        self.accumulate(self.jobs.len()).finish()
    }
}

/// Reads listings repeatedly, as a poll worker does.
#[derive(Debug, Default)]
struct Reader {
    checkpoint: Option<ListingCheckpoint>,
    pages: usize,
    full_listings: usize,
}

impl Reader {
    /// Reads the listing once, and applies one of `changes` after each page.
    fn read(&mut self, model: &mut Model, changes: &[Change]) -> JobSummary {
        let mut changes = changes.iter();
        let mut page = |size, number| {
            let page = model.page(size, number);
            if let Some(change) = changes.next() {
                model.apply(change);
            }
            self.pages += 1;
            page
        };
        if let Some(checkpoint) = self.checkpoint.take() {
            let mut listing = IncrementalListing::new(&checkpoint);
            for number in 0.. {
                let (jobs, count, more) = page(NEWEST_PAGE_SIZE, number);
                listing.accumulator.record_total_count(count);
                for job in jobs {
                    listing.add(job);
                }
                if !more || listing.is_complete() {
                    break;
                }
            }
            if let Some(summary) = listing.finish() {
                self.checkpoint = Some(checkpoint);
                return summary;
            }
        }
        self.full_listings += 1;
        let mut accumulator = JobAccumulator::default();
        for number in 0.. {
            let (jobs, count, more) = page(PAGE_SIZE, number);
            accumulator.record_total_count(count);
            for job in jobs {
                accumulator.add(job);
            }
            if !more {
                let (summary, checkpoint) = accumulator.into_checkpoint();
                self.checkpoint = checkpoint;
                return summary;
            }
        }
        unreachable!()
    }
}

/// Checks that a summary equals that of a full listing. An incremental one may have fewer
/// snapshots and failed jobs.
fn check_equal(mut summary: JobSummary, mut full: JobSummary) -> Result<(), TestCaseError> {
    let (exports, all) = (std::mem::take(&mut summary.exports), std::mem::take(&mut full.exports));
    if exports.is_incremental {
        prop_assert!(full.failed.starts_with(&summary.failed));
        prop_assert_eq!(summary.unresolved().next(), full.unresolved().next());
        full.failed.truncate(summary.failed.len());
    }
    prop_assert_eq!(summary, full);
    prop_assert_eq!(exports.newest, all.newest);
    prop_assert_eq!(&exports.active, &all.active);
    prop_assert!(exports.successful.is_subset(&all.successful));
    prop_assert!(exports.is_incremental || exports.successful == all.successful);
    Ok(())
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        6 => Just(Order::NewestFirst),
        1 => Just(Order::OldestFirst),
        1 => any::<u64>().prop_map(Order::Shuffled),
    ]
}

/// Changes of one test case. Jobs are either removed or added late, never both: a checkpoint does
/// not detect a removed job if an older one is added.
fn changes(can_remove: bool) -> impl Strategy<Value = Vec<Change>> {
    let remove_or_add = if can_remove {
        any::<usize>().prop_map(Change::RemoveJob).boxed()
    } else {
        Just(Change::AddOldJob).boxed()
    };
    let one = prop_oneof![
        3 => (1..70u32, any::<bool>())
            .prop_map(|(count, at_intervals)| Change::AddJobs { count, at_intervals }),
        3 => any::<bool>().prop_map(|to_final| Change::Advance { to_final }),
        2 => remove_or_add,
        1 => orders().prop_map(Change::Reorder),
    ];
    proptest::collection::vec(one, 0..4)
}

/// For each poll: changes before it, changes during it, and true if those during it apply.
fn polls() -> impl Strategy<Value = Vec<(Vec<Change>, Vec<Change>, bool)>> {
    any::<bool>().prop_flat_map(|can_remove| {
        proptest::collection::vec((changes(can_remove), changes(can_remove), any::<bool>()), 1..8)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn incremental_listing_equals_a_full_listing(
        jobs in 60..700u32,
        order in orders(),
        gaps in proptest::collection::vec((any::<prop::sample::Index>(), 0..2u8), 0..2),
        polls in polls(),
    ) {
        let mut model = Model::new(jobs, order);
        for (index, gap) in gaps {
            let index = index.index(model.jobs.len());
            model.jobs[index].gap = gap;
        }
        let mut reader = Reader::default();
        for (before, during, has_changes_during) in polls {
            for change in &before {
                model.apply(change);
            }
            if has_changes_during {
                // The pages are inconsistent: the summary may be wrong, but later ones must not be.
                reader.read(&mut model, &during);
            } else {
                check_equal(reader.read(&mut model, &[]), model.summary())?;
            }
        }
    }

    #[test]
    fn merged_summary_equals_the_summary_of_all_jobs(
        jobs in 101..400u32,
        order in orders(),
        changes in changes(true),
    ) {
        let mut model = Model::new(jobs, order);
        for change in &changes {
            model.apply(change);
        }
        prop_assert_eq!(model.accumulate(model.jobs.len()).into_checkpoint().0, model.summary());
    }
}

/// Returns the pages of a second reading, and the number of full listings of both readings.
fn second_reading(model: &mut Model, between: &[Change]) -> (usize, usize) {
    let mut reader = Reader::default();
    reader.read(model, &[]);
    let before = reader.pages;
    for change in between {
        model.apply(change);
    }
    check_equal(reader.read(model, &[]), model.summary()).unwrap();
    (reader.pages - before, reader.full_listings)
}

#[test]
fn incremental_listing_newest_first_reads_one_page() {
    let model = |jobs| Model::new(jobs, Order::NewestFirst);
    assert_eq!(second_reading(&mut model(3000), &[]), (1, 1));
    assert_eq!(second_reading(&mut model(101), &[]), (1, 1));
    assert_eq!(second_reading(&mut model(100), &[]), (1, 2), "one page of either size");
    for order in [Order::OldestFirst, Order::Shuffled(7)] {
        assert_eq!(second_reading(&mut Model::new(3000, order), &[]), (6, 2), "{order:?}");
    }
}

#[test]
fn incremental_listing_reads_all_new_jobs() {
    let after = |count| {
        let added = Change::AddJobs { count, at_intervals: true };
        second_reading(&mut Model::new(3000, Order::NewestFirst), &[added])
    };
    assert_eq!(after(49), (1, 1));
    assert_eq!(after(50), (2, 1));
    assert_eq!(after(249), (3, 1));
}

#[test]
fn old_job_that_is_active_or_has_no_id_is_read_each_time() {
    let mut model = Model::new(3000, Order::NewestFirst);
    model.jobs[3000 - 250].state = JobState::InProgress;
    assert_eq!(second_reading(&mut model.clone(), &[]), (3, 1));
    let mut without_id = Model::new(3000, Order::NewestFirst);
    without_id.jobs[3000 - 250].gap = 0;
    assert_eq!(second_reading(&mut without_id, &[]), (3, 1));
    // With an older active job, a full listing with large pages takes fewer requests.
    model.jobs[9].state = JobState::Unknown;
    assert_eq!(second_reading(&mut model, &[]), (6, 2));
}

#[test]
fn invalid_checkpoint_causes_a_full_listing() {
    let newest_first = || Model::new(3000, Order::NewestFirst);
    for change in [
        Change::AddOldJob,
        Change::RemoveJob(7),
        Change::Reorder(Order::OldestFirst),
        Change::Reorder(Order::Shuffled(1)),
    ] {
        let (pages, full_listings) = second_reading(&mut newest_first(), std::slice::from_ref(&change));
        assert_eq!((pages.div_ceil(2), full_listings), (4, 2), "{change:?}");
    }
    // Changes of a job at or near the checkpoint.
    let full_listings_after = |change: &dyn Fn(&mut Model)| {
        let mut model = newest_first();
        let mut reader = Reader::default();
        reader.read(&mut model, &[]);
        change(&mut model);
        check_equal(reader.read(&mut model, &[]), model.summary()).unwrap();
        reader.full_listings
    };
    let split = 3000 - 1 - MIN_NEWER_JOBS;
    assert_eq!(full_listings_after(&|_| {}), 1);
    assert_eq!(full_listings_after(&|model| model.jobs[split].state = JobState::Cancelled), 2);
    assert_eq!(full_listings_after(&|model| model.jobs[split - 9].state = JobState::InProgress), 2);
    assert_eq!(full_listings_after(&|model| model.apply(&Change::RemoveJob(split))), 2);
    assert_eq!(full_listings_after(&|model| model.jobs[split - 9].gap = 0), 2);
    assert_eq!(full_listings_after(&|model| model.jobs[split + 9].minute = 0), 2);
}

#[test]
fn wrong_total_count_prevents_a_checkpoint() {
    let model = Model::new(300, Order::NewestFirst);
    for (total_count, expected) in [(300, true), (301, false), (299, false), (0, false)] {
        let checkpoint = model.accumulate(total_count).into_checkpoint().1;
        assert_eq!(checkpoint.is_some(), expected, "{total_count}");
    }
}

#[test]
fn changing_total_count_prevents_a_checkpoint() {
    let mut model = Model::new(800, Order::NewestFirst);
    let mut reader = Reader::default();
    // After the first page, one of its jobs is removed, so the second page lacks its first job.
    reader.read(&mut model, &[Change::RemoveJob(499)]);
    check_equal(reader.read(&mut model, &[]), model.summary()).unwrap();
    assert_eq!((reader.full_listings, reader.checkpoint.is_some()), (2, true));
}

#[test]
fn checkpoint_keeps_the_newest_unresolved_failure() {
    let mut model = Model::new(300, Order::NewestFirst);
    for job in &mut model.jobs {
        job.state = JobState::Failed;
    }
    // Ten failures among the newer jobs.
    for job in model.jobs.iter_mut().rev().skip(10).take(MIN_NEWER_JOBS - 10) {
        job.state = JobState::Cancelled;
    }
    let kept_failures = |model: &mut Model| {
        let mut reader = Reader::default();
        let full = reader.read(model, &[]);
        let summary = reader.read(model, &[]);
        assert_eq!((reader.full_listings, full.failed.len()), (1, MAX_FAILURES));
        assert_eq!(summary.failed, full.failed[..summary.failed.len()]);
        summary.failed.len()
    };
    assert_eq!(kept_failures(&mut model.clone()), 11);
    model.jobs[300 - 1 - MIN_NEWER_JOBS].state = JobState::Successful;
    assert_eq!(kept_failures(&mut model), 10);
}

#[test]
fn checkpoint_keeps_only_the_newest_snapshot() {
    let mut model = Model::new(300, Order::NewestFirst);
    for job in &mut model.jobs {
        job.state = JobState::Successful;
    }
    for job in model.jobs.iter_mut().rev().take(MIN_NEWER_JOBS) {
        job.state = JobState::Cancelled;
    }
    let newest = model.jobs[300 - 1 - MIN_NEWER_JOBS].clone();
    let mut reader = Reader::default();
    let full = reader.read(&mut model, &[]).exports;
    let incremental = reader.read(&mut model, &[]).exports;
    let id = ObjectId::parse(&format!("{:024x}", newest.number / 2));
    let newest = Some(NewestExport { created_at: newest.at(0), snapshot: id });
    assert_eq!((full.newest, incremental.newest), (newest, newest));
    assert!(!full.is_incremental && incremental.is_incremental);
    assert_ne!(full.successful, incremental.successful);
    assert!(incremental.successful.is_empty());
}

#[test]
fn newer_job_after_the_checkpoint_causes_a_full_listing() {
    let mut model = Model::new(300, Order::NewestFirst);
    let mut reader = Reader::default();
    reader.read(&mut model, &[]);
    let checkpoint = reader.checkpoint.unwrap();
    for late in [false, true] {
        // A job of the checkpoint is removed, so the total count is unchanged.
        let mut jobs = model.listing();
        jobs.pop();
        jobs.insert(MIN_NEWER_JOBS + usize::from(late), Job::new(999, 999, JobState::Cancelled).listed());
        let mut listing = IncrementalListing::new(&checkpoint);
        listing.accumulator.record_total_count(300);
        for job in jobs.into_iter().take(NEWEST_PAGE_SIZE) {
            listing.add(job);
        }
        assert_eq!(listing.finish(), None, "{late}");
    }
}
