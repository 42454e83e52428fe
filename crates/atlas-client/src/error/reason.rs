//! Classes of errors.

/// The class of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The credentials were refused.
    Unauthorized,
    /// The credentials may not read the resource.
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
    /// No trusted connection.
    Tls,
    /// 5xx.
    ServerError,
    /// An answer that is not what Atlas documents.
    InvalidResponse,
    /// An answer larger than any documented one.
    TooLarge,
}

impl FailureReason {
    /// Returns the name of the class, such as `not_found`.
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
