//! Kinds of collectors, which read from Atlas what is not in the export jobs.

/// A collector. Each one can be disabled, and may need another role in Atlas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CollectorKind {
    Snapshots,
    Events,
    Buckets,
}

impl CollectorKind {
    /// All collectors, in the order of the exposition.
    pub const ALL: [Self; 3] = [Self::Snapshots, Self::Events, Self::Buckets];

    /// Returns the label value, which is also the configuration key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots",
            Self::Events => "events",
            Self::Buckets => "buckets",
        }
    }

    /// Returns the problems that only this collector detects, as a phrase.
    #[must_use]
    pub fn detects(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots that are not exported",
            Self::Events => "exports that fail without a job",
            Self::Buckets => "missing export buckets",
        }
    }
}
