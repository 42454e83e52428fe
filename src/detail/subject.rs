//! What is read, and for whom.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::atlas::Atlas;
use crate::model::{Detail, ProjectId, Target};
use crate::settings::Settings;
use crate::telling::LogContext;

/// What is read.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    /// The export buckets of a project.
    Buckets(ProjectId, Arc<Notify>),
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
            Self::Buckets(..) => Detail::Buckets,
            Self::Events(_) => Detail::Events,
            Self::Snapshots { .. } => Detail::Snapshots,
        }
    }

    pub(super) fn project(&self) -> &ProjectId {
        match self {
            Self::Buckets(id, _) | Self::Events(id) => id,
            Self::Snapshots { target, .. } => &target.project_id,
        }
    }

    /// For a person.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Buckets(..) => "the project's export buckets",
            Self::Events(_) => "the project's events",
            Self::Snapshots { .. } => "the cluster's snapshots",
        }
    }

    pub(super) fn context(&self) -> LogContext<'_> {
        match self {
            Self::Snapshots { target, .. } => LogContext::cluster(target),
            Self::Buckets(id, _) | Self::Events(id) => LogContext::project(id),
        }
    }

    /// Waits until something else calls for a reading.
    pub(super) async fn woken(&self) {
        match self {
            Self::Buckets(_, unlisted) => unlisted.notified().await,
            _ => std::future::pending().await,
        }
    }

    /// Who asks; no one if the detail is switched off.
    pub(super) fn client(&self, settings: &Settings) -> Option<Atlas> {
        let on = !settings.detail.off.contains(&self.detail());
        settings.projects.get(self.project()).filter(|_| on).cloned()
    }
}
