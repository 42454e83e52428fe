//! Logs of changing failures: once when a failure begins, changes or ends, so that an outage does
//! not bury the log.

use atlas_client::{FailureReason, OrganizationId, ProjectId, Target};
use tracing::Level;
use tracing::field::display;

use crate::model::ReadError;

/// `tracing::event!` with a level that is known only at run time.
macro_rules! log_at {
    ($level:expr, $($fields:tt)+) => {
        match $level {
            tracing::Level::WARN => tracing::warn!($($fields)+),
            tracing::Level::INFO => tracing::info!($($fields)+),
            _ => tracing::debug!($($fields)+),
        }
    };
}
pub(crate) use log_at;

/// The subject of a log line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogContext<'a> {
    pub(crate) organization_id: Option<&'a OrganizationId>,
    pub(crate) project_id: Option<&'a ProjectId>,
    pub(crate) cluster_name: Option<&'a str>,
}

impl<'a> LogContext<'a> {
    pub(crate) fn organization(id: &'a OrganizationId) -> Self {
        Self { organization_id: Some(id), ..Self::default() }
    }

    pub(crate) fn project(id: &'a ProjectId) -> Self {
        Self { project_id: Some(id), ..Self::default() }
    }

    pub(crate) fn cluster(target: &'a Target) -> Self {
        Self { cluster_name: Some(&target.cluster_name), ..Self::project(&target.project_id) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    /// Reason of the last failure; `None` if the last reading succeeded.
    pub(crate) failing: Option<FailureReason>,
    /// True once a reading has succeeded.
    is_known: bool,
}

impl FailureLog {
    /// Logs when `what` begins to fail, fails for another reason, or can be read again.
    pub(crate) fn log(&mut self, error: Option<&ReadError>, context: LogContext<'_>, what: &str) {
        let reason = error.map(|error| error.reason);
        let before = std::mem::replace(&mut self.failing, reason);
        self.is_known |= reason.is_none();
        let (level, message) = match (before, reason) {
            (None, None) => return,
            (Some(_), None) => (Level::INFO, format!("{what} can be read again")),
            _ if before == reason => (Level::DEBUG, format!("failed to refresh {what} again")),
            _ if self.is_known => {
                (Level::WARN, format!("failed to refresh {what}; keeping the last known state"))
            }
            _ => (Level::WARN, format!("failed to read {what}; nothing is known yet")),
        };
        let (organization_id, project_id) =
            (context.organization_id.map(display), context.project_id.map(display));
        log_at!(
            level,
            organization_id,
            project_id,
            cluster_name = context.cluster_name,
            reason = reason.map(FailureReason::as_str),
            error = error.map(|error| &*error.text),
            "{message}"
        );
    }
}
