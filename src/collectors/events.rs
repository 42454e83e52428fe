//! The events of a project: which of its clusters Atlas could not export, even where there never
//! was a job.
//!
//! An event does not say which cluster it is about. While nothing happens, one request for each
//! project says so; when something did, further ones ask for half of the clusters, and half of
//! these, until each failure has its cluster; or for each cluster, where there are as many failures
//! as clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use atlas_client::{
    AtlasClient, Error, EventKind, FailureReason, PartialList, ProjectEvent, ProjectId, Target,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::runner::AtlasCollector;
use crate::model::{CollectorKind, ReadError};
use crate::store::Store;

/// How far back the first reading looks: the longest time between two exports that is at all usual,
/// a month.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Events that come late, and clocks that are not quite right, may be so far behind.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// One reading may take this long, with all that it leads to.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(2);

/// Clusters that one request names: their names have to fit into its address.
const MOST_NAMES: usize = 50;

/// How often the clusters of a failure are looked for: once, and once more, since an index may be
/// behind.
const LOOKS: u8 = 2;

/// Maximum number of failures of a project that are remembered, the newest ones.
const MAX_FAILURES: usize = 1000;

/// The same of one cluster: a month of daily failures. It is not below [`MOST_NAMES`], so that
/// every cluster of a group can have one.
const MAX_OF_CLUSTER: usize = 50;

/// An event that is further ahead of our clock than this has a time that nobody can believe.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

type Key = (String, Timestamp);

#[derive(Debug)]
pub(crate) struct Events {
    project_id: ProjectId,
    /// When the last reading began; `None` before the first.
    since: Option<Timestamp>,
    /// The failures of the last reading, and how often their clusters were looked for. What the
    /// next one sees again is no news.
    looks: BTreeMap<Key, u8>,
    /// Clusters whose events are still to be read: an interrupted search continues.
    open: Vec<Group>,
    /// Whose failure was found so far, in this search.
    owners: BTreeMap<Key, String>,
}

/// Clusters, any of which may have failed since a time.
#[derive(Debug)]
struct Group {
    names: Vec<String>,
    since: Timestamp,
}

impl Group {
    fn split(names: &[String], since: Timestamp, max: usize) -> impl Iterator<Item = Self> {
        names.chunks(max).map(move |names| Self { names: names.to_vec(), since })
    }
}

impl AtlasCollector for Events {
    const KIND: CollectorKind = CollectorKind::Events;
    const WHAT: &str = "the project's events";

    fn project_id(&self) -> &ProjectId {
        &self.project_id
    }

    async fn read(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error> {
        let at = Instant::now();
        let outcome = self.read_new(atlas, store).await;
        store.record_events_outcome(&self.project_id, at, outcome.as_ref().copied().map_err(ReadError::from));
        outcome
    }
}

impl Events {
    pub(crate) fn new(project_id: ProjectId) -> Self {
        Self { project_id, since: None, looks: BTreeMap::new(), open: Vec::new(), owners: BTreeMap::new() }
    }

