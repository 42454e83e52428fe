//! Access tokens.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// Maximum length of an access token in bytes. Every request repeats it; those of Atlas have about
/// 1,000.
const MAX_TOKEN: usize = 8 * 1024;

/// Lifetime of a token without a valid `expires_in`.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);

/// The response to `POST /api/oauth/token`.
pub(crate) struct AccessToken {
    pub(crate) access_token: SecretString,
    /// Lifetime, as reported by Atlas.
    pub(crate) life: Duration,
}

/// Decodes a token response. The error repeats nothing of it, because it can contain a token.
pub(crate) fn decode_token(body: &[u8]) -> Result<AccessToken, Error> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        access_token: SecretString,
        #[serde(borrow)]
        expires_in: Option<&'a RawValue>,
    }
    let Answer { access_token, expires_in } = serde_json::from_slice(body).map_err(|error| {
        Error::invalid(&format!(
            "token response is not valid JSON ({:?} error at line {}, column {})",
            error.classify(),
            error.line(),
            error.column()
        ))
    })?;
    if access_token.expose_secret().len() > MAX_TOKEN {
        return Err(Error::TooLarge(format!("access token of more than {MAX_TOKEN} bytes")));
    }
    Ok(AccessToken { access_token, life: life(expires_in.map_or("", RawValue::get)) })
}

/// Parses seconds, a number or a string. An invalid value is not an error, so that the token is
/// used.
fn life(seconds: &str) -> Duration {
    match seconds.trim_matches('"').parse::<f64>() {
        Ok(seconds) if seconds <= 0.0 => Duration::ZERO,
        Ok(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_LIFE),
        Err(_) => DEFAULT_LIFE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_answer_is_refused_without_a_word_of_it() {
        for body in [r#""secret-token""#, r#"{"access_token":["secret-token"],"expires_in":1}"#] {
            let error = decode_token(body.as_bytes()).err().unwrap().to_string();
            assert!(!error.contains("secret-token") && error.contains("column"), "{error}");
        }
        let answer = |length: usize| {
            decode_token(format!(r#"{{"access_token":"{}"}}"#, "x".repeat(length)).as_bytes())
        };
        assert!(answer(MAX_TOKEN).is_ok());
        let error = answer(MAX_TOKEN + 1).err().unwrap();
        assert_eq!(error, Error::TooLarge("access token of more than 8192 bytes".to_owned()));
    }

    #[test]
    fn life_that_cannot_be_parsed_is_a_minute() {
        for (life, seconds) in [
            (r#","expires_in":3600"#, 3600),
            (r#","expires_in":3600.0"#, 3600),
            (r#","expires_in":"3600""#, 3600),
            (r#","expires_in":0"#, 0),
            (r#","expires_in":-5"#, 0),
            ("", 60),
            (r#","expires_in":null"#, 60),
            (r#","expires_in":"soon""#, 60),
            (r#","expires_in":"NaN""#, 60),
            (r#","expires_in":1e999"#, 60),
            (r#","expires_in":{"seconds":9}"#, 60),
        ] {
            let body = format!(r#"{{"access_token":"a"{life}}}"#);
            assert_eq!(decode_token(body.as_bytes()).ok().unwrap().life.as_secs(), seconds, "{life}");
        }
    }
}
