//! What a person can do about an error, told by Atlas's own code where there is one.

use crate::atlas::Error;
use crate::config::Credentials;
use crate::model::{Detail, FailureReason};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Organization,
    Project,
    Clusters,
    Exports,
    Schedule,
    Detail(Detail),
}

/// What to do about `error`, which came when `credentials` asked for something.
pub(super) fn on(error: &Error, asked: Asked, credentials: &Credentials) -> String {
    if let Error::Secret(text) = error {
        return format!("the secret of the {credentials} cannot be read: {text}");
    }
    if error.code() == Some("IP_ADDRESS_NOT_ON_ACCESS_LIST") {
        return format!(
            "this machine's address is not on the API access list that holds for the {credentials}: whoever owns that adds it in Atlas (it is not the project's IP access list)"
        );
    }
    if let Error::NoToken(inner) = error
        && inner.reason() == FailureReason::RateLimited
    {
        let wait = inner.retry_after().map(|wait| format!(" in {} s", wait.as_secs())).unwrap_or_default();
        return format!(
            "the {credentials} has asked for too many tokens, which Atlas counts by the minute: try again{wait}"
        );
    }
    match (error.reason(), asked) {
        (FailureReason::Unauthorized, _) => match credentials {
            Credentials::ServiceAccount { client_id, client_secret, .. } => {
                let odd = if client_id.starts_with("mdb_sa_id_") {
                    ""
                } else {
                    " (ids of service accounts begin with mdb_sa_id_)"
                };
                format!(
                    "the {credentials} is unknown{odd}, or its secret ({client_secret}) is wrong or has expired: compare the id, or create a new secret in Atlas"
                )
            }
            Credentials::ApiKey { private_key, .. } => format!(
                "the {credentials} is unknown, or its private key ({private_key}) is wrong: compare it, or create a new key in Atlas"
            ),
        },
        (FailureReason::Forbidden, Asked::Organization) => {
            format!("the {credentials} needs the role Organization Member in this organization")
        }
        (FailureReason::Forbidden, Asked::Project) => format!(
            "the {credentials} is not in this project: an owner of the project adds it with the role Project Backup Manager"
        ),
        (FailureReason::Forbidden, Asked::Detail(detail)) => format!(
            "the {credentials} needs the role Project Read Only in this project for that; or switch it off with detail.{} = false",
            detail.as_str()
        ),
        (FailureReason::Forbidden, _) => format!(
            "the {credentials} needs the role Project Backup Manager in this project, which its owner can give"
        ),
        (FailureReason::NotFound, Asked::Organization) => {
            "no such organization: copy the id from its address in Atlas; or is this a project's?".to_owned()
        }
        (FailureReason::NotFound, Asked::Project) => {
            "no such project: copy the id from its address in Atlas (https://cloud.mongodb.com/v2/<id>); or is this an organization's?"
                .to_owned()
        }
        (FailureReason::NotFound, _) => "no such cluster: is its name spelled as in Atlas?".to_owned(),
        (FailureReason::BadRequest, _) if error.code() == Some("CANNOT_USE_FLEX_CLUSTER_IN_CLUSTER_API") => {
            "a flex cluster has no exports: take it out of clusters".to_owned()
        }
        (FailureReason::RateLimited, _) => {
            "the project's budget of requests is used up, perhaps by others: try again in a few minutes"
                .to_owned()
        }
        (FailureReason::Connect, _) => format!(
            "no connection to Atlas: name resolution, firewall, or a proxy that is missing (HTTPS_PROXY)? {error}"
        ),
        (FailureReason::Timeout, _) => {
            "no answer in time: is a firewall or a proxy in between that swallows requests?".to_owned()
        }
        (FailureReason::Tls, _) => format!(
            "no trusted connection: is something in between that signs its own certificates (SSL_CERT_FILE names its authority), or is this no https at all? {error}"
        ),
        (FailureReason::ServerError, _) => format!("Atlas has a fault of its own: try again later. {error}"),
        (FailureReason::BadRequest | FailureReason::InvalidResponse | FailureReason::TooLarge, _) => {
            format!(
                "this is not what Atlas documents: is atlas.base_url right, and no proxy in between? {error}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;
    use crate::config::SecretSource;

    fn account(client_id: &str) -> Credentials {
        let client_secret = SecretSource::File("secrets/atlas".into());
        Credentials::ServiceAccount { client_id: client_id.to_owned(), client_secret, expires_at: None }
    }

    fn answer(status: StatusCode, code: &str) -> Error {
        Error::Answer { status, code: Some(code.to_owned()), detail: None, retry_after: None }
    }

    #[test]
    fn each_error_has_its_advice() {
        let check = |error: &Error, asked, part: &str| {
            let advice = on(error, asked, &account("mdb_sa_id_1"));
            assert!(advice.contains(part), "{error} {asked:?}: {advice}");
        };
        let forbidden = answer(StatusCode::FORBIDDEN, "USER_UNAUTHORIZED");
        check(&forbidden, Asked::Organization, "role Organization Member");
        check(&forbidden, Asked::Project, "is not in this project");
        check(&forbidden, Asked::Clusters, "needs the role Project Backup Manager");
        check(&forbidden, Asked::Exports, "needs the role Project Backup Manager");
        check(&forbidden, Asked::Detail(Detail::Events), "switch it off with detail.events = false");
        check(&forbidden, Asked::Schedule, "needs the role Project Backup Manager");
        let missing = answer(StatusCode::NOT_FOUND, "X");
        check(&missing, Asked::Organization, "no such organization");
        check(&missing, Asked::Project, "no such project");
        check(&missing, Asked::Exports, "no such cluster");
        check(&answer(StatusCode::TOO_MANY_REQUESTS, "X"), Asked::Exports, "budget of requests is used up");
        check(
            &Error::Secret("cannot read x".to_owned()),
            Asked::Project,
            "the secret of the service account mdb_sa_id_1 cannot be read",
        );
        check(&Error::Timeout, Asked::Project, "no answer in time");
        check(&Error::Connect("refused".to_owned()), Asked::Project, "refused");
        check(&Error::Tls("unknown issuer".to_owned()), Asked::Project, "unknown issuer");
        let mut limited = answer(StatusCode::TOO_MANY_REQUESTS, "rate_limited");
        if let Error::Answer { retry_after, .. } = &mut limited {
            *retry_after = Some(std::time::Duration::from_mins(1));
        }
        check(
            &Error::NoToken(Box::new(limited)),
            Asked::Project,
            "too many tokens, which Atlas counts by the minute: try again in 60 s",
        );
        let refused = Error::TokenRefused { status: StatusCode::UNAUTHORIZED, code: None, detail: None };
        check(&refused, Asked::Project, "its secret (from the file secrets/atlas) is wrong");
        let advice = on(&refused, Asked::Project, &account("abcdefgh"));
        assert!(advice.contains("begin with mdb_sa_id_"), "{advice}");
    }
}
