//! Invariants of content negotiation.

use atlas_backup_exporter::fuzzing::{accepted_format, accepts_gzip};
use atlas_backup_exporter::metrics::Format;
use reqwest::header::HeaderValue;

/// Checks values of `Accept` and `Accept-Encoding`, one on a line.
pub fn accept(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let chosen @ (format, gzip) = negotiate(&lines);
    for change_case in [<[u8]>::to_ascii_lowercase, <[u8]>::to_ascii_uppercase] {
        let changed: Vec<_> = lines.iter().map(|line| change_case(line)).collect();
        assert_eq!(negotiate(&changed), chosen, "in letters of another case");
    }
    let text = bytes.to_ascii_lowercase();
    let contains = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    assert!(format == Format::Text || contains(b"application/") || contains(b"*/"), "format not offered");
    assert!(!gzip || contains(b"gzip") || contains(b"*"), "encoding not offered");
    // A comma within quotes is not a separator, and a value that is not text is skipped.
    if bytes.iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte) && *byte != b'"') {
        assert_list_semantics(&lines, chosen);
    }
}

/// Checks that neither the number of headers nor empty elements change the choice, nor, for the
/// format, the order of the elements.
fn assert_list_semantics(lines: &[&[u8]], chosen: (Format, bool)) {
    let joined = lines.join(&b", "[..]);
    assert_eq!(negotiate(&[&joined]), chosen, "in one header");
    let mut elements: Vec<&[u8]> = joined.split(|byte| *byte == b',').collect();
    assert_eq!(negotiate(&elements), chosen, "in a header each");
    let with_empty: Vec<_> = elements.iter().flat_map(|element| [b"", &b" "[..], element]).collect();
    assert_eq!(negotiate(&with_empty), chosen, "with empty elements between");
    elements.reverse();
    assert_eq!(negotiate(&elements).0, chosen.0, "in reverse order");
}

fn negotiate(lines: &[impl AsRef<[u8]>]) -> (Format, bool) {
    let values: Vec<_> =
        lines.iter().filter_map(|line| HeaderValue::from_bytes(line.as_ref()).ok()).collect();
    (accepted_format(&values), accepts_gzip(&values))
}
