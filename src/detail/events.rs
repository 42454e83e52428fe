//! The events of a project: which of its clusters Atlas could not export, even where there never was a job.
//!
//! An event does not say which cluster it is about. While nothing happens, one request for each project says so; when something
//! did, further ones ask for half of the clusters, and half of these, until each failure has its cluster; or for each cluster, where
//! there are as many failures as clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::atlas::{Atlas, Error};
use crate::board::Board;
use crate::model::{EventKind, ProjectEvent, ProjectId, Target};

/// How far back the first reading looks: the longest time between two exports that is at all usual, a month.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Events that come late, and clocks that are not quite right, may be so far behind.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);

/// One reading may take this long, with all that it leads to.
const READING_TIMEOUT: Duration = Duration::from_mins(2);

/// Clusters that one request names: their names have to fit into its address.
const MOST_NAMES: usize = 50;

/// Where the reading of a project's events has got to.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// When the last reading began; `None` before the first.
    since: Option<Timestamp>,
    /// Failures that were taken in by the last reading: those that the next one sees again are no news.
    seen: BTreeSet<String>,
    /// The clusters that failures were looked for until then.
    covered: BTreeSet<String>,
}

impl Cursor {
    /// Reads what is new, and tells the board. An error leaves the cursor where it is, so that nothing is missed.
    pub(super) async fn read(&mut self, atlas: &Atlas, board: &Board, id: &ProjectId) -> Result<(), Error> {
        let deadline = Instant::now() + READING_TIMEOUT;
        let now = Timestamp::now();
        let horizon = now - LOOK_BACK;
        let names = board.clusters_of(id);
        // A clock that was set back must not leave a gap.
        let since = self.since.map_or(horizon, |since| since.min(now) - OVERLAP);
        let listing = atlas.events(id, &EventKind::ALL, since, &[], deadline).await?;
        board.project_events(id, &listing.found);

        let failures: BTreeSet<String> =
            listing.found.iter().filter(|event| is_failure(event)).map(|event| event.id.clone()).collect();
        let news = !failures.is_subset(&self.seen);
        let (known, fresh): (Vec<_>, Vec<_>) =
            names.iter().cloned().partition(|name| self.covered.contains(name));
        let search = Search { atlas, board, id, deadline };
        if news {
            search.among(known, since).await?;
        }
        // What was told of clusters that nobody watched then: the first reading has just heard whether there is anything.
        if news || self.since.is_some() {
            search.among(fresh, horizon).await?;
        }
        *self = Self { since: Some(now), seen: failures, covered: names.into_iter().collect() };
        listing.flaw.map_or(Ok(()), Err)
    }
}

/// Looks for the clusters that failures are about.
struct Search<'a> {
    atlas: &'a Atlas,
    board: &'a Board,
    id: &'a ProjectId,
    deadline: Instant,
}

impl Search<'_> {
    /// Finds out which of the clusters failures since a time are about, and tells the board; also what was found before an error.
    async fn among(&self, names: Vec<String>, since: Timestamp) -> Result<(), Error> {
        let mut owners: BTreeMap<String, (String, Timestamp)> = BTreeMap::new();
        let mut groups: Vec<Vec<String>> = names.chunks(MOST_NAMES).map(<[_]>::to_vec).collect();
        let mut outcome = Ok(());
        while let Some(mut group) = groups.pop() {
            let asked = self.atlas.events(self.id, &EventKind::FAILURES, since, &group, self.deadline).await;
            let failures: Vec<_> = match asked {
                Ok(listing) => listing.found.into_iter().filter(is_failure).collect(),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            match group.as_slice() {
                _ if failures.is_empty() => {}
                [name] => {
                    for event in failures {
                        if owners.contains_key(&event.id) {
                            // Then nobody can say which cluster it is about, and all would be blamed.
                            return Err(Error::two_clusters(&event.id));
                        }
                        owners.insert(event.id, (name.clone(), event.created_at));
                    }
                }
                _ if failures.len() >= group.len() => groups.extend(group.into_iter().map(|name| vec![name])),
                _ => {
                    groups.push(group.split_off(group.len() / 2));
                    groups.push(group);
                }
            }
        }
        for (cluster_name, at) in owners.into_values() {
            self.board.failed_event(&Target { project_id: self.id.clone(), cluster_name }, at);
        }
        outcome
    }
}

fn is_failure(event: &ProjectEvent) -> bool {
    event.kind.is_some_and(EventKind::is_failure)
}
