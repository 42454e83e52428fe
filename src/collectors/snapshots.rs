//! The snapshots of a cluster with auto export.

use atlas_client::{AtlasClient, Error, PartialList, ProjectId, Target};
use jiff::Timestamp;
use tokio::time::Instant;

use super::runner::{AtlasCollector, READING_TIMEOUT};
use crate::model::{self, CollectorKind};
use crate::store::Store;
use crate::util::failure_log::LogContext;

#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) target: Target,
    /// True for sharded clusters, whose snapshots are another resource of the API.
    pub(crate) sharded: bool,
}

impl AtlasCollector for Snapshots {
    const KIND: CollectorKind = CollectorKind::Snapshots;
    const WHAT: &str = "the cluster's snapshots";

    fn project_id(&self) -> &ProjectId {
        &self.target.project_id
    }

    fn context(&self) -> LogContext<'_> {
        LogContext::cluster(&self.target)
    }

    async fn read(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error> {
        let target = &self.target;
        // Auto export may have been disabled since the task was started.
        let Some(schedule) = store.exporting_schedule(target) else { return Ok(()) };
        let (at, read_at) = (Instant::now(), Timestamp::now());
        let listed = atlas.snapshots(target, self.sharded, at + READING_TIMEOUT).await;
        let read = listed
            .and_then(PartialList::complete)
            .map(|listed| model::Snapshots::new(&listed, &schedule, read_at));
        let outcome = read.as_ref().map(|_| ()).map_err(Error::clone);
        if store.exporting_schedule(target).is_some_and(|now| now.exports_same_snapshots(&schedule)) {
            store.record_snapshots(target, at, read.map_err(|error| (&error).into()));
        }
        outcome
    }
}
