//! Arrays with a maximum length, and so with bounded memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Maximum number of entries of a page.
pub const MAX_PAGE_SIZE: usize = 500;

/// An array of at most `MAX` entries. A longer one is an error at its first excess entry.
#[derive(Debug)]
pub(super) struct BoundedVec<T, const MAX: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for BoundedVec<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Entries<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Vec<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = array.next_element()? {
                    if entries.is_empty() && MAX >= MAX_PAGE_SIZE {
                        // Most pages are full.
                        entries.reserve_exact(MAX_PAGE_SIZE);
                    }
                    if entries.len() == MAX {
                        return Err(A::Error::custom(format_args!("an array of more than {MAX} entries")));
                    }
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_seq(Entries::<T, MAX>(PhantomData)).map(Self)
    }
}
