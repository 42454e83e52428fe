//! The error of a web configuration, and how messages show texts of the file.

use crate::suggest;

/// Maximum length of a word that a message repeats.
const MAX_SHOWN: usize = 32;

/// The reason why a web configuration is refused.
///
/// It displays as one line with the file, the line, the key, the value and what would be right.
/// Values that could be a password, a key or a hash are not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: &str) -> Self {
        // Names of files can hold anything.
        let is_plain = |c: char| c.is_ascii() && !c.is_control();
        let escape = |c: char| if is_plain(c) { c.to_string() } else { c.escape_debug().to_string() };
        Self(message.chars().map(escape).collect())
    }
}

pub(crate) fn unknown_key(path: &str, key: &str, known: &[&str]) -> String {
    let hint = suggest(key, known.iter().copied()).map_or_else(
        || format!("expected one of {}", known.join(", ")),
        |meant| format!("did you mean `{meant}`?"),
    );
    format!("unknown key `{path}`; {hint}")
}

/// Returns a value as messages show it: hidden where it could be a key, a hash, or a part of one.
pub(crate) fn shown(text: &str) -> String {
    if is_plain(text) { format!("{text:?}") } else { "another value".to_owned() }
}

pub(crate) fn shown_key(key: &str) -> &str {
    if is_plain(key) { key } else { "(hidden)" }
}

fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    !text.is_empty() && text.len() <= MAX_SHOWN && text.chars().all(is_plain)
}
