//! Search for known secrets in a text, also in encoded forms.
//!
//! Texts are compared without white space, invisible characters and letter case, before and after
//! decoding their escapes. So a secret is found in percent-encoding, JSON, HTML and Rust's debug
//! format, also mixed, nested or split. In base64 it is found at any offset, as in a Basic pair.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::iter::successors;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use super::hidden::is_hidden;

pub(super) const REDACTED: &str = "[REDACTED]";

/// Minimum length of a secret. Shorter values occur in ordinary words.
const MIN_LENGTH: usize = 8;

/// Length of the prefix of a secret by which its encoded forms are found.
const MAX_FORM: usize = 32;

/// Maximum size of all secrets of one kind in bytes; the newest is always kept.
const MAX_BYTES: usize = 512 * 1024;

/// Maximum depth of nested escapes.
const MAX_DEPTH: usize = 3;

/// Numeric escapes: prefix, maximum number of digits, radix, suffix.
const NUMBERS: [(&str, usize, u32, &str); 7] = [
    ("%", 2, 16, ""),
    ("\\x", 2, 16, ""),
    ("\\u", 4, 16, ""),
    ("\\u{", 6, 16, "}"),
    ("&#x", 6, 16, ";"),
    ("&#X", 6, 16, ";"),
    ("&#", 7, 10, ";"),
];

const NAMES: [(&str, u8); 5] =
    [("&amp;", b'&'), ("&lt;", b'<'), ("&gt;", b'>'), ("&quot;", b'"'), ("&apos;", b'\'')];

/// Origin of a secret. Each kind has its own memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The configuration, the environment, or a secret file.
    Configuration,
    /// The token endpoint, which issues access tokens.
    Token,
}

/// Known secrets of each kind, oldest first.
pub(super) struct Known(BTreeMap<Kind, VecDeque<Secret>>);

struct Secret {
    value: SecretString,
    /// Encoded forms to search for.
    forms: Vec<SecretString>,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a secret, unless it is too short. Old secrets of its kind are removed at the limit.
    pub(super) fn add(&mut self, kind: Kind, value: &str) {
        if folded(value.as_bytes()).len() < MIN_LENGTH {
            return;
        }
        let (secrets, forms) = (self.0.entry(kind).or_default(), forms(value));
        // Tokens of one issuer share a prefix. The newest token, which is kept longest, has its
        // form.
        let is_new =
            |form: &SecretString| forms.iter().any(|new| new.expose_secret() == form.expose_secret());
        for older in secrets.iter_mut() {
            older.forms.retain(|form| !is_new(form));
        }
        secrets.push_back(Secret { value: value.into(), forms });
        let size = |secret: &Secret| secret.value.expose_secret().len();
        while secrets.len() > 1 && secrets.iter().map(size).sum::<usize>() > MAX_BYTES {
            secrets.pop_front();
        }
    }

    pub(super) fn has(&self, value: &str) -> bool {
        self.secrets().any(|secret| secret.value.expose_secret() == value)
    }

    /// Returns `text` up to `end` without secrets. If one is encoded, the whole text is replaced.
    pub(super) fn redacted<'a>(&self, text: &'a str, end: usize) -> Cow<'a, str> {
        let values = self.secrets().map(|secret| secret.value.expose_secret());
        let found =
            values.filter(|value| value.len() <= text.len()).flat_map(|value| text.match_indices(value));
        let mut places: Vec<_> = found.map(|(start, value)| start..start + value.len()).collect();
        places.sort_by_key(|place| place.start);
        let (mut kept, mut from) = (String::new(), 0);
        for place in places {
            // Secrets can overlap.
            if place.start > from || kept.is_empty() {
                if self.is_encoded_in(&text[from..place.start]) {
                    return Cow::Borrowed(REDACTED);
                }
                kept += &text[from.min(end)..place.start.min(end)];
                kept += if place.start < end { REDACTED } else { "" };
            }
            from = from.max(place.end);
        }
        if self.is_encoded_in(&text[from..]) {
            return Cow::Borrowed(REDACTED);
        }
        let rest = text.get(from..end).unwrap_or_default();
        if kept.is_empty() { Cow::Borrowed(rest) } else { Cow::Owned(kept + rest) }
    }

    fn is_encoded_in(&self, text: &str) -> bool {
        let forms = || self.secrets().flat_map(|secret| &secret.forms).map(ExposeSecret::expose_secret);
        // Most ids are shorter than any secret.
        forms().any(|form| form.len() <= text.len())
            && layers(text).any(|layer| forms().any(|form| layer.contains(form)))
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.0.values().flatten()
    }
}

