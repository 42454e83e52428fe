//! Reasons why a cluster is not polled.

use atlas_client::Unexportable;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExclusionReason {
    Unexportable(Unexportable),
    Configured,
}

impl ExclusionReason {
    /// All reasons, in the order of the exposition.
    pub const ALL: [Self; 4] = [
        Self::Unexportable(Unexportable::SharedTier),
        Self::Unexportable(Unexportable::Flex),
        Self::Unexportable(Unexportable::BackupDisabled),
        Self::Configured,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unexportable(Unexportable::SharedTier) => "shared_tier",
            Self::Unexportable(Unexportable::Flex) => "flex",
            Self::Unexportable(Unexportable::BackupDisabled) => "backup_disabled",
            Self::Configured => "configured",
        }
    }

    /// Returns the reason as a predicate, for a sentence with the cluster as its subject.
    #[must_use]
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Unexportable(Unexportable::SharedTier) => "is on a shared tier, which has no exports",
            Self::Unexportable(Unexportable::Flex) => "is a flex cluster, which has no exports",
            Self::Unexportable(Unexportable::BackupDisabled) => "has cloud backup disabled",
            Self::Configured => "is excluded by `exclude_clusters`",
        }
    }
}
