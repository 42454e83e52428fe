//! Reads the projects of organizations, the clusters of projects and the schedules of clusters.
//!
//! Each organization, project and schedule has a task, which reads it immediately and then at an
//! interval, or sooner after a failure. Tasks send their results to the supervisor.

use std::sync::Arc;
use std::time::Duration;

use atlas_client::{
    AtlasClient, Error, ListedCluster, OrganizationId, PartialList, ProjectId, Schedule, Target,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::model::ReadError;
use crate::poll::timing::sleep_until_due;
use crate::reloadable_config::{ConfigReceiver, ReloadableConfig};
use crate::util::failure_log::{FailureLog, LogContext};

/// Limit for one listing, with all pages and retries.
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Limit for a project's name. The listing of its clusters waits for the name.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);

const RETRY_INTERVAL: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) enum TargetChange {
    Projects {
        organization_id: OrganizationId,
        /// All projects and their names; `None` if they could not be listed.
        listed: Option<PartialList<(ProjectId, Option<String>)>>,
        outcome: Result<(), ReadError>,
    },
    ProjectName {
        project_id: ProjectId,
        /// `None` if the name is blank or could not be read.
        name: Option<String>,
    },
    Clusters {
        project_id: ProjectId,
        /// All clusters of any kind; `None` if they could not be listed.
        listed: Option<PartialList<ListedCluster>>,
        /// An error if the listing or the project's name could not be read.
        outcome: Result<(), ReadError>,
    },
    Schedule {
        target: Target,
        schedule: Result<Schedule, ReadError>,
    },
}

#[derive(Debug)]
pub(crate) struct DiscoveryWorker {
    pub(crate) receiver: ConfigReceiver,
    pub(crate) changes: mpsc::Sender<TargetChange>,
}

impl DiscoveryWorker {
    /// Lists the projects of an organization forever.
    pub(crate) async fn watch_organization(self: Arc<Self>, id: OrganizationId) {
        let client = |config: &ReloadableConfig| config.organization_clients.get(&id).cloned();
        let read = |atlas| self.list_projects(atlas, &id);
        let context = LogContext::organization(&id);
        self.repeat(Duration::ZERO, context, "the organization's projects", client, read).await;
    }

    /// Reads a project's name and lists its clusters forever, the first time after `delay`.
    pub(crate) async fn watch_project(self: Arc<Self>, id: ProjectId, delay: Duration) {
        let client = |config: &ReloadableConfig| config.project_clients.get(&id).cloned();
        let read = |atlas| self.list_clusters(atlas, &id);
        let context = LogContext::project(&id);
        self.repeat(delay, context, "the project's name and clusters", client, read).await;
    }

    /// Reads a cluster's backup schedule forever, the first time after `delay`.
    pub(crate) async fn watch_schedule(self: Arc<Self>, target: Target, delay: Duration) {
        let client = |config: &ReloadableConfig| config.project_clients.get(&target.project_id).cloned();
        let read = |atlas| self.read_schedule(atlas, &target);
        let context = LogContext::cluster(&target);
        self.repeat(delay, context, "the cluster's backup schedule", client, read).await;
    }

    /// Reads after `delay` and then at the interval, or sooner after a failure.
    async fn repeat<F: Future<Output = Result<(), ReadError>>>(
        &self,
        delay: Duration,
        context: LogContext<'_>,
        what: &str,
        client: impl Fn(&ReloadableConfig) -> Option<AtlasClient>,
        read: impl Fn(AtlasClient) -> F,
    ) {
        sleep(delay).await;
        let mut receiver = self.receiver.clone();
        let (mut slow, mut failures) = (false, FailureLog::default());
        loop {
            let began = Instant::now();
            let config = receiver.borrow_and_update().clone();
            let atlas = client(&config);
            if let Some(atlas) = &atlas {
                let atlas = if failures.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
                let Some(outcome) = config.read_limiter.run(&mut slow, || read(atlas.clone())).await else {
                    continue;
                };
                failures.log(outcome.err().as_ref(), context, what);
            }
            let pause = |config: &ReloadableConfig| {
                let pause = pause(failures.failing.is_some(), config.discovery_interval);
                match (context, client(config)) {
                    // Schedules and polls share a rate limit, so they slow down together.
                    (LogContext { cluster_name: Some(_), project_id: Some(id), .. }, Some(atlas)) => {
                        pause.mul_f64(atlas.interval_multiplier(id))
                    }
                    _ => pause,
                }
            };
            sleep_until_due(&mut receiver, began, atlas.as_ref(), &client, pause, |_| ()).await;
        }
    }

    async fn list_projects(&self, atlas: AtlasClient, id: &OrganizationId) -> Result<(), ReadError> {
        let listed = atlas.projects(id, Instant::now() + LISTING_TIMEOUT).await;
        let outcome = outcome_of(&listed);
        let (organization_id, listed) = (id.clone(), listed.ok());
        self.send(TargetChange::Projects { organization_id, listed, outcome: outcome.clone() }).await;
        outcome
    }

    async fn list_clusters(&self, atlas: AtlasClient, id: &ProjectId) -> Result<(), ReadError> {
        let project_id = id.clone();
        let named = atlas.project_name(id, Instant::now() + NAME_TIMEOUT).await;
        let (name, named) = match named {
            Ok(name) => (Some(name).filter(|name| !name.trim().is_empty()), Ok(())),
            Err(error) => (None, Err(ReadError::from(&error))),
        };
        self.send(TargetChange::ProjectName { project_id: project_id.clone(), name }).await;
        let listed = atlas.clusters(id, Instant::now() + LISTING_TIMEOUT).await;
        let outcome = outcome_of(&listed).and(named);
        let listed = listed.ok();
        self.send(TargetChange::Clusters { project_id, listed, outcome: outcome.clone() }).await;
        outcome
    }

    async fn read_schedule(&self, atlas: AtlasClient, target: &Target) -> Result<(), ReadError> {
        let schedule = atlas.schedule(target, Instant::now() + LISTING_TIMEOUT).await;
        let schedule = schedule.map_err(|error| ReadError::from(&error));
        let outcome = schedule.as_ref().map(|_| ()).map_err(ReadError::clone);
        self.send(TargetChange::Schedule { target: target.clone(), schedule }).await;
        outcome
    }

    async fn send(&self, change: TargetChange) {
        // The receiver is dropped only at shutdown, which also cancels this task.
        let _ = self.changes.send(change).await;
    }
}

fn pause(failing: bool, interval: Duration) -> Duration {
    if failing { RETRY_INTERVAL.min(interval) } else { interval }
}

/// Returns the error of a listing or of one of its entries.
fn outcome_of<T>(listed: &Result<PartialList<T>, Error>) -> Result<(), ReadError> {
    match listed {
        Ok(PartialList { error: None, .. }) => Ok(()),
        Ok(PartialList { error: Some(error), .. }) | Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_is_retried_within_a_minute() {
        for (failing, interval, expected) in [(true, 3600, 60), (true, 10, 10), (false, 3600, 3600)] {
            let pause = pause(failing, Duration::from_secs(interval));
            assert_eq!(pause.as_secs(), expected, "{failing} {interval}");
        }
    }
}
