//! Who signs in to Atlas, and where the secret is.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::text;

/// More of a secret's file is not read.
const LARGEST_SECRET: u64 = 64 * 1024;

/// The two ways to sign in to Atlas.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// OAuth 2.0 client credentials.
    ServiceAccount {
        /// `mdb_sa_id_...`
        client_id: String,
        /// `mdb_sa_sk_...`
        client_secret: SecretSource,
        /// When that ends, if the configuration says so.
        expires_at: Option<Timestamp>,
    },
    /// HTTP Digest.
    ApiKey {
        /// The user of the digest.
        public_key: String,
        /// Its password.
        private_key: SecretSource,
    },
}

impl Credentials {
    /// When the secret ended, if the configuration says that it did before `now`.
    #[must_use]
    pub fn ended(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::ServiceAccount { expires_at, .. } => expires_at.filter(|at| *at <= now),
            Self::ApiKey { .. } => None,
        }
    }
}

/// Whether both sign in alike. When a secret ends makes no difference: the token is the same.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::ServiceAccount { client_id: one, client_secret: its, .. },
                Self::ServiceAccount { client_id: other, client_secret: others, .. },
            )
            | (
                Self::ApiKey { public_key: one, private_key: its },
                Self::ApiKey { public_key: other, private_key: others },
            ) => one == other && its == others,
            _ => false,
        }
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
    /// The secret as it is now, without white space around it. Errors name the file, never what is in it.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Inline { secret, .. } => Ok(secret.clone()),
            Self::File(path) => {
                let mut content = Vec::new();
                std::fs::File::open(path)
                    .and_then(|file| file.take(LARGEST_SECRET).read_to_end(&mut content))
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let text = text::decode(&content)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let secret = SecretString::from(text::trimmed(&text));
                if secret.expose_secret().is_empty() {
                    return Err(format!("{} is empty; it should hold the secret", path.display()));
                }
                Ok(secret)
            }
        }
    }
}
