//! Golden files. `UPDATE=1 cargo test` updates those that differ.

use std::path::Path;

use similar::TextDiff;

/// Compares a file, given by its path from the root of the repository, with what it should be.
#[track_caller]
pub(crate) fn assert_golden(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    if found == expected {
        return;
    }
    let diff = TextDiff::from_lines(found.as_str(), expected);
    let diff = diff.unified_diff().header(path, "expected").to_string();
    let is_update = std::env::var_os("UPDATE").is_some();
    assert!(is_update, "{path} is out of date; UPDATE=1 cargo test writes it:\n{diff}");
    std::fs::write(file, expected).unwrap();
    #[allow(clippy::print_stderr)] // for `UPDATE=1 cargo test -- --nocapture`
    {
        eprintln!("{path} was updated:\n{diff}");
    }
}
