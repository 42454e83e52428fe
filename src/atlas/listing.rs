//! Listings, page by page or whole, with what keeps them from going on for ever.

mod gathered;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::wire::PAGE_SIZE;
use super::{Atlas, Call, Error, wire};
use crate::model::{ExportJob, Sighting, Target};
use gathered::{Gathered, Kept, Read, whole};

/// Maximum number of entries in a listing, five times an organization of 10,000 clusters: daily exports of 137 years.
pub const MAX_ENTRIES: usize = 50_000;

/// Maximum size of what is kept of a listing while it is read. 10,000 clusters take less than 2 MiB.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;

/// Memory that every listing may use without a reservation, so that most do not wait behind bodies
/// that stall.
const SMALL_LISTING: usize = 16 * 1024;

/// Maximum number of pages in a listing, ten times an organization of 10,000 clusters: a page may bring little that is new.
const MAX_PAGES: usize = 200;

/// Maximum number of export buckets in a project. Every bucket is a series of the scrape.
pub(super) const MAX_BUCKETS: usize = 1000;

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
    /// Collects a listing of at most `max` entries. An entry that cannot be read costs itself and no other, but is told.
    pub(super) async fn listing<T: Kept + Send>(
        &self,
        call: Call,
        max: usize,
        deadline: Instant,
        read: Read<T>,
    ) -> Result<Listing<T>, Error> {
        let mut gathered = Gathered::new(read);
        let promised = self.pages(call, PAGE_SIZE, deadline, &mut |body| gathered.turn(body, max)).await?;
        gathered.listing(promised)
    }

    /// Collects a listing without pages.
    pub(super) async fn whole<T: Kept>(
        &self,
        call: &Call,
        deadline: Instant,
        read: Read<T>,
    ) -> Result<Listing<T>, Error> {
        whole(&self.body(call, deadline).await?, read)
    }

    /// Adds the jobs of a cluster's listing to `jobs`, page by page, before `deadline`.
    pub async fn export_jobs<J>(&self, target: &Target, deadline: Instant, jobs: &mut J) -> Result<(), Error>
    where
        J: for<'a> Collect<ExportJob<'a>> + Send,
    {
        let call = self.backup(Endpoint::Exports, target, &["exports"])?;
        let mut turn = |body: &[u8]| {
            self.metrics().count_page();
            fold_page(body, jobs)
        };
        self.pages(call, J::PAGE_SIZE, deadline, &mut turn).await.map(drop)
    }

    /// Hands the pages of a listing, each of `size`, to `turn`, one after another, before `deadline`.
    ///
    /// Whether more pages follow is told by the `next` link and by full pages; `totalCount` is an estimate, and only returned.
    /// The link's address is not used: it could lead elsewhere, with our credentials.
    pub(super) async fn pages(
        &self,
        mut call: Call,
        size: usize,
        deadline: Instant,
        turn: &mut (dyn FnMut(&[u8]) -> Result<Turned, Error> + Send),
    ) -> Result<u64, Error> {
        let mut repeated = 0;
        let mut reservation = self.door.memory.reserve();
        let filters = call.url.query().map(|query| format!("{query}&")).unwrap_or_default();
        for number in 1..=MAX_PAGES {
            call.url.set_query(Some(&format!("{filters}itemsPerPage={size}&pageNum={number}")));
            let body = tokio::select! {
                body = self.body(&call, deadline) => body?,
                () = reservation.revoked() => return Err(Error::Timeout),
            };
            let Turned { fresh, more, promised, kept } = turn(&body)?;
            drop(body);
            reservation.grow(kept.saturating_sub(SMALL_LISTING)).await?;
            if !more {
                return Ok(promised);
            }
            repeated = if fresh { 0 } else { repeated + 1 };
            if repeated == MOST_REPEATED_PAGES {
                return Err(Error::invalid(&format!(
                    "the listing goes round in circles: page {number} is the third in a row with nothing new, and another is promised"
                )));
            }
        }
        Err(Error::TooLarge(format!("a listing of more than {MAX_PAGES} pages")))
    }
}

/// What a page says besides what it lists.
#[derive(Debug)]
pub struct Turned {
    /// Whether it lists anything that was not seen before.
    fresh: bool,
    /// Whether another page follows.
    more: bool,
    /// How much the listing holds, by an estimate of Atlas.
    promised: u64,
    /// How many bytes are kept of the listing so far.
    pub kept: usize,
}

/// Collects the entries of a listing.
pub trait Collect<T> {
    /// Number of entries on a full page.
    const PAGE_SIZE: usize = PAGE_SIZE;

    /// Prepares for a page of so many entries, of a listing that has `promised` in all by Atlas's
    /// estimate.
    fn begin_page(&mut self, _entries: usize, _promised: u64) {}

    /// Adds an entry as listed.
    fn add(&mut self, entry: T) -> Sighting;

    /// Returns how many entries are kept.
    fn entries(&self) -> usize;

    /// Returns how many bytes they take, roughly.
    fn kept_bytes(&self) -> usize;

    /// Whether the rest of the listing need not be read.
    fn is_over(&self) -> bool {
        false
    }
}

/// Adds everything on a page, which was read as a whole before, to `all`, which may come to `max` entries.
fn turned<E, T, C: Collect<T>, const MOST: usize>(
    page: wire::Page<E, MOST>,
    max: usize,
    convert: impl Fn(E) -> Result<T, Error>,
    all: &mut C,
) -> Result<Turned, Error> {
    let more = page.promises_more() || page.len() >= C::PAGE_SIZE;
    let promised = page.count();
    all.begin_page(page.len(), promised);
    let mut fresh = false;
    for entry in page.into_entries() {
        fresh |= all.add(convert(entry)?) == Sighting::First;
        if all.entries() > max {
            return Err(Error::TooLarge(format!("a listing of more than {max} entries")));
        }
        if all.kept_bytes() > MAX_KEPT_BYTES {
            let text = format!("a listing of more than {MAX_KEPT_BYTES} bytes of names and ids");
            return Err(Error::TooLarge(text));
        }
    }
    Ok(Turned { fresh, more: more && !all.is_over(), promised, kept: all.kept_bytes() })
}

/// Adds a page of export jobs to `jobs`, as every poll does; public for the benchmark. No job costs
/// an allocation, but for a text with escapes, an id of more than 24 bytes, or a failure that is
/// kept.
#[doc(hidden)]
pub fn fold_page<J>(body: &[u8], jobs: &mut J) -> Result<Turned, Error>
where
    J: for<'a> Collect<ExportJob<'a>>,
{
    let page: wire::Page<wire::Job<'_>> = wire::decode(body)?;
    turned(page, MAX_ENTRIES, ExportJob::try_from, jobs)
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

#[cfg(test)]
mod tests;
