//! Redaction of texts from outside, so that they can be logged and shown: one line of bounded
//! length, without credentials and invisible characters.
//!
//! Known secrets are found by their values. Texts that look like a credential are redacted as well.

mod hidden;
mod known;

use std::borrow::Cow;
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard};

use regex_lite::Regex;

pub(crate) use hidden::has_hidden;
pub use hidden::{escape, escape_json, is_hidden};
pub use known::Kind;
use known::Known;

/// What a secret of a service account begins with.
const SECRET_PREFIX: &str = "mdb_sa_sk_";

/// What looks like a credential, behind the part that is kept: what follows a scheme of
/// authentication unless it is a word of prose, the response to a digest challenge, the secret of a
/// service account, or an access token, which is a JSON Web Token. What is redacted already stays
/// as it is, also behind a scheme that is repeated.
const CREDENTIAL: &str = r#"(?x)
    (?<kept>
        (?: \b (?i: bearer | basic ) :? (?: \\u\{ [0-9a-f]+ \} | [^!-~] | ["'\\] )+ )+
        | \b response= ["'\\]*
    )
    (?: \[REDACTED\] | [a-z]* [0-9A-Z_.~+/=:-] [0-9A-Za-z_.~+/=:-]* )
    | (?: mdb_sa_sk_ | \b eyJ ) [0-9A-Za-z_.~+/=:-]*
"#;

/// Bytes that are searched beyond those that are shown: encoded secrets are known by their first
/// letters, of which each may take many bytes.
const SEARCHED: usize = 4096;

static KNOWN: RwLock<Known> = RwLock::new(Known::new());

static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| Regex::new(CREDENTIAL).expect("a pattern"));

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

/// Returns `text` with known secrets replaced, for a text that is finished otherwise.
#[must_use]
pub fn secrets(text: &str) -> Cow<'_, str> {
    known().redacted(text, text.len())
}

/// Returns `text` as one line without credentials.
#[must_use]
pub fn line(text: &str) -> String {
    known().line(text, text.len())
}

/// Returns `text` as one line of at most `max` characters, cut with an ellipsis, without
/// credentials.
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
            // A text that is kept must not keep the memory of one that was cut.
            Some(end) => format!("{}...", &line[..end]),
            None => line,
        }
    }
}

fn without_patterns(text: &str) -> Cow<'_, str> {
    // Nearly no text needs the regular expression, which is slow.
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
