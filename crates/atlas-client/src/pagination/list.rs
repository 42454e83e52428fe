//! Lists of entries that are decoded one by one.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::outcome::{PageOutcome, PageRead, read_page};
use crate::error::Error;
use crate::types::{ListEntry, MAX_PAGE_SIZE, MAX_UNPAGED, Page, decode_page};

/// Memory of an entry in addition to its size and its texts, in bytes: a part of a tree node, and
/// allocator overhead.
const ENTRY_OVERHEAD: usize = 32;

/// A listing without the entries that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialList<T> {
    /// Decoded entries, sorted and without duplicates.
    pub entries: Vec<T>,
    /// Error of the first entry that could not be decoded.
    pub error: Option<Error>,
}

impl<T> PartialList<T> {
    /// Returns the entries, or the error if some are missing.
    pub fn complete(self) -> Result<Vec<T>, Error> {
        self.error.map_or(Ok(self.entries), Err)
    }
}

pub(crate) struct ListBuilder<T> {
    entries: BTreeSet<T>,
    /// Number of ignored entries, such as deleted clusters, which count for `totalCount`.
    skipped: usize,
    error: Option<Error>,
    pub(super) kept_bytes: usize,
}

impl<T> Default for ListBuilder<T> {
    fn default() -> Self {
        Self { entries: BTreeSet::new(), skipped: 0, error: None, kept_bytes: 0 }
    }
}

impl<T: ListEntry> ListBuilder<T> {
    pub(crate) fn read_page(&mut self, body: &[u8], max_entries: usize) -> Result<PageRead, Error> {
        let page = decode_page::<&RawValue, MAX_PAGE_SIZE>(body)?;
        read_page(page, MAX_PAGE_SIZE, max_entries, |page| self.add_page(page))
    }

    fn add_page(&mut self, page: Page<&RawValue>) -> PageOutcome {
        let mut has_new = false;
        for entry in page.entries {
            match T::decode(entry) {
                Ok(Some(entry)) => {
                    let bytes = size_of::<T>() + entry.text_bytes() + ENTRY_OVERHEAD;
                    if self.entries.insert(entry) {
                        self.kept_bytes += bytes;
                        has_new = true;
                    }
                }
                Ok(None) => {
                    self.skipped += 1;
                    has_new = true;
                }
                Err(error) => {
                    self.error.get_or_insert(error);
                }
            }
        }
        PageOutcome { has_new, is_complete: false, entries: self.len(), kept_bytes: self.kept_bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.skipped
    }

    /// Finishes the list. An empty list with a `total_count` is an error.
    pub(crate) fn finish(self, total_count: u64) -> Result<PartialList<T>, Error> {
        if self.len() == 0 && self.error.is_none() && total_count > 0 {
            return Err(Error::invalid(&format!("empty listing with a `totalCount` of {total_count}")));
        }
        Ok(PartialList { entries: self.entries.into_iter().collect(), error: self.error })
    }
}

/// Decodes a listing without pages.
pub(crate) fn decode_list<T: ListEntry>(body: &[u8]) -> Result<PartialList<T>, Error> {
    let page = decode_page::<&RawValue, MAX_UNPAGED>(body)?;
    let mut builder = ListBuilder::default();
    let read = read_page(page, MAX_UNPAGED, MAX_UNPAGED, |page| builder.add_page(page))?;
    builder.finish(read.total_count)
}
