//! Atlas's JSON. Fields come and go within one version of the API, so all but the essential may be missing or
//! null, and what is unknown is skipped; but a value of another type is an error, since a figure would hang on it.

mod array;
mod detail;
mod error_body;
mod job;
mod project;
mod text;

use std::borrow::Cow;
use std::time::Duration;

use compact_str::CompactString;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::Error;
use crate::model::MAX_ID;
use array::{Each, Gather, List};
pub(super) use detail::{Bucket, Event, Snapshot};
pub(super) use job::Job;
pub(super) use project::{Cluster, ListedProject, Project, Schedule};
pub(super) use text::shorten;
use text::{Lenient, is_longer};

pub(super) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    // To look once at the whole body is faster than text by text. Where that fails, a text that nobody reads may be the reason.
    let decoded = match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    decoded.map_err(|error| Error::invalid(&error.to_string()))
}

/// One entry of a listing, read apart from the others.
pub(super) fn entry<'a, T: Deserialize<'a>>(entry: &'a RawValue) -> Result<T, Error> {
    serde_json::from_str(entry.get())
        .map_err(|error| Error::invalid(&format!("an entry of a listing: {error}")))
}

/// The id of an entry that counts for nothing; empty where it has none.
pub(super) fn id_of(entry: &RawValue) -> CompactString {
    #[derive(Deserialize)]
    struct WithId {
        id: Lenient,
    }
    let id = serde_json::from_str(entry.get()).ok().and_then(|WithId { id }| id.0);
    id.filter(|id| !is_longer(id, MAX_ID)).unwrap_or_default().into()
}

/// Entries on a page: the most that Atlas allows.
pub(super) const PAGE_SIZE: usize = 500;

/// Snapshots in a list without pages. Hourly ones of a year are 8,784.
pub(super) const LONGEST_LIST: usize = 20_000;

/// A page of a listing, with at most `MOST` entries. Without `results` it is no listing: a listing that says nothing must not read as one that lists
/// nothing.
#[derive(Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub(super) struct Page<T, const MOST: usize = PAGE_SIZE> {
    results: Each<T, List<T, MOST>>,
    links: Option<Each<Link, HasNext>>,
    #[serde(rename = "totalCount")]
    total_count: Option<Number>,
}

impl<T, const MOST: usize> Page<T, MOST> {
    /// How much there is in all, by an estimate of Atlas.
    pub(super) fn count(&self) -> u64 {
        self.total_count.as_ref().and_then(Number::as_u64).unwrap_or_default()
    }

    pub(super) fn promises_more(&self) -> bool {
        self.links.as_ref().is_some_and(|links| links.all.0)
    }

    /// Returns the number of its entries.
    pub(super) fn len(&self) -> usize {
        self.results.all.0.len()
    }

    pub(super) fn into_entries(self) -> Vec<T> {
        self.results.all.0
    }
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

/// Whether a link leads to another page.
#[derive(Default)]
struct HasNext(bool);

impl Gather<Link> for HasNext {
    fn gather(&mut self, link: Link) -> Result<(), String> {
        self.0 |= link.rel.as_deref() == Some("next");
        Ok(())
    }
}

fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Error> {
    text.map(str::parse)
        .transpose()
        .map_err(|_| Error::invalid(&format!("{field} is {:?}, which is no time", text.unwrap_or_default())))
}

/// Maximum length of an access token, in bytes. Every request repeats it; those of Atlas have about 1,000.
const MAX_TOKEN: usize = 8 * 1024;

/// Life of a token whose life is not a number of seconds.
const UNKNOWN_LIFE: Duration = Duration::from_mins(1);

/// `POST /api/oauth/token`
pub(super) struct Token {
    pub(super) access_token: SecretString,
    /// How long it is said to live.
    pub(super) life: Duration,
}

/// The answer to a token request. What is wrong with it is told without a word of it, since it may hold a token.
pub(super) fn token(body: &[u8]) -> Result<Token, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        access_token: SecretString,
        #[serde(borrow)]
        expires_in: Option<&'a RawValue>,
    }
    let Answer { access_token, expires_in } = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(&format!(
            "a token answer with an error of {:?} at line {}, column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })?;
    if access_token.expose_secret().len() > MAX_TOKEN {
        return Err(Error::TooLarge(format!("an access token of more than {MAX_TOKEN} bytes")));
    }
    Ok(Token { access_token, life: life(expires_in.map_or("", RawValue::get)) })
}

/// Reads seconds, in a text, too. What cannot be read must not cost the token.
fn life(seconds: &str) -> Duration {
    match seconds.trim_matches('"').parse::<f64>() {
        Ok(seconds) if seconds <= 0.0 => Duration::ZERO,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(UNKNOWN_LIFE),
        Err(_) => UNKNOWN_LIFE,
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
        assert_eq!(decode::<Page<Job<'_>>>(b"{\"results\":[{\"prefix\":\"\xff\"}]}").unwrap().len(), 1);
        assert!(decode::<Page<Job<'_>>>(b"{\"results\":[{\"id\":\"\xff\"}]}").is_err());
    }

    #[test]
    fn a_page_holds_no_more_than_was_asked_for() {
        let page = |jobs: usize| format!(r#"{{"results":[{}]}}"#, vec!["{}"; jobs].join(","));
        assert_eq!(decode::<Page<Job<'_>>>(page(PAGE_SIZE).as_bytes()).unwrap().len(), PAGE_SIZE);
        assert!(decode::<Page<Job<'_>>>(page(PAGE_SIZE + 1).as_bytes()).is_err());
    }

    #[test]
    fn a_token_answer_is_refused_without_a_word_of_it() {
        for body in [r#""secret-token""#, r#"{"access_token":["secret-token"],"expires_in":1}"#] {
            let error = token(body.as_bytes()).err().unwrap().to_string();
            assert!(!error.contains("secret-token") && error.contains("column"), "{error}");
        }
        let answer =
            |length: usize| token(format!(r#"{{"access_token":"{}"}}"#, "x".repeat(length)).as_bytes());
        assert!(answer(MAX_TOKEN).is_ok());
        let error = answer(MAX_TOKEN + 1).err().unwrap();
        assert_eq!(error, Error::TooLarge("an access token of more than 8192 bytes".to_owned()));
    }

    #[test]
    fn life_that_cannot_be_read_is_a_minute() {
        for (life, seconds) in [
            (r#","expires_in":3600"#, 3600),
            (r#","expires_in":3600.0"#, 3600),
            (r#","expires_in":"3600""#, 3600),
            (r#","expires_in":0"#, 0),
            (r#","expires_in":-5"#, 0),
            ("", 60),
            (r#","expires_in":null"#, 60),
            (r#","expires_in":"soon""#, 60),
            (r#","expires_in":"NaN""#, 60),
            (r#","expires_in":1e999"#, 60),
            (r#","expires_in":{"seconds":9}"#, 60),
        ] {
            let body = format!(r#"{{"access_token":"a"{life}}}"#);
            assert_eq!(token(body.as_bytes()).ok().unwrap().life.as_secs(), seconds, "{life}");
        }
    }
}
