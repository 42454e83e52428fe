//! The error of a web configuration, and the display of its values in messages.

use crate::suggest;

/// Maximum length of a value in a message.
const MAX_SHOWN: usize = 32;

/// The problem of an invalid web configuration.
///
/// It displays as one line with file, line, key, value and the expected value. Values that could be
/// a password, a key or a hash are hidden.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(message: &str) -> Self {
        // File names can contain any character.
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

/// Returns a value for a message, hidden if it could be a part of a key or a hash.
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
