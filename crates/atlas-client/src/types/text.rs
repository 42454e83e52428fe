//! Texts of Atlas with a maximum length.
//!
//! Ids and names that are part of requests are refused if they are too long. Texts for people are
//! truncated with an ellipsis.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::redact;

/// Maximum length of an id in characters. Ids of Atlas have 24.
pub const MAX_ID: usize = 64;

/// Maximum length of a name in characters. Names of clusters have up to 64, of buckets up to 63.
pub(super) const MAX_NAME: usize = 256;

/// Maximum length of a word, such as a frequency or a cloud provider, in characters.
pub(super) const MAX_WORD: usize = 64;

/// Maximum length of a text in a large body in bytes. It exceeds all other maximums, so that a
/// truncated text is still too long.
const MAX_RAW: usize = 16 * 1024;

/// Maximum depth of a large body, the limit of serde for values that are read. Skipped values take
/// one byte for each level.
const MAX_DEPTH: usize = 128;

/// Size in bytes up to which a body is not changed, because its texts take little memory.
const SMALL_BODY: usize = 512 * 1024;

/// An id. It is not changed; an id that is too long or has invisible characters is an error.
pub(crate) type Id = Identity<MAX_ID>;

/// The name of a cluster, with the rules of an id.
pub(crate) type Name = Identity<MAX_NAME>;

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Identity<const MAX: usize>(pub(super) String);

/// A text for people: one line, redacted and truncated to `MAX` characters.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Shown<const MAX: usize>(pub(crate) String);

/// An optional text; a value of another type is ignored.
#[derive(Debug, Default)]
pub(super) struct Lenient(pub(super) Option<String>);

impl<const MAX: usize> TryFrom<String> for Identity<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kind = if MAX == MAX_ID { "id" } else { "name" };
        if is_longer(&text, MAX) {
            return Err(format!("{kind} of more than {MAX} characters"));
        }
        // Logs and pages show it without escaping.
        if redact::line(&text) == text {
            Ok(Self(text))
        } else {
            Err(format!("{kind} with invisible characters or a credential"))
        }
    }
}

impl<const MAX: usize> From<String> for Shown<MAX> {
    fn from(text: String) -> Self {
        Self(redact::display(&text, MAX))
    }
}

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

/// Returns true if `text` has more than `max` characters.
pub(super) fn is_longer(text: &str, max: usize) -> bool {
    text.len() > max && text.chars().nth(max).is_some()
}

/// Truncates long texts and field names of a large body, so that decoding does not copy them.
///
/// The rest of a text becomes white space after it. A body that is nested too deep is an error.
pub(crate) fn shorten(body: &mut [u8]) -> Result<(), Error> {
    if body.len() > SMALL_BODY { shorten_to(body, MAX_RAW) } else { Ok(()) }
}

fn shorten_to(body: &mut [u8], max: usize) -> Result<(), Error> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => at = cut(body, at, max).ok_or_else(|| Error::invalid("unterminated JSON string"))?,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::invalid(&format!("JSON nested deeper than {MAX_DEPTH} levels")));
        }
    }
    Ok(())
}

