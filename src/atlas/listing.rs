//! Listings, page by page or whole, with what keeps them from going on for ever.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::{Atlas, Call, Error, wire};
use crate::model::{Fold, HEAD_PAGE, Head, Sighting, Target};

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
    pub(super) async fn listing<W: DeserializeOwned, T: Ord + Send>(
        &self,
        call: Call,
        deadline: Instant,
        read: fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Listing<T>, Error> {
        let mut gathered = Gathered::default();
        let promised = self.pages(call, PAGE_SIZE, deadline, &mut |body| gathered.turn(body, read)).await?;
        gathered.listing(promised)
    }

    /// Collects a listing without pages.
    pub(super) async fn whole<W: DeserializeOwned, T: Ord>(
        &self,
        call: &Call,
        deadline: Instant,
        read: fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Listing<T>, Error> {
        whole(&self.body(call, Instant::now(), deadline).await?, read)
    }

    /// Adds every job of a cluster's listing to `fold`, page by page, before `deadline`.
    pub async fn export_jobs(
        &self,
        target: &Target,
        deadline: Instant,
        fold: &mut Fold,
    ) -> Result<(), Error> {
        let call = self.backup(Endpoint::Exports, target, "exports")?;
        let mut turn = |body: &[u8]| {
            self.metrics().count_page();
            fold_page(body, fold)
        };
        self.pages(call, PAGE_SIZE, deadline, &mut turn).await?;
        self.metrics().count_full_walk();
        Ok(())
    }

    /// The same, but no further than to where `head` is over.
    pub async fn newest_export_jobs(
        &self,
        target: &Target,
        deadline: Instant,
        head: &mut Head<'_>,
    ) -> Result<(), Error> {
        let call = self.backup(Endpoint::Exports, target, "exports")?;
        let mut turn = |body: &[u8]| {
            self.metrics().count_page();
            let page: wire::Page<wire::Job<'_>> = wire::decode(body)?;
            head.reserve(page.results.len());
            head.promise(page.count());
            let turned = turned(page, HEAD_PAGE, |job| Ok(head.add(job.try_into()?)))?;
            Ok(Turned { more: turned.more && !head.is_over(), ..turned })
        };
        self.pages(call, HEAD_PAGE, deadline, &mut turn).await.map(drop)
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
        let (mut repeated, since) = (0, Instant::now());
        let filters = call.url.query().map(|query| format!("{query}&")).unwrap_or_default();
        for number in 1..=MOST_PAGES {
            call.url.set_query(Some(&format!("{filters}itemsPerPage={size}&pageNum={number}")));
            let Turned { fresh, more, promised } = turn(&self.body(&call, since, deadline).await?)?;
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
        Err(Error::TooLarge(format!("the listing has more than {MOST_PAGES} pages")))
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
}

/// Hands everything on a page, which was read as a whole before, to `each`.
fn turned<T>(
    page: wire::Page<T>,
    size: usize,
    mut each: impl FnMut(T) -> Result<Sighting, Error>,
) -> Result<Turned, Error> {
    let more = page.promises_more() || page.results.len() >= size;
    let promised = page.count();
    let mut fresh = false;
    for one in page.results {
        fresh |= each(one)? == Sighting::First;
    }
    Ok(Turned { fresh, more, promised })
}

/// Adds a page of export jobs to `fold`, as every poll does; public for the benchmark. No job costs an allocation, but for a
/// text with escapes, an id of more than 24 bytes, or a failure that is kept.
#[doc(hidden)]
pub fn fold_page(body: &[u8], fold: &mut Fold) -> Result<Turned, Error> {
    let page: wire::Page<wire::Job<'_>> = wire::decode(body)?;
    fold.reserve(page.results.len());
    fold.promise(page.count());
    turned(page, PAGE_SIZE, |job| Ok(fold.add(job.try_into()?)))
}

/// Collects a listing without pages from its body.
fn whole<W: DeserializeOwned, T: Ord>(
    body: &[u8],
    read: fn(W) -> Result<Option<T>, Error>,
) -> Result<Listing<T>, Error> {
    let list: wire::Page<Value, { wire::LONGEST_LIST }> = wire::decode(body)?;
    let mut gathered = Gathered::default();
    let promised = list.count();
    for entry in list.results {
        gathered.add(entry, read);
    }
    gathered.listing(promised)
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
    /// Takes in a page.
    fn turn<W: DeserializeOwned>(
        &mut self,
        body: &[u8],
        read: fn(W) -> Result<Option<T>, Error>,
    ) -> Result<Turned, Error> {
        turned(wire::decode(body)?, PAGE_SIZE, |entry| Ok(self.add(entry, read)))
    }

    fn add<W: DeserializeOwned>(
        &mut self,
        entry: Value,
        read: fn(W) -> Result<Option<T>, Error>,
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

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of jobs, newest first; of those in `failed`, which are numbers, the reason is told.
    fn page(jobs: usize, failed: std::ops::Range<usize>) -> String {
        let job = |number: usize| {
            let reason = r#","stateReason":{"errorCode":"E","message":"a sentence"}"#;
            let (state, reason) =
                if failed.contains(&number) { ("Failed", reason) } else { ("Successful", "") };
            let minute = jobs - number;
            format!(
                r#"{{"id":"65a1f0b2c3d4e5f6{number:08x}","snapshotId":"75a1f0b2c3d4e5f6{number:08x}","createdAt":"2026-01-02T{:02}:{:02}:00Z",
                "finishedAt":"2026-02-02T03:04:05Z","state":"{state}"{reason},"exportStatus":{{"exportedCollections":9,"totalCollections":9}},
                "customData":[{{"key":"a","value":"b"}}],"prefix":"p","links":[{{"rel":"self","href":"h"}}]}}"#,
                minute / 60,
                minute % 60
            )
        };
        let jobs: Vec<_> = (0..jobs).map(job).collect();
        format!(r#"{{"links":[{{"rel":"next","href":"h"}}],"results":[{}],"totalCount":9}}"#, jobs.join(","))
    }

    /// How often memory is asked for to fold a page, and then to end the reading.
    fn allocations(page: &str) -> (u64, u64) {
        let mut fold = Fold::default();
        let folded = allocation_counter::measure(|| {
            fold_page(page.as_bytes(), &mut fold).unwrap();
        });
        let ended = allocation_counter::measure(|| drop(fold.finish()));
        (folded.count_total, ended.count_total)
    }

    #[test]
    fn what_a_page_allocates_does_not_grow_with_its_jobs() {
        let (folded, ended) = allocations(&page(500, 0..0));
        assert!(folded <= 8 && ended <= 8, "{folded} {ended}");
        for other in [page(250, 0..0), page(499, 0..0)] {
            let (less_folded, less_ended) = allocations(&other);
            assert!(folded.abs_diff(less_folded) <= 2 && ended.abs_diff(less_ended) <= 2);
        }
    }

    #[test]
    fn only_the_failures_that_are_kept_allocate() {
        let (twenty, _) = allocations(&page(500, 0..20));
        assert!(twenty > 60, "{twenty}: their texts are not kept");
        let (all, _) = allocations(&page(500, 0..500));
        assert!(all <= twenty + 2, "{all} {twenty}");
    }

    #[test]
    fn a_page_tells_what_is_new_on_it_and_whether_more_follow() {
        let mut fold = Fold::default();
        let (first, again) = (page(3, 0..1), r#"{"results":[{"id":"65a1f0b2c3d4e5f600000000"}]}"#);
        let turned = fold_page(first.as_bytes(), &mut fold).unwrap();
        assert_eq!((turned.fresh, turned.more, turned.promised), (true, true, 9));
        let turned = fold_page(again.as_bytes(), &mut fold).unwrap();
        assert_eq!((turned.fresh, turned.more, turned.promised), (false, false, 0));
        assert_eq!(fold.finish().jobs.iter().map(|(_, jobs)| jobs).sum::<u64>(), 3);
    }
}
