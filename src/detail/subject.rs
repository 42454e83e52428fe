//! What is read, and for whom.

use crate::atlas::Atlas;
use crate::model::{Detail, ProjectId, Target};
use crate::settings::Settings;
use crate::telling::Place;

/// What is read.
#[derive(Debug, Clone)]
pub enum Subject {
    /// The export buckets of a project.
    Buckets(ProjectId),
    /// The events of a project.
    Events(ProjectId),
    /// The snapshots of a cluster.
    Snapshots {
        /// Which cluster.
        target: Target,
        /// Whether it is sharded; such clusters have snapshots of another kind.
        sharded: bool,
    },
}

impl Subject {
    pub(super) fn detail(&self) -> Detail {
        match self {
            Self::Buckets(_) => Detail::Buckets,
            Self::Events(_) => Detail::Events,
            Self::Snapshots { .. } => Detail::Snapshots,
        }
    }

    pub(super) fn project(&self) -> &ProjectId {
        match self {
            Self::Buckets(id) | Self::Events(id) => id,
            Self::Snapshots { target, .. } => &target.project_id,
        }
    }

    /// For a person.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Buckets(_) => "the project's export buckets",
            Self::Events(_) => "the project's events",
            Self::Snapshots { .. } => "the cluster's snapshots",
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        let cluster = match self {
            Self::Snapshots { target, .. } => Some(target.cluster_name.as_str()),
            _ => None,
        };
        Place { project: Some(self.project()), cluster, ..Place::default() }
    }

    /// Who asks; no one if the detail is switched off.
    pub(super) fn client(&self, settings: &Settings) -> Option<Atlas> {
        let on = !settings.detail.off.contains(&self.detail());
        settings.projects.get(self.project()).filter(|_| on).cloned()
    }
}
