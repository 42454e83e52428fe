//! Credentials of Atlas, and the sources of their secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::redact;

/// The two ways to sign in to Atlas.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// OAuth 2.0 client credentials.
    ServiceAccount {
        /// `mdb_sa_id_...`
        client_id: String,
        /// The place that it is configured in, for logs.
        origin: String,
        /// `mdb_sa_sk_...`
        client_secret: SecretSource,
        /// When that ends, if it is known. The client itself does not need it.
        expires_at: Option<Timestamp>,
    },
    /// HTTP Digest.
    ApiKey {
        /// The user of the digest.
        public_key: String,
        /// The place that it is configured in, for logs.
        origin: String,
        /// Its password.
        private_key: SecretSource,
    },
}

impl Credentials {
    /// Returns the public part, the secret part, and the place that both are configured in.
    pub(crate) fn parts(&self) -> (&str, &SecretSource, &str) {
        match self {
            Self::ServiceAccount { client_id, client_secret, origin, .. } => {
                (client_id, client_secret, origin)
            }
            Self::ApiKey { public_key, private_key, origin } => (public_key, private_key, origin),
        }
    }

    /// Returns when the secret ended, if it is known that it did before `now`.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::ServiceAccount { expires_at, .. } => expires_at.filter(|at| *at <= now),
            Self::ApiKey { .. } => None,
        }
    }

    /// Registers the secret for redaction. That of a file is registered whenever it is read.
    pub fn redact(&self) {
        if let (_, SecretSource::Inline { secret, .. }, _) = self.parts() {
            redact::register(redact::Kind::Configuration, secret.expose_secret());
        }
    }

    /// Returns what is odd about refused credentials, without repeating them. Reads the secret.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint_for(self.parts().1.read().ok()?.expose_secret())
    }

    /// Returns what is odd about the credentials with this secret.
    pub(crate) fn hint_for(&self, secret: &str) -> Option<String> {
        let (id_name, secret_name) = match self {
            Self::ServiceAccount { .. } => ("client id", "secret"),
            Self::ApiKey { .. } => ("public key", "private key"),
        };
        let misplaced = match secret {
            secret if secret.starts_with("mdb_sa_id_") => Some("is a client id"),
            // What a secret begins with, in base64.
            secret if secret.starts_with("bWRiX3NhX3Nr") => Some("is in base64"),
            _ => None,
        };
        let parts = [(id_name, oddity(self.parts().0)), (secret_name, oddity(secret).or(misplaced))];
        let odd = parts.into_iter().filter_map(|(name, oddity)| Some(format!("the {name} {}", oddity?)));
        Some(odd.collect::<Vec<_>>().join(", ")).filter(|hint| !hint.is_empty())
    }
}

pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}')
}

/// Returns what a part of credentials looks like, if that is not one.
fn oddity(text: &str) -> Option<&'static str> {
    let is_placeholder = ["${", "$(", "{{", "<", "%"].iter().any(|begin| text.starts_with(begin));
    let is_variable = text.strip_prefix('$').is_some_and(|name| name.chars().all(is_of_name));
    let is_assignment = text.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty() && name.chars().all(is_of_name) && !value.trim_matches('=').is_empty()
    });
    if is_placeholder || is_variable || text.contains("${") {
        Some("is a placeholder that nothing has filled in")
    } else if text.starts_with(['{', '[']) {
        Some("looks like JSON")
    } else if text.contains(['\n', '\r']) {
        Some("has more than one line")
    } else if text.starts_with(is_quote) || text.ends_with(is_quote) {
        Some("has quotes around it")
    } else if is_assignment {
        Some("begins with a name and =")
    } else if text.starts_with('/') || text.starts_with("./") {
        Some("looks like the path of a file")
    } else if text.contains(|c: char| !c.is_ascii_graphic()) {
        Some("has white space or letters that are not ASCII in it")
    } else {
        None
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Compares what signs in. Where that is configured and when a secret ends make no difference: the
/// token is the same.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        let ((id, secret, _), (other_id, other_secret, _)) = (self.parts(), other.parts());
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && (id, secret) == (other_id, other_secret)
    }
}

impl Eq for Credentials {}

impl fmt::Display for Credentials {
    /// Writes who signs in, without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount { client_id, .. } => write!(f, "service account {client_id}"),
            Self::ApiKey { public_key, .. } => write!(f, "API key {public_key}"),
        }
    }
}

