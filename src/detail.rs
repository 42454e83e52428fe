//! What the listing of export jobs cannot say: snapshots that nobody exports, exports that failed before there was a job, buckets
//! that are gone.
//!
//! Each is read by a task of its own, for a project or a cluster, on an interval that is longer than that of the polls. Nothing
//! here ever harms a poll: it may be switched off, and a collector that Atlas refuses twice is disabled and tried again with
//! growing pauses.

mod buckets;
mod events;
mod refusals;
mod subject;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::Level;

use crate::atlas::{Atlas, Error, Listing};
use crate::board::Board;
use crate::model::{Detail, FailureReason, PollError, ProjectId, Snapshots, Target, Unread};
use crate::settings::{Follow, Settings, rest};
use crate::telling::{log, log_at};
use events::Cursor;
use refusals::Refusals;
pub(crate) use subject::Subject;

/// One reading may take this long, all pages and retries.
const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// What every reading needs.
#[derive(Debug)]
pub(crate) struct Reader {
    board: Arc<Board>,
    follow: Follow,
    /// Collectors of projects that are logged as disabled, and why: the clusters of a project mostly share the cause.
    logged: Mutex<BTreeSet<(ProjectId, Detail, &'static str)>>,
}

/// What a reading must know of the last one.
#[derive(Debug, Default)]
struct Memory {
    cursor: Cursor,
    failing: Option<FailureReason>,
    refusals: Refusals,
}

impl Reader {
    /// Prepares to read; nothing is sent yet.
    #[must_use]
    pub(crate) fn new(board: Arc<Board>, follow: Follow) -> Self {
        Self { board, follow, logged: Mutex::default() }
    }

    /// Reads `subject` at once and then on the interval, for ever.
    pub(crate) async fn watch(self: Arc<Self>, subject: Subject) {
        let mut follow = self.follow.clone();
        let (mut memory, mut slow) = (Memory::default(), false);
        loop {
            let began = Instant::now();
            let settings = follow.borrow_and_update().clone();
            let atlas = subject.client(&settings);
            match &atlas {
                None => self.forget(&subject),
                Some(atlas) => {
                    let turn = async |_in_flight| {
                        self.turn(&subject, atlas, &mut memory, &settings).await;
                    };
                    settings.readings.pass(&mut slow, turn).await;
                }
            }
            let pause = |settings: &Settings| pause(&subject, &memory.refusals, settings, atlas.as_ref());
            let client = |settings: &Settings| subject.client(settings);
            tokio::select! {
                () = rest(&mut follow, began, atlas.as_ref(), client, pause, |_| ()) => {}
                () = subject.woken(), if memory.refusals.is_empty() => {}
            }
        }
    }

    async fn turn(&self, subject: &Subject, atlas: &Atlas, memory: &mut Memory, settings: &Settings) {
        let client = if memory.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
        let outcome = match subject {
            Subject::Buckets(id, _) => buckets::read(&client, &self.board, id).await,
            Subject::Events(id) => self.events(&client, id, &mut memory.cursor).await,
            Subject::Snapshots { target, sharded } => self.snapshots(&client, target, *sharded).await,
        };
        self.take_in(subject, outcome.err(), memory, settings);
    }

    async fn events(&self, atlas: &Atlas, id: &ProjectId, cursor: &mut Cursor) -> Result<(), Error> {
        let at = Instant::now();
        let (read, outcome) = parted(cursor.read(atlas, &self.board, id).await);
        self.board.events_read(id, at, read);
        outcome
    }

    async fn snapshots(&self, atlas: &Atlas, target: &Target, sharded: bool) -> Result<(), Error> {
        // In between the policy may have come to export nothing.
        let Some(schedule) = self.board.export_schedule(target) else { return Ok(()) };
        let (at, read_at) = (Instant::now(), Timestamp::now().into());
        let listed = atlas.snapshots(target, sharded, at + READING_TIMEOUT).await;
        let (listed, outcome) = parted(listed.and_then(Listing::complete));
        let snapshots = listed.map(|listed| Snapshots::new(&listed, &schedule, read_at));
        if self.board.export_schedule(target).is_some_and(|now| now.exports_like(&schedule)) {
            self.board.snapshots(target, at, snapshots);
        }
        outcome
    }

    /// Logs how a reading ended. A refusal is logged once a later reading confirms it.
    fn take_in(&self, subject: &Subject, error: Option<Error>, memory: &mut Memory, settings: &Settings) {
        let refusal = error.as_ref().and_then(Error::disables_collector);
        let error = error.map(PollError::from);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(refusal), Some(error)) = (refusal, &error) else {
            // Only a subject that was refused shows that this is over.
            if error.is_none() && memory.refusals.are_confirmed() {
                logged.retain(|(id, detail, _)| (id, *detail) != (subject.project(), subject.detail()));
            }
            memory.refusals = Refusals::default();
            return log(&mut memory.failing, error.as_ref(), subject.context(), subject.what());
        };
        memory.refusals.add(settings.reloads);
        let is_confirmed = memory.refusals.are_confirmed();
        if is_confirmed {
            memory.failing = Some(error.reason);
        }
        let cause = (subject.project().clone(), subject.detail(), refusal.meaning);
        let is_news = is_confirmed && logged.insert(cause);
        let pause = memory.refusals.pause(settings.detail.interval, settings.reloads).unwrap_or_default();
        log_refusal(subject, refusal.meaning, error, pause, is_news);
    }

    /// What was read is shown no longer: the detail is switched off.
    fn forget(&self, subject: &Subject) {
        match subject {
            Subject::Buckets(id, _) | Subject::Events(id) => self.board.forget_detail(id, subject.detail()),
            Subject::Snapshots { target, .. } => self.board.forget_snapshots(target),
        }
    }
}

/// Logs that a collector was refused, as a warning if it `is_news`.
fn log_refusal(subject: &Subject, meaning: &str, error: &PollError, pause: Duration, is_news: bool) {
    let what = subject.what();
    // To the second.
    let pause = jiff::SignedDuration::from_secs(pause.as_secs().try_into().unwrap_or(i64::MAX));
    log_at!(
        if is_news { Level::WARN } else { Level::DEBUG },
        project_id = %subject.project(),
        cluster_name = subject.context().cluster_name,
        detail = subject.detail().as_str(),
        error = error.text,
        "failed to read {what}: {meaning}; next attempt in {pause:#}"
    );
}

/// From one reading to the next: later while the project's budget is scarce, but not so late that what was read goes stale;
/// and with growing pauses while the collector is refused.
fn pause(subject: &Subject, refusals: &Refusals, settings: &Settings, atlas: Option<&Atlas>) -> Duration {
    let interval = settings.detail.interval;
    refusals.pause(interval, settings.reloads).unwrap_or_else(|| {
        let stretch = atlas.map_or(1.0, |atlas| atlas.stretch(subject.project()));
        interval.mul_f64(stretch).min(settings.detail.stale_after() / 2)
    })
}

/// Splits a reading into its result for the board and its outcome.
fn parted<T>(read: Result<T, Error>) -> (Result<T, Unread>, Result<(), Error>) {
    match read {
        Ok(read) => (Ok(read), Ok(())),
        Err(error) => {
            let is_refused = error.disables_collector().is_some();
            (Err(Unread { is_refused, error: error.clone().into() }), Err(error))
        }
    }
}
