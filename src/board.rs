//! The latest state of every cluster: the only thing that polls and scrapes share.
//!
//! Polls write what they found, readers take a [`View`], in which the two rules of truth are applied already: a
//! cluster is not shown before its project's name was asked for, and a report that is too old is withdrawn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{ClusterReport, FailureReason, ProjectId, Target};

/// The shared state.
#[derive(Debug)]
pub struct Board {
    stale_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` until the name was asked for.
    projects: BTreeMap<ProjectId, Option<String>>,
    clusters: BTreeMap<Target, ClusterState>,
}

/// What is known of one cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterState {
    /// The last good poll, `None` until there was one.
    pub good: Option<Arc<GoodPoll>>,
    /// The last poll, `None` until the first has finished.
    pub last: Option<LastPoll>,
    /// Polls finished.
    pub polls: u64,
    /// Polls failed, by reason; reasons that never occurred are not in it.
    pub failures: BTreeMap<FailureReason, u64>,
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

/// Why a poll failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollError {
    /// The reason, for a label.
    pub reason: FailureReason,
    /// The sentence, for a person. No secret is in it.
    pub text: String,
}

/// The board at one moment, sorted by project id and cluster name.
#[derive(Debug, Clone)]
pub struct View {
    /// The clusters that may be shown.
    pub clusters: Vec<ClusterView>,
    /// Clusters watched, shown or not.
    pub targets: usize,
}

/// One cluster at one moment.
#[derive(Debug, Clone)]
pub struct ClusterView {
    /// Which cluster.
    pub target: Target,
    /// The name of its project.
    pub project: String,
    /// Its state; `state.good` may be older than anything that should be shown.
    pub state: ClusterState,
    /// Whether the last good poll is young enough for its figures to be shown.
    pub fresh: bool,
}

impl ClusterView {
    /// The last good poll, unless it is stale.
    #[must_use]
    pub fn current(&self) -> Option<&GoodPoll> {
        self.state.good.as_deref().filter(|_| self.fresh)
    }

    /// The error of the last poll, if that failed.
    #[must_use]
    pub fn error(&self) -> Option<&PollError> {
        self.state.last.as_ref()?.error.as_ref()
    }
}

impl Board {
    /// A board of clusters of which nothing is known yet. Reports older than `stale_after` are withdrawn.
    pub fn new(targets: impl IntoIterator<Item = Target>, stale_after: Duration) -> Self {
        let clusters: BTreeMap<_, _> =
            targets.into_iter().map(|target| (target, ClusterState::default())).collect();
        let projects = clusters.keys().map(|target| (target.project_id.clone(), None)).collect();
        Self { stale_after, state: Mutex::new(State { projects, clusters }) }
    }

    /// Sets the name that the clusters of a project are shown under.
    pub fn name_project(&self, id: &ProjectId, name: String) {
        self.state().projects.insert(id.clone(), Some(name));
    }

    /// Whether a project has a name to be shown under.
    #[must_use]
    pub fn is_named(&self, id: &ProjectId) -> bool {
        self.state().projects.get(id).is_some_and(Option::is_some)
    }

    /// Takes in a poll that has finished: what it found, or why it failed.
    pub fn publish(
        &self,
        target: &Target,
        finished_at: Timestamp,
        duration: Duration,
        outcome: Result<GoodPoll, PollError>,
    ) {
        let mut state = self.state();
        let Some(cluster) = state.clusters.get_mut(target) else { return };
        cluster.polls += 1;
        let error = match outcome {
            Ok(good) => {
                cluster.good = Some(Arc::new(good));
                None
            }
            Err(error) => {
                *cluster.failures.entry(error.reason).or_default() += 1;
                Some(error)
            }
        };
        cluster.last = Some(LastPoll { finished_at, duration, error });
    }

    /// Whether every cluster had its first poll finished, well or badly, and can be shown.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        state.projects.values().all(Option::is_some)
            && state.clusters.values().all(|cluster| cluster.last.is_some())
    }

    /// The board at `now`.
    #[must_use]
    pub fn view(&self, now: Instant) -> View {
        let state = self.state();
        let shown = state.clusters.iter().filter_map(|(target, cluster)| {
            let project = state.projects.get(&target.project_id)?.clone()?;
            let fresh = cluster
                .good
                .as_ref()
                .is_some_and(|good| now.duration_since(good.finished) <= self.stale_after);
            Some(ClusterView { target: target.clone(), project, state: cluster.clone(), fresh })
        });
        View { clusters: shown.collect(), targets: state.clusters.len() }
    }

    /// A panic elsewhere ends the process; until then the last whole write is what stands here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
