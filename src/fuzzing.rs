//! Where fuzzers come in: whatever reads the bytes of others, one function for each target of `fuzz/`.
//!
//! Each takes any bytes and panics if what must hold of them does not. The properties stand beside the code that they are about,
//! once, for the fuzzers and for the tests that replay what those found. Nothing of it is in what is shipped.

pub(crate) use exposed::{Known, is_exposed};

pub use crate::atlas::fuzzing::{challenge, details, error_body, inflate, listing, retry_after};
pub use crate::config::fuzzing::config;
pub use crate::http::fuzzing::accept;
pub use exporter_web::fuzzing::web;

/// A text of others, as it goes to a log, is one line.
#[track_caller]
pub(crate) fn is_a_line(text: &str) {
    assert!(!text.contains(crate::redact::is_hidden), "{text:?}");
}

mod exposed;
#[cfg(test)]
mod tests;
