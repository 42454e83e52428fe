//! Errors of requests, and what follows from each.

mod table;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::redact;
pub use table::{Cause, ERROR_RESPONSES, ErrorResponse, FailureReason, Retry};

/// Maximum length of an error code, in characters.
pub(crate) const MAX_CODE: usize = 128;

/// Maximum length of a message, in characters.
pub(crate) const MAX_MESSAGE: usize = 300;

/// An error of a request. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Atlas answered with an error.
    #[error("Atlas answered {status}{}", said(.code.as_deref(), .detail.as_deref()))]
    Response {
        /// The HTTP status.
        status: StatusCode,
        /// Atlas's `errorCode`, or OAuth's `error`.
        code: Option<String>,
        /// Atlas's sentence.
        detail: Option<String>,
        /// The address of the client, which Atlas names where an access list refuses it.
        address: Option<IpAddr>,
        /// The pause that Atlas asks for.
        retry_after: Option<Duration>,
    },
    /// The token endpoint did not give a token.
    #[error("no access token: {0}")]
    NoToken(Box<Self>),
    /// The secret cannot be read from its file.
    #[error("the secret cannot be used: {0}")]
    Secret(String),
    /// The request was not sent: Atlas has asked for a pause.
    #[error("{} by Atlas; retrying in {}s", if *.limited { "rate limited" } else { "paused" }, .left.as_secs() + 1)]
    RateLimited {
        /// The rest of the pause.
        left: Duration,
        /// True after a 429, false after a 503.
        limited: bool,
    },
    /// Atlas did not answer before the deadline.
    #[error("no answer from Atlas in time")]
    Timeout,
    /// No connection, or one that broke before an answer.
    #[error("cannot reach Atlas: {0}")]
    Connect(String),
    /// The TLS handshake failed.
    #[error("no trusted connection to Atlas: {0}")]
    Tls(String),
    /// The body broke off.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// An answer that is not what Atlas documents.
    #[error("not an answer that Atlas documents: {0}")]
    Invalid(String),
    /// The answer is larger than any documented one.
    #[error("the answer is too large: {0}")]
    TooLarge(String),
}

fn said(code: Option<&str>, detail: Option<&str>) -> String {
    match (code, detail) {
        (Some(code), Some(detail)) => format!(" {code}: {detail}"),
        (Some(one), None) | (None, Some(one)) => format!(": {one}"),
        (None, None) => String::new(),
    }
}

impl Error {
    /// Returns the class of this error.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        if let Some(row) = self.row() {
            return row.reason;
        }
        match self {
            Self::NoToken(error) => error.reason(),
            Self::Secret(_) => FailureReason::Unauthorized,
            Self::Timeout => FailureReason::Timeout,
            Self::Connect(_) => FailureReason::Connect,
            Self::Tls(_) => FailureReason::Tls,
            Self::TooLarge(_) => FailureReason::TooLarge,
            Self::Response { .. } | Self::RateLimited { .. } | Self::Broken(_) | Self::Invalid(_) => {
                FailureReason::InvalidResponse
            }
        }
    }

    /// Returns Atlas's code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Response { code, .. } => code.as_deref(),
            Self::NoToken(error) => error.code(),
            _ => None,
        }
    }

    /// Returns the row of the table of error responses; `None` where Atlas did not answer with an
    /// error. A request that was not sent because Atlas asked for a pause has the row of the answer
    /// that asked for it.
    #[must_use]
    pub fn row(&self) -> Option<&'static ErrorResponse> {
        match self {
            Self::Response { status, code, .. } => ErrorResponse::find(status.as_u16(), code.as_deref()),
            Self::NoToken(error) => match (&**error, error.row()) {
                // These are about the client id and its secret, whatever the code says, unless an
                // access list refuses the address.
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

    /// Returns the client's address as Atlas saw it, where an access list refused it.
    #[must_use]
    pub fn refused_address(&self) -> Option<IpAddr> {
        match self {
            Self::Response { address, .. } => *address,
            Self::NoToken(error) => error.refused_address(),
            _ => None,
        }
    }

    /// Returns the row of an answer that refuses the resource until someone changes a role or a
    /// setting. A refused token request is none: it says nothing about the resource.
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

    /// Returns the pause that Atlas asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Response { retry_after, .. } => *retry_after,
            Self::RateLimited { left, .. } => Some(*left),
            Self::NoToken(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Creates the error for an answer that Atlas does not document. `what` may be a text from
    /// outside: it is redacted and cut.
    #[must_use]
    pub fn invalid(what: &str) -> Self {
        Self::Invalid(tidy(what))
    }

    /// Creates the error for a failure of the transport.
    pub(crate) fn transport(error: reqwest::Error) -> Self {
        let host = error
            .url()
            .and_then(|url| Some(format!("{}:{}: ", url.host_str()?, url.port_or_known_default()?)));
        let error = error.without_url();
        // The library does not say whose tunnel that is. Its texts hold no password of the proxy.
        let said = chain(&error).replace("tunnel error", "no tunnel through the proxy of the environment");
        let text = tidy(&(host.unwrap_or_default() + &said));
        let is_no_http = |error: &hyper::Error| error.is_parse();
        if causes(&error).any(<dyn std::error::Error>::is::<rustls::Error>) {
            Self::Tls(text)
        } else if error.is_body() || error.is_decode() {
            Self::Broken(text)
        } else if error.is_builder()
            || error.is_redirect()
            || causes(&error).any(|cause| cause.downcast_ref().is_some_and(is_no_http))
        {
            Self::Invalid(text)
        } else {
            Self::Connect(text)
        }
    }
}

/// Returns the pause that a response asks for.
pub(crate) fn requested_pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds or a date. A date in the past is no
/// pause.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than can be counted are still a pause.
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

/// Returns an error with its causes: the text of reqwest says only "error sending request".
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    for cause in causes(error).skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
        // An I/O error hides what it wraps from `source`.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        }
    })
}

#[cfg(test)]
mod tests;
