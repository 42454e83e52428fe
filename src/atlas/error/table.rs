//! The meaning of Atlas's error answers, by HTTP status and `errorCode`.
//!
//! Everything that depends on an error answer is decided here: the label `reason`, whether the request is retried,
//! whether a collector is disabled, and the hint of `check`. `docs/troubleshooting.md` shows the same table.

use std::ops::RangeInclusive;

use crate::model::FailureReason;

/// One kind of error answer: a row of the table.
#[derive(Debug)]
pub struct ErrorAnswer {
    statuses: &'static [RangeInclusive<u16>],
    /// Codes it applies to; [`NO_CODE`] stands for an answer without one, and an empty list for any.
    codes: &'static [&'static str],
    /// The label that the failure is counted under.
    pub reason: FailureReason,
    /// The repetition of the request within the same poll.
    pub retry: Retry,
    /// True if two readings in a row that end so disable the collector.
    pub disables_collector: bool,
    /// A cause that has more consequences than this row says.
    pub cause: Cause,
    /// The cause in a few words.
    pub meaning: &'static str,
    /// The next step for the operator. `{credentials}`, `{origin}`, `{secret}`, `{role}`, `{owner}`, `{address}` and
    /// `{error}` are replaced by what `check` knows of the request.
    pub hint: &'static str,
}

/// Repetition of a request that met an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Not at all: the same request would meet the same error.
    No,
    /// Once, with a new access token.
    NewToken,
    /// After `Retry-After`, or with exponential backoff.
    Backoff,
}

/// Cause of an error answer, as far as some code depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An access list refuses the client's address, so that a refused token request says nothing
    /// about the secret.
    AccessList,
    /// The cluster does not exist: `check` names those that do.
    NoSuchCluster,
    /// Any other.
    Other,
}

const NO_CODE: &str = "";

const ACCESS_LIST: &str = "add the exporter's address{address} to the API access list of the {credentials} in Atlas (this is not the project's IP access list)";

const NEWER_RELEASE: &str =
    "Atlas no longer supports this version of its API: install a newer release of the exporter";

/// Any other 4xx: what the rows below have where they do not say otherwise.
const REFUSED: ErrorAnswer = ErrorAnswer {
    statuses: &[400..=499],
    codes: &[],
    reason: FailureReason::BadRequest,
    retry: Retry::No,
    disables_collector: false,
    cause: Cause::Other,
    meaning: "request refused",
    hint: "Atlas did not accept the request: {error}",
};

