//! What collectors have in common: when they run, how failures are logged, and pauses after
//! refusals.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atlas_client::{AtlasClient, Error, FailureReason, ProjectId};
use tokio::time::Instant;
use tracing::Level;

use super::refusals::Refusals;
use crate::board::Board;
use crate::model::{Detail, PollError, Unread};
use crate::settings::{Follow, Settings, rest};
use crate::telling::{LogContext, log, log_at};

/// Limit for one reading, with all pages and retries.
pub(super) const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads one detail of a project or a cluster.
pub(crate) trait Collector {
    const DETAIL: Detail;
    /// The object of log messages.
    const WHAT: &str;

    fn project_id(&self) -> &ProjectId;

    fn context(&self) -> LogContext<'_> {
        LogContext::project(self.project_id())
    }

    /// Reads from Atlas and records the result on the board.
    async fn read(&mut self, atlas: &AtlasClient, board: &Board) -> Result<(), Error>;

    /// Removes from the board what was read: the detail is switched off.
    fn forget(&self, board: &Board) {
        board.forget_detail(self.project_id(), Self::DETAIL);
    }

    /// Waits until a reading is due before the interval is over.
    async fn due_early(&self) {
        std::future::pending::<()>().await;
    }
}

/// Runs collectors.
#[derive(Debug)]
pub(crate) struct Reader {
    board: Arc<Board>,
    follow: Follow,
    /// Collectors of projects that are logged as disabled, and why: the clusters of a project
    /// mostly share the cause.
    logged: Mutex<BTreeSet<(ProjectId, Detail, &'static str)>>,
}

/// The last readings of a collector.
#[derive(Debug, Default)]
struct Memory {
    failing: Option<FailureReason>,
    refusals: Refusals,
}

impl Reader {
    pub(crate) fn new(board: Arc<Board>, follow: Follow) -> Self {
        Self { board, follow, logged: Mutex::default() }
    }

    /// Runs a collector at once and then on the interval, forever.
    pub(crate) async fn watch<C: Collector>(self: Arc<Self>, mut collector: C) {
        let mut follow = self.follow.clone();
        let (mut memory, mut slow) = (Memory::default(), false);
        loop {
            let began = Instant::now();
            let settings = follow.borrow_and_update().clone();
            let atlas = client(&collector, &settings);
            if let Some(atlas) = &atlas {
                let atlas = if memory.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
                let read = settings.readings.run(&mut slow, || collector.read(&atlas, &self.board));
                let Some(outcome) = read.await else { continue };
                self.log(&collector, outcome.as_ref().err(), &mut memory, &settings);
            } else {
                collector.forget(&self.board);
            }
            let client = |settings: &Settings| client(&collector, settings);
            let pause = |settings: &Settings| pause(&collector, &memory.refusals, settings, atlas.as_ref());
            tokio::select! {
                () = rest(&mut follow, began, atlas.as_ref(), client, pause, |_| ()) => {}
                () = collector.due_early(), if memory.refusals.is_empty() => {}
            }
        }
    }

    /// Logs how a reading ended. A refusal is logged once a later reading confirms it.
    fn log<C: Collector>(
        &self,
        collector: &C,
        error: Option<&Error>,
        memory: &mut Memory,
        settings: &Settings,
    ) {
        let refusal = error.and_then(Error::lasting_refusal);
        let error = error.map(PollError::from);
        let (project_id, context, what) = (collector.project_id(), collector.context(), C::WHAT);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(refusal), Some(error)) = (refusal, &error) else {
            // Only a collector that was refused shows that this is over.
            if error.is_none() && memory.refusals.are_confirmed() {
                logged.retain(|(id, detail, _)| (id, *detail) != (project_id, C::DETAIL));
            }
            memory.refusals = Refusals::default();
            return log(&mut memory.failing, error.as_ref(), context, what);
        };
        memory.refusals.add(settings.reloads);
        let is_confirmed = memory.refusals.are_confirmed();
        if is_confirmed {
            memory.failing = Some(error.reason);
        }
        let is_news = is_confirmed && logged.insert((project_id.clone(), C::DETAIL, refusal.meaning));
        let pause = memory.refusals.pause(settings.detail.interval, settings.reloads).unwrap_or_default();
        // To the second.
        let pause = jiff::SignedDuration::from_secs(pause.as_secs().try_into().unwrap_or(i64::MAX));
        log_at!(
            if is_news { Level::WARN } else { Level::DEBUG },
            %project_id,
            cluster_name = context.cluster_name,
            detail = C::DETAIL.as_str(),
            error = error.text,
            "failed to read {what}: {meaning}; next attempt in {pause:#}",
            meaning = refusal.meaning
        );
    }
}

/// The client for a collector; `None` if it is switched off.
fn client<C: Collector>(collector: &C, settings: &Settings) -> Option<AtlasClient> {
    let is_on = !settings.detail.off.contains(&C::DETAIL);
    settings.projects.get(collector.project_id()).filter(|_| is_on).cloned()
}

/// The time from one reading to the next: longer while the project's budget is scarce, but not so
/// long that what was read goes stale; and growing while the collector is refused.
fn pause<C: Collector>(
    collector: &C,
    refusals: &Refusals,
    settings: &Settings,
    atlas: Option<&AtlasClient>,
) -> Duration {
    let interval = settings.detail.interval;
    refusals.pause(interval, settings.reloads).unwrap_or_else(|| {
        let stretch = atlas.map_or(1.0, |atlas| atlas.interval_multiplier(collector.project_id()));
        interval.mul_f64(stretch).min(settings.detail.stale_after() / 2)
    })
}

/// The failure of a reading, for the board.
pub(super) fn unread(error: &Error) -> Unread {
    Unread { is_refused: error.lasting_refusal().is_some(), error: error.into() }
}
