//! Resources of the API, and requests for them.

use url::Url;

use crate::error::Error;

/// The names under which a [`RequestObserver`](crate::RequestObserver) is told of requests.
pub const ENDPOINTS: [&str; Endpoint::ALL.len()] = {
    let mut names = [""; Endpoint::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = Endpoint::ALL[i].as_str();
        i += 1;
    }
    names
};

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
    pub(crate) const ALL: [Self; 9] = [
        Self::Token,
        Self::OrganizationProjects,
        Self::Project,
        Self::Clusters,
        Self::Schedule,
        Self::Exports,
        Self::Snapshots,
        Self::ExportBuckets,
        Self::Events,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::OrganizationProjects => "organization_projects",
            Self::Project => "project",
            Self::Clusters => "clusters",
            Self::Schedule => "schedule",
            Self::Exports => "exports",
            Self::Snapshots => "snapshots",
            Self::ExportBuckets => "export_buckets",
            Self::Events => "events",
        }
    }

    /// Returns the dated media type. Atlas answers 406 without one, and resolves a later date to the
    /// newest version before it.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Token => "application/json",
            Self::OrganizationProjects | Self::Project | Self::Snapshots | Self::Events => {
                "application/vnd.atlas.2023-01-01+json"
            }
            Self::Clusters | Self::Schedule => "application/vnd.atlas.2024-08-05+json",
            Self::Exports | Self::ExportBuckets => "application/vnd.atlas.2024-05-30+json",
        }
    }

    pub(crate) const fn set(self) -> EndpointSet {
        match self {
            Self::Schedule | Self::Exports | Self::Snapshots | Self::ExportBuckets => {
                EndpointSet::CloudBackups
            }
            Self::Clusters => EndpointSet::Clusters,
            Self::Events => EndpointSet::Events,
            Self::Token | Self::OrganizationProjects | Self::Project => EndpointSet::Other,
        }
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
    fn resource_has_its_version_and_quota() {
        let check = |endpoint: Endpoint, version: &str, set: EndpointSet| {
            assert_eq!(
                endpoint.media_type(),
                format!("application/vnd.atlas.{version}+json"),
                "{endpoint:?}"
            );
            assert_eq!(endpoint.set(), set, "{endpoint:?}");
        };
        check(Endpoint::OrganizationProjects, "2023-01-01", EndpointSet::Other);
        check(Endpoint::Project, "2023-01-01", EndpointSet::Other);
        check(Endpoint::Clusters, "2024-08-05", EndpointSet::Clusters);
        check(Endpoint::Schedule, "2024-08-05", EndpointSet::CloudBackups);
        check(Endpoint::Exports, "2024-05-30", EndpointSet::CloudBackups);
        check(Endpoint::Snapshots, "2023-01-01", EndpointSet::CloudBackups);
        check(Endpoint::ExportBuckets, "2024-05-30", EndpointSet::CloudBackups);
        check(Endpoint::Events, "2023-01-01", EndpointSet::Events);
    }
}
