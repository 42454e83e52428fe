use atlas_client::{Counts, ObjectId, StateReason};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::model::NewestExport;

/// Jobs a page of a full listing.
const PAGE: usize = 500;

/// A job of the tests' Atlas.
#[derive(Debug, Clone)]
struct Job {
    number: u32,
    minute: i64,
    state: JobState,
    /// What is missing: 0 its id, 1 its creation, else nothing.
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
            counts: Counts { exported: Some(u64::from(ended)), total: Some(1) },
            reason: if self.state == JobState::Failed { reason } else { StateReason::default() },
        }
    }
}

/// How a listing is ordered.
#[derive(Debug, Clone, Copy)]
enum Order {
    NewestFirst,
    OldestFirst,
    Shuffled(u64),
}

/// The tests' Atlas, with one cluster.
#[derive(Debug, Clone)]
struct World {
    jobs: Vec<Job>,
    order: Order,
    /// Jobs that there ever were.
    made: u32,
    minute: i64,
}

/// Something that happens to the listing.
#[derive(Debug, Clone)]
enum Event {
    /// So many jobs appear, a minute or none after each other, the last few of them still active.
    Appear(u32, bool),
    /// A job appears that is older than others.
    AppearLate,
    /// All active jobs go on.
    GoOn(bool),
    /// A job vanishes.
    Vanish(usize),
    Reorder(Order),
}

