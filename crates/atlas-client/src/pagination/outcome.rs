//! The outcome of a page, and the limits of a listing in memory.

use crate::error::Error;
use crate::types::Page;

/// Maximum number of entries of a listing: five times 10,000 clusters, or daily exports of 137
/// years.
pub const MAX_ENTRIES: usize = 50_000;

/// Maximum memory of the entries of a listing in bytes. 10,000 clusters take less than 2 MiB.
pub(super) const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// Outcome of a page for its listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOutcome {
    /// True if the page has an entry that is new to the listing.
    pub has_new: bool,
    /// True if the rest of the listing is not needed.
    pub is_complete: bool,
    /// Number of entries of the listing so far.
    pub entries: usize,
    /// Approximate memory of these entries in bytes.
    pub kept_bytes: usize,
}

/// A page of a listing, as far as pagination needs it.
#[derive(Debug)]
pub(crate) struct PageRead {
    pub(super) has_next: bool,
    pub(super) has_new: bool,
    pub(crate) total_count: u64,
    pub(super) kept_bytes: usize,
}

/// Passes a page to `on_page`, and checks the limits of the listing.
pub(crate) fn read_page<T>(
    page: Page<T>,
    page_size: usize,
    max_entries: usize,
    on_page: impl FnOnce(Page<T>) -> PageOutcome,
) -> Result<PageRead, Error> {
    let (has_next, total_count) = (page.has_next || page.entries.len() >= page_size, page.total_count);
    let PageOutcome { has_new, is_complete, entries, kept_bytes } = on_page(page);
    if entries > max_entries {
        return Err(Error::TooLarge(format!("a listing of more than {max_entries} entries")));
    }
    if kept_bytes > MAX_KEPT_BYTES {
        let text = format!("a listing of more than {MAX_KEPT_BYTES} bytes of names and ids");
        return Err(Error::TooLarge(text));
    }
    Ok(PageRead { has_next: has_next && !is_complete, has_new, total_count, kept_bytes })
}
