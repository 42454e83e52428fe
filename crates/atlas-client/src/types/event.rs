//! Events of projects.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::entry;
use super::page::ListEntry;
use super::text::Id;
use crate::error::Error;

/// An event of a project.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectEvent {
    pub created_at: Timestamp,
    pub id: String,
    /// Kind of the event; `None` for a kind that was not requested.
    pub kind: Option<EventKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// An automatic export failed, possibly before it had a job.
    AutoExportFailed,
    ExportFailed,
    /// A secret of a service account expires soon. The event has neither the secret nor the time.
    SecretsExpiring,
    /// No secret expires soon any more.
    SecretsNoLongerExpiring,
}

impl EventKind {
    pub const ALL: [Self; 4] =
        [Self::AutoExportFailed, Self::ExportFailed, Self::SecretsExpiring, Self::SecretsNoLongerExpiring];

    /// Kinds of failures of a cluster.
    pub const FAILURES: [Self; 2] = [Self::AutoExportFailed, Self::ExportFailed];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AutoExportFailed => "CPS_AUTO_EXPORT_FAILED",
            Self::ExportFailed => "CPS_EXPORT_FAILED",
            Self::SecretsExpiring => "GROUP_SERVICE_ACCOUNT_SECRETS_EXPIRING",
            Self::SecretsNoLongerExpiring => "GROUP_SERVICE_ACCOUNT_SECRETS_NO_LONGER_EXPIRING",
        }
    }

    /// Returns true for kinds of failures of a cluster.
    #[must_use]
    pub fn is_failure(self) -> bool {
        Self::FAILURES.contains(&self)
    }
}

/// An entry of `GET /groups/{groupId}/events`. It lacks the cluster, which is a filter of the
/// request.
#[derive(Deserialize)]
struct Event {
    id: Id,
    created: Timestamp,
    #[serde(rename = "eventTypeName")]
    kind: String,
}

impl ListEntry for ProjectEvent {
    fn decode(raw: &RawValue) -> Result<Option<Self>, Error> {
        let Event { id, created, kind } = entry(raw)?;
        let kind = EventKind::ALL.into_iter().find(|known| known.as_str() == kind);
        Ok(Some(Self { created_at: created, id: id.0, kind }))
    }

    fn text_bytes(&self) -> usize {
        self.id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_of_another_kind_is_no_error() {
        let event = |kind: &str| {
            let json = format!(
                r#"{{"id":"e","created":"2026-01-02T03:04:05Z","eventTypeName":"{kind}","groupId":"g"}}"#
            );
            ProjectEvent::decode(serde_json::from_str(&json).unwrap()).unwrap().unwrap().kind
        };
        for kind in EventKind::ALL {
            assert_eq!(event(kind.as_str()), Some(kind));
        }
        assert_eq!(event("CLUSTER_CREATED"), None);
        let undated = r#"{"id":"e","created":"","eventTypeName":"CPS_EXPORT_FAILED"}"#;
        assert!(ProjectEvent::decode(serde_json::from_str(undated).unwrap()).is_err());
    }
}
