//! Records of the monitored organizations, projects and clusters, which own their tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atlas_client::{ListedCluster, Target};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::display;

use crate::config::ProjectTarget;
use crate::discovery::targets::{ListedProjects, SelectionWarning};
use crate::model::ExclusionReason;
use crate::util::failure_log::LogContext;

#[derive(Debug, Default)]
pub(super) struct Tasks(JoinSet<()>);

/// A running task. Dropping it cancels the task, so a task ends with its record.
#[derive(Debug)]
pub(super) struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.0.spawn(task))
    }

    /// Waits for a task that ends without being cancelled, and returns the reason.
    pub(super) async fn ended(&mut self) -> String {
        loop {
            match self.0.join_next().await {
                Some(Err(error)) if error.is_cancelled() => {}
                Some(Err(error)) => return error.to_string(),
                Some(Ok(())) => return "it returned".to_owned(),
                None => std::future::pending().await,
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Organization {
    pub(super) _discovery: Task,
    /// The last listing; `None` before the first.
    pub(super) listed: Option<ListedProjects>,
    /// Number of excluded projects that was logged last.
    pub(super) excluded: usize,
    /// Warnings that were already logged.
    pub(super) warned: BTreeSet<SelectionWarning>,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) target: ProjectTarget,
    pub(super) _discovery: Task,
    /// The collectors of events and buckets, which are started after the first listing.
    pub(super) collectors: Vec<Task>,
    /// Wakes the collector of buckets if a policy names a bucket that is not listed.
    pub(super) bucket_unlisted: Arc<Notify>,
    /// The last listing; `None` before the first.
    pub(super) listed: Option<Vec<ListedCluster>>,
    pub(super) clusters: BTreeMap<Target, Cluster>,
    /// Warnings that were already logged.
    pub(super) warned: BTreeSet<SelectionWarning>,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) _poll: Task,
    pub(super) schedule: Option<Task>,
    /// The collector of snapshots, which runs while the cluster has auto export.
    pub(super) snapshots: Option<Task>,
    pub(super) sharded: bool,
}

/// Logs the warnings that are not in `warned` yet.
pub(super) fn warn(
    context: LogContext<'_>,
    warnings: BTreeSet<SelectionWarning>,
    warned: &mut BTreeSet<SelectionWarning>,
) {
    let owner = if context.project_id.is_some() { "project" } else { "organization" };
    let organization_id = context.organization_id.map(display);
    let project_id = context.project_id.map(display);
    for warning in warnings.difference(warned) {
        match warning {
            SelectionWarning::Cluster { name, reason, suggestion } => {
                let problem = match reason {
                    Some(reason) => {
                        format!("the configured cluster {}", ExclusionReason::Unexportable(*reason).phrase())
                    }
                    None => "the configured cluster is not in the project's list of clusters".to_owned(),
                };
                tracing::error!(project_id, cluster_name = name, did_you_mean = suggestion, "{problem}");
            }
            SelectionWarning::More { count } => {
                tracing::error!(
                    project_id,
                    clusters = count,
                    "more configured clusters are not in the project's list of clusters, or cannot be \
                     exported"
                );
            }
            SelectionWarning::Pattern { pattern, kind } => {
                let problem = format!("no {kind} of the {owner} matches the pattern");
                tracing::warn!(organization_id, project_id, pattern, "{problem}");
            }
        }
    }
    *warned = warnings;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn tasks_that_end_are_reported_unless_cancelled() {
        let mut tasks = Tasks::default();
        let (held, released) = tokio::sync::oneshot::channel::<()>();
        drop(tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        }));
        let soon = Duration::from_millis(50);
        let released = tokio::time::timeout(soon, released).await;
        assert!(released.is_ok(), "a dropped task is cancelled");
        let _running = tasks.spawn(std::future::pending());
        assert!(tokio::time::timeout(soon, tasks.ended()).await.is_err());
        let _returned = tasks.spawn(async {});
        assert_eq!(tasks.ended().await, "it returned");
        let _panicked = tasks.spawn(async { panic!("a poll task panicked") });
        assert!(tasks.ended().await.contains("a poll task panicked"));
    }
}
