//! Endpoints of the API, and requests to them.

use url::Url;

use crate::error::Error;

// Atlas answers 406 without a dated media type, and resolves a later date to the newest version
// before it.
const V2023_01_01: &str = "application/vnd.atlas.2023-01-01+json";
const V2024_05_30: &str = "application/vnd.atlas.2024-05-30+json";
const V2024_08_05: &str = "application/vnd.atlas.2024-08-05+json";

/// Names of the endpoints, as a [`RequestObserver`](crate::RequestObserver) receives them.
pub const ENDPOINTS: [&str; 9] = [
    Endpoint::TOKEN.name,
    Endpoint::ORGANIZATION_PROJECTS.name,
    Endpoint::PROJECT.name,
    Endpoint::CLUSTERS.name,
    Endpoint::SCHEDULE.name,
    Endpoint::EXPORTS.name,
    Endpoint::SNAPSHOTS.name,
    Endpoint::EXPORT_BUCKETS.name,
    Endpoint::EVENTS.name,
];

/// An endpoint of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) set: EndpointSet,
}

impl Endpoint {
    pub(crate) const TOKEN: Self = Self::new("token", "application/json", EndpointSet::Other);
    pub(crate) const ORGANIZATION_PROJECTS: Self =
        Self::new("organization_projects", V2023_01_01, EndpointSet::Other);
    pub(crate) const PROJECT: Self = Self::new("project", V2023_01_01, EndpointSet::Other);
    pub(crate) const CLUSTERS: Self = Self::new("clusters", V2024_08_05, EndpointSet::Clusters);
    pub(crate) const SCHEDULE: Self = Self::new("schedule", V2024_08_05, EndpointSet::CloudBackups);
    pub(crate) const EXPORTS: Self = Self::new("exports", V2024_05_30, EndpointSet::CloudBackups);
    pub(crate) const SNAPSHOTS: Self = Self::new("snapshots", V2023_01_01, EndpointSet::CloudBackups);
    pub(crate) const EXPORT_BUCKETS: Self =
        Self::new("export_buckets", V2024_05_30, EndpointSet::CloudBackups);
    pub(crate) const EVENTS: Self = Self::new("events", V2023_01_01, EndpointSet::Events);

    const fn new(name: &'static str, media_type: &'static str, set: EndpointSet) -> Self {
        Self { name, media_type, set }
    }
}

/// Endpoints that share a quota of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EndpointSet {
    /// Exports, schedules, snapshots and buckets.
    CloudBackups,
    Clusters,
    Events,
    Other,
}

/// Endpoint and owner of a request, on which its rate limit and counters depend.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) endpoint: Endpoint,
    /// Id of the project or organization; `None` for token requests.
    pub(crate) owner: Option<String>,
}

pub(crate) struct ApiRequest {
    pub(crate) context: RequestContext,
    pub(crate) url: Url,
}

/// Returns host and port of a URL.
pub(crate) fn authority(url: &Url) -> String {
    let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default());
    format!("{host}:{}", port.unwrap_or_default())
}

/// Returns the URL of a resource below `base_url`, with each segment escaped.
pub(crate) fn api_url(base_url: &Url, segments: &[&str]) -> Result<Url, Error> {
    let mut url = base_url.clone();
    url.path_segments_mut()
        .map_err(|()| Error::invalid("base URL cannot have a path"))?
        .pop_if_empty()
        .extend(["api", "atlas", "v2"])
        .extend(segments);
    Ok(url)
}