    /// Reads what is new and records it in the store. What an error leaves undone is done the next
    /// time, so that nothing is missed.
    async fn read_new(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error> {
        let deadline = Instant::now() + SEARCH_TIMEOUT;
        let now = Timestamp::now();
        let horizon = now - LOOK_BACK;
        // A clock that was set back must not leave a gap.
        let since = self.since.map_or(horizon, |since| (since.min(now) - OVERLAP).max(horizon));
        let listing = atlas.events(&self.project_id, &EventKind::ALL, since, &[], deadline).await?;
        let (listed, flaw) = believable(listing, now);
        store.record_project_events(&self.project_id, &listed);

        let failures = failures_of(listed, MAX_FAILURES).into_iter().map(|failure| {
            let looks = self.looks.get(&failure).copied().unwrap_or_default();
            (failure, looks)
        });
        let mut looks: BTreeMap<_, _> = failures.collect();
        // While a search goes on, what it is about needs no second look.
        let needed = if self.open.is_empty() { LOOKS } else { 1 };
        let news = looks.values().any(|looks| *looks < needed);
        if news {
            for looks in looks.values_mut() {
                *looks = looks.saturating_add(1);
            }
        }
        self.looks = looks;
        let (known, fresh) = store.take_clusters_to_search(&self.project_id);
        if self.open.iter().map(|group| group.names.len()).sum::<usize>() > known.len() + MOST_NAMES {
            // More is left than there are clusters: all of them once is less.
            let oldest = self.open.drain(..).map(|group| group.since).min();
            self.open.extend(Group::split(&known, oldest.unwrap_or(since), MOST_NAMES));
        }
        if news {
            self.open.extend(Group::split(&known, since, MOST_NAMES));
        }
        // What was told of clusters that nobody watched then: the first reading has just heard
        // whether there is anything.
        if news || self.since.is_some() {
            self.open.extend(Group::split(&fresh, horizon, MOST_NAMES));
        }
        // From here on, what is to be found out stands in `open`. What could not be read is read
        // again, for as long as it may matter.
        if flaw.is_none() {
            self.since = Some(now);
        }
        let outcome = self.search(atlas, now, deadline).await;
        for (failure, cluster_name) in &self.owners {
            self.looks.entry(failure.clone()).and_modify(|looks| *looks = LOOKS);
            let target = Target { project_id: self.project_id.clone(), cluster_name: cluster_name.clone() };
            store.record_failure_event(&target, failure.1);
        }
        if self.open.is_empty() {
            self.owners.clear();
        }
        outcome?;
        flaw.map_or(Ok(()), Err)
    }

    /// Finds out which of the open clusters failures are about.
    async fn search(&mut self, atlas: &AtlasClient, now: Timestamp, deadline: Instant) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(Group { names, since }) = self.open.pop() {
            let asked = atlas.events(&self.project_id, &EventKind::FAILURES, since, &names, deadline).await;
            let failures = match asked {
                Ok(listing) => {
                    let (listed, flaw) = believable(listing, now);
                    outcome = outcome.and(flaw.map_or(Ok(()), Err));
                    failures_of(listed, MAX_OF_CLUSTER)
                }
                // A name that Atlas does not take must not hide the others.
                Err(error)
                    if matches!(error.reason(), FailureReason::BadRequest | FailureReason::NotFound) =>
                {
                    if names.len() > 1 {
                        self.open.extend(Group::split(&names, since, 1));
                    } else {
                        outcome = Err(error);
                    }
                    continue;
                }
                Err(error) => {
                    self.open.push(Group { names, since });
                    return Err(error);
                }
            };
            if let [name] = names.as_slice() {
                self.own(failures, name)?;
            } else if !failures.is_empty() {
                let max = if failures.len() < names.len() { names.len().div_ceil(2) } else { 1 };
                self.open.extend(Group::split(&names, since, max));
            }
        }
        outcome
    }

    fn own(&mut self, failures: Vec<Key>, name: &str) -> Result<(), Error> {
        for failure in failures {
            let owner = self.owners.entry(failure.clone()).or_insert_with(|| name.to_owned());
            if owner != name {
                // Then nobody can say which cluster it is about, and all would be blamed.
                (self.owners, self.open) = (BTreeMap::new(), Vec::new());
                return Err(Error::invalid(&format!(
                    "the event {} is told of two clusters: the filter by cluster does nothing",
                    failure.0
                )));
            }
        }
        Ok(())
    }
}

/// The events whose time can be believed at `now`, and what is wrong with others.
fn believable(listing: PartialList<ProjectEvent>, now: Timestamp) -> (Vec<ProjectEvent>, Option<Error>) {
    let (found, ahead): (Vec<_>, Vec<_>) =
        listing.entries.into_iter().partition(|event| event.created_at <= now + AHEAD);
    let ahead = ahead.first().map(|event| {
        let (id, at) = (&event.id, event.created_at);
        Error::invalid(&format!("the event {id} is of {at}, which is yet to come"))
    });
    (found, listing.error.or(ahead))
}

/// The newest failures among events, which are in order.
fn failures_of(mut events: Vec<ProjectEvent>, max: usize) -> Vec<Key> {
    events.retain(|event| event.kind.is_some_and(EventKind::is_failure));
    let newest = events.split_off(events.len().saturating_sub(max));
    newest.into_iter().map(|event| (event.id, event.created_at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_failures_are_remembered() {
        let event = |number: i64, kind| ProjectEvent {
            created_at: Timestamp::from_second(number).unwrap(),
            id: number.to_string(),
            kind,
        };
        let failures = (0..9).map(|number| event(number, Some(EventKind::ExportFailed)));
        let others = [event(9, None), event(10, Some(EventKind::SecretsExpiring))];
        let events: Vec<_> = failures.chain(others).collect();
        let ids = |max| failures_of(events.clone(), max).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!(ids(2), ["7", "8"]);
        assert_eq!(ids(99).len(), 9);
    }
}