/// Truncates the text that starts at `start`; returns the offset behind it.
fn cut(body: &mut [u8], start: usize, max: usize) -> Option<usize> {
    // `place` is the last offset at which truncation does not split a character.
    let (mut at, mut place) = (start, start);
    loop {
        let byte = *body.get(at)?;
        // UTF-8 continuation bytes, and the second escape of a surrogate pair.
        let is_inner = byte & 0b1100_0000 == 0b1000_0000
            || matches!(body.get(at..at + 4), Some([b'\\', b'u', b'd' | b'D', b'c'..=b'f' | b'C'..=b'F']));
        if at - start <= max && !is_inner {
            place = at;
        }
        at += match byte {
            b'"' => break,
            b'\\' if body.get(at + 1) == Some(&b'u') => 6,
            b'\\' => 2,
            _ => 1,
        };
    }
    if place < at {
        body[place] = b'"';
        body[place + 1..=at].fill(b' ');
    }
    Some(at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Truncates texts of a value by a simple definition.
    fn cut_plainly(value: &Value, max: usize) -> Value {
        let text = |text: &str| {
            let fits = |end: &usize| escaped(&text[..*end]) <= max;
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            text[..ends.rfind(fits).unwrap()].to_owned()
        };
        match value {
            Value::String(of) => json!(text(of)),
            Value::Array(of) => of.iter().map(|value| cut_plainly(value, max)).collect(),
            Value::Object(of) => of.iter().map(|(key, of)| (text(key), cut_plainly(of, max))).collect(),
            _ => value.clone(),
        }
    }

    /// Length of a text in JSON, without its quotes.
    fn escaped(text: &str) -> usize {
        json!(text).to_string().len() - 2
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i64>().prop_map(Value::from), any::<String>().prop_map(Value::from)];
        leaf.prop_recursive(4, 32, 8, |of| {
            prop_oneof![
                proptest::collection::vec(of.clone(), 0..8).prop_map(Value::from),
                proptest::collection::vec(("[a-z\\PC\n\"]{0,8}", of), 0..8)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn shortened_body_differs_in_long_texts_only(value in any_json(), max in 8_usize..20) {
            let mut body = value.to_string().into_bytes();
            let length = body.len();
            shorten_to(&mut body, max).unwrap();
            prop_assert_eq!(body.len(), length);
            prop_assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), cut_plainly(&value, max));
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        for (body, max, expected) in [
            (r#"{"abc":"abcdef"}"#, 4, r#"{"abc":"abcd"  }"#),
            (r#"["äöü"]"#, 3, "[\"ä\"    ]"),
            (r#"["a\u00e4b"]"#, 4, r#"["a"       ]"#),
            (r#"["a\ud83d\ude00b"]"#, 9, r#"["a"             ]"#),
            (r#"["a\ud83d\ude00bc"]"#, 13, r#"["a\ud83d\ude00"  ]"#),
            (r#"["a\\\"b"]"#, 2, r#"["a"     ]"#),
        ] {
            let mut body = body.as_bytes().to_vec();
            shorten_to(&mut body, max).unwrap();
            assert_eq!(str::from_utf8(&body).unwrap(), expected);
        }
    }

    #[test]
    fn large_body_without_end_is_refused() {
        let large = |begin: &str, rest: &str| (begin.to_owned() + &rest.repeat(SMALL_BODY + 1)).into_bytes();
        for (begin, rest) in [("\"", "a"), ("\"", "\\\\"), ("", "["), ("", "{\"a\":")] {
            assert!(shorten(&mut large(begin, rest)).is_err(), "{begin}{rest}...");
        }
        assert_eq!(shorten(&mut large("", "[]")), Ok(()));
    }

    #[test]
    fn identity_is_refused_where_it_is_too_long_or_not_plain() {
        let id = |text: &str| serde_json::from_value::<Id>(json!(text)).map(|id| id.0);
        let name = |text: &str| serde_json::from_value::<Name>(json!(text)).map(|name| name.0);
        assert_eq!(id(&"ä".repeat(MAX_ID)).unwrap(), "ä".repeat(MAX_ID));
        assert_eq!(name(&"ä".repeat(MAX_NAME)).unwrap(), "ä".repeat(MAX_NAME));
        let error = id(&"a".repeat(MAX_ID + 1)).unwrap_err().to_string();
        assert_eq!(error, "id of more than 64 characters");
        let error = name(&"a".repeat(MAX_NAME + 1)).unwrap_err().to_string();
        assert_eq!(error, "name of more than 256 characters");
        assert!(id("a\nb").is_err() && name("a\u{7f}").is_err());
        assert!(id("mdb_sa_sk_a").is_err() && name("heyJude").is_ok());
    }

    #[test]
    fn text_for_people_is_cut() {
        let shown = |text: &str| serde_json::from_value::<Shown<8>>(json!(text)).unwrap().0;
        assert_eq!(shown("12345678"), "12345678");
        assert_eq!(shown("123456789"), "12345678...");
    }
}
