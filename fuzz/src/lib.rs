//! Invariants of everything that reads bytes from outside. `tests/fuzz_corpus.rs` checks them, too.

pub mod invariants;
