//! The error of a configuration.

use atlas_client::redact;

/// The reason why a configuration was refused, on one line and without any secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(sentence: &str) -> Self {
        Self(redact::line(sentence))
    }
}
