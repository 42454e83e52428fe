//! What became of a page, and the limits of what is kept of a listing.

use crate::error::Error;
use crate::types::Page;

/// Maximum number of entries in a listing, five times an organization of 10,000 clusters: daily
/// exports of 137 years.
pub const MAX_ENTRIES: usize = 50_000;

/// Maximum size of what is kept of a listing while it is read. 10,000 clusters take less than 2
/// MiB.
pub(super) const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// What became of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageOutcome {
    /// Whether an entry was new.
    pub has_new: bool,
    /// Whether the rest of the listing is not needed.
    pub is_complete: bool,
    /// Number of entries that are kept so far.
    pub entries: usize,
    /// Approximate number of bytes that they take.
    pub kept_bytes: usize,
}

/// A page that was read.
#[derive(Debug)]
pub(crate) struct PageRead {
    pub(super) has_next: bool,
    pub(super) has_new: bool,
    pub(crate) total_count: u64,
    pub(super) kept_bytes: usize,
}

/// Hands a page to `on_page`, and checks the limits of what is kept.
pub(crate) fn read_page<T>(
    page: Page<T>,
    page_size: usize,
    max_entries: usize,
    on_page: impl FnOnce(Page<T>) -> PageOutcome,
) -> Result<PageRead, Error> {
    let (has_next, total_count) = (page.has_next || page.entries.len() >= page_size, page.total_count);
    let PageOutcome { has_new, is_complete, entries, kept_bytes } = on_page(page);
    if entries > max_entries {
        return Err(Error::TooLarge(format!("listing of more than {max_entries} entries")));
    }
    if kept_bytes > MAX_KEPT_BYTES {
        let text = format!("listing of more than {MAX_KEPT_BYTES} bytes of names and ids");
        return Err(Error::TooLarge(text));
    }
    Ok(PageRead { has_next: has_next && !is_complete, has_new, total_count, kept_bytes })
}
