//! Texts from outside, made safe to log and to show: one line, of bounded length, without credentials.

/// What a secret of a service account begins with.
const SECRET_PREFIX: &str = "mdb_sa_sk_";

/// What an access token begins with: it is a JSON Web Token, whose first letters are a bracket and a quote.
const TOKEN_PREFIX: &str = "eyJ";

/// Schemes whose next word is a credential.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

const MASKED: &str = "[REDACTED]";

/// Whether `text` is, or holds, a secret of a service account.
pub(crate) fn holds_secret(text: &str) -> bool {
    text.contains(SECRET_PREFIX)
}

/// `text` as one line, with what looks like a credential replaced. It is made a line first: two words may be told apart by what
/// is no space before that.
pub(crate) fn line(text: &str) -> String {
    mask(&text.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), " "))
}

/// Returns `text` as one line of at most `max` characters, cut with an ellipsis, without credentials.
pub(crate) fn display(text: &str, max: usize) -> String {
    let mut line = line(text);
    if let Some((end, _)) = line.char_indices().nth(max) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

/// `text` with secrets of service accounts, access tokens, and the word after `Bearer` or `Basic`, replaced; "basic authentication" stays.
fn mask(text: &str) -> String {
    let in_word =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=' | ':');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_scheme = false;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| in_word(c) != in_word(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at(end);
        rest = tail;
        if !in_word(first) {
            after_scheme &= run.trim().is_empty();
            out.push_str(run);
            continue;
        }
        let word = run.trim_end_matches(':');
        // A scheme may be told twice; the second one is not the credential of the first.
        let is_scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
        if after_scheme && !is_scheme && !run.bytes().all(|b| b.is_ascii_lowercase()) {
            out.push_str(MASKED);
        } else {
            match run.find(SECRET_PREFIX).or(run.find(TOKEN_PREFIX)) {
                Some(at) => out.extend([&run[..at], MASKED]),
                None => out.push_str(run),
            }
        }
        after_scheme = is_scheme;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_hides_nothing_between_its_words() {
        assert_eq!(line("a\r\nb\u{2028}c"), "a  b c");
        assert_eq!(line("Bearer\u{0}T1 basic\u{2029}T2"), "Bearer [REDACTED] basic [REDACTED]");
    }

    #[test]
    fn credentials_are_masked_and_all_else_is_kept() {
        let check = |text: &str, expected: &str| assert_eq!(mask(text), expected);
        check("", "");
        check("No cluster named prod-eu: \"a b\".", "No cluster named prod-eu: \"a b\".");
        check("secret mdb_sa_sk_abc-DEF.1 is wrong", "secret [REDACTED] is wrong");
        check("https://u:mdb_sa_sk_x@host/", "https://u:[REDACTED]@host/");
        check("Authorization: Bearer eyJhb.x_y-z, Accept", "Authorization: Bearer [REDACTED], Accept");
        check("BASIC aWQ6c2VjcmV0== and more", "BASIC [REDACTED] and more");
        check("the token eyJhb.x_y-z is none", "the token [REDACTED] is none");
        check("token=eyJhb.x_y-z", "token=[REDACTED]");
        check("Bearer: Bearer T1, basic BASIC T2", "Bearer: Bearer [REDACTED], basic BASIC [REDACTED]");
        check("the bearer", "the bearer");
        check("Basic authentication needed: 5", "Basic authentication needed: 5");
        check("ä \u{1f512} bearer T1 ö", "ä \u{1f512} bearer [REDACTED] ö");
    }
}
