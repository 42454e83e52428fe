//! Resources of the API, and requests for them.

use url::Url;

use crate::error::Error;

// Atlas answers 406 without a dated media type, and resolves a later date to the newest version
// before it.
const V2023_01_01: &str = "application/vnd.atlas.2023-01-01+json";
const V2024_05_30: &str = "application/vnd.atlas.2024-05-30+json";
const V2024_08_05: &str = "application/vnd.atlas.2024-08-05+json";

/// The endpoints that a [`RequestObserver`](crate::RequestObserver) observes.
pub const ENDPOINTS: [&str; RESOURCES.len()] = {
    let mut names = [""; RESOURCES.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = RESOURCES[i].0;
        i += 1;
    }
    names
};

/// Name, media type and quota of every [`Endpoint`], in that order.
const RESOURCES: [(&str, &str, EndpointSet); 9] = [
    ("token", "application/json", EndpointSet::Other),
    ("organization_projects", V2023_01_01, EndpointSet::Other),
    ("project", V2023_01_01, EndpointSet::Other),
    ("clusters", V2024_08_05, EndpointSet::Clusters),
    ("schedule", V2024_08_05, EndpointSet::CloudBackups),
    ("exports", V2024_05_30, EndpointSet::CloudBackups),
    ("snapshots", V2023_01_01, EndpointSet::CloudBackups),
    ("export_buckets", V2024_05_30, EndpointSet::CloudBackups),
    ("events", V2023_01_01, EndpointSet::Events),
];

/// A resource of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Token,
    OrganizationProjects,
    Project,
    Clusters,
    Schedule,
    Exports,
    Snapshots,
    ExportBuckets,
    Events,
}

impl Endpoint {
    pub(crate) fn as_str(self) -> &'static str {
        RESOURCES[self as usize].0
    }

    pub(crate) fn media_type(self) -> &'static str {
        RESOURCES[self as usize].1
    }

    pub(crate) fn set(self) -> EndpointSet {
        RESOURCES[self as usize].2
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

/// What the rate limit and the counters of a request depend on.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    pub(crate) endpoint: Endpoint,
    /// The id of the project or organization; `None` for tokens.
    pub(crate) owner: Option<String>,
}

/// A GET request for a resource.
pub(crate) struct ApiRequest {
    pub(crate) context: RequestContext,
    pub(crate) url: Url,
}

/// Returns the URL of a resource of the Atlas at `base_url`; each segment is escaped.
pub(crate) fn api_url(base_url: &Url, segments: &[&str]) -> Result<Url, Error> {
    let mut url = base_url.clone();
    url.path_segments_mut()
        .map_err(|()| Error::invalid("the base URL cannot have a path"))?
        .pop_if_empty()
        .extend(["api", "atlas", "v2"])
        .extend(segments);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_has_its_name_version_and_quota() {
        let check = |endpoint: Endpoint, name: &str, version: &str, set: EndpointSet| {
            let media_type = format!("application/vnd.atlas.{version}+json");
            assert_eq!((endpoint.as_str(), endpoint.media_type()), (name, &*media_type), "{endpoint:?}");
            assert_eq!(endpoint.set(), set, "{endpoint:?}");
        };
        check(Endpoint::OrganizationProjects, "organization_projects", "2023-01-01", EndpointSet::Other);
        check(Endpoint::Project, "project", "2023-01-01", EndpointSet::Other);
        check(Endpoint::Clusters, "clusters", "2024-08-05", EndpointSet::Clusters);
        check(Endpoint::Schedule, "schedule", "2024-08-05", EndpointSet::CloudBackups);
        check(Endpoint::Exports, "exports", "2024-05-30", EndpointSet::CloudBackups);
        check(Endpoint::Snapshots, "snapshots", "2023-01-01", EndpointSet::CloudBackups);
        check(Endpoint::ExportBuckets, "export_buckets", "2024-05-30", EndpointSet::CloudBackups);
        check(Endpoint::Events, "events", "2023-01-01", EndpointSet::Events);
        assert_eq!((Endpoint::Token.as_str(), Endpoint::Token.media_type()), ("token", "application/json"));
    }
}
