//! The board at one moment, with the rules of truth applied: what a reader may show.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{ClusterState, Discovery, GoodPoll, ProjectState, State};
use crate::model::{Budget, OrganizationId, PollError, ProjectId, Target, Unexportable};

/// The board at one moment, each list sorted by id and name.
#[derive(Debug, Clone)]
pub struct View {
    /// The clusters that may be shown.
    pub clusters: Vec<ClusterView>,
    /// The projects that are watched.
    pub projects: Vec<ProjectView>,
    /// The organizations that are watched.
    pub organizations: Vec<OrganizationView>,
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

    /// The longest time from one export to the next.
    #[must_use]
    pub fn expected_interval(&self) -> Option<Duration> {
        self.state.expected.interval_under(self.state.schedule.as_ref())
    }
}

/// How the discovery of a project goes.
#[derive(Debug, Clone)]
pub struct ProjectView {
    /// Which project.
    pub id: ProjectId,
    /// Its name.
    pub name: Option<String>,
    /// Whether its name, its clusters and all their schedules could be read last; `None` before it was tried.
    pub success: Option<bool>,
    /// What could not be read, and why.
    pub error: Option<PollError>,
    /// When its name and clusters could be read last.
    pub last_success: Option<Timestamp>,
    /// Clusters that are left out, by reason; `None` before the first listing.
    pub left_out: Option<BTreeMap<Unexportable, u64>>,
    /// What is left of its budget.
    pub budget: Option<Budget>,
}

/// How the discovery of an organization goes.
#[derive(Debug, Clone)]
pub struct OrganizationView {
    /// Which organization.
    pub id: OrganizationId,
    /// How its projects were listed last.
    pub discovery: Discovery,
}

impl View {
    pub(super) fn of(state: &State, now: Instant) -> Self {
        let shown = state.clusters.iter().filter_map(|(target, cluster)| {
            let project = state.projects.get(&target.project_id)?.name.clone()?;
            let fresh = cluster
                .good
                .as_ref()
                .is_some_and(|good| now.duration_since(good.finished) <= state.stale_after);
            Some(ClusterView { target: target.clone(), project, state: cluster.clone(), fresh })
        });
        let clusters = shown.collect();
        let mut unread: BTreeMap<&ProjectId, &PollError> = BTreeMap::new();
        for (target, cluster) in &state.clusters {
            if let Some(error) = &cluster.schedule_error {
                unread.entry(&target.project_id).or_insert(error);
            }
        }
        let project = |(id, project): (&ProjectId, &ProjectState)| {
            let error = project.discovery.error.as_ref().or(unread.get(id).copied());
            ProjectView {
                id: id.clone(),
                name: project.name.clone(),
                success: project.discovery.was_tried().then_some(error.is_none()),
                error: error.cloned(),
                last_success: project.discovery.last_success,
                left_out: project.left_out.clone(),
                budget: project.budget,
            }
        };
        let organization = |(id, discovery): (&OrganizationId, &Discovery)| OrganizationView {
            id: id.clone(),
            discovery: discovery.clone(),
        };
        Self {
            clusters,
            projects: state.projects.iter().map(project).collect(),
            organizations: state.organizations.iter().map(organization).collect(),
            targets: state.clusters.len(),
        }
    }

    /// Whether all is well: there are clusters, and every last poll and discovery was good.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.targets > 0
            && self.clusters.len() == self.targets
            && self.clusters.iter().all(|cluster| cluster.state.last.is_some() && cluster.error().is_none())
            && self.projects.iter().all(|project| project.success == Some(true))
            && self.organizations.iter().all(|organization| {
                organization.discovery.last_success.is_some() && organization.discovery.error.is_none()
            })
    }
}
