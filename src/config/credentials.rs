//! Credentials of Atlas, and the sources of their secrets.

use std::fmt;
use std::path::PathBuf;

use exporter_web::text;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::redact;

/// Bytes of a secret's file that are read.
const MAX_SECRET: u64 = 64 * 1024;

/// The two ways to sign in to Atlas.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// OAuth 2.0 client credentials.
    ServiceAccount {
        /// `mdb_sa_id_...`
        client_id: String,
        /// The file or the variable that it is from.
        origin: String,
        /// `mdb_sa_sk_...`
        client_secret: SecretSource,
        /// When that ends, if the configuration says so.
        expires_at: Option<Timestamp>,
    },
    /// HTTP Digest.
    ApiKey {
        /// The user of the digest.
        public_key: String,
        /// The file or the variable that it is from.
        origin: String,
        /// Its password.
        private_key: SecretSource,
    },
}

impl Credentials {
    /// Returns the public and the secret part.
    fn parts(&self) -> (&str, &SecretSource) {
        match self {
            Self::ServiceAccount { client_id, client_secret, .. } => (client_id, client_secret),
            Self::ApiKey { public_key, private_key, .. } => (public_key, private_key),
        }
    }

    /// Returns when the secret ended, if the configuration says that it did before `now`.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::ServiceAccount { expires_at, .. } => expires_at.filter(|at| *at <= now),
            Self::ApiKey { .. } => None,
        }
    }

    /// Has the secret redacted from now on. That of a file is whenever it is read.
    pub(super) fn redact(&self) {
        if let (_, SecretSource::Inline { secret, .. }) = self.parts() {
            redact::register(redact::Kind::Configuration, secret.expose_secret());
        }
    }

    /// Returns what is odd about refused credentials, without repeating them. Reads the secret.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (id, secret) = self.parts();
        let hint = if matches!(self, Self::ServiceAccount { .. }) { client_hint } else { key_hint };
        hint(id, secret.read().ok()?.expose_secret())
    }
}

/// Says what is odd about the id and the secret of a service account.
pub(crate) fn client_hint(id: &str, secret: &str) -> Option<String> {
    let misplaced = match secret {
        secret if secret.starts_with("mdb_sa_id_") => Some("is a client id"),
        // The same letters in base64.
        secret if secret.starts_with("bWRiX3NhX3Nr") => Some("is in base64"),
        _ => None,
    };
    joined([("client id", oddity(id)), ("secret", oddity(secret).or(misplaced))])
}

/// Says what is odd about the two parts of an API key.
pub(crate) fn key_hint(public: &str, private: &str) -> Option<String> {
    joined([("public key", oddity(public)), ("private key", oddity(private))])
}

fn joined(parts: [(&str, Option<&str>); 2]) -> Option<String> {
    let odd = parts.into_iter().filter_map(|(what, oddity)| Some(format!("the {what} {}", oddity?)));
    Some(odd.collect::<Vec<_>>().join(", ")).filter(|hint| !hint.is_empty())
}

/// Returns what a part of credentials looks like, if that is not one.
fn oddity(text: &str) -> Option<&'static str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}');
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

/// Compares what signs in. When a secret ends makes no difference: the token is the same.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.parts() == other.parts()
    }
}

impl Eq for Credentials {}

impl fmt::Display for Credentials {
    /// Who signs in, for a person; the secret is not in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServiceAccount { client_id, .. } => write!(f, "service account {client_id}"),
            Self::ApiKey { public_key, .. } => write!(f, "API key {public_key}"),
        }
    }
}

/// A secret, or the file it is in.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Written in the configuration or the environment.
    Inline {
        /// The secret.
        secret: SecretString,
        /// The file or the variable that it is from.
        origin: String,
    },
    /// Read anew whenever it is needed, so that it can be rotated under a running exporter.
    File(PathBuf),
}

impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline { secret: one, .. }, Self::Inline { secret: other, .. }) => {
                one.expose_secret() == other.expose_secret()
            }
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for SecretSource {}

/// Where the secret is, never what it is.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { origin, .. } => write!(f, "from {origin}"),
            Self::File(path) => write!(f, "from the file {}", path.display()),
        }
    }
}

impl SecretSource {
    /// Reads the secret as it is now, without white space around it. Errors name the file, never its
    /// content.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Inline { secret, .. } => Ok(secret.clone()),
            Self::File(path) => {
                let unreadable =
                    |error: &dyn fmt::Display| format!("cannot read {}: {error}", path.display());
                let content = text::read(path, MAX_SECRET).map_err(|error| unreadable(&error))?;
                let text = text::decode(&content).map_err(|error| unreadable(&error))?;
                let secret = SecretString::from(text::trimmed(&text));
                redact::register(redact::Kind::Configuration, secret.expose_secret());
                if secret.expose_secret().is_empty() {
                    return Err(format!("{} is empty; it should hold the secret", path.display()));
                }
                Ok(secret)
            }
        }
    }
}
