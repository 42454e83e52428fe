//! Invisible characters, line ends, and characters that change the direction of a text.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns true if a character is invisible, ends a line, or changes the direction of a text.
///
/// These are control characters, and the bidi controls, line separators, default ignorable
/// characters and annotations of Unicode.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Returns `text` with characters that are [hidden](is_hidden) escaped as `\u{202e}`. Line ends and
/// tabs become spaces.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, |text, c| match c {
        '\t' | '\n' | '\r' => text.push(' '),
        _ => text.extend(c.escape_unicode()),
    })
}

/// Returns JSON with characters that are [hidden](is_hidden) escaped, except for line ends.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escaped(json, |text, c| {
        if c == '\n' {
            return text.push(c);
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    })
}

/// Returns true if `text` has a character that is [hidden](is_hidden).
pub(crate) fn has_hidden(text: &str) -> bool {
    // Most texts are ASCII, which is checked faster.
    !text.bytes().all(|byte| byte.is_ascii_graphic()) && text.contains(is_hidden)
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !has_hidden(text) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) { escape(&mut visible, c) } else { visible.push(c) }
    }
    Cow::Owned(visible)
}
