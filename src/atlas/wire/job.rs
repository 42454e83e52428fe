//! Export jobs.

use serde::Deserialize;
use serde_json::Number;

use super::text::is_longer;
use super::{Text, time};
use crate::atlas::Error;
use crate::model::{Counts, ExportJob, JobState, MAX_ID, StateReason};
use crate::redact;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::atlas) struct Job<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    snapshot_id: Option<Text<'a>>,
    created_at: Option<Text<'a>>,
    finished_at: Option<Text<'a>>,
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

impl<'a> TryFrom<Job<'a>> for ExportJob<'a> {
    type Error = Error;

    /// A time that cannot be read is an error: without it a job would silently lose its place, and perhaps hide that
    /// the newest one failed.
    fn try_from(job: Job<'a>) -> Result<Self, Error> {
        // A number that counts nothing (negative, broken, beyond all bounds) is as good as none.
        let count = |count: &Option<Number>| count.as_ref().and_then(Number::as_u64);
        let status = job.export_status.as_ref();
        let id = job.id.map(|id| id.0).filter(|id| !id.is_empty());
        // Known secrets are not searched for in each of thousands of ids: they are where an id is shown.
        if id.as_ref().is_some_and(|id| is_longer(id, MAX_ID) || redact::has_hidden(id)) {
            return Err(Error::invalid(&format!(
                "a job with an id of more than {MAX_ID} characters, or with hidden ones"
            )));
        }
        Ok(Self {
            id,
            snapshot_id: job.snapshot_id.map(|id| id.0),
            created_at: time("createdAt", job.created_at.as_ref().map(Text::as_str))?,
            finished_at: time("finishedAt", job.finished_at.as_ref().map(Text::as_str))?,
            state: job.state.map_or(JobState::Unknown, |state| JobState::parse(&state.0)),
            counts: Counts {
                exported: status.and_then(|status| count(&status.exported_collections)),
                total: status.and_then(|status| count(&status.total_collections)),
            },
            reason: job.state_reason.map_or_else(StateReason::default, |reason| StateReason {
                error_code: reason.error_code.map(|code| code.0),
                message: reason.message.map(|message| message.0),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::decode;
    use super::*;

    fn job(json: &str) -> Result<ExportJob<'_>, Error> {
        decode::<Job<'_>>(json.as_bytes())?.try_into()
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
    fn a_text_is_lent_unless_it_has_escapes() {
        let plain = job(r#"{"id":"65a1","stateReason":{"message":"m"}}"#).unwrap();
        assert!(matches!((plain.id, plain.reason.message), (Some(Cow::Borrowed(_)), Some(Cow::Borrowed(_)))));
        let json = r#"{"id":"6\u0035a1","state":"\u0046ailed","createdAt":"2026-01-02T03\u003a04:05Z","stateReason":{"message":"\"m\"\n"}}"#;
        let escaped = job(json).unwrap();
        assert_eq!((escaped.id.as_deref(), escaped.state), (Some("65a1"), JobState::Failed));
        assert_eq!(escaped.created_at, "2026-01-02T03:04:05Z".parse().ok());
        assert_eq!(escaped.reason.message.as_deref(), Some("\"m\"\n"));
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
    fn numbers_that_count_nothing_are_absent() {
        for number in ["-2147483648", "1.5", "1e300"] {
            let json = format!(
                r#"{{"exportStatus":{{"exportedCollections":{number},"totalCollections":{number}}}}}"#
            );
            assert_eq!(job(&json).unwrap().counts, Counts::default(), "{number}");
        }
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
    fn id_that_is_too_long_is_an_error() {
        assert!(job(&format!(r#"{{"id":"{}"}}"#, "ä".repeat(MAX_ID))).is_ok());
        assert!(job(&format!(r#"{{"id":"{}"}}"#, "a".repeat(MAX_ID + 1))).is_err());
    }
}
