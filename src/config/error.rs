//! The error of a configuration.

use atlas_client::redact;

/// The problems of an invalid configuration, one a line, without secrets.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(problem: &str) -> Self {
        Self(redact::line(problem))
    }

    pub(crate) fn all(problems: &[String]) -> Self {
        let lines: Vec<_> = problems.iter().map(|problem| redact::line(problem)).collect();
        Self(lines.join("\n"))
    }
}
