//! Redaction of texts from outside, so that they can be logged and shown: one line of bounded
//! length, without credentials and invisible characters.
//!
//! Known secrets are found by their values. Texts that look like a credential are redacted as well.

mod hidden;
mod known;

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

pub(crate) use hidden::has_hidden;
pub use hidden::{escape, escape_json, is_hidden};
pub use known::Kind;
use known::Known;

/// What a secret of a service account begins with.
const SECRET_PREFIX: &str = "mdb_sa_sk_";

/// What an access token begins with: it is a JSON Web Token, whose first letters are a bracket and
/// a quote.
const TOKEN_PREFIX: &str = "eyJ";

/// What the answer to a digest challenge begins with.
const RESPONSE_PREFIX: &str = "response=";

/// Schemes whose next word is a credential.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

const REDACTED: &str = "[REDACTED]";

/// Characters beyond the maximum that are searched, too. A secret that begins before the maximum is
/// known by its first letters, of which each may take some characters, as in `A\u{202e}` or
/// `&#x41;`.
const SEARCHED: usize = known::MIN_LENGTH * 16 + known::MAX_CUT;

static KNOWN: RwLock<Known> = RwLock::new(Known::new());

fn known() -> RwLockReadGuard<'static, Known> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a secret, which is redacted from now on. One of less than eight characters is not.
pub fn register(kind: Kind, secret: &str) {
    // Files are read for every request.
    if !known().has(secret) {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(kind, secret);
    }
}

/// Returns true if `text` holds a secret of a service account.
#[must_use]
pub fn holds_secret(text: &str) -> bool {
    text.contains(SECRET_PREFIX)
}

/// Returns true if `text` holds no known secret and no character that [`is_hidden`].
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !has_hidden(text) && known().find(text, false).is_empty()
}

/// Returns `text` with known secrets replaced, for a text that is finished otherwise.
#[must_use]
pub fn secrets(text: &str) -> Cow<'_, str> {
    known().redacted(text, text.len())
}

/// Returns `text` as one line without credentials.
#[must_use]
pub fn line(text: &str) -> String {
    known().line(text, text.len()).into_owned()
}

/// Returns `text` as one line of at most `max` characters, cut with an ellipsis, without
/// credentials.
#[must_use]
pub fn display(text: &str, max: usize) -> String {
    known().shown(text, max).into_owned()
}

impl Known {
    /// Returns `text` up to `end` without secrets. Those that begin there are found by what stands
    /// after it.
    fn redacted<'a>(&self, text: &'a str, end: usize) -> Cow<'a, str> {
        let found = self.find(text, end < text.len());
        if found.is_empty() {
            return Cow::Borrowed(&text[..end]);
        }
        let (mut kept, mut from) = (String::with_capacity(end), 0);
        for place in found.into_iter().take_while(|place| place.start < end) {
            kept += &text[from..place.start];
            kept += REDACTED;
            from = place.end;
        }
        Cow::Owned(kept + text.get(from..end).unwrap_or_default())
    }

    fn line<'a>(&self, text: &'a str, end: usize) -> Cow<'a, str> {
        then(then(self.redacted(text, end), without_patterns), escape)
    }

    fn shown<'a>(&self, text: &'a str, max: usize) -> Cow<'a, str> {
        let place = |characters: usize| text.char_indices().nth(characters).map(|(at, _)| at);
        let searched = place(max + SEARCHED);
        let mut line = match (searched, place(max)) {
            // What could be the rest of a secret is not shown.
            (Some(searched), Some(end)) => self.line(&text[..searched], end),
            _ => self.line(text, text.len()),
        };
        let end = line.char_indices().nth(max).map(|(end, _)| end);
        if let Some(end) = end.or(searched.map(|_| line.len())) {
            // A text that is kept must not keep the memory of one that was cut.
            line = Cow::Owned(format!("{}...", &line[..end]));
        }
        line
    }
}

fn then(text: Cow<'_, str>, next: fn(&str) -> Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => next(text),
        Cow::Owned(text) => Cow::Owned(next(&text).into_owned()),
    }
}

/// `text` with secrets of service accounts, access tokens, answers to digest challenges, and the
/// word after `Bearer` or `Basic`, replaced; "basic authentication" stays.
fn without_patterns(text: &str) -> Cow<'_, str> {
    let has_scheme = |scheme: &str| {
        text.as_bytes().windows(scheme.len()).any(|part| part.eq_ignore_ascii_case(scheme.as_bytes()))
    };
    let has_prefix = |prefix| text.contains(prefix);
    if ![SECRET_PREFIX, TOKEN_PREFIX, RESPONSE_PREFIX].into_iter().any(has_prefix)
        && !SCHEMES.into_iter().any(has_scheme)
    {
        return Cow::Borrowed(text);
    }
    let in_word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=' | ':');
    let is_gap = |c: char| c.is_whitespace() || is_hidden(c) || matches!(c, '"' | '\'' | '\\');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_scheme = false;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| in_word(c) != in_word(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        if !in_word(first) {
            after_scheme &= run.chars().all(is_gap);
            out.push_str(run);
            continue;
        }
        let word = run.trim_end_matches(':');
        // A scheme may be repeated; the second one is not the credential of the first.
        let is_scheme =
            run.ends_with(RESPONSE_PREFIX) || SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
        let response = run.find(RESPONSE_PREFIX).map(|at| at + RESPONSE_PREFIX.len());
        if after_scheme && !is_scheme && !run.bytes().all(|b| b.is_ascii_lowercase()) {
            out.push_str(REDACTED);
        } else {
            match run.find(SECRET_PREFIX).or(run.find(TOKEN_PREFIX)).or(response.filter(|_| !is_scheme)) {
                Some(at) => out.extend([&run[..at], REDACTED]),
                None => out.push_str(run),
            }
        }
        after_scheme = is_scheme;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
