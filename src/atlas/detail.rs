//! What is read besides the export jobs.

use jiff::Timestamp;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::listing::{MAX_BUCKETS, MAX_ENTRIES};
use super::{Atlas, Error, Listing, wire};
use crate::model::{EventKind, ExportBucket, ProjectEvent, ProjectId, Snapshot, Target};

impl Atlas {
    /// The snapshots of a cluster that are taken and can be exported. Those of a sharded cluster stand in a list of their own,
    /// which has no pages.
    pub async fn snapshots(
        &self,
        target: &Target,
        sharded: bool,
        deadline: Instant,
    ) -> Result<Listing<Snapshot>, Error> {
        if sharded {
            let call = self.backup(Endpoint::Snapshots, target, &["snapshots", "shardedClusters"])?;
            return self.whole(&call, deadline, wire::Snapshot::read).await;
        }
        let call = self.backup(Endpoint::Snapshots, target, &["snapshots"])?;
        self.listing(call, wire::LONGEST_LIST, deadline, wire::Snapshot::read).await
    }

    /// The export buckets of a project.
    pub async fn export_buckets(
        &self,
        id: &ProjectId,
        deadline: Instant,
    ) -> Result<Listing<ExportBucket>, Error> {
        let segments = ["groups", id.as_str(), "backup", "exportBuckets"];
        let call = self.call(Endpoint::ExportBuckets, id.as_str(), &segments)?;
        self.listing(call, MAX_BUCKETS, deadline, wire::Bucket::read).await
    }

    /// The events of some kinds that happened in a project since a time; only those about `clusters`, unless there are none.
    pub async fn events(
        &self,
        id: &ProjectId,
        kinds: &[EventKind],
        since: Timestamp,
        clusters: &[String],
        deadline: Instant,
    ) -> Result<Listing<ProjectEvent>, Error> {
        let mut call = self.call(Endpoint::Events, id.as_str(), &["groups", id.as_str(), "events"])?;
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        call.url
            .query_pairs_mut()
            .append_pair("minDate", &since)
            .extend_pairs(kinds.iter().map(|kind| ("eventType", kind.as_str())))
            .extend_pairs(clusters.iter().map(|name| ("clusterNames", name)));
        self.listing(call, MAX_ENTRIES, deadline, wire::Event::read).await
    }
}