/// A secret, or the file that holds it.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A value.
    Inline {
        /// The secret.
        secret: SecretString,
        /// The place that it is configured in, for logs.
        origin: String,
    },
    /// Read whenever it is needed, so that it can be rotated while the client runs.
    File {
        /// The file.
        path: PathBuf,
        /// Reads the secret; the error repeats nothing of the file.
        read: fn(&Path) -> Result<String, String>,
    },
}

impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline { secret: one, .. }, Self::Inline { secret: other, .. }) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::File { path: one, .. }, Self::File { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

impl Eq for SecretSource {}

/// Writes where the secret is, never what it is.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { origin, .. } => write!(f, "from {origin}"),
            Self::File { path, .. } => write!(f, "from the file {}", path.display()),
        }
    }
}

impl SecretSource {
    /// Reads the secret as it is now. Errors name the file, never its content.
    pub fn read(&self) -> Result<SecretString, String> {
        let (path, read) = match self {
            Self::Inline { secret, .. } => return Ok(secret.clone()),
            Self::File { path, read } => (path, read),
        };
        let text = read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if text.is_empty() {
            return Err(format!("{} is empty; it should hold the secret", path.display()));
        }
        redact::register(redact::Kind::Configuration, &text);
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_credentials_have_a_hint() {
        let (id, secret) = ("mdb_sa_id_0123456789abcdef01234567", "mdb_sa_sk_hush-HUSH_0123456789");
        let source = || SecretSource::Inline { secret: "".into(), origin: String::new() };
        let client_hint = |id: &str, secret: &str| {
            let (client_id, origin, client_secret) = (id.to_owned(), String::new(), source());
            let expires_at = None;
            Credentials::ServiceAccount { client_id, origin, client_secret, expires_at }.hint_for(secret)
        };
        let key_hint = |id: &str, secret: &str| {
            let (public_key, origin, private_key) = (id.to_owned(), String::new(), source());
            Credentials::ApiKey { public_key, origin, private_key }.hint_for(secret)
        };
        for (text, oddity) in [
            ("\"hush\"", "has quotes around it"),
            ("'hush", "has quotes around it"),
            ("hush`", "has quotes around it"),
            ("\u{201c}hush\u{201d}", "has quotes around it"),
            ("{\"secret\": \"hush\"}", "looks like JSON"),
            ("[\n\"hush\"\n]", "looks like JSON"),
            ("${HUSH}", "is a placeholder"),
            ("mdb_sa_sk_${HUSH}", "is a placeholder"),
            ("$HUSH", "is a placeholder"),
            ("$(cat hush)", "is a placeholder"),
            ("{{ .Values.hush }}", "is a placeholder"),
            ("<hush>", "is a placeholder"),
            ("%HUSH%", "is a placeholder"),
            ("id\nhush", "has more than one line"),
            ("hush\r\nhush", "has more than one line"),
            ("CLIENT_SECRET=hush", "begins with a name and ="),
            ("/run/secrets/hush", "looks like the path of a file"),
            ("./hush", "looks like the path of a file"),
            ("hush hush", "has white space"),
            ("hush\u{200b}", "has white space or letters"),
            ("hush\u{2013}hush", "has white space or letters"),
            ("mdb_sa_id_hush", "is a client id"),
            ("bWRiX3NhX3NrX2h1c2g=", "is in base64"),
        ] {
            let hint = client_hint(id, text).unwrap_or_default();
            assert!(
                hint.starts_with(&format!("the secret {oddity}")) && !hint.contains("hush"),
                "{text}: {hint}"
            );
            if !text.starts_with("mdb_sa_id") && !text.starts_with("bWR") {
                let hint = key_hint("abcdefgh", text).unwrap_or_default();
                assert!(hint.starts_with(&format!("the private key {oddity}")), "{text}: {hint}");
            }
        }
        assert_eq!(client_hint(id, secret), None);
        assert_eq!(key_hint("abcdefgh", "01234567-89ab-cdef-0123-456789abcdef"), None);
        let both = "the client id has quotes around it, the secret has quotes around it";
        assert_eq!(client_hint(&format!("\"{id}\""), &format!("\"{secret}\"")).as_deref(), Some(both));
    }
}
