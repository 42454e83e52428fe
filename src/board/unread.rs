//! Collectors that should be read and are not. No cluster is healthy before each was read or refused.

use std::time::Duration;

use tokio::time::Instant;

use super::{Board, ClusterState, ProjectState, State};
use crate::model::{Detail, FailureReason, PollError, Schedule, Unread};

/// Outcome of the readings of a detail of a project or a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// True if the last reading succeeded; `None` before the first.
    pub(super) up: Option<bool>,
    /// The failure of the last reading.
    pub(super) error: Option<PollError>,
    /// True if Atlas refused it, and it was not read since.
    pub(super) is_refused: bool,
    /// Time of the last successful reading.
    read_at: Option<Instant>,
}

impl Reading {
    pub(super) fn take_in(&mut self, at: Instant, outcome: Result<(), Unread>) {
        match outcome {
            Ok(()) => *self = Self { up: Some(true), read_at: Some(at), ..Self::default() },
            Err(Unread { is_refused, error }) => {
                self.up = Some(false);
                self.is_refused |= is_refused;
                self.error = Some(error);
            }
        }
    }

    /// Returns true if it was neither read recently nor refused.
    fn is_unread(&self, stale_after: Duration, now: Instant) -> bool {
        !self.is_refused && self.read_at.is_none_or(|at| now.duration_since(at) > stale_after)
    }
}

impl Board {
    /// Number of details that were not requested yet, or need a second answer to be certain.
    #[must_use]
    pub fn unasked(&self) -> usize {
        let state = self.state();
        let on = |detail| !state.details_off.contains(&detail);
        let of_projects = state.projects.values().map(|project| {
            let unasked = |detail: &Detail| on(*detail) && !project.details.readings.contains_key(detail);
            [Detail::Events, Detail::Buckets].iter().filter(|detail| unasked(detail)).count()
        });
        let of_clusters = state.clusters.iter().map(|(target, cluster)| {
            let snapshots = on(Detail::Snapshots)
                && cluster.schedule.as_ref().is_some_and(Schedule::exports_itself)
                && cluster.details.reading.up.is_none();
            usize::from(snapshots) + usize::from(state.is_bucket_uncertain(target, cluster))
        });
        of_projects.chain(of_clusters).sum()
    }
}

impl State {
    /// The details of a project, apart from its clusters, that are on and were neither read recently nor refused.
    pub(super) fn unread_of(&self, project: &ProjectState, now: Instant) -> Vec<Detail> {
        let is_unread = |detail: &Detail| {
            let reading = project.details.readings.get(detail);
            let on = !self.details_off.contains(detail);
            on && reading.is_none_or(|reading| reading.is_unread(self.detail_stale_after, now))
        };
        [Detail::Events, Detail::Buckets].into_iter().filter(is_unread).collect()
    }

    /// Returns true if the buckets of a project are read: they are on, and were not refused.
    pub(super) fn may_read_buckets(&self, project: &ProjectState) -> bool {
        let reading = project.details.readings.get(&Detail::Buckets);
        !self.details_off.contains(&Detail::Buckets) && reading.is_some_and(|reading| !reading.is_refused)
    }

    /// Returns true if the snapshots of a cluster should be read, or may be, and were neither read
    /// recently nor refused.
    pub(super) fn are_snapshots_unread(
        &self,
        cluster: &ClusterState,
        project: &ProjectState,
        now: Instant,
    ) -> bool {
        // A refused schedule has a banner; it is unknown then whether snapshots are expected.
        let is_open =
            |error: Option<&PollError>| error.is_none_or(|error| error.reason != FailureReason::Forbidden);
        !self.details_off.contains(&Detail::Snapshots)
            && match &cluster.schedule {
                Some(schedule) => {
                    schedule.exports_itself()
                        && cluster.details.reading.is_unread(self.detail_stale_after, now)
                }
                None if cluster.scheduled => is_open(cluster.schedule_error.as_ref()),
                // Before the first listing, it is unknown whether it has a schedule.
                None => {
                    let discovery = &project.discovery;
                    discovery.last_success.is_none() && is_open(discovery.error.as_ref())
                }
            }
    }
}
