//! Listings, as the query asks for them.

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::response::{Refusal, invalid, json, page};

/// What every endpoint reads.
pub(crate) const EVERYWHERE: [&str; 2] = ["envelope", "pretty"];

/// What every listing with pages reads.
pub(crate) const PAGED: [&str; 5] = ["itemsPerPage", "pageNum", "includeCount", "envelope", "pretty"];

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

    /// Every value of a parameter, in order.
    pub(crate) fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that has one; the last one counts.
    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next_back()
    }

    /// A parameter as a number; `None` if it is none.
    fn number(&self, name: &str, default: usize) -> Option<usize> {
        self.one(name).map_or(Some(default), |value| value.parse().ok())
    }

    /// A parameter as a time of ISO 8601, to the second at least and with its offset.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        let read = |text: &str| {
            let shape = text.get(10..11) == Some("T") && text.get(16..17) == Some(":") && !text.contains('[');
            let time = text.parse().ok().filter(|_| shape);
            time.ok_or_else(|| invalid(&format!("{name} is no date and time of ISO 8601.")))
        };
        self.one(name).map(read).transpose()
    }

    /// Refuses a parameter that is not among `known`, and a flag that is neither true nor false.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        let flag = |name: &str| matches!(name, "includeCount" | "envelope" | "pretty");
        for (name, value) in &self.0 {
            if !known.contains(&name.as_str()) {
                return Err(invalid(&format!("There is no query parameter {name} here.")));
            }
            if flag(name) && !matches!(value.as_str(), "true" | "false") {
                return Err(invalid(&format!("{name} is true or false.")));
            }
        }
        Ok(())
    }
}

/// How a listing differs from a plain one.
#[derive(Default)]
pub(crate) struct Quirks {
    /// So many entries of each page stand on the next one again.
    pub(crate) overlap: usize,
    /// `totalCount` where it should lie.
    pub(crate) total: Option<i64>,
    /// Whether pages come without links.
    pub(crate) unlinked: bool,
}

/// One page of everything, as the query asks.
pub(crate) fn listing(all: &[Value], uri: &Uri, quirks: &Quirks) -> Result<Response, Refusal> {
    listing_of(all, Value::clone, uri, quirks)
}

/// The same of a long listing: only what is on the page is written.
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
        return Err(invalid("itemsPerPage is 1 to 500, pageNum at least 1."));
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

/// Path and query without the page, so that the links to other pages keep the filters.
fn unpaged(uri: &Uri) -> String {
    let page = |pair: &&str| matches!(pair.split('=').next(), Some("itemsPerPage" | "pageNum" | ""));
    let kept: Vec<_> = uri.query().unwrap_or_default().split('&').filter(|pair| !page(pair)).collect();
    if kept.is_empty() { uri.path().to_owned() } else { format!("{}?{}", uri.path(), kept.join("&")) }
}
