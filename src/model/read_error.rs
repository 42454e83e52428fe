//! Failures of polls and other readings.

use atlas_client::{Error, FailureReason};

/// The failure of a poll or another reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    pub reason: FailureReason,
    /// The sentence, for a person. No secret is in it.
    pub text: String,
    /// True if Atlas refused it until a role or a setting changes.
    pub is_refused: bool,
}

impl From<&Error> for ReadError {
    fn from(error: &Error) -> Self {
        Self {
            reason: error.reason(),
            text: error.to_string(),
            is_refused: error.lasting_refusal().is_some(),
        }
    }
}
