//! Query parameters and paginated listings.

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::response::{Refusal, invalid, json, page};

/// Query parameters of every endpoint.
pub(crate) const COMMON_PARAMETERS: [&str; 2] = ["envelope", "pretty"];

/// Query parameters of every paginated listing.
pub(crate) const PAGE_PARAMETERS: [&str; 5] =
    ["itemsPerPage", "pageNum", "includeCount", "envelope", "pretty"];

/// The parameters of a query, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let decoded =
            |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// All values of a parameter, in order.
    pub(crate) fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a parameter.
    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next_back()
    }

    /// A parameter as a number; `None` if it is not a number.
    fn number(&self, name: &str, default: usize) -> Option<usize> {
        self.one(name).map_or(Some(default), |value| value.parse().ok())
    }

    /// A parameter as an ISO 8601 timestamp with seconds and offset.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let read = |text: &str| {
            let shape = text.get(10..11) == Some("T") && text.get(16..17) == Some(":") && !text.contains('[');
            let time = text.parse().ok().filter(|_| shape);
            time.ok_or_else(|| invalid(&format!("{name} is not an ISO 8601 timestamp.")))
        };
        self.one(name).map(read).transpose()
    }

    /// Refuses parameters that are not `known`, and flags that are neither true nor false.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let flag = |name: &str| matches!(name, "includeCount" | "envelope" | "pretty");
        for (name, value) in &self.0 {
            if !known.contains(&name.as_str()) {
                return Err(invalid(&format!("Unknown query parameter {name}.")));
            }
            if flag(name) && !matches!(value.as_str(), "true" | "false") {
                return Err(invalid(&format!("{name} must be true or false.")));
            }
        }
        Ok(())
    }
}

/// Deviations of a listing.
#[derive(Default)]
pub(crate) struct Quirks {
    /// Number of entries of each page that are repeated on the next one.
    pub(crate) overlap: usize,
    /// A wrong `totalCount`.
    pub(crate) total: Option<i64>,
    /// True if pages have no links.
    pub(crate) unlinked: bool,
}

/// The page of `all` that the query selects.
pub(crate) fn listing(all: &[Value], uri: &Uri, quirks: &Quirks) -> Result<Response, Refusal> {
    listing_of(all, Value::clone, uri, quirks)
}

/// The same of a long listing: only the entries of the page are converted.
pub(crate) fn listing_of<T>(
    all: &[T],
    entry: impl Fn(&T) -> Value,
    uri: &Uri,
    quirks: &Quirks,
) -> Result<Response, Refusal> {
    let query = Query::of(uri);
    let size = query.number("itemsPerPage", 100).filter(|size| (1..=500).contains(size));
    let number = query.number("pageNum", 1).filter(|number| *number >= 1);
    let (Some(size), Some(number)) = (size, number) else {
        return Err(invalid("itemsPerPage must be 1 to 500, pageNum at least 1."));
    };
    let step = size - quirks.overlap.min(size - 1);
    let start = (number - 1).saturating_mul(step).min(all.len());
    let end = (start + size).min(all.len());
    let total = quirks.total.unwrap_or(i64::try_from(all.len()).unwrap_or(i64::MAX));
    let results: Vec<_> = all[start..end].iter().map(entry).collect();
    let mut body = page(&results, &unpaged(uri), number, size, end < all.len(), total);
    if quirks.unlinked {
        body["links"] = Value::Array(Vec::new());
    }
    if let (Some("false"), Some(body)) = (query.one("includeCount"), body.as_object_mut()) {
        body.remove("totalCount");
    }
    Ok(json(StatusCode::OK, &body))
}

/// Path and query without the page, so that links to other pages keep the filters.
fn unpaged(uri: &Uri) -> String {
    let page = |pair: &&str| matches!(pair.split('=').next(), Some("itemsPerPage" | "pageNum" | ""));
    let kept: Vec<_> = uri.query().unwrap_or_default().split('&').filter(|pair| !page(pair)).collect();
    if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) }
}
