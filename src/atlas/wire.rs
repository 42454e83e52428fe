//! Atlas's JSON. Fields come and go within one version of the API, so all but the essential may be missing or
//! null, and what is unknown is skipped; but a value of another type is an error, since a figure would hang on it.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::error::tidy;
use super::{Error, PAGE_SIZE};
use crate::model::{
    Counts, ExportJob, JobState, ListedCluster, ProjectId, Schedule as ExportSchedule, StateReason,
    Unexportable,
};

/// Ids are 24 digits; this leaves room, but not for memory to be filled with them.
const LONGEST_ID: usize = 128;

/// Longest code or message that is kept, in bytes. Atlas's are a sentence.
const LONGEST_REASON: usize = 16 * 1024;

pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::invalid(&error.to_string()))
}

/// The answer to a token request. What is wrong with it is told without a word of it, since it may hold a token.
pub(super) fn token(body: &[u8]) -> Result<Token, Error> {
    serde_json::from_slice(body).map_err(|error| {
        Error::invalid(&format!(
            "a token answer with an error of {:?} at line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}

/// A page of a listing. Without `results` it is no listing: a listing that says nothing must not read as one that lists
/// nothing.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T> {
    #[serde(deserialize_with = "a_page_at_most")]
    pub(super) results: Vec<T>,
    links: Option<Vec<Link>>,
}

impl<T> Page<T> {
    pub(super) fn promises_more(&self) -> bool {
        self.links.iter().flatten().any(|link| link.rel.as_deref() == Some("next"))
    }
}

/// As much as was asked for, and no more: a page of a few bytes a thing would fill the memory long before its body is too
/// large.
fn a_page_at_most<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Things<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Things<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an array of at most {PAGE_SIZE} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut things: A) -> Result<Vec<T>, A::Error> {
            let mut page = Vec::new();
            while let Some(thing) = things.next_element()? {
                if page.len() == PAGE_SIZE {
                    return Err(A::Error::invalid_length(PAGE_SIZE + 1, &self));
                }
                page.push(thing);
            }
            Ok(page)
        }
    }
    deserializer.deserialize_seq(Things(PhantomData))
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
    exported_collections: Option<Number>,
    total_collections: Option<Number>,
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
        // A number that counts nothing (negative, broken, beyond all bounds) is as good as none.
        let count = |count: &Option<Number>| count.as_ref().and_then(Number::as_u64);
        let status = job.export_status.as_ref();
        if job.id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
            return Err(Error::invalid("a job whose id is longer than any id"));
        }
        Ok(Self {
            id: job.id.filter(|id| !id.is_empty()),
            snapshot_id: job.snapshot_id,
            created_at: time("createdAt", job.created_at.as_deref())?,
            finished_at: time("finishedAt", job.finished_at.as_deref())?,
            state: job.state.as_deref().map_or(JobState::Unknown, JobState::parse),
            counts: Counts {
                exported: status.and_then(|status| count(&status.exported_collections)),
                total: status.and_then(|status| count(&status.total_collections)),
            },
            reason: job.state_reason.map_or_else(StateReason::default, |reason| StateReason {
                error_code: reason.error_code.map(shortened),
                message: reason.message.map(shortened),
            }),
        })
    }
}

/// Cuts what would be a book.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST_REASON {
        return text;
    }
    text.chars().take(LONGEST_REASON / 4 - 1).chain("...".chars()).collect()
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Error::invalid(&format!("{field} is {:?}, which is no time", text.unwrap_or_default())))
}

/// `GET /groups/{groupId}`
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
}

/// One of `GET /orgs/{orgId}/groups`
#[derive(Deserialize)]
pub(super) struct ListedProject {
    id: String,
}

impl ListedProject {
    /// A project that cannot be asked for is an error: left out, it would be missing without a word.
    pub(super) fn id(&self) -> Result<ProjectId, Error> {
        ProjectId::parse(&self.id).ok_or_else(|| Error::invalid(&format!("{:?} is no project id", self.id)))
    }
}

/// One of `GET /groups/{groupId}/clusters`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Cluster {
    name: String,
    backup_enabled: Option<bool>,
    paused: Option<bool>,
    create_date: Option<String>,
    state_name: Option<String>,
    replication_specs: Option<Vec<ReplicationSpec>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReplicationSpec {
    region_configs: Option<Vec<RegionConfig>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegionConfig {
    provider_name: Option<String>,
}

impl Cluster {
    /// The cluster; `None` where it is listed, but gone.
    ///
    /// What Atlas does not say is not held against a cluster: only `backupEnabled: false` is a backup that is off.
    pub(super) fn listed(self) -> Result<Option<ListedCluster>, Error> {
        if self.name.is_empty() || matches!(self.name.as_str(), "." | "..") {
            return Err(Error::invalid(&format!("a cluster called {:?}", self.name)));
        }
        if self.state_name.as_deref() == Some("DELETED") {
            return Ok(None);
        }
        let specs = self.replication_specs.iter().flatten();
        let mut regions = specs.flat_map(|spec| spec.region_configs.iter().flatten());
        let kind = regions.find_map(|region| match region.provider_name.as_deref() {
            Some("TENANT") => Some(Unexportable::SharedTier),
            Some("FLEX") => Some(Unexportable::Flex),
            _ => None,
        });
        let disabled = (self.backup_enabled == Some(false)).then_some(Unexportable::BackupDisabled);
        Ok(Some(ListedCluster {
            unexportable: kind.or(disabled),
            paused: self.paused,
            created_at: time("createDate", self.create_date.as_deref())?,
            name: self.name,
        }))
    }
}

/// `GET .../backup/schedule`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schedule {
    auto_export_enabled: Option<bool>,
    export: Option<ExportPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExportPolicy {
    frequency_type: Option<String>,
}

impl From<Schedule> for ExportSchedule {
    fn from(schedule: Schedule) -> Self {
        Self {
            auto_export: schedule.auto_export_enabled,
            frequency: schedule.export.and_then(|export| export.frequency_type).map(|word| tidy(&word)),
        }
    }
}

/// `POST /api/oauth/token`
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: secrecy::SecretString,
    expires_in: Number,
}

