//! Atlas's JSON. Fields come and go within one version of the API, so all but the essential may be missing or
//! null, and what is unknown is skipped; but a value of another type is an error, since a figure would hang on it.

mod detail;
mod job;
mod project;

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::{Error, PAGE_SIZE};
use crate::model::Moment;
pub(super) use detail::{Bucket, Event, Snapshot};
pub(super) use job::Job;
pub(super) use project::{Cluster, ListedProject, Project, Schedule};

pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    // To look once at the whole body is faster than text by text. Where that fails, a text that nobody reads may be the reason.
    let decoded = match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    decoded.map_err(|error| Error::invalid(&error.to_string()))
}

/// One entry of a listing, read apart from the others.
pub(super) fn entry<T: DeserializeOwned>(entry: serde_json::Value) -> Result<T, Error> {
    serde_json::from_value(entry).map_err(|error| Error::invalid(&format!("an entry of a listing: {error}")))
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

/// Snapshots in a list without pages. Hourly ones of a year are 8,784.
pub(super) const LONGEST_LIST: usize = 20_000;

/// A page of a listing, with at most `MOST` entries. Without `results` it is no listing: a listing that says nothing must not read as one that lists
/// nothing.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T, const MOST: usize = PAGE_SIZE> {
    #[serde(deserialize_with = "at_most::<T, MOST, _>")]
    pub(super) results: Vec<T>,
    links: Option<Vec<Link>>,
    #[serde(rename = "totalCount")]
    total_count: Option<Number>,
}

impl<T, const MOST: usize> Page<T, MOST> {
    /// How much there is in all, by an estimate of Atlas.
    pub(super) fn count(&self) -> u64 {
        self.total_count.as_ref().and_then(Number::as_u64).unwrap_or_default()
    }

    pub(super) fn promises_more(&self) -> bool {
        self.links.iter().flatten().any(|link| link.rel.as_deref() == Some("next"))
    }
}

/// As much as was asked for, and no more: a page of a few bytes a thing would fill the memory long before its body is too
/// large.
fn at_most<'de, T: Deserialize<'de>, const MOST: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Things<T, const MOST: usize>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Things<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an array of at most {MOST} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut things: A) -> Result<Vec<T>, A::Error> {
            // Of a listing with pages, no more than a page is asked for.
            let mut page = Vec::with_capacity(MOST.min(PAGE_SIZE));
            while let Some(thing) = things.next_element()? {
                if page.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                page.push(thing);
            }
            Ok(page)
        }
    }
    deserializer.deserialize_seq(Things::<T, MOST>(PhantomData))
}

/// A text that stays where it is read, unless it has escapes. serde borrows a bare `Cow`, but none within an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
struct Link {
    rel: Option<String>,
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Moment>, Error> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Error::invalid(&format!("{field} is {:?}, which is no time", text.unwrap_or_default())))
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

/// The fields of an error body; none from a body that is not JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ErrorBody {
    /// Atlas's `errorCode`, or OAuth's `error`.
    pub(super) code: Option<String>,
    /// Atlas's `detail`, `message` or `reason`, or OAuth's `error_description`.
    pub(super) detail: Option<String>,
    /// The first of the `parameters` that is an IP address.
    pub(super) address: Option<IpAddr>,
}

/// Reads an error body. No field is essential, and one of another type is as good as absent: `error` is a number in
/// Atlas's errors and a text in OAuth's, and `parameters` mixes texts and numbers.
pub(super) fn error_body(body: &[u8]) -> ErrorBody {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { return ErrorBody::default() };
    let text = |field: &str| body[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let parameters = body["parameters"].as_array();
    ErrorBody {
        code: text("errorCode").or_else(|| text("error")),
        detail: ["detail", "error_description", "message", "reason"].into_iter().find_map(text),
        address: parameters.into_iter().flatten().find_map(|value| value.as_str()?.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_results_is_no_listing() {
        for json in ["{}", r#"{"results":null}"#, r#"{"error":500}"#, "<html>", ""] {
            assert!(decode::<Page<Job<'_>>>(json.as_bytes()).is_err(), "{json}");
        }
        assert!(!decode::<Page<Job<'_>>>(br#"{"results":[]}"#).unwrap().promises_more());
        let links = br#"{"results":[],"links":[{"rel":"self"},{"href":"x"},{"rel":"next"}]}"#;
        assert!(decode::<Page<Job<'_>>>(links).unwrap().promises_more());
    }

    #[test]
    fn what_nobody_reads_may_be_no_text() {
        assert_eq!(
            decode::<Page<Job<'_>>>(b"{\"results\":[{\"prefix\":\"\xff\"}]}").unwrap().results.len(),
            1
        );
        assert!(decode::<Page<Job<'_>>>(b"{\"results\":[{\"id\":\"\xff\"}]}").is_err());
    }

    #[test]
    fn error_body_of_every_shape_is_read() {
        let check = |body: &str, code: Option<&str>, detail: Option<&str>, address: Option<&str>| {
            let expected = ErrorBody {
                code: code.map(str::to_owned),
                detail: detail.map(str::to_owned),
                address: address.map(|address| address.parse().unwrap()),
            };
            assert_eq!(error_body(body.as_bytes()), expected, "{body}");
        };
        check(
            r#"{"error":404,"errorCode":"CLUSTER_NOT_FOUND","detail":"d","reason":"Not Found"}"#,
            Some("CLUSTER_NOT_FOUND"),
            Some("d"),
            None,
        );
        check(
            r#"{"error":"invalid_client","error_description":"d"}"#,
            Some("invalid_client"),
            Some("d"),
            None,
        );
        check(r#"{"errorCode":"X","message":"m","status":403,"version":1}"#, Some("X"), Some("m"), None);
        check(r#"{"errorCode":"","detail":"","reason":"r"}"#, None, Some("r"), None);
        check(r#"{"errorCode":"X","detail":7,"parameters":null}"#, Some("X"), None, None);
        check(
            r#"{"errorCode":"X","parameters":["/path",0,"203.0.113.7","10.0.0.1"]}"#,
            Some("X"),
            None,
            Some("203.0.113.7"),
        );
        for odd in ["<html>", "", "[]", "7", r#"{"parameters":{"a":"10.0.0.1"}}"#] {
            check(odd, None, None, None);
        }
    }

    #[test]
    fn a_page_holds_no_more_than_was_asked_for() {
        let page = |jobs: usize| format!(r#"{{"results":[{}]}}"#, vec!["{}"; jobs].join(","));
        assert_eq!(decode::<Page<Job<'_>>>(page(PAGE_SIZE).as_bytes()).unwrap().results.len(), PAGE_SIZE);
        assert!(decode::<Page<Job<'_>>>(page(PAGE_SIZE + 1).as_bytes()).is_err());
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
