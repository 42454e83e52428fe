//! Runs collectors: intervals, pauses after refusals, and logs of failures.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atlas_client::{AtlasClient, Error, ProjectId};
use tokio::time::Instant;
use tracing::Level;

use super::refusals::Refusals;
use crate::model::{CollectorKind, ReadError};
use crate::poll::timing::sleep_until_due;
use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};
use crate::store::Store;
use crate::util::failure_log::{FailureLog, LogContext, log_at};

/// Limit for one reading, with all pages and retries.
pub(super) const READING_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) trait AtlasCollector {
    const KIND: CollectorKind;
    /// The object of "failed to read" in log messages.
    const WHAT: &str;

    fn project_id(&self) -> &ProjectId;

    fn context(&self) -> LogContext<'_> {
        LogContext::project(self.project_id())
    }

    async fn read(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error>;

    /// Waits for a reason to read before the end of the interval. By default, there is none.
    async fn due_early(&self) {
        std::future::pending::<()>().await;
    }
}

#[derive(Debug)]
pub(crate) struct CollectorRunner {
    store: Arc<Store>,
    receiver: ConfigReceiver,
    /// Logged refusals with their meaning. Usually all clusters of a project have the same cause.
    logged: Mutex<BTreeSet<(ProjectId, CollectorKind, &'static str)>>,
}

#[derive(Debug, Default)]
struct CollectorState {
    failures: FailureLog,
    refusals: Refusals,
}

impl CollectorRunner {
    pub(crate) fn new(store: Arc<Store>, receiver: ConfigReceiver) -> Self {
        Self { store, receiver, logged: Mutex::default() }
    }

    /// Runs a collector immediately and then at the interval, forever.
    pub(crate) async fn watch<C: AtlasCollector>(self: Arc<Self>, mut collector: C) {
        let mut receiver = self.receiver.clone();
        let (mut state, mut slow) = (CollectorState::default(), false);
        loop {
            let began = Instant::now();
            let config = receiver.borrow_and_update().clone();
            let atlas = client(&collector, &config);
            if let Some(atlas) = &atlas {
                let atlas =
                    if state.failures.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
                let read = config.read_limiter.run(&mut slow, || collector.read(&atlas, &self.store));
                let Some(outcome) = read.await else { continue };
                self.log(&collector, outcome.as_ref().err(), &mut state, &config);
            }
            let client = |config: &ReloadableConfig| client(&collector, config);
            let pause =
                |config: &ReloadableConfig| pause(&collector, &state.refusals, config, atlas.as_ref());
            tokio::select! {
                () = sleep_until_due(&mut receiver, began, atlas.as_ref(), client, pause, |_| ()) => {}
                () = collector.due_early(), if state.refusals.is_empty() => {}
            }
        }
    }

    /// Logs the outcome of a reading. A refusal is logged when the next reading confirms it.
    fn log<C: AtlasCollector>(
        &self,
        collector: &C,
        error: Option<&Error>,
        state: &mut CollectorState,
        config: &ReloadableConfig,
    ) {
        let refusal = error.and_then(Error::lasting_refusal);
        let error = error.map(ReadError::from);
        let (project_id, context, what) = (collector.project_id(), collector.context(), C::WHAT);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(refusal), Some(error)) = (refusal, &error) else {
            // Only a success of a refused collector ends a refusal.
            if error.is_none() && state.refusals.are_confirmed() {
                logged.retain(|(id, kind, _)| (id, *kind) != (project_id, C::KIND));
            }
            state.refusals = Refusals::default();
            return state.failures.log(error.as_ref(), context, what);
        };
        state.refusals.add(config.reloads);
        let is_confirmed = state.refusals.are_confirmed();
        if is_confirmed {
            state.failures.failing = Some(error.reason);
        }
        let is_new = is_confirmed && logged.insert((project_id.clone(), C::KIND, refusal.meaning));
        let pause = state.refusals.pause(config.collectors.interval, config.reloads).unwrap_or_default();
        // Rounded to seconds for the message.
        let pause = jiff::SignedDuration::from_secs(pause.as_secs().try_into().unwrap_or(i64::MAX));
        log_at!(
            if is_new { Level::WARN } else { Level::DEBUG },
            %project_id,
            cluster_name = context.cluster_name,
            collector = C::KIND.as_str(),
            error = error.text,
            "failed to read {what}: {meaning}; next attempt in {pause:#}",
            meaning = refusal.meaning
        );
    }
}

/// Returns the client for a collector; `None` if the collector is disabled by the configuration.
fn client<C: AtlasCollector>(collector: &C, config: &ReloadableConfig) -> Option<AtlasClient> {
    let is_on = !config.collectors.disabled.contains(&C::KIND);
    config.project_clients.get(collector.project_id()).filter(|_| is_on).cloned()
}

/// Returns the time until the next reading.
///
/// It is longer while the rate limit of the project is nearly used up, but short enough that values
/// do not become stale. It grows while the collector is refused.
fn pause<C: AtlasCollector>(
    collector: &C,
    refusals: &Refusals,
    config: &ReloadableConfig,
    atlas: Option<&AtlasClient>,
) -> Duration {
    let interval = config.collectors.interval;
    refusals.pause(interval, config.reloads).unwrap_or_else(|| {
        let multiplier = atlas.map_or(1.0, |atlas| atlas.interval_multiplier(collector.project_id()));
        interval.mul_f64(multiplier).min(config.collectors.stale_after() / 2)
    })
}
