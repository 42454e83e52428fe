//! The meaning of Atlas's error responses, by HTTP status and `errorCode`.
//!
//! The table decides everything that depends on an error response: its class, the retry of the
//! request, the duration of a refusal, and the hint for the operator.

use std::ops::RangeInclusive;

/// A row of the table: one kind of error response.
#[derive(Debug)]
pub struct ErrorResponse {
    /// HTTP statuses of the row, as ranges.
    pub statuses: &'static [RangeInclusive<u16>],
    /// Error codes of the row. An empty string stands for a response without a code, an empty list
    /// for any code.
    pub codes: &'static [&'static str],
    /// Class of the error, the `reason` label of metrics.
    pub reason: FailureReason,
    /// Retry of the request, if the row has one.
    pub retry: Retry,
    /// True if the resource is refused until a role or a setting changes.
    pub is_lasting: bool,
    /// Cause with further consequences than those of the row.
    pub cause: Cause,
    /// Cause of the error in a few words, for tables.
    pub meaning: &'static str,
    /// Next step for the operator. The caller replaces `{credentials}`, `{origin}`, `{secret}`,
    /// `{role}`, `{owner}`, `{address}` and `{error}`.
    pub hint: &'static str,
}

/// Class of an error, a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// The credentials were refused, or the secret cannot be read.
    Unauthorized,
    /// The credentials lack a role, or an access list refuses the address.
    Forbidden,
    /// The project, cluster or other resource does not exist.
    NotFound,
    /// Atlas limits the rate of requests (429).
    RateLimited,
    /// Any other client error (4xx).
    BadRequest,
    /// No response before the deadline.
    Timeout,
    /// No connection, or one that closed before a response.
    Connect,
    /// The TLS handshake failed, for example because of a certificate.
    Tls,
    /// A server error (5xx) of Atlas or of a gateway.
    ServerError,
    /// A response that Atlas does not document.
    InvalidResponse,
    /// A response that is larger than any documented one.
    TooLarge,
}

impl FailureReason {
    /// Returns the name of the class in metrics, such as `not_found`.
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

/// Retry of a request after an error response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No retry, because the request would fail in the same way.
    No,
    /// One retry with a new access token.
    NewToken,
    /// Retries after `Retry-After`, or with exponential backoff.
    Backoff,
}

/// Cause of an error response, if it has further consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An access list refuses the address of this client. A refused token request is then not about
    /// the secret.
    AccessList,
    /// The cluster does not exist in the project.
    NoSuchCluster,
    /// Any other cause, without further consequences.
    Other,
}

const NO_CODE: &str = "";

const ACCESS_LIST: &str = "add this machine's address{address} to the API access list of the \
       {credentials} in Atlas (this is not the project's IP access list)";

const NEWER_RELEASE: &str = "Atlas no longer supports this version of its API: install a newer release";

/// Any other 4xx, and the default values of the rows below.
const REFUSED: ErrorResponse = ErrorResponse {
    statuses: &[400..=499],
    codes: &[],
    reason: FailureReason::BadRequest,
    retry: Retry::No,
    is_lasting: false,
    cause: Cause::Other,
    meaning: "request refused",
    hint: "Atlas did not accept the request: {error}",
};