/// Returns the encoded forms of a secret, including those with its own escapes decoded.
fn forms(value: &str) -> Vec<SecretString> {
    // The number of bytes before it decides its letters in base64.
    let base64 = (0..3).map(|before| {
        let text = STANDARD_NO_PAD.encode([&vec![0; before], value.as_bytes()].concat());
        let (start, end) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
        folded(&text.as_bytes()[start..end])
    });
    let forms = layers(value).chain(base64).filter(|form| form.len() >= MIN_LENGTH);
    forms.map(|form| form.chars().take(MAX_FORM).collect::<String>().into()).collect()
}

/// Returns the comparable forms of a text, each with one more layer of escapes decoded.
fn layers(text: &str) -> impl Iterator<Item = String> {
    let layers = successors(Some(text.as_bytes().to_vec()), |layer| unescaped(layer));
    layers.take(MAX_DEPTH + 1).map(|layer| folded(&layer))
}

/// Returns a text in lower case without white space and invisible characters, with one alphabet of
/// base64.
fn folded(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let visible = text.chars().filter(|c| !c.is_whitespace() && !is_hidden(*c));
    let fold = |c: char| match c {
        '-' => '+',
        '_' => '/',
        c => c.to_ascii_lowercase(),
    };
    visible.map(fold).collect()
}

/// Decodes one layer of escapes of any kind; `None` if there are none.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let (mut inner, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        let (decoded, after) = escape(rest).unwrap_or_else(|| (vec![*first], after));
        inner.extend(decoded);
        rest = after;
    }
    (inner.len() < text.len()).then_some(inner)
}

/// Decodes the escape at the start of `text`; returns its bytes and the rest.
fn escape(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let number = |(before, max, radix, after): (&str, usize, u32, &str)| {
        let rest = text.strip_prefix(before.as_bytes())?;
        let is_digit = |byte: &&u8| char::from(**byte).is_digit(radix);
        let (digits, rest) = rest.split_at(rest.iter().take(max).take_while(is_digit).count());
        let is_whole = digits.len() == max || !after.is_empty();
        let rest = rest.strip_prefix(after.as_bytes()).filter(|_| is_whole)?;
        let code = u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()?;
        // Two digits encode a byte, more a character.
        if max == 2 {
            return Some((vec![u8::try_from(code).ok()?], rest));
        }
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        Some((c.to_string().into_bytes(), rest))
    };
    let name = |(name, byte): (&str, u8)| Some((vec![byte], text.strip_prefix(name.as_bytes())?));
    if !text.starts_with(b"%") && !text.starts_with(b"\\") && !text.starts_with(b"&") {
        return None;
    }
    NUMBERS.into_iter().find_map(number).or_else(|| NAMES.into_iter().find_map(name)).or(match text {
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'0', rest @ ..] => Some((vec![b' '], rest)),
        [b'\\', other, rest @ ..] if other.is_ascii_punctuation() && !b"%&".contains(other) => {
            Some((vec![*other], rest))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_prefix_of_tokens_is_one_form() {
        let token = |number: u32| format!("eyJhbGciOiJSUzI1NiIsImtpZCI6IjA4MTUifQ.{number}");
        let mut known = Known::new();
        for number in 0..100 {
            known.add(Kind::Token, &token(number));
        }
        // Plain, and three offsets of base64.
        assert_eq!(known.secrets().flat_map(|secret| &secret.forms).count(), 4);
        let text = token(7).replace('.', "%2e");
        assert_eq!(known.redacted(&text, text.len()), REDACTED);
    }
}
