//! What is read besides the export jobs, on an interval of its own.

/// A kind of reading that can be switched off, and that needs a role of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CollectorKind {
    /// The snapshots of each cluster that Atlas exports by itself.
    Snapshots,
    Events,
    /// The export buckets of each project.
    Buckets,
}

impl CollectorKind {
    /// Every collector, in the order of the exposition.
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

    /// Returns what nobody notices while it is not read.
    #[must_use]
    pub fn finds(self) -> &'static str {
        match self {
            Self::Snapshots => "snapshots whose export never begins",
            Self::Events => "failures before there was a job",
            Self::Buckets => "missing buckets",
        }
    }
}
