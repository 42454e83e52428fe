//! Atlas's JSON. Fields come and go within one version of the API, so all but the essential may be missing or
//! null, and what is unknown is skipped; but a value of another type is an error, since a figure would hang on it.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Error;
use crate::model::{Counts, ExportJob, JobState, StateReason};

pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Invalid(error.to_string()))
}

/// `GET .../backup/exports`. Without `results` it is no listing: a listing that says nothing must not read as one
/// that lists nothing.
#[derive(Deserialize)]
pub(super) struct ExportsPage {
    pub(super) results: Vec<Job>,
    links: Option<Vec<Link>>,
}

impl ExportsPage {
    pub(super) fn promises_more(&self) -> bool {
        self.links.iter().flatten().any(|link| link.rel.as_deref() == Some("next"))
    }
}

#[derive(Deserialize)]
struct Link {
    rel: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    id: Option<Box<str>>,
    snapshot_id: Option<Box<str>>,
    created_at: Option<String>,
    finished_at: Option<String>,
    state: Option<String>,
    export_status: Option<ExportStatus>,
    state_reason: Option<Reason>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportStatus {
    exported_collections: Option<i64>,
    total_collections: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reason {
    error_code: Option<String>,
    message: Option<String>,
}

impl TryFrom<Job> for ExportJob {
    type Error = Error;

    /// A time that cannot be read is an error: without it a job would silently lose its place, and perhaps hide that
    /// the newest one failed.
    fn try_from(job: Job) -> Result<Self, Error> {
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        let status = job.export_status.as_ref();
        Ok(Self {
            id: job.id.filter(|id| !id.is_empty()),
            snapshot_id: job.snapshot_id,
            created_at: time("createdAt", job.created_at.as_deref())?,
            finished_at: time("finishedAt", job.finished_at.as_deref())?,
            state: job.state.as_deref().map_or(JobState::Unknown, JobState::parse),
            counts: Counts {
                exported: count(status.and_then(|status| status.exported_collections)),
                total: count(status.and_then(|status| status.total_collections)),
            },
            reason: job.state_reason.map_or_else(StateReason::default, |reason| StateReason {
                error_code: reason.error_code,
                message: reason.message,
            }),
        })
    }
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Error::Invalid(format!("{field} is {text:?}, which is no time")))
}

/// `GET /groups/{groupId}`
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
}

/// `POST /api/oauth/token`
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: secrecy::SecretString,
    pub(super) expires_in: u64,
}

/// The code and the sentence of an error body: Atlas's `errorCode` and `detail`, or, from the token endpoint, OAuth's
/// `error` and `error_description` (Atlas's own `error` is a number). Nothing from what is neither.
pub(super) fn error_body(body: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(Deserialize)]
    struct ErrorBody {
        #[serde(rename = "errorCode")]
        error_code: Option<String>,
        detail: Option<String>,
        reason: Option<String>,
        error: Option<serde_json::Value>,
        error_description: Option<String>,
    }
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else { return (None, None) };
    let oauth = match body.error {
        Some(serde_json::Value::String(error)) => Some(error),
        _ => None,
    };
    (body.error_code.or(oauth), body.detail.or(body.error_description).or(body.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(json: &str) -> Result<ExportJob, Error> {
        decode::<Job>(json.as_bytes())?.try_into()
    }

    #[test]
    fn a_job_of_today_is_read_whole() {
        let job = job(r#"{"id":"65a1","snapshotId":"65a0","exportBucketId":"6","createdAt":"2026-01-02T03:04:05Z",
            "finishedAt":"2026-01-02T03:24:05.5+00:00","state":"failed","exportStatus":{"exportedCollections":3,"totalCollections":9},
            "stateReason":{"errorCode":"E","message":"m"},"components":[],"customData":[{"key":"a","value":"b"}],"prefix":"p","links":[]}"#)
        .unwrap();
        assert_eq!(job.state, JobState::Failed);
        assert_eq!(job.counts, Counts { exported: Some(3), total: Some(9) });
        assert_eq!(job.reason.error_code.as_deref(), Some("E"));
        assert_eq!(job.finished_at.unwrap().as_millisecond() % 1000, 500);
    }

    #[test]
    fn what_is_missing_or_null_or_new_is_absent() {
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
    fn counts_below_zero_are_absent() {
        let job =
            job(r#"{"exportStatus":{"exportedCollections":-2147483648,"totalCollections":-2147483648}}"#)
                .unwrap();
        assert_eq!(job.counts, Counts::default());
    }

    #[test]
    fn another_type_or_an_unreadable_time_is_an_error() {
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
    fn a_page_without_results_is_no_listing() {
        for json in ["{}", r#"{"results":null}"#, r#"{"error":500}"#, "<html>", ""] {
            assert!(decode::<ExportsPage>(json.as_bytes()).is_err(), "{json}");
        }
        assert!(!decode::<ExportsPage>(br#"{"results":[]}"#).unwrap().promises_more());
        let links = br#"{"results":[],"links":[{"rel":"self"},{"href":"x"},{"rel":"next"}]}"#;
        assert!(decode::<ExportsPage>(links).unwrap().promises_more());
    }

    #[test]
    fn error_bodies_of_both_shapes_are_read() {
        let read = |body: &str| error_body(body.as_bytes());
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            read(r#"{"error":404,"errorCode":"CLUSTER_NOT_FOUND","detail":"d","reason":"Not Found"}"#),
            (some("CLUSTER_NOT_FOUND"), some("d"))
        );
        assert_eq!(
            read(r#"{"error":"invalid_client","error_description":"d"}"#),
            (some("invalid_client"), some("d"))
        );
        assert_eq!(read("<html>"), (None, None));
    }
}
