//! What must hold of the headers with which a scraper says what it wants.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use super::*;

/// Values of `Accept` and of `Accept-Encoding`, one on a line.
pub fn accept(bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let (format, gzip) = (format_of(&lines), gzip_of(&lines));
    for like in [lines_of(&lines, <[u8]>::to_ascii_lowercase), lines_of(&lines, <[u8]>::to_ascii_uppercase)] {
        let like: Vec<_> = like.iter().map(Vec::as_slice).collect();
        assert_eq!((format_of(&like), gzip_of(&like)), (format, gzip), "in letters of another case");
    }
    let text = bytes.to_ascii_lowercase();
    let says = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
    assert!(format == Format::Text || says(b"application/") || says(b"*/"), "chosen without a word of it");
    assert!(!gzip || says(b"gzip") || says(b"*"), "chosen without a word of it");
    // A comma in quotes ends nothing, and a value that is no text is passed over as a whole.
    if bytes.iter().all(|byte| *byte == b'\n' || (b' '..=b'~').contains(byte) && *byte != b'"') {
        is_a_list(&lines, format, gzip);
    }
}

/// Where the elements of a list stand, and in which of several headers, is the same.
fn is_a_list(lines: &[&[u8]], format: Format, gzip: bool) {
    let joined = lines.join(&b", "[..]);
    assert_eq!((format_of(&[&joined]), gzip_of(&[&joined])), (format, gzip), "in one header");
    let elements: Vec<_> = joined.split(|byte| *byte == b',').collect();
    assert_eq!((format_of(&elements), gzip_of(&elements)), (format, gzip), "in a header each");
    let backwards: Vec<_> = elements.iter().rev().copied().collect();
    assert_eq!(format_of(&backwards), format, "backwards");
    let empty: Vec<&[u8]> = elements.iter().flat_map(|element| [&b""[..], b" ", element]).collect();
    assert_eq!((format_of(&empty), gzip_of(&empty)), (format, gzip), "with empty elements between");
}

fn lines_of(lines: &[&[u8]], change: fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    lines.iter().map(|line| change(line)).collect()
}

fn values(lines: &[&[u8]]) -> Vec<HeaderValue> {
    lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()).collect()
}

fn format_of(lines: &[&[u8]]) -> Format {
    super::format(&values(lines))
}

fn gzip_of(lines: &[&[u8]]) -> bool {
    super::gzip(&values(lines))
}
