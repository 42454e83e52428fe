//! What the board knows of one thing: plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::ClusterDetails;
use crate::model::{ClusterReport, Expected, FailureReason, PollError, Schedule};

/// What is known of one cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterState {
    /// The last good poll, `None` until there was one.
    pub good: Option<Arc<GoodPoll>>,
    /// The last poll, `None` until the first has finished.
    pub last: Option<LastPoll>,
    /// When the next one is due; `None` until the first has finished.
    pub next_poll: Option<Instant>,
    /// Polls finished.
    pub polls: u64,
    /// Polls failed, by reason; reasons that never occurred are not in it.
    pub failures: BTreeMap<FailureReason, u64>,
    /// What the configuration expects.
    pub expected: Expected,
    /// Whether its backup schedule is read.
    pub scheduled: bool,
    /// That schedule, as it was read last.
    pub schedule: Option<Schedule>,
    /// Why the schedule could not be read last; `None` if it could, or was not asked for.
    pub schedule_error: Option<PollError>,
    /// Whether it is paused.
    pub paused: Option<bool>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// What is known of it besides.
    pub details: ClusterDetails,
}

impl ClusterState {
    /// The last failed export, by the events of the project. One of before the cluster was created is about another cluster of
    /// the same name.
    pub(super) fn failed_event(&self) -> Option<Timestamp> {
        let is_of_this = |at: &Timestamp| self.created_at.is_none_or(|created| created <= *at);
        self.details.failed_event.filter(is_of_this)
    }
}

/// What a good poll found.
#[derive(Debug, Clone)]
pub struct GoodPoll {
    /// The listing, folded.
    pub report: ClusterReport,
    /// When the least recently moved active job last moved.
    pub last_progress: Option<Timestamp>,
    /// When the poll finished.
    pub finished_at: Timestamp,
    /// The same moment on the clock that nobody sets: staleness is measured on it.
    pub finished: Instant,
}

/// How the last poll went.
#[derive(Debug, Clone)]
pub struct LastPoll {
    /// When it finished.
    pub finished_at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed; `None` if it was good.
    pub error: Option<PollError>,
}

/// How projects or clusters were listed last.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Why it failed; `None` if it was good.
    pub error: Option<PollError>,
    /// When it was good last.
    pub last_success: Option<Timestamp>,
}

impl Discovery {
    /// Whether it was tried at all.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.error.is_some() || self.last_success.is_some()
    }

    pub(super) fn take_in(&mut self, at: Timestamp, outcome: Result<(), PollError>) {
        self.error = outcome.err();
        if self.error.is_none() {
            self.last_success = Some(at);
        }
    }
}
