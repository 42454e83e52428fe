//! Why Atlas could not be read.

/// Why a poll or another reading failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollError {
    /// The reason, for a label.
    pub reason: FailureReason,
    /// The sentence, for a person. No secret is in it.
    pub text: String,
}

/// Why a poll failed: a closed set, since it is a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The credentials were refused.
    Unauthorized,
    /// The credentials are good, but not for this.
    Forbidden,
    /// No such project or cluster.
    NotFound,
    /// Too many requests.
    RateLimited,
    /// Any other 4xx.
    BadRequest,
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke before an answer.
    Connect,
    /// The server could not prove who it is.
    Tls,
    /// 5xx.
    ServerError,
    /// An answer that is not what Atlas documents.
    InvalidResponse,
    /// An answer larger than any listing can be.
    TooLarge,
}

impl FailureReason {
    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::BadRequest => "bad_request",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ServerError => "server_error",
            Self::InvalidResponse => "invalid_response",
            Self::TooLarge => "too_large",
        }
    }
}
