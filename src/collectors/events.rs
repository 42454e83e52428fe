//! The events of a project: failed exports, including those without a job, and expiring secrets.
//!
//! An event does not contain the name of its cluster, but requests can be filtered by cluster
//! names. Without new failures, a reading is one request. With new ones, the clusters are searched
//! by bisection: a group of clusters with failures is split in halves until it has one cluster. If
//! there are as many failures as clusters, each cluster is requested separately.

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

/// Maximum age of events that are read: a month, the longest usual interval between exports.
const MAX_EVENT_AGE: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Maximum delay of an event, including differences between clocks. Readings overlap by this time.
const MAX_EVENT_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// Limit for one reading, with all requests of the search.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(2);

/// Maximum number of cluster names in a request. They must fit into the URL.
const MAX_NAMES: usize = 50;

/// Maximum number of searches for the cluster of a failure: Atlas's index may lag behind once.
const MAX_SEARCHES: u8 = 2;

/// Maximum number of failures of a project that are kept: the newest ones.
const MAX_FAILURES: usize = 1000;

/// Maximum number of failures of a cluster that are kept: more than a month of daily failures.
///
/// Not less than [`MAX_NAMES`], so that every cluster of a group can have a failure.
const MAX_FAILURES_OF_CLUSTER: usize = 50;

/// Maximum time of an event in the future. Later events are errors.
const MAX_CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(24);

/// Id and time of an event.
type EventKey = (String, Timestamp);

#[derive(Debug)]
pub(crate) struct Events {
    project_id: ProjectId,
    /// Start of the last reading; `None` before the first.
    since: Option<Timestamp>,
    /// Failures of the last reading, with the number of searches for their cluster.
    searches: BTreeMap<EventKey, u8>,
    /// Clusters that remain to be searched, also after an interrupted search.
    pending: Vec<Group>,
    /// Clusters of failures found by the current search.
    found: BTreeMap<EventKey, String>,
}

