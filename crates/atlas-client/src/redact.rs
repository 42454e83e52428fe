//! Redaction of external texts for logs and pages: one line of limited length, without credentials
//! and invisible characters.
//!
//! Known secrets are found by value. Texts in the form of a credential are redacted as well.

mod hidden;
mod known;

use std::borrow::Cow;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard};

use regex_lite::Regex;

pub(crate) use hidden::has_hidden;
pub use hidden::{escape, escape_json, is_hidden};
pub use known::Kind;
use known::Known;

/// Prefix of the secret of a service account.
const SECRET_PREFIX: &str = "mdb_sa_sk_";

/// Pattern of a credential, behind the part that is kept.
///
/// It matches the text after an authentication scheme unless that is a word of prose, the response
/// to a digest challenge, the secret of a service account, and JSON Web Tokens. Redacted texts stay
/// unchanged, also after a repeated scheme.
const CREDENTIAL: &str = r#"(?x)
    (?<kept>
        (?: \b (?i: bearer | basic ) :? (?: \\u\{ [0-9a-f]+ \} | [^!-~] | ["'\\] )+ )+
        | \b response= ["'\\]*
    )
    (?: \[REDACTED\] | [a-z]* [0-9A-Z_.~+/=:-] [0-9A-Za-z_.~+/=:-]* )
    | (?: mdb_sa_sk_ | \b eyJ ) [0-9A-Za-z_.~+/=:-]*
"#;

/// Number of bytes that are searched beyond the visible ones. An encoded secret is recognized by
/// its first letters, each of which can take many bytes.
const SEARCHED: usize = 4096;

static KNOWN: RwLock<Known> = RwLock::new(Known::new());

static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| Regex::new(CREDENTIAL).expect("the pattern is valid"));

fn known() -> RwLockReadGuard<'static, Known> {
    KNOWN.read().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a secret for redaction. Secrets of fewer than eight characters are ignored.
pub fn register(kind: Kind, secret: &str) {
    // Secret files are read for every request.
    if !known().has(secret) {
        KNOWN.write().unwrap_or_else(PoisonError::into_inner).add(kind, secret);
    }
}

/// Returns true if `text` contains the secret of a service account.
#[must_use]
pub fn holds_secret(text: &str) -> bool {
    text.contains(SECRET_PREFIX)
}

/// Returns `text` with known secrets replaced, and no other change.
#[must_use]
pub fn secrets(text: &str) -> Cow<'_, str> {
    known().redacted(text, text.len())
}

/// Returns `text` as one line without credentials.
#[must_use]
pub fn line(text: &str) -> String {
    known().line(text, text.len())
}

/// Returns `text` as one line without credentials, truncated to `max` characters and an ellipsis.
#[must_use]
pub fn display(text: &str, max: usize) -> String {
    known().shown(text, max)
}

impl Known {
    fn line(&self, text: &str, end: usize) -> String {
        without_patterns(&escape(&self.redacted(text, end))).into_owned()
    }

    fn shown(&self, text: &str, max: usize) -> String {
        let place = |text: &str| text.char_indices().nth(max).map(|(at, _)| at);
        let end = place(text);
        let searched = text.floor_char_boundary(end.unwrap_or(text.len()) + SEARCHED);
        let line = self.line(&text[..searched], end.unwrap_or(text.len()));
        match place(&line).or(end.map(|_| line.len())) {
            // A new allocation, so that the truncated part is freed.
            Some(end) => format!("{}...", &line[..end]),
            None => line,
        }
    }
}

fn without_patterns(text: &str) -> Cow<'_, str> {
    // The regular expression is slow, and few texts need it.
    let holds = |word: &str| {
        text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    if ![SECRET_PREFIX, "eyJ", "response=", "bearer", "basic"].into_iter().any(holds) {
        return Cow::Borrowed(text);
    }
    CREDENTIALS.replace_all(text, "$kept[REDACTED]")
}

#[cfg(test)]
mod tests;