impl Token {
    /// How long it is said to live.
    pub(super) fn life(&self) -> Duration {
        let seconds = self.expires_in.as_f64().unwrap_or_default();
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
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
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let detail = filled(body.detail).or(filled(body.error_description)).or(filled(body.reason));
    (filled(body.error_code).or(filled(oauth)), detail)
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
    fn a_page_without_results_is_no_listing() {
        for json in ["{}", r#"{"results":null}"#, r#"{"error":500}"#, "<html>", ""] {
            assert!(decode::<Page<Job>>(json.as_bytes()).is_err(), "{json}");
        }
        assert!(!decode::<Page<Job>>(br#"{"results":[]}"#).unwrap().promises_more());
        let links = br#"{"results":[],"links":[{"rel":"self"},{"href":"x"},{"rel":"next"}]}"#;
        assert!(decode::<Page<Job>>(links).unwrap().promises_more());
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
        assert_eq!(read(r#"{"errorCode":"","detail":"","reason":"r"}"#), (None, some("r")));
        assert_eq!(read("<html>"), (None, None));
    }

    #[test]
    fn a_page_holds_no_more_than_was_asked_for() {
        let page = |jobs: usize| format!(r#"{{"results":[{}]}}"#, vec!["{}"; jobs].join(","));
        assert_eq!(decode::<Page<Job>>(page(PAGE_SIZE).as_bytes()).unwrap().results.len(), PAGE_SIZE);
        assert!(decode::<Page<Job>>(page(PAGE_SIZE + 1).as_bytes()).is_err());
        assert!(job(&format!(r#"{{"id":"{}"}}"#, "a".repeat(LONGEST_ID + 1))).is_err());
        let reason = format!(r#"{{"stateReason":{{"message":"{}"}}}}"#, "ä".repeat(LONGEST_REASON));
        assert!(job(&reason).unwrap().reason.message.unwrap().len() <= LONGEST_REASON);
    }

    #[test]
    fn a_cluster_is_what_its_regions_and_its_backup_say() {
        let listed = |json: &str| decode::<Cluster>(json.as_bytes())?.listed();
        let region = |provider: &str| {
            format!(r#""replicationSpecs":[{{"regionConfigs":[{{"providerName":"{provider}"}}]}}]"#)
        };
        let check = |rest: &str, expected: Option<Unexportable>| {
            let json = format!(r#"{{"name":"a"{rest}}}"#);
            assert_eq!(listed(&json).unwrap().unwrap().unexportable, expected, "{json}");
        };
        check("", None);
        check(r#","backupEnabled":null,"paused":null,"replicationSpecs":null"#, None);
        check(&format!(r#","backupEnabled":true,{}"#, region("AWS")), None);
        check(r#","backupEnabled":false"#, Some(Unexportable::BackupDisabled));
        check(&format!(r#","backupEnabled":false,{}"#, region("TENANT")), Some(Unexportable::SharedTier));
        check(&format!(",{}", region("FLEX")), Some(Unexportable::Flex));
        let whole =
            listed(r#"{"name":"a","paused":true,"createDate":"2026-01-02T03:04:05Z","stateName":"IDLE"}"#);
        let whole = whole.unwrap().unwrap();
        assert_eq!((whole.paused, whole.created_at), (Some(true), "2026-01-02T03:04:05Z".parse().ok()));
        assert_eq!(listed(r#"{"name":"a","stateName":"DELETED"}"#), Ok(None));
        for json in [r"{}", r#"{"name":""}"#, r#"{"name":".."}"#, r#"{"name":"a","paused":"no"}"#] {
            assert!(listed(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_schedule_says_what_it_says() {
        let schedule = |json: &str| ExportSchedule::from(decode::<Schedule>(json.as_bytes()).unwrap());
        assert_eq!(schedule("{}"), ExportSchedule::default());
        assert_eq!(schedule(r#"{"autoExportEnabled":null,"export":null}"#), ExportSchedule::default());
        let whole =
            schedule(r#"{"autoExportEnabled":true,"export":{"exportBucketId":"b","frequencyType":"daily"}}"#);
        assert_eq!((whole.auto_export, whole.frequency.as_deref()), (Some(true), Some("daily")));
    }

    #[test]
    fn a_token_answer_is_refused_without_a_word_of_it() {
        for body in [
            r#""secret-token""#,
            r#"{"access_token":["secret-token"],"expires_in":1}"#,
            r#"{"access_token":"secret-token","expires_in":"secret-token"}"#,
        ] {
            let error = token(body.as_bytes()).err().unwrap().to_string();
            assert!(!error.contains("secret-token") && error.contains("column"), "{error}");
        }
        for (life, seconds) in [("3600", 3600), ("3600.0", 3600), ("-5", 0)] {
            let body = format!(r#"{{"access_token":"a","expires_in":{life}}}"#);
            assert_eq!(token(body.as_bytes()).ok().unwrap().life().as_secs(), seconds, "{life}");
        }
    }
}
