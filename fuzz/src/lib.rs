//! Invariants of all parsers of external input. `tests/fuzz_corpus.rs` checks them as well.

pub mod invariants;
