//! Characters that are invisible, end a line, or change the direction of a text.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns true for a character that is invisible, ends a line, or changes the direction of a text:
/// control characters, and those that Unicode calls bidi controls, line separators, default
/// ignorable and annotations.
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

/// Returns `text` with every character that [`is_hidden`] written as `\u{202e}`; ends of lines and
/// tabs become spaces.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    escaped(text, |text, c| match c {
        '\t' | '\n' | '\r' => text.push(' '),
        _ => text.extend(c.escape_unicode()),
    })
}

/// Returns the same JSON with every character that [`is_hidden`] escaped, but for ends of lines.
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

/// Returns true if a character of `text` [`is_hidden`].
pub(crate) fn has_hidden(text: &str) -> bool {
    // Ids and most texts are of letters that are looked at faster.
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
