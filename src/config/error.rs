//! The error of a configuration.

use std::fmt;

use atlas_client::redact;

/// The reason why a configuration was refused, on one line and without any secret.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ConfigError {
    pub(crate) fn new(sentence: &str) -> Self {
        Self(redact::line(sentence))
    }
}

impl std::error::Error for ConfigError {}
