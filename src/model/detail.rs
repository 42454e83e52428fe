//! What is read besides the export jobs, on an interval of its own.

use jiff::Timestamp;

use super::PollError;

/// A kind of reading that can be switched off, and that needs a role of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The snapshots of each cluster that Atlas exports by itself.
    Snapshots,
    /// The events of each project.
    Events,
    /// The export buckets of each project.
    Buckets,
}

impl Detail {
    /// Every detail, in the order of the exposition.
    pub const ALL: [Self; 3] = [Self::Snapshots, Self::Events, Self::Buckets];

    /// The label value, and the key of the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Events => "events",
            Self::Buckets => "buckets",
        }
    }
}

/// A failed reading of a detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// True if Atlas refused it, as where a role is missing.
    pub is_refused: bool,
    /// The failure itself.
    pub error: PollError,
}

/// Where Atlas may export to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportBucket {
    /// Atlas's id of it.
    pub id: String,
    /// Its name at the cloud provider.
    pub name: String,
    /// The cloud provider, in Atlas's word: `AWS`, `AZURE`, `GCP`.
    pub cloud_provider: String,
}

/// An event of a project that says something of exports or credentials.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectEvent {
    /// When it happened.
    pub created_at: Timestamp,
    /// Atlas's id of it.
    pub id: String,
    /// What happened; `None` for a word that was not asked for.
    pub kind: Option<EventKind>,
}

/// What events are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// An automatic export failed, perhaps before there was a job.
    AutoExportFailed,
    /// An export failed.
    ExportFailed,
    /// A secret of a service account will end soon. It says neither whose nor when.
    SecretsExpiring,
    /// None will any longer.
    SecretsNoLongerExpiring,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 4] =
        [Self::AutoExportFailed, Self::ExportFailed, Self::SecretsExpiring, Self::SecretsNoLongerExpiring];

    /// Those that are about a cluster.
    pub const FAILURES: [Self; 2] = [Self::AutoExportFailed, Self::ExportFailed];

    /// Atlas's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AutoExportFailed => "CPS_AUTO_EXPORT_FAILED",
            Self::ExportFailed => "CPS_EXPORT_FAILED",
            Self::SecretsExpiring => "GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING",
            Self::SecretsNoLongerExpiring => "GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING",
        }
    }

    /// Whether it is about a cluster.
    #[must_use]
    pub fn is_failure(self) -> bool {
        Self::FAILURES.contains(&self)
    }
}

/// What every client id begins with.
const CLIENT_ID_PREFIX: &str = "mdb_sa_id_";

/// Characters of a client id that tell it from others.
const SHORT: usize = 6;

/// The end of a client id: enough to know it by, too little to sign in with.
#[must_use]
pub fn short_client_id(id: &str) -> String {
    let id = id.strip_prefix(CLIENT_ID_PREFIX).unwrap_or(id);
    let cut = id.chars().count().saturating_sub(SHORT);
    id.chars().skip(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_known_by_its_end() {
        for (id, short) in [
            ("mdb_sa_id_0123456789abcdef01234567", "234567"),
            ("mdb_sa_id_demo", "demo"),
            ("abcdefgh", "cdefgh"),
            ("äöüäöüä", "öüäöüä"),
            ("", ""),
        ] {
            assert_eq!(short_client_id(id), short, "{id}");
        }
    }
}
