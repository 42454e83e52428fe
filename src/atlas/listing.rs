//! Listings, page by page or whole, with what keeps them from going on for ever.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::{Atlas, Call, Error, wire};
use crate::model::Sighting;

/// Things a page: the most that Atlas allows.
pub(super) const PAGE_SIZE: usize = 500;

/// No listing is longer: half a million jobs are daily exports for thirteen centuries. Without an end, a server that
/// always promises one more page would be read for ever.
const MOST_PAGES: usize = 1000;

/// Pages in a row that bring nothing new although more are promised. Things that appear while a listing is read shift
/// it, which can repeat a page or two; three are a circle.
const MOST_REPEATED_PAGES: usize = 3;

/// What a listing holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// What could be read, each once, in order.
    pub found: Vec<T>,
    /// What is wrong with the first entry that could not; what it stands for may be something that is known.
    pub flaw: Option<Error>,
}

impl<T> Listing<T> {
    /// What was found, if every entry could be read: then what is missing from it is not there.
    pub fn complete(self) -> Result<Vec<T>, Error> {
        self.flaw.map_or(Ok(self.found), Err)
    }
}

impl Atlas {
    /// Collects a listing. An entry that cannot be read costs itself and no other, but is told.
    pub(super) async fn listing<W: DeserializeOwned, T: Ord>(
        &self,
        call: Call,
        deadline: Instant,
        read: impl Fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Listing<T>, Error> {
        let mut gathered = Gathered::default();
        let promised = self.pages(call, deadline, |entry| Ok(gathered.add(entry, &read))).await?;
        gathered.listing(promised)
    }

    /// Collects a listing without pages.
    pub(super) async fn whole<W: DeserializeOwned, T: Ord>(
        &self,
        call: &Call,
        deadline: Instant,
        read: impl Fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Listing<T>, Error> {
        let list: wire::Page<Value, { wire::LONGEST_LIST }> = self.get(call, deadline).await?;
        let mut gathered = Gathered::default();
        let promised = list.count();
        for entry in list.results {
            gathered.add(entry, &read);
        }
        gathered.listing(promised)
    }

    /// Hands everything that a listing holds to `each`, page by page, before `deadline`.
    ///
    /// Whether more pages follow is told by the `next` link and by full pages; `totalCount` is an estimate, and only returned.
    /// The link's address is not used: it could lead elsewhere, with our credentials.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        mut call: Call,
        deadline: Instant,
        mut each: impl FnMut(T) -> Result<Sighting, Error>,
    ) -> Result<u64, Error> {
        let mut repeated = 0;
        let filters = call.url.query().map(|query| format!("{query}&")).unwrap_or_default();
        for number in 1..=MOST_PAGES {
            call.url.set_query(Some(&format!("{filters}itemsPerPage={PAGE_SIZE}&pageNum={number}")));
            let page: wire::Page<T> = self.get(&call, deadline).await?;
            let more = page.promises_more() || page.results.len() >= PAGE_SIZE;
            let count = page.count();
            let mut fresh = false;
            for one in page.results {
                fresh |= each(one)? == Sighting::First;
            }
            if !more {
                return Ok(count);
            }
            repeated = if fresh { 0 } else { repeated + 1 };
            if repeated == MOST_REPEATED_PAGES {
                return Err(Error::invalid(&format!(
                    "the listing goes round in circles: page {number} is the third in a row with nothing new, and another is promised"
                )));
            }
        }
        Err(Error::TooLarge(format!("the listing has more than {MOST_PAGES} pages")))
    }
}

/// Entries of a listing, as they come.
struct Gathered<T> {
    /// What could be read.
    found: BTreeSet<T>,
    /// The ids of what was listed, but counts for nothing here.
    passed_over: BTreeSet<String>,
    flaw: Option<Error>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self { found: BTreeSet::new(), passed_over: BTreeSet::new(), flaw: None }
    }
}

impl<T: Ord> Gathered<T> {
    fn add<W: DeserializeOwned>(
        &mut self,
        entry: Value,
        read: impl Fn(W) -> Result<Option<T>, Error>,
    ) -> Sighting {
        let id = entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        match wire::entry(entry).and_then(read) {
            Ok(Some(entry)) => {
                if self.found.insert(entry) {
                    return Sighting::First;
                }
            }
            Ok(None) => {
                if self.passed_over.insert(id) {
                    return Sighting::First;
                }
            }
            Err(error) => {
                self.flaw.get_or_insert(error);
            }
        }
        Sighting::Again
    }

    /// What was listed, where `promised` were to come.
    fn listing(self, promised: u64) -> Result<Listing<T>, Error> {
        if self.found.is_empty() && self.passed_over.is_empty() && self.flaw.is_none() && promised > 0 {
            return Err(Error::invalid(&format!("a listing of nothing that counts {promised}")));
        }
        Ok(Listing { found: self.found.into_iter().collect(), flaw: self.flaw })
    }
}
