//! Entries of a listing, each read apart from the others.

use std::collections::BTreeSet;

use compact_str::CompactString;
use serde_json::value::RawValue;

use super::{Collect, Listing, Turned, turned};
use crate::atlas::{Error, wire};
use crate::model::{ExportBucket, ListedCluster, ProjectEvent, ProjectId, Sighting, Snapshot};

/// Memory of a kept entry besides itself and its texts, in bytes: its place in a tree, and the allocations.
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// Collects a listing without pages from its body.
pub(super) fn whole<T: Kept>(body: &[u8], read: Read<T>) -> Result<Listing<T>, Error> {
    let list: wire::Page<&RawValue, { wire::LONGEST_LIST }> = wire::decode(body)?;
    let mut gathered = Gathered::new(read);
    let Turned { promised, .. } = turned(list, wire::LONGEST_LIST, Ok, &mut gathered)?;
    gathered.listing(promised)
}

/// Reads an entry of a listing; `None` for one that counts for nothing here.
pub(in crate::atlas) type Read<T> = fn(&RawValue) -> Result<Option<T>, Error>;

/// What is kept of an entry.
pub(in crate::atlas) trait Kept: Ord {
    /// Returns how many bytes its texts take.
    fn text_bytes(&self) -> usize;
}

impl Kept for ListedCluster {
    fn text_bytes(&self) -> usize {
        self.name.len()
    }
}

impl Kept for (ProjectId, Option<String>) {
    fn text_bytes(&self) -> usize {
        self.1.as_ref().map_or(0, String::len)
    }
}

impl Kept for Snapshot {
    fn text_bytes(&self) -> usize {
        self.frequency.as_ref().map_or(0, String::len) + size_of_val(&*self.policy_items)
    }
}

impl Kept for ExportBucket {
    fn text_bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.cloud_provider.len()
    }
}

impl Kept for ProjectEvent {
    fn text_bytes(&self) -> usize {
        self.id.len()
    }
}

/// Entries of a listing, as they come.
pub(super) struct Gathered<T> {
    read: Read<T>,
    /// What could be read.
    found: BTreeSet<T>,
    /// The ids of what was listed, but counts for nothing here.
    passed_over: BTreeSet<CompactString>,
    flaw: Option<Error>,
    kept_bytes: usize,
}

impl<T: Kept> Collect<&RawValue> for Gathered<T> {
    fn add(&mut self, entry: &RawValue) -> Sighting {
        let (kept, is_new) = match (self.read)(entry) {
            Ok(Some(entry)) => (size_of::<T>() + entry.text_bytes(), self.found.insert(entry)),
            Ok(None) => {
                let id = wire::id_of(entry);
                (size_of::<CompactString>() + id.len(), self.passed_over.insert(id))
            }
            Err(error) => {
                self.flaw.get_or_insert(error);
                (0, false)
            }
        };
        if !is_new {
            return Sighting::Again;
        }
        self.kept_bytes += kept + ENTRY_OVERHEAD;
        Sighting::First
    }

    fn entries(&self) -> usize {
        self.found.len() + self.passed_over.len()
    }

    fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }
}

impl<T: Kept> Gathered<T> {
    pub(super) fn new(read: Read<T>) -> Self {
        Self { read, found: BTreeSet::new(), passed_over: BTreeSet::new(), flaw: None, kept_bytes: 0 }
    }

    /// Takes in a page.
    pub(super) fn turn(&mut self, body: &[u8], max: usize) -> Result<Turned, Error> {
        let page: wire::Page<&RawValue> = wire::decode(body)?;
        turned(page, max, Ok, self)
    }

    /// What was listed, where `promised` were to come.
    pub(super) fn listing(self, promised: u64) -> Result<Listing<T>, Error> {
        if self.found.is_empty() && self.passed_over.is_empty() && self.flaw.is_none() && promised > 0 {
            return Err(Error::invalid(&format!("a listing of nothing that counts {promised}")));
        }
        Ok(Listing { found: self.found.into_iter().collect(), flaw: self.flaw })
    }
}