/// Clusters whose failure events since a time are to be read.
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
        Self {
            project_id,
            since: None,
            searches: BTreeMap::new(),
            pending: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    /// Reads new events and records them in the store. After an error, the next reading continues.
    async fn read_new(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error> {
        let deadline = Instant::now() + SEARCH_TIMEOUT;
        let now = Timestamp::now();
        let oldest = now - MAX_EVENT_AGE;
        // A clock that was set back must not leave a gap.
        let since = self.since.map_or(oldest, |since| (since.min(now) - MAX_EVENT_DELAY).max(oldest));
        let listing = atlas.events(&self.project_id, &EventKind::ALL, since, &[], deadline).await?;
        let (events, listing_error) = without_future_events(listing, now);
        store.record_project_events(&self.project_id, &events);

        let failures = failures_of(events, MAX_FAILURES).into_iter().map(|failure| {
            let searches = self.searches.get(&failure).copied().unwrap_or_default();
            (failure, searches)
        });
        let mut searches: BTreeMap<_, _> = failures.collect();
        // While a search is in progress, its failures need no second search.
        let needed = if self.pending.is_empty() { MAX_SEARCHES } else { 1 };
        let needs_search = searches.values().any(|searches| *searches < needed);
        if needs_search {
            for searches in searches.values_mut() {
                *searches = searches.saturating_add(1);
            }
        }
        self.searches = searches;
        let (known, new) = store.take_clusters_to_search(&self.project_id);
        if self.pending.iter().map(|group| group.names.len()).sum::<usize>() > known.len() + MAX_NAMES {
            // Searching all clusters once takes fewer requests than the pending groups.
            let oldest = self.pending.drain(..).map(|group| group.since).min();
            self.pending.extend(Group::split(&known, oldest.unwrap_or(since), MAX_NAMES));
        }
        if needs_search {
            self.pending.extend(Group::split(&known, since, MAX_NAMES));
        }
        // Earlier events of new clusters were not searched. The first reading has just read them.
        if needs_search || self.since.is_some() {
            self.pending.extend(Group::split(&new, oldest, MAX_NAMES));
        }
        // `pending` now has all clusters to search. After an error, the same events are read again.
        if listing_error.is_none() {
            self.since = Some(now);
        }
        let outcome = self.search(atlas, now, deadline).await;
        for (failure, cluster_name) in &self.found {
            self.searches.entry(failure.clone()).and_modify(|searches| *searches = MAX_SEARCHES);
            let target = Target { project_id: self.project_id.clone(), cluster_name: cluster_name.clone() };
            store.record_failure_event(&target, failure.1);
        }
        if self.pending.is_empty() {
            self.found.clear();
        }
        outcome?;
        listing_error.map_or(Ok(()), Err)
    }

    /// Searches the pending clusters for failures.
    async fn search(&mut self, atlas: &AtlasClient, now: Timestamp, deadline: Instant) -> Result<(), Error> {
        let mut outcome = Ok(());
        while let Some(Group { names, since }) = self.pending.pop() {
            let listing = atlas.events(&self.project_id, &EventKind::FAILURES, since, &names, deadline).await;
            let failures = match listing {
                Ok(listing) => {
                    let (events, listing_error) = without_future_events(listing, now);
                    outcome = outcome.and(listing_error.map_or(Ok(()), Err));
                    failures_of(events, MAX_FAILURES_OF_CLUSTER)
                }
                // A name that Atlas refuses must not prevent the search of the other clusters.
                Err(error)
                    if matches!(error.reason(), FailureReason::BadRequest | FailureReason::NotFound) =>
                {
                    if names.len() > 1 {
                        self.pending.extend(Group::split(&names, since, 1));
                    } else {
                        outcome = Err(error);
                    }
                    continue;
                }
                Err(error) => {
                    self.pending.push(Group { names, since });
                    return Err(error);
                }
            };
            if let [name] = names.as_slice() {
                self.assign(failures, name)?;
            } else if !failures.is_empty() {
                let max = if failures.len() < names.len() { names.len().div_ceil(2) } else { 1 };
                self.pending.extend(Group::split(&names, since, max));
            }
        }
        outcome
    }

    /// Assigns failures to a cluster.
    ///
    /// Fails if one is already assigned to another cluster: Atlas then ignores the filter, and all
    /// clusters would seem to have failed.
    fn assign(&mut self, failures: Vec<EventKey>, name: &str) -> Result<(), Error> {
        for failure in failures {
            let assigned = self.found.entry(failure.clone()).or_insert_with(|| name.to_owned());
            if assigned != name {
                (self.found, self.pending) = (BTreeMap::new(), Vec::new());
                let text = format!("the event {} is listed for two clusters", failure.0);
                return Err(Error::invalid(&format!("{text}: Atlas ignores the filter by cluster")));
            }
        }
        Ok(())
    }
}

/// Returns the events without those in the future, and the error of the listing or of these.
fn without_future_events(
    listing: PartialList<ProjectEvent>,
    now: Timestamp,
) -> (Vec<ProjectEvent>, Option<Error>) {
    let (events, future): (Vec<_>, Vec<_>) =
        listing.entries.into_iter().partition(|event| event.created_at <= now + MAX_CLOCK_SKEW);
    let future = future.first().map(|event| {
        let (id, at) = (&event.id, event.created_at);
        Error::invalid(&format!("the event {id} has a time in the future, {at}"))
    });
    (events, listing.error.or(future))
}

/// Returns the newest `max` failures of `events`, which must be sorted by time.
fn failures_of(mut events: Vec<ProjectEvent>, max: usize) -> Vec<EventKey> {
    events.retain(|event| event.kind.is_some_and(EventKind::is_failure));
    let newest = events.split_off(events.len().saturating_sub(max));
    newest.into_iter().map(|event| (event.id, event.created_at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_failures_are_kept() {
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
