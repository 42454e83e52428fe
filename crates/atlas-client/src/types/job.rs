//! Export jobs.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::text::{MAX_ID, is_longer};
use crate::error::{MAX_CODE, MAX_MESSAGE};
use crate::redact;

/// State of an export job, as Atlas names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// Accepted by Atlas, but not started.
    Queued,
    /// Being written to the bucket.
    InProgress,
    Successful,
    /// Ended with a failure. Atlas does not retry it.
    Failed,
    Cancelled,
    /// A state that this version does not know, final or not.
    Unknown,
}

impl JobState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::InProgress, Self::Successful, Self::Failed, Self::Cancelled, Self::Unknown];

    /// Parses the name of a state, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str().eq_ignore_ascii_case(word)).unwrap_or(Self::Unknown)
    }

    /// Returns the name of the state in Atlas.
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

    /// Returns true for a queued or running job.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::InProgress)
    }

    /// Returns true for a successful, failed or cancelled job.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Cancelled)
    }
}

/// Progress of a job in collections. A missing or negative number is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CollectionProgress {
    pub exported: Option<u64>,
    pub total: Option<u64>,
}

impl CollectionProgress {
    /// Returns exported over total, from 0 to 1; `None` if a number is missing, the total is 0, or
    /// less than the exported number.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // collections, far below 2^52
    pub fn ratio(self) -> Option<f64> {
        match (self.exported?, self.total?) {
            (exported, total) if total > 0 && exported <= total => Some(exported as f64 / total as f64),
            _ => None,
        }
    }
}

/// Reason for the state of a job. Atlas publishes no list of its codes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StateReason<'a> {
    pub error_code: Option<Cow<'a, str>>,
    pub message: Option<Cow<'a, str>>,
}

impl StateReason<'_> {
    /// Returns an owned copy, redacted and truncated.
    #[must_use]
    pub fn into_owned(self) -> StateReason<'static> {
        let owned = |text: Option<Cow<'_, str>>, max| text.map(|text| redact::display(&text, max).into());
        StateReason {
            error_code: owned(self.error_code, MAX_CODE),
            message: owned(self.message, MAX_MESSAGE),
        }
    }
}

/// A snapshot export job. Its texts are borrowed from the response, because most are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportJob<'a> {
    pub id: Option<Cow<'a, str>>,
    /// Id of the exported snapshot.
    pub snapshot_id: Option<Cow<'a, str>>,
    pub created_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub state: JobState,
    /// Progress; empty for sharded clusters, whose jobs have no counts.
    pub counts: CollectionProgress,
    pub reason: StateReason<'a>,
}

/// A text that is borrowed unless it has escapes. serde does not borrow a `Cow` in an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The JSON of a job. An invalid time is an error, because without it a job would lose its place in
/// the order, which could hide that the newest job failed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    snapshot_id: Option<Text<'a>>,
    created_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    state: Option<Text<'a>>,
    export_status: Option<ExportStatus>,
    state_reason: Option<Reason<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportStatus {
    exported_collections: Option<Number>,
    total_collections: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reason<'a> {
    #[serde(borrow)]
    error_code: Option<Text<'a>>,
    message: Option<Text<'a>>,
}

