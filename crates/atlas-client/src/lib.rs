#![doc = include_str!("../README.md")]

mod auth;
mod client;
mod connection_error;
mod credentials;
mod dns;
mod endpoint;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inflate;
mod memory;
mod pagination;
mod proxy;
mod rate_limit;
pub mod redact;
mod retry;
mod sunset;
mod transport;
#[allow(missing_docs)] // the fields are those of the Atlas API
mod types;

use jiff::Timestamp;
use tokio::time::Instant;

pub use client::AtlasClient;
pub use credentials::{CredentialKind, Credentials, SecretSource};
pub use endpoint::ENDPOINTS;
use endpoint::Endpoint;
pub use error::{Cause, ERROR_RESPONSES, Error, ErrorResponse, FailureReason, Retry};
pub use pagination::{MAX_ENTRIES, PageOutcome, PartialList};
pub use proxy::Proxy;
pub use rate_limit::Quota;
pub use transport::{CaBundle, ClientOptions, RequestObserver};
pub use types::{
    CollectionProgress, EventKind, ExportBucket, ExportJob, JobState, ListedCluster, MAX_ID, MAX_PAGE_SIZE,
    ObjectId, OrganizationId, Page, PolicyItems, ProjectEvent, ProjectId, Schedule, Snapshot, StateReason,
    Target, Unexportable, decode_jobs,
};

/// Maximum number of export buckets of a project.
const MAX_BUCKETS: usize = 1000;

impl AtlasClient {
    /// Reads the export jobs of a cluster, and passes each page to `on_page`.
    ///
    /// Pages have at most `page_size` jobs, up to 500.
    pub async fn export_jobs(
        &self,
        target: &Target,
        page_size: usize,
        deadline: Instant,
        mut on_page: impl for<'a> FnMut(Page<ExportJob<'a>>) -> PageOutcome + Send,
    ) -> Result<(), Error> {
        let request = self.backup_request(Endpoint::EXPORTS, target, &["exports"])?;
        let mut read =
            |body: &[u8]| pagination::read_page(decode_jobs(body)?, page_size, MAX_ENTRIES, &mut on_page);
        pagination::read_pages(self, request, page_size, deadline, &mut read).await.map(drop)
    }

    /// Reads one export job of a cluster, to check access.
    pub async fn try_export_jobs(&self, target: &Target, deadline: Instant) -> Result<(), Error> {
        let mut request = self.backup_request(Endpoint::EXPORTS, target, &["exports"])?;
        request.url.set_query(Some("itemsPerPage=1&pageNum=1"));
        decode_jobs(&self.body(&request, deadline).await?).map(drop)
    }

    /// Reads the backup schedule of a cluster.
    pub async fn schedule(&self, target: &Target, deadline: Instant) -> Result<Schedule, Error> {
        let request = self.backup_request(Endpoint::SCHEDULE, target, &["schedule"])?;
        types::decode(&self.body(&request, deadline).await?)
    }

    /// Reads the name of a project.
    pub async fn project_name(&self, id: &ProjectId, deadline: Instant) -> Result<String, Error> {
        let request = self.project_request(Endpoint::PROJECT, id, &[])?;
        let project: types::Project = types::decode(&self.body(&request, deadline).await?)?;
        Ok(project.name.0)
    }

    /// Lists all clusters of a project, including those that cannot be exported.
    pub async fn clusters(
        &self,
        id: &ProjectId,
        deadline: Instant,
    ) -> Result<PartialList<ListedCluster>, Error> {
        let request = self.project_request(Endpoint::CLUSTERS, id, &["clusters"])?;
        pagination::list(self, request, MAX_ENTRIES, deadline).await
    }

    /// Lists the projects of an organization in which the credentials have a role, with their names
    /// if readable.
    pub async fn projects(
        &self,
        id: &OrganizationId,
        deadline: Instant,
    ) -> Result<PartialList<(ProjectId, Option<String>)>, Error> {
        let request = self.request(Endpoint::ORGANIZATION_PROJECTS, ["orgs", id.as_str()], &["groups"])?;
        pagination::list(self, request, MAX_ENTRIES, deadline).await
    }

    /// Lists the complete snapshots of a cluster that can be exported. Sharded clusters have
    /// another endpoint, without pages.
    pub async fn snapshots(
        &self,
        target: &Target,
        sharded: bool,
        deadline: Instant,
    ) -> Result<PartialList<Snapshot>, Error> {
        if sharded {
            let request =
                self.backup_request(Endpoint::SNAPSHOTS, target, &["snapshots", "shardedClusters"])?;
            return pagination::decode_list(&self.body(&request, deadline).await?);
        }
        let request = self.backup_request(Endpoint::SNAPSHOTS, target, &["snapshots"])?;
        pagination::list(self, request, types::MAX_UNPAGED, deadline).await
    }

    /// Lists the export buckets of a project.
    pub async fn export_buckets(
        &self,
        id: &ProjectId,
        deadline: Instant,
    ) -> Result<PartialList<ExportBucket>, Error> {
        let request = self.project_request(Endpoint::EXPORT_BUCKETS, id, &["backup", "exportBuckets"])?;
        pagination::list(self, request, MAX_BUCKETS, deadline).await
    }

    /// Lists the events of these kinds in a project since a time. Only events about `clusters` are
    /// listed, unless that is empty.
    pub async fn events(
        &self,
        id: &ProjectId,
        kinds: &[EventKind],
        since: Timestamp,
        clusters: &[String],
        deadline: Instant,
    ) -> Result<PartialList<ProjectEvent>, Error> {
        let mut request = self.project_request(Endpoint::EVENTS, id, &["events"])?;
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        request
            .url
            .query_pairs_mut()
            .append_pair("minDate", &since)
            .extend_pairs(kinds.iter().map(|kind| ("eventType", kind.as_str())))
            .extend_pairs(clusters.iter().map(|name| ("clusterNames", name)));
        pagination::list(self, request, MAX_ENTRIES, deadline).await
    }
}
