//! Failures of polls.

use atlas_client::{Error, FailureReason};

/// The failure of a poll or another reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollError {
    pub reason: FailureReason,
    /// The sentence, for a person. No secret is in it.
    pub text: String,
}

impl From<&Error> for PollError {
    fn from(error: &Error) -> Self {
        Self { reason: error.reason(), text: error.to_string() }
    }
}
