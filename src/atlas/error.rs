//! What can go wrong between here and Atlas, and which of the closed set of reasons that is.

mod table;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::model::{FailureReason, MAX_MESSAGE, PollError};
use crate::redact;
pub use table::{Cause, ERROR_ANSWERS, ErrorAnswer, Retry};

/// Why Atlas could not be read. No variant holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Atlas answered, and the answer is no.
    #[error("Atlas answered {status}{}", said(.code.as_deref(), .detail.as_deref()))]
    Answer {
        /// The HTTP status.
        status: StatusCode,
        /// Atlas's `errorCode`, or OAuth's `error`.
        code: Option<String>,
        /// Atlas's sentence.
        detail: Option<String>,
        /// The address of the client, which Atlas names where an access list refuses it.
        address: Option<IpAddr>,
        /// How long Atlas asks to wait.
        retry_after: Option<Duration>,
    },
    /// The token endpoint refused the client id or its secret.
    #[error("the service account was refused: Atlas answered {status}{}", said(.code.as_deref(), .detail.as_deref()))]
    TokenRefused {
        /// The HTTP status.
        status: StatusCode,
        /// OAuth's `error`.
        code: Option<String>,
        /// OAuth's `error_description`.
        detail: Option<String>,
    },
    /// The token endpoint did not give a token, for another reason.
    #[error("no access token: {0}")]
    NoToken(Box<Self>),
    /// The secret cannot be read from its file.
    #[error("the secret cannot be used: {0}")]
    Secret(String),
    /// Not asked: Atlas wants no such request for a while.
    #[error("not asked, since Atlas wants no request for another {} s{}", .left.as_secs() + 1, if *.limited { ": the budget of requests is used up" } else { "" })]
    Paced {
        /// How long still.
        left: Duration,
        /// Whether a budget is used up (429); else Atlas is out of service (503).
        limited: bool,
    },
    /// Nothing was heard before the deadline.
    #[error("no answer from Atlas in time")]
    Timeout,
    /// No connection, or one that broke before an answer.
    #[error("cannot reach Atlas: {0}")]
    Connect(String),
    /// The certificate or the handshake was not acceptable.
    #[error("no trusted connection to Atlas: {0}")]
    Tls(String),
    /// The body broke off.
    #[error("the answer broke off: {0}")]
    Broken(String),
    /// An answer that is not what Atlas documents.
    #[error("not an answer that Atlas documents: {0}")]
    Invalid(String),
    /// More than any listing can be.
    #[error("the answer is too large: {0}")]
    TooLarge(String),
}

impl From<Error> for PollError {
    fn from(error: Error) -> Self {
        Self { reason: error.reason(), text: error.to_string() }
    }
}

fn said(code: Option<&str>, detail: Option<&str>) -> String {
    match (code, detail) {
        (Some(code), Some(detail)) => format!(" {code}: {detail}"),
        (Some(one), None) | (None, Some(one)) => format!(": {one}"),
        (None, None) => String::new(),
    }
}

impl Error {
    /// The label this error is counted under.
    #[must_use]
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Answer { .. } | Self::TokenRefused { .. } | Self::Paced { .. } => {
                self.row().map_or(FailureReason::InvalidResponse, |row| row.reason)
            }
            Self::NoToken(error) => error.reason(),
            Self::Secret(_) => FailureReason::Unauthorized,
            Self::Timeout => FailureReason::Timeout,
            Self::Connect(_) => FailureReason::Connect,
            Self::Tls(_) => FailureReason::Tls,
            Self::Broken(_) | Self::Invalid(_) => FailureReason::InvalidResponse,
            Self::TooLarge(_) => FailureReason::TooLarge,
        }
    }

    /// Atlas's own code, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Answer { code, .. } | Self::TokenRefused { code, .. } => code.as_deref(),
            Self::NoToken(error) => error.code(),
            _ => None,
        }
    }

    /// Returns the row of the table of error answers; `None` where Atlas did not answer with an
    /// error. A request that was not sent because Atlas asked for a pause has the row of the answer
    /// that asked for it.
    #[must_use]
    pub fn row(&self) -> Option<&'static ErrorAnswer> {
        match self {
            Self::Answer { status, code, .. } => ErrorAnswer::find(status.as_u16(), code.as_deref()),
            Self::TokenRefused { .. } => ErrorAnswer::find(401, None),
            Self::NoToken(error) => error.row(),
            Self::Paced { limited: true, .. } => ErrorAnswer::find(429, None),
            Self::Paced { limited: false, .. } => ErrorAnswer::find(503, Some("SERVICE_UNAVAILABLE")),
            _ => None,
        }
    }

    /// Returns the client's address as Atlas saw it, where an access list refused it.
    #[must_use]
    pub fn refused_address(&self) -> Option<IpAddr> {
        match self {
            Self::Answer { address, .. } => *address,
            Self::NoToken(error) => error.refused_address(),
            _ => None,
        }
    }

    /// Returns the row of a refusal that disables a collector once a later reading confirms it. A refused
    /// token request is none: it says nothing about the collector's resource.
    pub(crate) fn disables_collector(&self) -> Option<&'static ErrorAnswer> {
        match self {
            Self::Answer { .. } => self.row().filter(|row| row.disables_collector),
            _ => None,
        }
    }

    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) => true,
            Self::NoToken(error) => error.may_pass(),
            _ => self.row().is_some_and(|row| row.retry == Retry::Backoff),
        }
    }

    /// How long Atlas asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer { retry_after, .. } => *retry_after,
            Self::Paced { left, .. } => Some(*left),
            Self::NoToken(error) => error.retry_after(),
            _ => None,
        }
    }

    /// An answer that is not what Atlas documents; `what` may be a text of others.
    pub(crate) fn invalid(what: &str) -> Self {
        Self::Invalid(tidy(what))
    }

    /// A fault of the transport.
    pub(super) fn transport(error: reqwest::Error) -> Self {
        let host = error
            .url()
            .and_then(|url| Some(format!("{}:{}: ", url.host_str()?, url.port_or_known_default()?)));
        let error = error.without_url();
        // The library does not say whose tunnel that is; a password of the proxy's is not among what it says.
        let said = chain(&error).replace("tunnel error", "no tunnel through the proxy of the environment");
        let text = tidy(&(host.unwrap_or_default() + &said));
        if has_cause(&error, <dyn std::error::Error + 'static>::is::<rustls::Error>) {
            Self::Tls(text)
        } else if error.is_body() || error.is_decode() {
            Self::Broken(text)
        } else if error.is_builder() || error.is_redirect() || has_cause(&error, is_no_http) {
            Self::Invalid(text)
        } else {
            Self::Connect(text)
        }
    }
}

/// The wait that an answer asks for.
pub(super) fn wait_asked_for(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, now)
}

/// Seconds, or a date of HTTP; a date that has passed is no wait at all. RFC 9110, section 10.2.3.
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More seconds than can be counted are still a wait.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// One line of at most [`MAX_MESSAGE`] characters, without credentials: texts of others go to logs and pages.
pub(super) fn tidy(text: &str) -> String {
    redact::display(text, MAX_MESSAGE)
}

/// An error with its causes, since reqwest's own text says only "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

/// Whether what came was no answer of HTTP.
fn is_no_http(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
}

fn has_cause(error: &reqwest::Error, is: fn(&(dyn std::error::Error + 'static)) -> bool) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if is(inner) {
            return true;
        }
        // An I/O error hides what it wraps from `source`.
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    false
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing;

#[cfg(test)]
mod tests;
