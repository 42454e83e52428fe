//! Arrays of Atlas: an array of any length takes a bounded amount of memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Maximum number of entries on a page.
pub const MAX_PAGE_SIZE: usize = 500;

/// What is kept of the entries of an array.
pub(super) trait Gather<T>: Default {
    /// Takes in an entry; an error says why the array is refused.
    fn gather(&mut self, entry: T) -> Result<(), String>;
}

/// An array of `T`, read entry by entry, of which `G` is kept.
#[derive(Debug)]
pub(super) struct Each<T, G> {
    pub(super) all: G,
    entries: PhantomData<T>,
}

/// The entries of an array themselves, at most `MAX`.
#[derive(Debug)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Gather<T> for List<T, MAX> {
    fn gather(&mut self, entry: T) -> Result<(), String> {
        if self.0.is_empty() {
            // Most pages are full.
            self.0.reserve_exact(MAX.min(MAX_PAGE_SIZE));
        }
        push::<T, MAX>(&mut self.0, entry)
    }
}

/// Adds an entry to those of an array that may have at most `MAX`.
pub(super) fn push<T, const MAX: usize>(entries: &mut Vec<T>, entry: T) -> Result<(), String> {
    if entries.len() == MAX {
        return Err(format!("an array of more than {MAX} entries"));
    }
    entries.push(entry);
    Ok(())
}

impl<'de, T: Deserialize<'de>, G: Gather<T>> Deserialize<'de> for Each<T, G> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T, G>(PhantomData<(T, G)>);

        impl<'de, T: Deserialize<'de>, G: Gather<T>> Visitor<'de> for Entries<T, G> {
            type Value = G;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<G, A::Error> {
                let mut all = G::default();
                while let Some(entry) = entries.next_element()? {
                    all.gather(entry).map_err(A::Error::custom)?;
                }
                Ok(all)
            }
        }

        let all = deserializer.deserialize_seq(Entries::<T, G>(PhantomData))?;
        Ok(Self { all, entries: PhantomData })
    }
}
