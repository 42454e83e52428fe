//! The resources that are read, and what each request must know of its own.

/// A resource of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Token,
    OrganizationProjects,
    Project,
    Clusters,
    Schedule,
    Exports,
}

impl Endpoint {
    pub(super) const ALL: [Self; 6] = [
        Self::Token,
        Self::OrganizationProjects,
        Self::Project,
        Self::Clusters,
        Self::Schedule,
        Self::Exports,
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
        }
    }

    /// The dated media type: Atlas answers 406 without one, and resolves a later date to the newest version before it.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Token => "application/json",
            Self::OrganizationProjects | Self::Project => "application/vnd.atlas.2023-01-01+json",
            Self::Clusters | Self::Schedule => "application/vnd.atlas.2024-08-05+json",
            Self::Exports => "application/vnd.atlas.2024-05-30+json",
        }
    }

    /// Which of a project's budgets its requests are taken from: Atlas has one for each set of endpoints.
    pub(super) const fn set(self) -> EndpointSet {
        match self {
            Self::Schedule | Self::Exports => EndpointSet::CloudBackups,
            Self::Clusters => EndpointSet::Clusters,
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
    Other,
}

/// Where a request goes, and on whose budget.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    /// The id of the project or organization that is asked for; none for tokens.
    pub(super) owner: Option<String>,
}
