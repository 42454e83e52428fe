//! Errors of requests, with their class and consequences.

mod table;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::redact;
pub use table::{Cause, ERROR_RESPONSES, ErrorResponse, FailureReason, Retry};

/// Maximum length of an error code in characters.
pub(crate) const MAX_CODE: usize = 128;

/// Maximum length of a message in characters.
pub(crate) const MAX_MESSAGE: usize = 300;

/// An error of a request. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An HTTP response with an error status.
    #[error("Atlas answered {status}{}", described(.code.as_deref(), .detail.as_deref()))]
    Response {
        /// HTTP status, such as 403 or 503.
        status: StatusCode,
        /// Atlas's `errorCode`, or OAuth's `error`.
        code: Option<String>,
        /// Description of the error by Atlas, redacted and truncated.
        detail: Option<String>,
        /// Address of this client, which Atlas reports if an access list refuses it.
        address: Option<IpAddr>,
        /// `Retry-After` of the response (RFC 9110, section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// The token endpoint did not issue a token.
    #[error("failed to get an access token: {0}")]
    NoToken(Box<Self>),
    /// The file of the secret cannot be read.
    #[error("failed to read the secret: {0}")]
    Secret(String),
    /// The request was not sent, because Atlas has asked for a pause.
    #[error(
        "{} by Atlas; retrying in {}s",
        if *limited { "rate limited" } else { "paused" },
        left.as_secs() + 1
    )]
    RateLimited {
        /// Time until the end of the pause.
        left: Duration,
        /// True after a 429 response, false after a 503 response.
        limited: bool,
    },
    /// Atlas did not answer before the deadline. The text names host, port and time.
    #[error("{0}")]
    Timeout(String),
    /// A connection failed, or was closed before a response. The text names host and port.
    #[error("{0}")]
    Connect(String),
    /// The TLS handshake failed. The text names host and port.
    #[error("{0}")]
    Tls(String),
    /// The connection was closed within the body. The text names host and port.
    #[error("{0}")]
    Broken(String),
    /// A response that Atlas does not document.
    #[error("invalid response from Atlas: {0}")]
    Invalid(String),
    /// A response that is larger than any documented one.
    #[error("response from Atlas is too large: {0}")]
    TooLarge(String),
}

fn described(code: Option<&str>, detail: Option<&str>) -> String {
    match (code, detail) {
        (Some(code), Some(detail)) => format!(" {code}: {detail}"),
        (Some(one), None) | (None, Some(one)) => format!(": {one}"),
        (None, None) => String::new(),
    }
}

impl Error {
    /// Returns the class of this error, a closed set for metrics.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        if let Some(row) = self.row() {
            return row.reason;
        }
        match self {
            Self::NoToken(error) => error.reason(),
            Self::Secret(_) => FailureReason::Unauthorized,
            Self::Timeout(_) => FailureReason::Timeout,
            Self::Connect(_) => FailureReason::Connect,
            Self::Tls(_) => FailureReason::Tls,
            Self::TooLarge(_) => FailureReason::TooLarge,
            Self::Response { .. } | Self::RateLimited { .. } | Self::Broken(_) | Self::Invalid(_) => {
                FailureReason::InvalidResponse
            }
        }
    }

    /// Returns the error code of Atlas, such as `CLUSTER_NOT_FOUND`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Response { code, .. } => code.as_deref(),
            Self::NoToken(error) => error.code(),
            _ => None,
        }
    }

    /// Returns the row of the table of error responses; `None` if there was no error response.
    ///
    /// A request that was not sent because of a pause has the row of the response that caused it.
    #[must_use]
    pub fn row(&self) -> Option<&'static ErrorResponse> {
        match self {
            Self::Response { status, code, .. } => ErrorResponse::find(status.as_u16(), code.as_deref()),
            Self::NoToken(error) => match (&**error, error.row()) {
                // A refused token request concerns the client id and its secret, whatever its code,
                // unless an access list refuses the address.
                (Self::Response { status, .. }, Some(row))
                    if matches!(status.as_u16(), 400 | 401) && row.cause != Cause::AccessList =>
                {
                    ErrorResponse::find(401, None)
                }
                (_, row) => row,
            },
            Self::RateLimited { limited: true, .. } => ErrorResponse::find(429, None),
            Self::RateLimited { limited: false, .. } => ErrorResponse::find(503, Some("SERVICE_UNAVAILABLE")),
            _ => None,
        }
    }

    /// Returns the address of this client, as reported by Atlas, if an access list refused it.
    #[must_use]
    pub fn refused_address(&self) -> Option<IpAddr> {
        match self {
            Self::Response { address, .. } => *address,
            Self::NoToken(error) => error.refused_address(),
            _ => None,
        }
    }

    /// Returns the row of a response that refuses the resource until a role or a setting changes.
    ///
    /// A refused token request is not such a response, because it is not about the resource.
    #[must_use]
    pub fn lasting_refusal(&self) -> Option<&'static ErrorResponse> {
        match self {
            Self::Response { .. } => self.row().filter(|row| row.is_lasting),
            _ => None,
        }
    }

    /// Returns true if a retry may help.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) => true,
            Self::NoToken(error) => error.may_pass(),
            _ => self.row().is_some_and(|row| row.retry == Retry::Backoff),
        }
    }

    /// Returns the pause that Atlas requested.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Response { retry_after, .. } => *retry_after,
            Self::RateLimited { left, .. } => Some(*left),
            Self::NoToken(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Creates the error for a response that Atlas does not document. `what` may be a text from
    /// outside: it is redacted and cut.
    #[must_use]
    pub fn invalid(what: &str) -> Self {
        Self::Invalid(tidy(what))
    }
}

/// Returns the pause that a response requests.
pub(crate) fn requested_pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. A date in the past is a
/// pause of zero.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // A number that is too large is still a pause.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Returns a text from outside as one line of at most [`MAX_MESSAGE`] characters, without
/// credentials.
pub(crate) fn tidy(text: &str) -> String {
    redact::display(text, MAX_MESSAGE)
}

#[cfg(test)]
mod tests;
