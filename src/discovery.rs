//! What there is to watch: the projects of organizations, the clusters of projects, the schedules of clusters.
//!
//! Each organization, project and schedule is read by a task of its own, at once and then on an interval; what could not be read
//! is tried again soon, and what was known of it stays. Tasks tell what they found and decide nothing: [`crate::fleet`] does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::atlas::{Atlas, Error, Listing};
use crate::board::Board;
use crate::detail;
use crate::model::{Frequency, ListedCluster, OrganizationId, PollError, ProjectId, Schedule, Target};
use crate::settings::{Follow, Settings, rest};
use crate::telling::{Place, log};

/// One listing may take this long, all pages and retries.
const LISTING_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time that a project's name may keep its clusters from being shown.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);

/// What cannot be read is tried again after this time.
const RETRY: Duration = Duration::from_mins(1);

/// What a task found, or why it did not.
#[derive(Debug)]
pub enum Finding {
    /// What there is in an organization.
    Projects {
        /// Which organization.
        organization_id: OrganizationId,
        /// The projects that Atlas lists and their names; `None` if it could not be read.
        listed: Option<Listing<(ProjectId, Option<String>)>>,
        /// Whether all of it could be read.
        outcome: Result<(), PollError>,
    },
    /// What there is in a project.
    Clusters {
        /// Which project.
        project_id: ProjectId,
        /// All that Atlas lists, whatever they are; `None` if it could not be read.
        listed: Option<Listing<ListedCluster>>,
        /// Whether all of it, and the project's name, could be read.
        outcome: Result<(), PollError>,
    },
    /// What a cluster's backup schedule says.
    Schedule {
        /// Which cluster.
        target: Target,
        /// Whether Atlas exports its snapshots by itself.
        auto_export: bool,
    },
}

/// What every task of discovery needs.
#[derive(Debug)]
pub struct Scout {
    board: Arc<Board>,
    follow: Follow,
    found: mpsc::Sender<Finding>,
}

impl Scout {
    /// Prepares to read; nothing is sent yet.
    #[must_use]
    pub fn new(board: Arc<Board>, follow: Follow, found: mpsc::Sender<Finding>) -> Self {
        Self { board, follow, found }
    }

    /// Lists the projects of an organization, for ever.
    pub async fn watch_organization(self: Arc<Self>, id: OrganizationId) {
        let client = |settings: &Settings| settings.organizations.get(&id).cloned();
        let place = Place { organization: Some(&id), ..Place::default() };
        self.repeat(Duration::ZERO, place, "the organization's projects", client, |atlas| {
            self.organization(atlas, &id)
        })
        .await;
    }

    /// Reads a project's name and lists its clusters, for ever, the first time after `delay`.
    pub async fn watch_project(self: Arc<Self>, id: ProjectId, delay: Duration) {
        let client = |settings: &Settings| settings.projects.get(&id).cloned();
        let place = Place { project: Some(&id), ..Place::default() };
        self.repeat(delay, place, "the project's name and clusters", client, |atlas| {
            self.project(atlas, &id)
        })
        .await;
    }

    /// Reads a cluster's backup schedule, for ever, the first time after `delay`.
    pub async fn watch_schedule(self: Arc<Self>, target: Target, delay: Duration) {
        let client = |settings: &Settings| settings.projects.get(&target.project_id).cloned();
        let place = Place {
            project: Some(&target.project_id),
            cluster: Some(&target.cluster_name),
            ..Place::default()
        };
        let unknown = Mutex::new(None);
        self.repeat(delay, place, "the cluster's backup schedule", client, |atlas| {
            self.schedule(atlas, &target, &unknown)
        })
        .await;
    }

