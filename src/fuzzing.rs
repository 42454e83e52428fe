//! Entry points of the fuzzers: one function for each target of `fuzz/`.
//!
//! Each takes any bytes and panics if what must hold of them does not. Tests replay what fuzzers
//! found. Nothing of it is in what is shipped.

pub use atlas_client::fuzzing::{challenge, error_body, inflate, retry_after};

pub use crate::config::fuzzing::config;
pub use crate::http::fuzzing::accept;
pub use exporter_web::fuzzing::web;
use exposed::{Known, is_exposed};
pub use listing::listing;

/// What is read besides export jobs; one body is read as each kind of thing.
pub fn details(bytes: &[u8]) {
    let details = atlas_client::fuzzing::details(bytes);
    if details.cluster.is_some() || !details.buckets.is_empty() || !details.name.is_empty() {
        is_exposed(Known { details, ..Known::default() });
    }
}

mod exposed;
mod listing;
#[cfg(test)]
mod tests;