/// The rows, the specific ones first. The last two match every other error.
pub static ERROR_ANSWERS: [ErrorAnswer; 21] = [
    ErrorAnswer {
        statuses: &[401..=401],
        // RFC 6750 has `invalid_token`.
        codes: &["UNEXPECTED_ERROR", "NO_CURRENT_USER", "invalid_token", NO_CODE],
        reason: FailureReason::Unauthorized,
        retry: Retry::NewToken,
        meaning: "wrong or expired credentials",
        hint: "the {credentials} is unknown, or its {secret} is wrong or has expired: compare the id{origin}, or create a new secret or key in Atlas",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[401..=401, 403..=403],
        codes: &[
            "USER_UNAUTHORIZED",
            "USER_CANNOT_ACCESS_GROUP",
            "USER_CANNOT_ACCESS_ORG",
            "ACCESS_FORBIDDEN",
        ],
        reason: FailureReason::Forbidden,
        disables_collector: true,
        meaning: "missing role",
        hint: "the {credentials} needs the role {role}",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[401..=401, 403..=403],
        codes: &["NOT_IN_GROUP", "NOT_IN_ORG_GROUP"],
        reason: FailureReason::Forbidden,
        disables_collector: true,
        meaning: "not a member, or the id is wrong",
        hint: "the {credentials} is not in this {owner}, or there is no such {owner}: check the id, then add the account with the role {role}",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[401..=401, 403..=403],
        codes: &["IP_ADDRESS_NOT_ON_ACCESS_LIST"],
        reason: FailureReason::Forbidden,
        cause: Cause::AccessList,
        meaning: "address not on the API access list",
        hint: ACCESS_LIST,
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[401..=401, 403..=403],
        codes: &["ORG_REQUIRES_ACCESS_LIST", "RESOURCE_REQUIRES_ACCESS_LIST"],
        reason: FailureReason::Forbidden,
        cause: Cause::AccessList,
        meaning: "the organization requires an API access list",
        hint: ACCESS_LIST,
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[403..=403],
        codes: &[NO_CODE],
        reason: FailureReason::Forbidden,
        meaning: "not answered by Atlas",
        hint: "a proxy, firewall or load balancer refused the request before it reached Atlas: ask who runs it; this says nothing about roles",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[403..=403],
        codes: &["FEATURE_UNSUPPORTED"],
        reason: FailureReason::Forbidden,
        disables_collector: true,
        meaning: "not supported by the tier",
        hint: "the cluster's tier does not support this: remove the cluster from the configuration, or upgrade it to M10 or larger",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[403..=403],
        reason: FailureReason::Forbidden,
        disables_collector: true,
        meaning: "refused",
        hint: "Atlas refused the {credentials}: {error}",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[401..=401],
        reason: FailureReason::Forbidden,
        retry: Retry::NewToken,
        meaning: "refused",
        hint: "Atlas refused the {credentials}: {error}",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[404..=404],
        codes: &["CLUSTER_NOT_FOUND"],
        reason: FailureReason::NotFound,
        cause: Cause::NoSuchCluster,
        meaning: "no such cluster",
        hint: "no such cluster: compare the name with the one in Atlas",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[404..=404],
        codes: &["GROUP_NOT_FOUND", "RESOURCE_NOT_FOUND"],
        reason: FailureReason::NotFound,
        meaning: "no such project or organization",
        hint: "no such {owner}: copy the id from its address in Atlas, and do not mix up projects and organizations",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[404..=404],
        codes: &["BACKUP_CONFIG_NOT_FOUND"],
        reason: FailureReason::NotFound,
        disables_collector: true,
        meaning: "cloud backup is off",
        hint: "cloud backup is off for this cluster: switch it on, or remove the cluster from the configuration",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[404..=404],
        reason: FailureReason::NotFound,
        meaning: "no such resource",
        hint: "nothing is at this address: check atlas.base_url, and that no proxy answers for Atlas. {error}",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[400..=400],
        codes: &["CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API"],
        disables_collector: true,
        meaning: "flex cluster",
        hint: "a flex cluster has no exports: remove it from the configuration",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[410..=410, 406..=406],
        meaning: "API version not supported",
        hint: NEWER_RELEASE,
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[400..=400],
        codes: &["INVALID_VERSION_DATE"],
        meaning: "API version not supported",
        hint: NEWER_RELEASE,
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[402..=402],
        codes: &["ACCOUNT_SUSPENDED"],
        meaning: "account suspended",
        hint: "Atlas has suspended the account for an unpaid invoice: ask an Organization Billing Admin to pay it",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[429..=429],
        reason: FailureReason::RateLimited,
        retry: Retry::Backoff,
        meaning: "rate limited by Atlas",
        hint: "too many requests, perhaps from other clients of the same {owner}: try again in a few minutes",
        ..REFUSED
    },
    ErrorAnswer {
        statuses: &[502..=504],
        codes: &[NO_CODE],
        reason: FailureReason::ServerError,
        retry: Retry::Backoff,
        meaning: "not answered by the API of Atlas",
        hint: "a proxy, load balancer or gateway answered for Atlas: try again later; if it persists, ask who runs the proxy. {error}",
        ..REFUSED
    },
    REFUSED,
    ErrorAnswer {
        statuses: &[500..=599],
        reason: FailureReason::ServerError,
        retry: Retry::Backoff,
        meaning: "fault of Atlas",
        hint: "Atlas reports an internal fault: try again later, and see status.mongodb.com. {error}",
        ..REFUSED
    },
];

impl ErrorAnswer {
    /// Returns the row for an answer; `None` for a status that is no error.
    #[must_use]
    pub fn find(status: u16, code: Option<&str>) -> Option<&'static Self> {
        let code = code.unwrap_or(NO_CODE);
        ERROR_ANSWERS.iter().find(|row| {
            row.statuses.iter().any(|statuses| statuses.contains(&status))
                && (row.codes.is_empty() || row.codes.contains(&code))
        })
    }

    /// Returns the row as a line of the Markdown table in `docs/troubleshooting.md`.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let statuses = self.statuses.iter().map(|statuses| match (statuses.start(), statuses.end()) {
            (400, 499) => "other 4xx".to_owned(),
            (500, 599) => "other 5xx".to_owned(),
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first} to {last}"),
        });
        let statuses = statuses.collect::<Vec<_>>().join(", ");
        let codes = self.codes.iter().map(|code| match *code {
            NO_CODE => "none".to_owned(),
            code => format!("`{code}`"),
        });
        let mut codes = codes.collect::<Vec<_>>().join(", ");
        if codes.is_empty() {
            let is_listed =
                |row: &Self| !row.codes.is_empty() && self.statuses.iter().any(|s| row.statuses.contains(s));
            codes.push_str(if ERROR_ANSWERS.iter().any(is_listed) { "any other" } else { "any" });
        }
        let retry = match self.retry {
            Retry::No => "no",
            Retry::NewToken => "once, with a new token",
            Retry::Backoff => "with backoff",
        };
        let disables = if self.disables_collector { "after a second refusal" } else { "no" };
        let hint = self
            .hint
            .replace("{credentials}", "service account or API key")
            .replace("{origin}", "")
            .replace("{secret}", "secret")
            .replace("{role}", "that `check` names")
            .replace("{owner}", "project or organization")
            .replace("{address}", "")
            .replace("{error}", "(Atlas's answer)");
        let reason = self.reason.as_str();
        format!("| {statuses} | {codes} | `{reason}` | {retry} | {disables} | {hint} |")
    }
}
