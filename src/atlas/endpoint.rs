//! The resources that are read, and what each request must know of its own.

/// A resource of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
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
    pub(super) const ALL: [Self; 9] = [
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

    /// The label value.
    pub(super) const fn as_str(self) -> &'static str {
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

    /// The dated media type: Atlas answers 406 without one, and resolves a later date to the newest version before it.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Token => "application/json",
            Self::OrganizationProjects | Self::Project | Self::Snapshots | Self::Events => {
                "application/vnd.atlas.2023-01-01+json"
            }
            Self::Clusters | Self::Schedule => "application/vnd.atlas.2024-08-05+json",
            Self::Exports | Self::ExportBuckets => "application/vnd.atlas.2024-05-30+json",
        }
    }

    /// Which of a project's budgets its requests are taken from: Atlas has one for each set of endpoints.
    pub(super) const fn set(self) -> EndpointSet {
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

/// Endpoints that share a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EndpointSet {
    /// Exports, schedules, snapshots and buckets.
    CloudBackups,
    Clusters,
    Events,
    Other,
}

/// Where a request goes, and on whose budget.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    /// The id of the project or organization that is asked for; none for tokens.
    pub(super) owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_its_version_and_its_budget() {
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
