//! Invariants of external texts.

use atlas_client::fuzzing::api_url;
use atlas_client::redact;

/// Maximum length of a text in characters, including the ellipsis of a truncated one.
const MAX_TEXT: usize = 300 + "...".len();

/// Checks that a text has one line, without invisible characters.
#[track_caller]
pub(super) fn assert_single_line(text: &str) {
    assert!(!text.contains(redact::is_hidden), "{text:?}");
}

/// Checks that a text is one short line without anything that looks like a credential.
#[track_caller]
pub(super) fn assert_redacted(text: &str) {
    assert_single_line(text);
    assert!(text.chars().count() <= MAX_TEXT, "{text:?}");
    // In a truncated text, the ellipsis or a part of a word can follow a scheme.
    assert!(text.ends_with("...") || redact::line(text) == text, "looks like a credential: {text:?}");
}

/// Checks that `name` is exactly one segment of the path of a request.
#[track_caller]
pub(super) fn assert_path_segment(name: &str) {
    let base = "https://localhost/below/".parse().expect("a URL");
    let url = api_url(&base, &["clusters", name, "backup"]).expect("a base that can have a path");
    let segments: Vec<_> = url.path_segments().into_iter().flatten().collect();
    let ["below", "api", "atlas", "v2", "clusters", segment, "backup"] = segments[..] else {
        panic!("{name:?} is requested at {url}");
    };
    assert_eq!(percent_encoding::percent_decode_str(segment).decode_utf8().as_deref(), Ok(name));
}
