//! Pages of listings.

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use super::array::{BoundedVec, MAX_PAGE_SIZE};
use super::job::ExportJob;
use super::json::decode;
use crate::error::Error;

/// Maximum number of snapshots of a listing without pages. A year of hourly snapshots has 8,784.
pub(crate) const MAX_UNPAGED: usize = 20_000;

/// Maximum number of links of a page.
const MAX_LINKS: usize = 64;

/// A page of a listing.
#[derive(Debug)]
pub struct Page<T> {
    pub entries: Vec<T>,
    /// Number of entries of the whole listing, as estimated by Atlas.
    pub total_count: u64,
    pub(crate) has_next: bool,
}

/// Decodes a page of export jobs, as [`AtlasClient::export_jobs`](crate::AtlasClient::export_jobs)
/// does. It allocates only the list of jobs, and texts with escapes.
#[doc(hidden)]
pub fn decode_jobs(body: &[u8]) -> Result<Page<ExportJob<'_>>, Error> {
    decode_page::<_, MAX_PAGE_SIZE>(body)
}

/// Decodes a page of at most `MAX` entries. `results` is required, so that another kind of response
/// is not read as an empty listing.
pub(crate) fn decode_page<'a, T: Deserialize<'a>, const MAX: usize>(
    body: &'a [u8],
) -> Result<Page<T>, Error> {
    #[derive(Deserialize)]
    #[serde(bound = "T: Deserialize<'de>", rename_all = "camelCase")]
    struct Body<T, const MAX: usize> {
        results: BoundedVec<T, MAX>,
        links: Option<BoundedVec<Link, MAX_LINKS>>,
        total_count: Option<Number>,
    }
    let Body::<T, MAX> { results, links, total_count } = decode(body)?;
    Ok(Page {
        entries: results.0,
        total_count: total_count.as_ref().and_then(Number::as_u64).unwrap_or_default(),
        has_next: links.is_some_and(|links| links.0.iter().any(|link| link.rel.as_deref() == Some("next"))),
    })
}

#[derive(Deserialize)]
struct Link {
    rel: Option<String>,
}

/// An entry of a listing, which is decoded apart from the others.
pub(crate) trait ListEntry: Ord + Sized {
    /// Decodes an entry; `None` for one that is not wanted.
    fn decode(entry: &RawValue) -> Result<Option<Self>, Error>;

    /// Returns how many bytes its texts take.
    fn text_bytes(&self) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_without_results_is_an_error() {
        for json in ["{}", r#"{"results":null}"#, r#"{"error":500}"#, "<html>", ""] {
            assert!(decode_jobs(json.as_bytes()).is_err(), "{json}");
        }
        assert!(!decode_jobs(br#"{"results":[]}"#).unwrap().has_next);
        let links = br#"{"results":[],"links":[{"rel":"self"},{"href":"x"},{"rel":"next"}]}"#;
        assert!(decode_jobs(links).unwrap().has_next);
    }

    #[test]
    fn unread_text_may_be_any_bytes() {
        assert_eq!(decode_jobs(b"{\"results\":[{\"prefix\":\"\xff\"}]}").unwrap().entries.len(), 1);
        assert!(decode_jobs(b"{\"results\":[{\"id\":\"\xff\"}]}").is_err());
    }

    #[test]
    fn page_has_no_more_entries_than_requested() {
        let page = |jobs: usize| format!(r#"{{"results":[{}]}}"#, vec!["{}"; jobs].join(","));
        assert_eq!(decode_jobs(page(MAX_PAGE_SIZE).as_bytes()).unwrap().entries.len(), MAX_PAGE_SIZE);
        assert!(decode_jobs(page(MAX_PAGE_SIZE + 1).as_bytes()).is_err());
    }
}
