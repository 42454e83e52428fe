//! The words of the domain and what each figure means.
//!
//! This room knows neither JSON nor sockets nor clocks: what happened is handed to it, `now` included.

mod detail;
mod expectation;
mod failure;
mod fold;
mod movement;
mod report;

mod shard;
mod snapshot;
mod tail;

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use jiff::Timestamp;

use crate::redact;
pub use detail::{Detail, EventKind, ExportBucket, ProjectEvent, Unread, short_client_id};
pub use expectation::{Expected, Frequency, ListedCluster, PolicyItems, Schedule, Unexportable};
pub use failure::{FailureReason, PollError};
pub use fold::{Fold, Sighting};
pub use movement::Movements;
pub use report::{ActiveJob, ClusterReport, FailedJob, JobId, JobKey, LatestJob};
pub use shard::Shard;
pub use snapshot::{
    Awaiting, Exported, Exports, NewestExport, ObjectId, Recovery, Snapshot, SnapshotId, SnapshotSet,
    Snapshots,
};
pub use tail::{HEAD_PAGE, Head, Tail};

/// Maximum length of an id, in characters. Ids of Atlas have 24.
pub(crate) const MAX_ID: usize = 64;

/// Maximum length of an error code, in characters.
pub(crate) const MAX_CODE: usize = 128;

/// Maximum length of a message, in characters.
pub(crate) const MAX_MESSAGE: usize = 300;

/// An id as Atlas makes them, in a type of its own for each kind of thing.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Reads an id; `None` unless it is 24 lower-case hexadecimal digits.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
                (text.len() == 24 && text.bytes().all(hex)).then(|| Self(text.into()))
            }

            /// The id as Atlas writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// An Atlas project ("group" in the API), named by 24 lower-case hexadecimal digits.
    ProjectId
}

id! {
    /// An Atlas organization, named likewise.
    OrganizationId
}

/// One cluster to watch. Ordered by project, then name: the order of the exposition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The project the cluster is in.
    pub project_id: ProjectId,
    /// The cluster's name, unique in its project.
    pub cluster_name: String,
}

/// The state of an export job in Atlas's own words, and `Unknown` for words that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Accepted by Atlas, not begun.
    Queued,
    /// Being written to the bucket.
    InProgress,
    /// Ended well.
    Successful,
    /// Ended badly. Atlas does not retry it.
    Failed,
    /// Ended by someone.
    Cancelled,
    /// A word this version does not know; it may be a state that ends or one that does not.
    Unknown,
}

impl JobState {
    /// Every state, in the order of the exposition.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::InProgress, Self::Successful, Self::Failed, Self::Cancelled, Self::Unknown];

    /// Reads Atlas's word, whatever its case.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word)).unwrap_or(Self::Unknown)
    }

    /// Atlas's word for the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "Queued",
            Self::InProgress => "InProgress",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
            Self::Unknown => "Unknown",
        }
    }

    /// Whether a job in this state still waits or works.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }

    /// Whether a job in this state has ended for good.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Cancelled)
    }
}

/// One value for each [`JobState`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByState<T>([T; JobState::ALL.len()]);

impl<T> ByState<T> {
    /// Every state with its value, in the order of the exposition.
    pub fn iter(&self) -> impl Iterator<Item = (JobState, &T)> {
        JobState::ALL.into_iter().zip(&self.0)
    }
}

impl<T> std::ops::Index<JobState> for ByState<T> {
    type Output = T;
    fn index(&self, state: JobState) -> &T {
        &self.0[state as usize]
    }
}

impl<T> std::ops::IndexMut<JobState> for ByState<T> {
    fn index_mut(&mut self, state: JobState) -> &mut T {
        &mut self.0[state as usize]
    }
}

/// How far a job is, in collections; what Atlas did not say, or said below zero, is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Counts {
    /// Collections exported so far.
    pub exported: Option<u64>,
    /// Collections to export.
    pub total: Option<u64>,
}

impl Counts {
    /// Exported over total, from 0 to 1; `None` where that would be an invention: a count missing, nothing
    /// to export, or more exported than there are.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // collections, far below 2^52
    pub fn ratio(self) -> Option<f64> {
        match (self.exported?, self.total?) {
            (exported, total) if total > 0 && exported <= total => Some(exported as f64 / total as f64),
            _ => None,
        }
    }
}

/// Why a job is in its state: free text of Atlas, no list of codes is published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StateReason<'a> {
    /// Atlas's code.
    pub error_code: Option<Cow<'a, str>>,
    /// Atlas's sentence.
    pub message: Option<Cow<'a, str>>,
}

impl StateReason<'_> {
    /// The same, to be kept when the listing is gone: for people, and of bounded length.
    fn into_owned(self) -> StateReason<'static> {
        let owned = |text: Option<Cow<'_, str>>, max| text.map(|text| redact::display(&text, max).into());
        StateReason {
            error_code: owned(self.error_code, MAX_CODE),
            message: owned(self.message, MAX_MESSAGE),
        }
    }
}

/// One snapshot export job, as listed. Its texts are lent by the listing: of most jobs none is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob<'a> {
    /// Atlas's id of the job; without one it cannot be told from another.
    pub id: Option<Cow<'a, str>>,
    /// The snapshot that is exported.
    pub snapshot_id: Option<Cow<'a, str>>,
    /// When the job was asked for.
    pub created_at: Option<Timestamp>,
    /// When it ended; Atlas leaves it out until then.
    pub finished_at: Option<Timestamp>,
    /// Its state.
    pub state: JobState,
    /// Its progress; empty for sharded clusters, whose jobs carry no counts.
    pub counts: Counts,
    /// Why it is in that state.
    pub reason: StateReason<'a>,
}

/// What is left of a project's budget of requests, as Atlas last told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Requests that can be saved up; at least 1.
    pub limit: u64,
    /// Requests left.
    pub remaining: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_whatever_their_case() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(&state.as_str().to_uppercase()), state);
        }
        assert_eq!(JobState::parse("Paused"), JobState::Unknown);
        assert_eq!(JobState::parse(""), JobState::Unknown);
    }

    #[test]
    fn a_ratio_is_never_invented() {
        let ratio = |exported, total| Counts { exported, total }.ratio();
        assert_eq!(ratio(Some(21), Some(84)), Some(0.25));
        assert_eq!(ratio(Some(105), Some(105)), Some(1.0));
        assert_eq!(ratio(Some(0), Some(0)), None);
        assert_eq!(ratio(Some(6), Some(5)), None);
        assert_eq!(ratio(None, Some(5)), None);
        assert_eq!(ratio(Some(5), None), None);
    }

    #[test]
    fn a_project_id_is_24_lower_case_hexadecimal_digits() {
        assert!(ProjectId::parse("32b6e34b3d91647abb20e7b8").is_some());
        for wrong in ["", "32b6e34b3d91647abb20e7b", "32B6E34B3D91647ABB20E7B8", "32b6e34b3d91647abb20e7bg"] {
            assert_eq!(ProjectId::parse(wrong), None, "{wrong}");
        }
    }
}
