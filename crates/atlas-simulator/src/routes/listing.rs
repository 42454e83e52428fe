//! Query parameters and paginated listings.

use axum::extract;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::response::{Refusal, invalid, ok};
use crate::state::Cluster;

/// Query parameters of every endpoint.
pub(crate) const COMMON_PARAMETERS: [&str; 2] = ["envelope", "pretty"];

/// Query parameters of every paginated listing.
const PAGE_PARAMETERS: [&str; 5] = ["itemsPerPage", "pageNum", "includeCount", "envelope", "pretty"];

/// The parameters of a query, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self(extract::Query::try_from_uri(uri).map(|query| query.0).unwrap_or_default())
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

/// The page of `all` that the query selects, with the deviations of a cluster's listing.
///
/// Listings can be long, so that only the entries of the page are converted.
pub(crate) fn listing<T>(
    all: &[T],
    entry: impl Fn(&T) -> Value,
    uri: &Uri,
    filters: &[&str],
    deviations: Option<&Cluster>,
) -> Result<Response, Refusal> {
    let query = Query::of(uri);
    query.only(&[&PAGE_PARAMETERS, filters].concat())?;
    let overlap = deviations.map_or(0, |cluster| cluster.overlap);
    let size = query.number("itemsPerPage", 100).filter(|size| (1..=500).contains(size));
    let number = query.number("pageNum", 1).filter(|number| *number >= 1);
    let (Some(size), Some(number)) = (size, number) else {
        return Err(invalid("itemsPerPage must be 1 to 500, pageNum at least 1."));
    };
    let step = size - overlap.min(size - 1);
    let start = (number - 1).saturating_mul(step).min(all.len());
    let end = (start + size).min(all.len());
    let mut links = vec![link(uri, "self", size, number)];
    if number > 1 {
        links.push(link(uri, "previous", size, number - 1));
    }
    if end < all.len() {
        links.push(link(uri, "next", size, number + 1));
    }
    if deviations.is_some_and(|cluster| cluster.unlinked) {
        links.clear();
    }
    let results: Vec<_> = all[start..end].iter().map(entry).collect();
    let mut body = json!({"links": links, "results": results});
    if query.one("includeCount") != Some("false") {
        let total = deviations.and_then(|cluster| cluster.total_count);
        body["totalCount"] = total.map_or_else(|| json!(all.len()), |total| json!(total));
    }
    Ok(ok(&body))
}

/// A link to another page, which keeps the filters.
fn link(uri: &Uri, rel: &str, size: usize, number: usize) -> Value {
    let is_filter = |pair: &&str| !matches!(pair.split('=').next(), Some("itemsPerPage" | "pageNum" | ""));
    let filters = uri.query().unwrap_or_default().split('&').filter(is_filter);
    let filters: String = filters.flat_map(|pair| [pair, "&"]).collect();
    json!({"rel": rel, "href": format!("{}?{filters}itemsPerPage={size}&pageNum={number}", uri.path())})
}
