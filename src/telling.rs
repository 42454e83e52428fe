//! What the log says of readings that fail: when that begins, changes and ends, so that an outage does not bury it.

use tracing::field::display;

use crate::model::{FailureReason, OrganizationId, PollError, ProjectId};

/// What a message is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    /// An organization.
    pub(crate) organization: Option<&'a OrganizationId>,
    /// A project.
    pub(crate) project: Option<&'a ProjectId>,
    /// A cluster of that project.
    pub(crate) cluster: Option<&'a str>,
}

/// Says in the log when a reading begins to fail, fails for another reason, and works again; `failing` is how it was before.
pub(crate) fn log(
    failing: &mut Option<FailureReason>,
    error: Option<&PollError>,
    place: Place<'_>,
    what: &str,
) {
    let reason = error.map(|error| error.reason);
    let Place { organization, project, cluster } = place;
    let (organization, project) = (organization.map(display), project.map(display));
    match (std::mem::replace(failing, reason), error) {
        (None, None) => {}
        (Some(_), None) => {
            tracing::info!(
                organization_id = organization,
                project_id = project,
                cluster_name = cluster,
                "{what} can be read again"
            );
        }
        (before, Some(error)) if before != reason => {
            tracing::warn!(
                organization_id = organization,
                project_id = project,
                cluster_name = cluster,
                reason = error.reason.as_str(),
                error = error.text,
                "cannot read {what}; what is known stays"
            );
        }
        (_, Some(error)) => {
            tracing::debug!(
                organization_id = organization,
                project_id = project,
                cluster_name = cluster,
                reason = error.reason.as_str(),
                error = error.text,
                "cannot read {what} again"
            );
        }
    }
}
