//! Credentials, and the sources of their secrets.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::redact;

/// Credentials of a service account or of an API key.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Kind of the credentials, which decides how requests are authenticated.
    pub kind: CredentialKind,
    /// Client id (`mdb_sa_id_...`) of a service account, or public key of an API key.
    pub id: String,
    /// Client secret (`mdb_sa_sk_...`) of a service account, or private key of an API key.
    pub secret: SecretSource,
    /// File or variable that configures them, for logs.
    pub origin: String,
    /// Expiry of the secret of a service account, if known. The client does not use it.
    pub expires_at: Option<Timestamp>,
}

/// Kind of credentials that Atlas accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    /// Client id and secret for OAuth 2.0 client credentials (RFC 6749, section 4.4).
    ServiceAccount,
    /// Public and private key for HTTP Digest (RFC 7616).
    ApiKey,
}

impl CredentialKind {
    /// Returns the names of the kind, of its id and of its secret, for messages.
    #[must_use]
    pub fn names(self) -> [&'static str; 3] {
        match self {
            Self::ServiceAccount => ["service account", "client id", "secret"],
            Self::ApiKey => ["API key", "public key", "private key"],
        }
    }
}

impl Credentials {
    /// Registers an inline secret for redaction. Secrets in files are registered when they are
    /// read.
    pub fn redact(&self) {
        if let SecretSource::Inline { secret, .. } = &self.secret {
            redact::register(redact::Kind::Configuration, secret.expose_secret());
        }
    }

    /// Reads the secret, and returns a hint if the credentials look malformed. It does not repeat
    /// them.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint_for(self.secret.read().ok()?.expose_secret())
    }

    /// Returns a hint if the id or `secret` looks malformed.
    pub(crate) fn hint_for(&self, secret: &str) -> Option<String> {
        let [_, id_name, secret_name] = self.kind.names();
        let misplaced = match secret {
            secret if secret.starts_with("mdb_sa_id_") => Some("is a client id"),
            // Base64 of the prefix of a secret.
            secret if secret.starts_with("bWRiX3NhX3Nr") => Some("is in base64"),
            _ => None,
        };
        let parts = [(id_name, malformation(&self.id)), (secret_name, malformation(secret).or(misplaced))];
        let hints = parts.into_iter().filter_map(|(name, problem)| Some(format!("the {name} {}", problem?)));
        Some(hints.collect::<Vec<_>>().join(", ")).filter(|hint| !hint.is_empty())
    }
}

pub(crate) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}')
}

/// Returns the problem of an id or secret that looks malformed.
fn malformation(text: &str) -> Option<&'static str> {
    let is_placeholder = ["${", "$(", "{{", "<", "%"].iter().any(|begin| text.starts_with(begin));
    let is_variable = text.strip_prefix('$').is_some_and(|name| name.chars().all(is_of_name));
    let is_assignment = text.split_once('=').is_some_and(|(name, value)| {
        !name.is_empty() && name.chars().all(is_of_name) && !value.trim_matches('=').is_empty()
    });
    if is_placeholder || is_variable || text.contains("${") {
        Some("is a placeholder that was not replaced")
    } else if text.starts_with(['{', '[']) {
        Some("looks like JSON")
    } else if text.contains(['\n', '\r']) {
        Some("has more than one line")
    } else if text.starts_with(is_quote) || text.ends_with(is_quote) {
        Some("has quotes around it")
    } else if is_assignment {
        Some("begins with a variable name and =")
    } else if text.starts_with('/') || text.starts_with("./") {
        Some("looks like the path of a file")
    } else if text.contains(|c: char| !c.is_ascii_graphic()) {
        Some("contains white space or non-ASCII characters")
    } else {
        None
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Compares kind, id and secret. Origin and expiry make no difference to the token.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        (self.kind, &self.id, &self.secret) == (other.kind, &other.id, &other.secret)
    }
}

impl Eq for Credentials {}

impl fmt::Display for Credentials {
    /// Writes kind and id, without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.names()[0], self.id)
    }
}

/// A secret, or the file that holds it.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A secret in the configuration or in a variable.
    Inline {
        /// Value of the secret, which `Debug` hides.
        secret: SecretString,
        /// File or variable that contains it, for logs.
        origin: String,
    },
    /// File that is read for each request, so that secrets can be rotated at run time.
    File {
        /// Path of the file, for reading and for messages.
        path: PathBuf,
        /// Reads the secret. The error must not repeat the content.
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

/// Writes the origin of the secret.
impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { origin, .. } => write!(f, "from {origin}"),
            Self::File { path, .. } => write!(f, "from the file {}", path.display()),
        }
    }
}

impl SecretSource {
    /// Reads the current secret. Errors name the file, and do not repeat its content.
    pub fn read(&self) -> Result<SecretString, String> {
        let (path, read) = match self {
            Self::Inline { secret, .. } => return Ok(secret.clone()),
            Self::File { path, read } => (path, read),
        };
        let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if text.is_empty() {
            return Err(format!("{}: the file is empty; expected the secret", path.display()));
        }
        redact::register(redact::Kind::Configuration, &text);
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_credentials_have_a_hint() {
        let (id, secret) = ("mdb_sa_id_0123456789abcdef01234567", "mdb_sa_sk_hush-HUSH_0123456789");
        let hint = |kind, id: &str, secret: &str| {
            let inline = SecretSource::Inline { secret: "".into(), origin: String::new() };
            let origin = String::new();
            Credentials { kind, id: id.to_owned(), secret: inline, origin, expires_at: None }.hint_for(secret)
        };
        let client_hint = |id: &str, secret: &str| hint(CredentialKind::ServiceAccount, id, secret);
        let key_hint = |id: &str, secret: &str| hint(CredentialKind::ApiKey, id, secret);
        for (text, problem) in [
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
            ("CLIENT_SECRET=hush", "begins with a variable name and ="),
            ("/run/secrets/hush", "looks like the path of a file"),
            ("./hush", "looks like the path of a file"),
            ("hush hush", "contains white space"),
            ("hush\u{200b}", "contains white space or non-ASCII"),
            ("hush\u{2013}hush", "contains white space or non-ASCII"),
            ("mdb_sa_id_hush", "is a client id"),
            ("bWRiX3NhX3NrX2h1c2g=", "is in base64"),
        ] {
            let hint = client_hint(id, text).unwrap_or_default();
            assert!(
                hint.starts_with(&format!("the secret {problem}")) && !hint.contains("hush"),
                "{text}: {hint}"
            );
            if !text.starts_with("mdb_sa_id") && !text.starts_with("bWR") {
                let hint = key_hint("abcdefgh", text).unwrap_or_default();
                assert!(hint.starts_with(&format!("the private key {problem}")), "{text}: {hint}");
            }
        }
        assert_eq!(client_hint(id, secret), None);
        assert_eq!(key_hint("abcdefgh", "01234567-89ab-cdef-0123-456789abcdef"), None);
        let both = "the client id has quotes around it, the secret has quotes around it";
        assert_eq!(client_hint(&format!("\"{id}\""), &format!("\"{secret}\"")).as_deref(), Some(both));
    }
}
