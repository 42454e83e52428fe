//! Errors of polls and other readings.

use atlas_client::{Error, FailureReason};

/// The error of a poll or another reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    pub reason: FailureReason,
    /// The message for logs and pages, without secrets.
    pub text: String,
    /// True if Atlas refuses the reading until a role or a setting is changed.
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
