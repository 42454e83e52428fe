//! Suggested fixes for failed requests. Those for error responses are in their table.

use atlas_client::{CredentialKind, Credentials, Error, ErrorResponse, FailureReason};

use crate::model::CollectorKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Organization,
    /// A project, its clusters, or their exports and schedules.
    Project,
    Collector(CollectorKind),
}

impl Resource {
    /// Returns the kind of the resource's owner.
    fn owner(self) -> &'static str {
        if self == Self::Organization { "organization" } else { "project" }
    }

    /// Returns the smallest sufficient role, and an alternative.
    fn role(self) -> String {
        match self {
            Self::Organization => "Organization Member in this organization".to_owned(),
            Self::Collector(collector) => {
                let key = collector.as_str();
                format!(
                    "Project Read Only in this project, or disable the collector with \
                     `collectors.{key} = false`"
                )
            }
            Self::Project => {
                "Project Backup Manager in this project, which a Project Owner can grant".to_owned()
            }
        }
    }
}

/// Returns the hint for `error` of a request for `resource` with `credentials`.
pub(super) fn hint(error: &Error, resource: Resource, credentials: &Credentials) -> String {
    if let Error::Secret(text) = error {
        return format!("failed to read the secret of the {credentials}: {text}");
    }
    if let Error::NoToken(inner) = error
        && inner.reason() == FailureReason::RateLimited
    {
        let wait = inner.retry_after().map(|wait| format!(" in {}s", wait.as_secs())).unwrap_or_default();
        return format!(
            "too many token requests with the {credentials}, which Atlas limits per minute; retry{wait}"
        );
    }
    match error.reason() {
        FailureReason::Connect => {
            format!("{error}; check DNS, the firewall and the proxy")
        }
        FailureReason::Timeout => {
            format!("{error}; check whether a firewall or a proxy drops the requests")
        }
        FailureReason::Tls => format!(
            "{error}; if a proxy re-encrypts the traffic, set `atlas.ca_file` to the certificate of its \
             authority (SSL_CERT_FILE replaces all authorities of the system)"
        ),
        _ => match error.row() {
            Some(row) => row_hint(row, error, resource, credentials),
            None => format!("{error}; check `atlas.base_url`, and that no proxy answers for Atlas"),
        },
    }
}

fn row_hint(row: &ErrorResponse, error: &Error, resource: Resource, credentials: &Credentials) -> String {
    let Credentials { kind, id, secret, origin, .. } = credentials;
    let secret = format!("{} ({secret})", kind.names()[2]);
    let address = error.refused_address().map(|address| format!(" {address}")).unwrap_or_default();
    // The error is replaced last, because a text of Atlas can look like a placeholder.
    let mut hint = row
        .hint
        .replace("{credentials}", &credentials.to_string())
        .replace("{origin}", &format!(" (from {origin})"))
        .replace("{secret}", &secret)
        .replace("{role}", &resource.role())
        .replace("{owner}", resource.owner())
        .replace("{address}", &address)
        .replace("{error}", &error.to_string());
    if row.reason == FailureReason::Unauthorized {
        if *kind == CredentialKind::ServiceAccount && !id.starts_with("mdb_sa_id_") {
            hint.push_str("; ids of service accounts begin with mdb_sa_id_");
        }
        if let Some(problem) = credentials.hint() {
            hint.push_str("; ");
            hint.push_str(&problem);
        }
    }
    hint
}

#[cfg(test)]
mod tests {
    use atlas_client::{ERROR_RESPONSES, SecretSource};
    use axum::http::StatusCode;

    use super::*;

    fn account(client_id: &str) -> Credentials {
        let read = |_: &_| Ok(String::new());
        Credentials {
            kind: CredentialKind::ServiceAccount,
            id: client_id.to_owned(),
            secret: SecretSource::File { path: "secrets/atlas".into(), read },
            origin: "config.toml".to_owned(),
            expires_at: None,
        }
    }

    fn answer(status: u16, code: &str) -> Error {
        Error::Response {
            status: StatusCode::from_u16(status).unwrap(),
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            detail: Some("d".to_owned()),
            address: "203.0.113.7".parse().ok(),
            retry_after: None,
        }
    }

    #[track_caller]
    fn check(error: &Error, resource: Resource, part: &str) {
        let hint = hint(error, resource, &account("mdb_sa_id_1"));
        assert!(hint.contains(part), "{error} {resource:?}: {hint}");
    }

