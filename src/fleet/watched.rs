//! What is kept of each project and cluster that is watched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};
use tracing::field::display;

use crate::detail::{Reader, Subject};
use crate::model::{ListedCluster, Target};
use crate::plan::{Complaint, Project};
use crate::telling::Place;

/// A project that is watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) plan: Project,
    pub(super) task: AbortHandle,
    /// What reads its events and buckets, from its first listing on.
    pub(super) details: Vec<AbortHandle>,
    /// Its clusters, as they were listed last.
    pub(super) listed: Option<Vec<ListedCluster>>,
    /// Those that are watched.
    pub(super) clusters: BTreeMap<Target, Tasks>,
    /// What was said in the log of names and patterns that lead nowhere.
    pub(super) said: BTreeSet<Complaint>,
}

/// The logged exclusions of an organization.
#[derive(Debug, Default)]
pub(super) struct SaidOfExclusions {
    /// The number of projects that they exclude.
    pub(super) excluded: usize,
    /// Those of them that match nothing.
    pub(super) complaints: BTreeSet<Complaint>,
}

/// The tasks of a cluster.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) poll: AbortHandle,
    pub(super) schedule: Option<AbortHandle>,
    /// What reads its snapshots while Atlas exports them by itself, and whether as those of a sharded cluster.
    pub(super) snapshots: Option<(AbortHandle, bool)>,
    /// Whether it is sharded.
    pub(super) sharded: bool,
}

impl Watched {
    /// A project of which nothing is known yet.
    pub(super) fn new(plan: Project, task: AbortHandle) -> Self {
        Self {
            plan,
            task,
            details: Vec::new(),
            listed: None,
            clusters: BTreeMap::new(),
            said: BTreeSet::new(),
        }
    }

    pub(super) fn end(&self) {
        self.task.abort();
        self.details.iter().for_each(AbortHandle::abort);
        self.clusters.values().for_each(Tasks::end);
    }
}

impl Tasks {
    pub(super) fn new(poll: AbortHandle) -> Self {
        Self { poll, schedule: None, snapshots: None, sharded: false }
    }

    /// Has the snapshots read while Atlas exports them by itself.
    pub(super) fn follow_snapshots(
        &mut self,
        reader: &Arc<Reader>,
        all: &mut JoinSet<()>,
        target: &Target,
        exports: bool,
    ) {
        if exports && self.snapshots.as_ref().is_some_and(|(_, sharded)| *sharded == self.sharded) {
            return;
        }
        if let Some((task, _)) = self.snapshots.take() {
            task.abort();
        }
        if exports {
            let subject = Subject::Snapshots { target: target.clone(), sharded: self.sharded };
            let task = all.spawn(reader.clone().watch(subject));
            self.snapshots = Some((task, self.sharded));
        }
    }

    pub(super) fn end(&self) {
        self.poll.abort();
        self.schedule.iter().for_each(AbortHandle::abort);
        self.snapshots.iter().for_each(|(task, _)| task.abort());
    }
}

/// Maximum number of log lines about things that end at once.
const MAX_LINES: usize = 10;

/// Calls `log` for the first few of `things`; returns the number of the others.
pub(super) fn log_few<T>(things: impl IntoIterator<Item = T>, mut log: impl FnMut(T)) -> usize {
    let mut things = things.into_iter();
    things.by_ref().take(MAX_LINES).for_each(&mut log);
    things.count()
}

/// Says once what leads nowhere.
pub(super) fn complain(place: Place<'_>, found: BTreeSet<Complaint>, said: &mut BTreeSet<Complaint>) {
    let owner = if place.project.is_some() { "project" } else { "organization" };
    let (organization_id, project_id) = (place.organization.map(display), place.project.map(display));
    for complaint in found.difference(said) {
        match complaint {
            Complaint::Unknown { name, meant } => {
                tracing::error!(
                    project_id,
                    cluster_name = name,
                    did_you_mean = meant,
                    "the configured cluster is not in the project's list of clusters"
                );
            }
            Complaint::Unexportable { name, reason } => {
                tracing::error!(
                    project_id,
                    cluster_name = name,
                    "the cluster is configured, but {}",
                    reason.phrase()
                );
            }
            Complaint::More { count } => {
                tracing::error!(
                    project_id,
                    clusters = count,
                    "further configured clusters are not in the project's list of clusters, or cannot be exported"
                );
            }
            Complaint::NoMatch { pattern } => {
                tracing::warn!(
                    organization_id,
                    project_id,
                    pattern,
                    "no cluster of the {owner} matches the pattern"
                );
            }
            Complaint::NoProject { pattern } => {
                tracing::warn!(
                    organization_id,
                    pattern,
                    "no project of the organization matches the pattern"
                );
            }
        }
    }
    *said = found;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_are_few() {
        for (things, lines, others) in [(0, 0, 0), (10, 10, 0), (30_000, 10, 29_990)] {
            let mut logged = 0;
            assert_eq!(log_few(0..things, |_| logged += 1), others);
            assert_eq!(logged, lines);
        }
    }
}
