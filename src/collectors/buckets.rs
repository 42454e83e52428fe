//! The export buckets of a project, and buckets of export policies that are missing.
//!
//! Policies and buckets are read independently. If the bucket of a policy is not listed, an older
//! list is read again, then the policy. The bucket is missing if the policy still names it.

use std::sync::Arc;

use atlas_client::{AtlasClient, Error, PartialList, ProjectId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::runner::{AtlasCollector, READING_TIMEOUT};
use crate::model::CollectorKind;
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Buckets {
    pub(crate) project_id: ProjectId,
    /// Notified when a policy names a bucket that is not listed.
    pub(crate) unlisted: Arc<Notify>,
}

impl AtlasCollector for Buckets {
    const KIND: CollectorKind = CollectorKind::Buckets;
    const WHAT: &str = "the project's export buckets";

    fn project_id(&self) -> &ProjectId {
        &self.project_id
    }

    async fn read(&mut self, atlas: &AtlasClient, store: &Store) -> Result<(), Error> {
        let id = &self.project_id;
        let at = Instant::now();
        let listed = atlas.export_buckets(id, at + READING_TIMEOUT).await.and_then(PartialList::complete);
        store.record_buckets(id, at, listed.clone().map_err(|error| (&error).into()));
        for target in store.clusters_with_unconfirmed_bucket(id) {
            if let Ok(schedule) = atlas.schedule(&target, Instant::now() + READING_TIMEOUT).await {
                store.record_schedule(&target, Ok(schedule));
            }
        }
        listed.map(drop)
    }

    async fn due_early(&self) {
        self.unlisted.notified().await;
    }
}