impl<'de> Deserialize<'de> for ExportJob<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let job = Job::deserialize(deserializer)?;
        // Numbers that are negative, fractional or too large are ignored.
        let count = |count: Option<Number>| count.and_then(|count| count.as_u64());
        let counts = |status: ExportStatus| CollectionProgress {
            exported: count(status.exported_collections),
            total: count(status.total_collections),
        };
        let reason = |reason: Reason<'de>| StateReason {
            error_code: reason.error_code.map(|code| code.0),
            message: reason.message.map(|message| message.0),
        };
        let id = job.id.map(|id| id.0).filter(|id| !id.is_empty());
        // Ids are searched for known secrets when they are logged, not here, where there are
        // thousands.
        if id.as_ref().is_some_and(|id| is_longer(id, MAX_ID) || redact::has_hidden(id)) {
            let error = format!("job id of more than {MAX_ID} characters, or with invisible characters");
            return Err(D::Error::custom(error));
        }
        Ok(Self {
            id,
            snapshot_id: job.snapshot_id.map(|id| id.0),
            created_at: job.created_at,
            finished_at: job.finished_at,
            state: job.state.map_or(JobState::Unknown, |word| JobState::parse(&word.0)),
            counts: job.export_status.map(counts).unwrap_or_default(),
            reason: job.state_reason.map(reason).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::decode;
    use super::*;
    use crate::error::Error;

    fn job(json: &str) -> Result<ExportJob<'_>, Error> {
        decode(json.as_bytes())
    }

    #[test]
    fn job_of_today_is_read_whole() {
        let json = r#"{"id":"65a1","snapshotId":"65a0","exportBucketId":"6",
            "createdAt":"2026-01-02T03:04:05Z","finishedAt":"2026-01-02T03:24:05.5+00:00","state":"failed",
            "exportStatus":{"exportedCollections":3,"totalCollections":9},
            "stateReason":{"errorCode":"E","message":"m"},"components":[],
            "customData":[{"key":"a","value":"b"}],"prefix":"p","links":[]}"#;
        let job = job(json).unwrap();
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(job.counts, CollectionProgress { exported: Some(3), total: Some(9) });
        assert_eq!(job.reason.error_code.as_deref(), Some("E"));
        assert_eq!(job.finished_at.unwrap().as_millisecond() % 1000, 500);
    }

    #[test]
    fn text_is_borrowed_unless_it_has_escapes() {
        let plain = job(r#"{"id":"65a1","stateReason":{"message":"m"}}"#).unwrap();
        assert!(matches!((plain.id, plain.reason.message), (Some(Cow::Borrowed(_)), Some(Cow::Borrowed(_)))));
        let json = r#"{"id":"6\u0035a1","state":"\u0046ailed","createdAt":"2026-01-02T03\u003a04:05Z",
            "stateReason":{"message":"\"m\"\n"}}"#;
        let escaped = job(json).unwrap();
        assert_eq!((escaped.id.as_deref(), escaped.state), (Some("65a1"), JobState::Failed));
        assert_eq!(escaped.created_at, "2026-01-02T03:04:05Z".parse().ok());
        assert_eq!(escaped.reason.message.as_deref(), Some("\"m\"\n"));
    }

    #[test]
    fn missing_null_and_new_fields_are_absent() {
        for json in [
            "{}",
            r#"{"id":null,"state":null,"createdAt":null,"exportStatus":null,"stateReason":null}"#,
            r#"{"region":{"a":[1]}}"#,
        ] {
            let job = job(json).unwrap();
            assert_eq!((job.id, job.created_at, job.state), (None, None, JobState::Unknown));
        }
    }

    #[test]
    fn negative_and_broken_numbers_are_absent() {
        for number in ["-2147483648", "1.5", "1e300"] {
            let json = format!(
                r#"{{"exportStatus":{{"exportedCollections":{number},"totalCollections":{number}}}}}"#
            );
            assert_eq!(job(&json).unwrap().counts, CollectionProgress::default(), "{number}");
        }
    }

    #[test]
    fn wrong_type_or_time_is_an_error() {
        for json in [
            r#"{"state":3}"#,
            r#"{"createdAt":17}"#,
            r#"{"createdAt":"yesterday"}"#,
            r#"{"finishedAt":""}"#,
            "[]",
            "null",
        ] {
            assert!(matches!(job(json), Err(Error::Invalid(_))), "{json}");
        }
    }

    #[test]
    fn id_that_is_too_long_is_an_error() {
        assert!(job(&format!(r#"{{"id":"{}"}}"#, "ä".repeat(MAX_ID))).is_ok());
        assert!(job(&format!(r#"{{"id":"{}"}}"#, "a".repeat(MAX_ID + 1))).is_err());
    }

    #[test]
    fn states_are_parsed_whatever_their_case() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(&state.as_str().to_uppercase()), state);
        }
        assert_eq!(JobState::parse("Paused"), JobState::Unknown);
        assert_eq!(JobState::parse(""), JobState::Unknown);
    }

    #[test]
    fn ratio_needs_two_sensible_counts() {
        let ratio = |exported, total| CollectionProgress { exported, total }.ratio();
        assert_eq!(ratio(Some(21), Some(84)), Some(0.25));
        assert_eq!(ratio(Some(105), Some(105)), Some(1.0));
        assert_eq!(ratio(Some(0), Some(0)), None);
        assert_eq!(ratio(Some(6), Some(5)), None);
        assert_eq!(ratio(None, Some(5)), None);
        assert_eq!(ratio(Some(5), None), None);
    }
}