impl World {
    fn of(jobs: u32, order: Order) -> Self {
        let mut world = Self { jobs: Vec::new(), order, made: 0, minute: 0 };
        world.happen(&Event::Appear(jobs, true));
        world.happen(&Event::GoOn(true));
        world
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Appear(jobs, apart) => {
                for _ in 0..*jobs {
                    self.minute += i64::from(*apart);
                    self.made += 1;
                    let state = JobState::ALL[(self.made as usize * 7) % 2];
                    self.jobs.push(Job::new(self.made, self.minute, state));
                }
            }
            Event::AppearLate => {
                self.made += 1;
                self.jobs.push(Job::new(self.made, self.minute / 3, JobState::Failed));
            }
            Event::GoOn(well) => {
                for job in self.jobs.iter_mut().filter(|job| !job.state.is_terminal()) {
                    job.state = match (job.state, *well, job.number % 11) {
                        (JobState::Unknown | JobState::InProgress, true, 0..6) => JobState::Successful,
                        (_, true, 6) => JobState::Cancelled,
                        (_, true, _) => JobState::Failed,
                        (_, false, 7) => JobState::Unknown,
                        (_, false, _) => JobState::InProgress,
                    };
                }
            }
            Event::Vanish(which) => {
                if !self.jobs.is_empty() {
                    self.jobs.remove(which % self.jobs.len());
                }
            }
            Event::Reorder(order) => self.order = *order,
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

    /// A page, how much the listing counts, and whether more follows.
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

    /// What a full listing says while nothing happens.
    fn truth(&self) -> JobSummary {
        self.accumulate(self.jobs.len()).finish()
    }
}

/// One who reads the listing again and again.
#[derive(Debug, Default)]
struct Reader {
    checkpoint: Option<ListingCheckpoint>,
    pages: usize,
    full_listings: usize,
}

impl Reader {
    /// One reading; after each page, what is left of `meanwhile` happens.
    fn read(&mut self, world: &mut World, meanwhile: &[Event]) -> JobSummary {
        let mut meanwhile = meanwhile.iter();
        let mut page = |size, number| {
            let page = world.page(size, number);
            if let Some(event) = meanwhile.next() {
                world.happen(event);
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
                if !more || listing.is_over() {
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
            let (jobs, count, more) = page(PAGE, number);
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

/// Whether a summary says what the truth is, but for snapshots that were told before.
fn is_true(mut summary: JobSummary, mut truth: JobSummary) -> Result<(), TestCaseError> {
    let (told, all) = (std::mem::take(&mut summary.exports), std::mem::take(&mut truth.exports));
    if told.partial {
        prop_assert!(truth.failed.starts_with(&summary.failed));
        prop_assert_eq!(summary.unresolved().next(), truth.unresolved().next());
        truth.failed.truncate(summary.failed.len());
    }
    prop_assert_eq!(summary, truth);
    prop_assert_eq!(told.newest, all.newest);
    prop_assert_eq!(&told.active, &all.active);
    prop_assert!(told.successful.is_subset(&all.successful));
    prop_assert!(told.partial || told.successful == all.successful);
    Ok(())
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        6 => Just(Order::NewestFirst),
        1 => Just(Order::OldestFirst),
        1 => any::<u64>().prop_map(Order::Shuffled),
    ]
}

/// What may happen in one story. Jobs either vanish or appear late: that one takes the place of
/// another behind the split cannot be seen.
fn events(vanish: bool) -> impl Strategy<Value = Vec<Event>> {
    let either =
        if vanish { any::<usize>().prop_map(Event::Vanish).boxed() } else { Just(Event::AppearLate).boxed() };
    let one = prop_oneof![
        3 => (1..70u32, any::<bool>()).prop_map(|(jobs, apart)| Event::Appear(jobs, apart)),
        3 => any::<bool>().prop_map(Event::GoOn),
        2 => either,
        1 => orders().prop_map(Event::Reorder),
    ];
    proptest::collection::vec(one, 0..4)
}

/// What happens before each reading, what during it, and whether that counts.
fn story() -> impl Strategy<Value = Vec<(Vec<Event>, Vec<Event>, bool)>> {
    any::<bool>().prop_flat_map(|vanish| {
        proptest::collection::vec((events(vanish), events(vanish), any::<bool>()), 1..8)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn incremental_listing_equals_a_full_listing(
        jobs in 60..700u32,
        order in orders(),
        gaps in proptest::collection::vec((any::<prop::sample::Index>(), 0..2u8), 0..2),
        polls in story(),
    ) {
        let mut world = World::of(jobs, order);
        for (which, gap) in gaps {
            let which = which.index(world.jobs.len());
            world.jobs[which].gap = gap;
        }
        let mut reader = Reader::default();
        for (before, meanwhile, disturbed) in polls {
            for event in &before {
                world.happen(event);
            }
            if disturbed {
                // What pages say that do not belong together is anyone's guess, but must not outlive it.
                reader.read(&mut world, &meanwhile);
            } else {
                is_true(reader.read(&mut world, &[]), world.truth())?;
            }
        }
    }

    #[test]
    fn merged_summary_equals_that_of_all_jobs(jobs in 101..400u32, order in orders(), events in events(true)) {
        let mut world = World::of(jobs, order);
        for event in &events {
            world.happen(event);
        }
        prop_assert_eq!(world.accumulate(world.jobs.len()).into_checkpoint().0, world.truth());
    }
}

/// Pages of the second reading of a world, and full listings of both.
fn second_reading(world: &mut World, between: &[Event]) -> (usize, usize) {
    let mut reader = Reader::default();
    reader.read(world, &[]);
    let before = reader.pages;
    for event in between {
        world.happen(event);
    }
    is_true(reader.read(world, &[]), world.truth()).unwrap();
    (reader.pages - before, reader.full_listings)
}

#[test]
fn long_listing_newest_first_is_read_on_its_first_page() {
    let world = |jobs| World::of(jobs, Order::NewestFirst);
    assert_eq!(second_reading(&mut world(3000), &[]), (1, 1));
    assert_eq!(second_reading(&mut world(101), &[]), (1, 1));
    assert_eq!(second_reading(&mut world(100), &[]), (1, 2), "one page, whatever its size");
    for order in [Order::OldestFirst, Order::Shuffled(7)] {
        assert_eq!(second_reading(&mut World::of(3000, order), &[]), (6, 2), "{order:?}");
    }
}

#[test]
fn new_jobs_are_read_before_the_checkpoint() {
    let after = |jobs| second_reading(&mut World::of(3000, Order::NewestFirst), &[Event::Appear(jobs, true)]);
    assert_eq!(after(49), (1, 1));
    assert_eq!(after(50), (2, 1));
    assert_eq!(after(249), (3, 1));
}

#[test]
fn old_job_that_runs_or_has_no_id_is_read_each_time() {
    let mut world = World::of(3000, Order::NewestFirst);
    world.jobs[3000 - 250].state = JobState::InProgress;
    assert_eq!(second_reading(&mut world.clone(), &[]), (3, 1));
    let mut nameless = World::of(3000, Order::NewestFirst);
    nameless.jobs[3000 - 250].gap = 0;
    assert_eq!(second_reading(&mut nameless, &[]), (3, 1));
    // Further down, it would take more requests than all of it does in large pages.
    world.jobs[9].state = JobState::Unknown;
    assert_eq!(second_reading(&mut world, &[]), (6, 2));
}

#[test]
fn invalid_checkpoint_causes_a_full_listing() {
    let newest_first = || World::of(3000, Order::NewestFirst);
    for event in [
        Event::AppearLate,
        Event::Vanish(7),
        Event::Reorder(Order::OldestFirst),
        Event::Reorder(Order::Shuffled(1)),
    ] {
        let (pages, walks) = second_reading(&mut newest_first(), std::slice::from_ref(&event));
        assert_eq!((pages.div_ceil(2), walks), (4, 2), "{event:?}");
    }
    // The first job of the checkpoint: gone, or another than it was.
    let change = |change: &dyn Fn(&mut World)| {
        let mut world = newest_first();
        let mut reader = Reader::default();
        reader.read(&mut world, &[]);
        change(&mut world);
        is_true(reader.read(&mut world, &[]), world.truth()).unwrap();
        reader.full_listings
    };
    let split = 3000 - 1 - MIN_NEWER_JOBS;
    assert_eq!(change(&|_| {}), 1);
    assert_eq!(change(&|world| world.jobs[split].state = JobState::Cancelled), 2);
    assert_eq!(change(&|world| world.jobs[split - 9].state = JobState::InProgress), 2);
    assert_eq!(change(&|world| world.happen(&Event::Vanish(split))), 2);
    assert_eq!(change(&|world| world.jobs[split - 9].gap = 0), 2);
    assert_eq!(change(&|world| world.jobs[split + 9].minute = 0), 2);
}

#[test]
fn wrong_count_leaves_no_checkpoint() {
    let world = World::of(300, Order::NewestFirst);
    for (total_count, settled) in [(300, true), (301, false), (299, false), (0, false)] {
        let checkpoint = world.accumulate(total_count).into_checkpoint().1;
        assert_eq!(checkpoint.is_some(), settled, "{total_count}");
    }
}

#[test]
fn changing_count_leaves_no_checkpoint() {
    let mut world = World::of(800, Order::NewestFirst);
    let mut reader = Reader::default();
    // It vanishes from the first page, behind the border, and hides the first job of the second.
    reader.read(&mut world, &[Event::Vanish(499)]);
    is_true(reader.read(&mut world, &[]), world.truth()).unwrap();
    assert_eq!((reader.full_listings, reader.checkpoint.is_some()), (2, true));
}

#[test]
fn checkpoint_keeps_the_newest_unresolved_failure() {
    let mut world = World::of(300, Order::NewestFirst);
    for job in &mut world.jobs {
        job.state = JobState::Failed;
    }
    // Ten failures among the newer jobs.
    for job in world.jobs.iter_mut().rev().skip(10).take(MIN_NEWER_JOBS - 10) {
        job.state = JobState::Cancelled;
    }
    let told = |world: &mut World| {
        let mut reader = Reader::default();
        let whole = reader.read(world, &[]);
        let summary = reader.read(world, &[]);
        assert_eq!((reader.full_listings, whole.failed.len()), (1, MAX_FAILURES));
        assert_eq!(summary.failed, whole.failed[..summary.failed.len()]);
        summary.failed.len()
    };
    assert_eq!(told(&mut world.clone()), 11);
    world.jobs[300 - 1 - MIN_NEWER_JOBS].state = JobState::Successful;
    assert_eq!(told(&mut world), 10);
}

#[test]
fn checkpoint_keeps_only_the_newest_snapshot() {
    let mut world = World::of(300, Order::NewestFirst);
    for job in &mut world.jobs {
        job.state = JobState::Successful;
    }
    for job in world.jobs.iter_mut().rev().take(MIN_NEWER_JOBS) {
        job.state = JobState::Cancelled;
    }
    let newest = world.jobs[300 - 1 - MIN_NEWER_JOBS].clone();
    let mut reader = Reader::default();
    let whole = reader.read(&mut world, &[]).exports;
    let partial = reader.read(&mut world, &[]).exports;
    let id = ObjectId::parse(&format!("{:024x}", newest.number / 2));
    let newest = Some(NewestExport { created_at: newest.at(0), snapshot: id });
    assert_eq!((whole.newest, partial.newest), (newest, newest));
    assert!(!whole.partial && partial.partial);
    assert_ne!(whole.successful, partial.successful);
    assert!(partial.successful.is_empty());
}

#[test]
fn newer_job_behind_the_checkpoint_needs_a_full_listing() {
    let mut world = World::of(300, Order::NewestFirst);
    let mut reader = Reader::default();
    reader.read(&mut world, &[]);
    let checkpoint = reader.checkpoint.unwrap();
    for late in [false, true] {
        // A job of the checkpoint has vanished, so the count is as it was.
        let mut jobs = world.listing();
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