/// The table: specific rows first. The last two match all other errors.
pub static ERROR_RESPONSES: [ErrorResponse; 21] = [
    ErrorResponse {
        statuses: &[401..=401],
        // RFC 6750 has `invalid_token`.
        codes: &["UNEXPECTED_ERROR", "NO_CURRENT_USER", "invalid_token", NO_CODE],
        reason: FailureReason::Unauthorized,
        retry: Retry::NewToken,
        meaning: "wrong or expired credentials",
        hint: "the {credentials} is unknown, or its {secret} is wrong or has expired: check the \
               id{origin}, or create a new secret or key in Atlas",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[401..=401, 403..=403],
        codes: &[
            "USER_UNAUTHORIZED",
            "USER_CANNOT_ACCESS_GROUP",
            "USER_CANNOT_ACCESS_ORG",
            "ACCESS_FORBIDDEN",
        ],
        reason: FailureReason::Forbidden,
        is_lasting: true,
        meaning: "missing role",
        hint: "the {credentials} needs the role {role}",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[401..=401, 403..=403],
        codes: &["NOT_IN_GROUP", "NOT_IN_ORG_GROUP"],
        reason: FailureReason::Forbidden,
        is_lasting: true,
        meaning: "not a member, or the id is wrong",
        hint: "the {credentials} is not in this {owner}, or there is no such {owner}: check the id, then \
               add the account with the role {role}",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[401..=401, 403..=403],
        codes: &["IP_ADDRESS_NOT_ON_ACCESS_LIST"],
        reason: FailureReason::Forbidden,
        cause: Cause::AccessList,
        meaning: "address not on the API access list",
        hint: ACCESS_LIST,
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[401..=401, 403..=403],
        codes: &["ORG_REQUIRES_ACCESS_LIST", "RESOURCE_REQUIRES_ACCESS_LIST"],
        reason: FailureReason::Forbidden,
        cause: Cause::AccessList,
        meaning: "the organization requires an API access list",
        hint: ACCESS_LIST,
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[403..=403],
        codes: &[NO_CODE],
        reason: FailureReason::Forbidden,
        meaning: "not answered by Atlas",
        hint: "a proxy, firewall or load balancer refused the request before it reached Atlas: ask who \
               runs it; this says nothing about roles",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[403..=403],
        codes: &["FEATURE_UNSUPPORTED"],
        reason: FailureReason::Forbidden,
        is_lasting: true,
        meaning: "not supported by the tier",
        hint: "the cluster's tier does not support this: remove the cluster from the configuration, or \
               upgrade it to M10 or larger",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[403..=403],
        reason: FailureReason::Forbidden,
        is_lasting: true,
        meaning: "refused",
        hint: "Atlas refused the {credentials}: {error}",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[401..=401],
        reason: FailureReason::Forbidden,
        retry: Retry::NewToken,
        meaning: "refused",
        hint: "Atlas refused the {credentials}: {error}",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[404..=404],
        codes: &["CLUSTER_NOT_FOUND"],
        reason: FailureReason::NotFound,
        cause: Cause::NoSuchCluster,
        meaning: "no such cluster",
        hint: "no such cluster: compare the name with the one in Atlas",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[404..=404],
        codes: &["GROUP_NOT_FOUND", "RESOURCE_NOT_FOUND"],
        reason: FailureReason::NotFound,
        meaning: "no such project or organization",
        hint: "no such {owner}: copy the id from its address in Atlas, and do not mix up projects and \
               organizations",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[404..=404],
        codes: &["BACKUP_CONFIG_NOT_FOUND"],
        reason: FailureReason::NotFound,
        is_lasting: true,
        meaning: "cloud backup is off",
        hint: "cloud backup is off for this cluster: switch it on, or remove the cluster from the \
               configuration",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[404..=404],
        reason: FailureReason::NotFound,
        meaning: "no such resource",
        hint: "nothing is at this address: check atlas.base_url, and that no proxy answers for Atlas. \
               {error}",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[400..=400],
        codes: &["CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"],
        is_lasting: true,
        meaning: "flex cluster",
        hint: "a flex cluster has no exports: remove it from the configuration",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[410..=410, 406..=406],
        meaning: "API version not supported",
        hint: NEWER_RELEASE,
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[400..=400],
        codes: &["INVALID_VERSION_DATE"],
        meaning: "API version not supported",
        hint: NEWER_RELEASE,
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[402..=402],
        codes: &["ACCOUNT_SUSPENDED"],
        meaning: "account suspended",
        hint: "Atlas has suspended the account for an unpaid invoice: ask an Organization Billing Admin \
               to pay it",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[429..=429],
        reason: FailureReason::RateLimited,
        retry: Retry::Backoff,
        meaning: "rate limited by Atlas",
        hint: "too many requests, perhaps from other clients of the same {owner}: try again in a few minutes",
        ..REFUSED
    },
    ErrorResponse {
        statuses: &[502..=504],
        codes: &[NO_CODE],
        reason: FailureReason::ServerError,
        retry: Retry::Backoff,
        meaning: "not answered by the API of Atlas",
        hint: "a proxy, load balancer or gateway answered for Atlas: try again later; if it persists, \
               ask who runs the proxy. {error}",
        ..REFUSED
    },
    REFUSED,
    ErrorResponse {
        statuses: &[500..=599],
        reason: FailureReason::ServerError,
        retry: Retry::Backoff,
        meaning: "fault of Atlas",
        hint: "Atlas reports an internal fault: try again later, and see status.mongodb.com. {error}",
        ..REFUSED
    },
];

impl ErrorResponse {
    /// Returns the row of a response; `None` for a status that is not an error.
    #[must_use]
    pub fn find(status: u16, code: Option<&str>) -> Option<&'static Self> {
        let code = code.unwrap_or(NO_CODE);
        ERROR_RESPONSES.iter().find(|row| {
            row.statuses.iter().any(|statuses| statuses.contains(&status))
                && (row.codes.is_empty() || row.codes.contains(&code))
        })
    }
}
