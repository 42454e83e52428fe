//! Pages of listings, and the limits of a listing.

mod list;
mod outcome;

use tokio::time::Instant;

use crate::client::AtlasClient;
use crate::endpoint::ApiRequest;
use crate::error::Error;
use crate::types::{ListEntry, MAX_PAGE_SIZE};
pub use list::PartialList;
pub(crate) use list::{ListBuilder, decode_list};
use outcome::PageRead;
pub(crate) use outcome::read_page;
pub use outcome::{MAX_ENTRIES, PageOutcome};

/// Memory of a listing without a reservation in bytes, so that most do not wait behind stalled
/// bodies.
const SMALL_LISTING: usize = 16 * 1024;

/// Maximum number of pages of a listing: ten times those of 10,000 clusters, because a page can
/// have few new entries.
const MAX_PAGES: usize = 200;

/// Number of pages in a row without a new entry at which a listing fails. Entries that are added
/// while a listing is read shift it, which can repeat one page or two.
const MAX_REPEATED_PAGES: usize = 3;

/// Requests the pages of a listing, passes each body to `read`, and returns the `totalCount` of the
/// last page.
///
/// A `next` link or a full page means that another page follows. The URL of the link is not used,
/// because it could send the credentials to another host.
pub(crate) async fn read_pages(
    client: &AtlasClient,
    mut request: ApiRequest,
    page_size: usize,
    deadline: Instant,
    read: &mut (dyn FnMut(&[u8]) -> Result<PageRead, Error> + Send),
) -> Result<u64, Error> {
    let mut repeated = 0;
    let mut reservation = client.transport.memory.reserve();
    let filters = request.url.query().map(|query| format!("{query}&")).unwrap_or_default();
    for number in 1..=MAX_PAGES {
        request.url.set_query(Some(&format!("{filters}itemsPerPage={page_size}&pageNum={number}")));
        let body = tokio::select! {
            body = client.body(&request, deadline) => body?,
            () = reservation.revoked() => return Err(Error::revoked()),
        };
        let PageRead { has_next, has_new, total_count, kept_bytes } = read(&body)?;
        drop(body);
        reservation.grow(kept_bytes.saturating_sub(SMALL_LISTING)).await?;
        if !has_next {
            return Ok(total_count);
        }
        repeated = if has_new { 0 } else { repeated + 1 };
        if repeated == MAX_REPEATED_PAGES {
            return Err(Error::invalid(&format!(
                "pagination does not end: page {number} is the third in a row without a new entry"
            )));
        }
    }
    Err(Error::TooLarge(format!("a listing of more than {MAX_PAGES} pages")))
}

/// Collects a listing of at most `max_entries`.
pub(crate) async fn list<T: ListEntry + Send>(
    client: &AtlasClient,
    request: ApiRequest,
    max_entries: usize,
    deadline: Instant,
) -> Result<PartialList<T>, Error> {
    let mut builder = ListBuilder::default();
    let mut read = |body: &[u8]| builder.read_page(body, max_entries);
    let total_count = read_pages(client, request, MAX_PAGE_SIZE, deadline, &mut read).await?;
    builder.finish(total_count)
}

#[cfg(test)]
mod tests;