    #[test]
    fn hint_follows_the_code_not_the_resource() {
        let role = answer(403, "USER_UNAUTHORIZED");
        check(&role, Resource::Organization, "role Organization Member");
        check(&role, Resource::Collector(CollectorKind::Events), "with `collectors.events = false`");
        check(&role, Resource::Project, "needs the role Project Backup Manager");
        check(&answer(401, "USER_CANNOT_ACCESS_GROUP"), Resource::Project, "needs the role");
        check(&answer(401, "NOT_IN_GROUP"), Resource::Project, "or there is no such project: check the id");
        check(&answer(403, ""), Resource::Project, "a proxy, firewall or load balancer refused");
        check(&answer(503, ""), Resource::Project, "a proxy, load balancer or gateway answered");
        check(
            &answer(403, "ORG_REQUIRES_ACCESS_LIST"),
            Resource::Project,
            "address 203.0.113.7 to the API access",
        );
        check(&answer(404, "GROUP_NOT_FOUND"), Resource::Project, "no such project");
        check(&answer(404, "CLUSTER_NOT_FOUND"), Resource::Project, "no such cluster");
        check(&answer(404, "BACKUP_CONFIG_NOT_FOUND"), Resource::Project, "cloud backup is off");
        check(&answer(410, "VERSION_GONE"), Resource::Project, "newer release");
        check(&answer(402, "ACCOUNT_SUSPENDED"), Resource::Project, "unpaid invoice");
        check(&answer(409, "SOMETHING_NEW"), Resource::Project, "409 Conflict SOMETHING_NEW: d");
        check(&answer(404, "RESOURCE_NOT_FOUND"), Resource::Organization, "no such organization");
    }

    #[test]
    fn missing_cluster_is_reported_for_its_code_alone() {
        for status in 400..600 {
            for code in ["", "X", "GROUP_NOT_FOUND", "RESOURCE_NOT_FOUND", "USER_UNAUTHORIZED"] {
                let hint = hint(&answer(status, code), Resource::Project, &account("mdb_sa_id_1"));
                assert!(!hint.contains("no such cluster"), "{status} {code}: {hint}");
                assert!(!hint.contains(['{', '}']), "{status} {code}: {hint}");
            }
        }
    }

    #[test]
    fn every_row_has_a_hint_without_placeholders() {
        for row in &ERROR_RESPONSES {
            let hint = row_hint(row, &answer(400, "X"), Resource::Project, &account("mdb_sa_id_1"));
            assert!(!hint.contains(['{', '}']), "{hint}");
        }
    }

    #[test]
    fn failures_without_an_error_response_have_hints() {
        let secret = Error::Secret("cannot read x".to_owned());
        check(&secret, Resource::Project, "failed to read the secret of the service account mdb_sa_id_1: ");
        check(
            &Error::Timeout("no response from a:1".to_owned()),
            Resource::Project,
            "no response from a:1; check",
        );
        check(&Error::Connect("refused".to_owned()), Resource::Project, "refused; check DNS");
        check(&Error::Tls("unknown issuer".to_owned()), Resource::Project, "unknown issuer; if a proxy");
        check(&Error::Invalid("a page".to_owned()), Resource::Project, "check `atlas.base_url`");
        let left = std::time::Duration::from_secs(5);
        check(&Error::RateLimited { left, limited: true }, Resource::Project, "too many requests");
        check(&Error::RateLimited { left, limited: false }, Resource::Project, "internal fault");
    }

    #[test]
    fn token_refusals_name_the_secret_or_the_wait() {
        let mut limited = answer(429, "rate_limited");
        if let Error::Response { retry_after, .. } = &mut limited {
            *retry_after = Some(std::time::Duration::from_mins(1));
        }
        check(&Error::NoToken(Box::new(limited)), Resource::Project, "limits per minute; retry in 60s");
        let listed = Error::NoToken(Box::new(answer(403, "ORG_REQUIRES_ACCESS_LIST")));
        check(&listed, Resource::Project, "API access list of the service account mdb_sa_id_1");
        let refused = Error::NoToken(Box::new(answer(401, "invalid_client")));
        check(&refused, Resource::Project, "its secret (from the file secrets/atlas) is wrong");
        let hint = hint(&refused, Resource::Project, &account("abcdefgh"));
        assert!(hint.contains("begin with mdb_sa_id_"), "{hint}");
    }
}