    /// Reads after `delay`, and again on the interval, or sooner after a failure. Failures are logged when they begin, change
    /// and end.
    async fn repeat<F: Future<Output = Result<(), PollError>>>(
        &self,
        delay: Duration,
        place: Place<'_>,
        what: &str,
        client: impl Fn(&Settings) -> Option<Atlas>,
        read: impl Fn(Atlas) -> F,
    ) {
        sleep(delay).await;
        let mut follow = self.follow.clone();
        let (mut slow, mut failing) = (false, None);
        loop {
            let began = Instant::now();
            let settings = follow.borrow_and_update().clone();
            let atlas = client(&settings);
            if let Some(atlas) = &atlas {
                let atlas = if failing.is_some() { atlas.without_retries() } else { atlas.clone() };
                let outcome = settings.readings.pass(&mut slow, async |_in_flight| read(atlas).await).await;
                log(&mut failing, outcome.err().as_ref(), place, what);
            }
            let pause = |settings: &Settings| {
                let pause = pause(failing.is_some(), settings.discovery_interval);
                // Schedules are read on the budget of the polls, and give way as these do.
                match (place.cluster, place.project, client(settings)) {
                    (Some(_), Some(project), Some(atlas)) => pause.mul_f64(atlas.stretch(project)),
                    _ => pause,
                }
            };
            rest(&mut follow, began, atlas.as_ref(), &client, pause, |_| ()).await;
        }
    }

    async fn organization(&self, atlas: Atlas, id: &OrganizationId) -> Result<(), PollError> {
        let listed = atlas.projects(id, Instant::now() + LISTING_TIMEOUT).await;
        let outcome = outcome_of(&listed);
        let finding =
            Finding::Projects { organization_id: id.clone(), listed: listed.ok(), outcome: outcome.clone() };
        // The fleet goes away only as a whole, and this task with it.
        let _ = self.found.send(finding).await;
        outcome
    }

    /// Where the name cannot be read, or is none, the id stands in for it until it can; a name once read stays.
    async fn project(&self, atlas: Atlas, id: &ProjectId) -> Result<(), PollError> {
        let named = atlas.project_name(id, Instant::now() + NAME_TIMEOUT).await;
        match &named {
            Ok(name) if !name.trim().is_empty() => self.board.name_project(id, name.clone()),
            _ if self.board.project_name(id).is_some() => {}
            _ => self.board.name_project(id, id.to_string()),
        }
        let listed = atlas.clusters(id, Instant::now() + LISTING_TIMEOUT).await;
        let outcome = outcome_of(&listed).and(named.map(|_| ()).map_err(PollError::from));
        let finding =
            Finding::Clusters { project_id: id.clone(), listed: listed.ok(), outcome: outcome.clone() };
        let _ = self.found.send(finding).await;
        outcome
    }

    /// `unknown` is the word that was logged last because nobody knows it.
    async fn schedule(
        &self,
        atlas: Atlas,
        target: &Target,
        unknown: &Mutex<Option<String>>,
    ) -> Result<(), PollError> {
        let schedule =
            atlas.schedule(target, Instant::now() + LISTING_TIMEOUT).await.map_err(PollError::from);
        if let Ok(Schedule { auto_export: Some(true), frequency: Some(word), .. }) = &schedule
            && Frequency::parse(word).is_none()
            && unknown.lock().unwrap_or_else(PoisonError::into_inner).replace(word.clone()).as_ref()
                != Some(word)
        {
            tracing::warn!(
                project_id = %target.project_id,
                cluster_name = target.cluster_name,
                frequency = word,
                "the export policy has a frequency that this version does not know; set expected_interval for the cluster's project"
            );
        }
        let outcome = schedule.as_ref().map(|_| ()).map_err(PollError::clone);
        let auto_export = schedule.as_ref().ok().map(Schedule::exports_itself);
        self.board.schedule(target, schedule);
        detail::buckets::confirm(&atlas, &self.board, target).await;
        if let Some(auto_export) = auto_export {
            let _ = self.found.send(Finding::Schedule { target: target.clone(), auto_export }).await;
        }
        self.board.set_budget(&target.project_id, atlas.budget(&target.project_id));
        outcome
    }
}

/// From one reading to the next.
fn pause(failing: bool, interval: Duration) -> Duration {
    if failing { RETRY.min(interval) } else { interval }
}

/// Whether all of a listing could be read.
fn outcome_of<T>(listed: &Result<Listing<T>, Error>) -> Result<(), PollError> {
    match listed {
        Ok(Listing { flaw: None, .. }) => Ok(()),
        Ok(Listing { flaw: Some(error), .. }) | Err(error) => Err(error.clone().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_read_again_after_a_minute_at_most() {
        for (failing, interval, expected) in [(true, 3600, 60), (true, 10, 10), (false, 3600, 3600)] {
            let pause = pause(failing, Duration::from_secs(interval));
            assert_eq!(pause.as_secs(), expected, "{failing} {interval}");
        }
    }
}
