//! What the projects are called: asked at the start, and again on an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::atlas::Atlas;
use crate::board::Board;
use crate::model::ProjectId;

/// Longest time that a project's name may keep its clusters from being shown.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);

/// Keeps the name of one project up to date; never ends.
///
/// Where the name cannot be read, the id stands in for it until it can; a name once read stays.
pub async fn name_project(atlas: Arc<Atlas>, board: Arc<Board>, id: ProjectId, interval: Duration) {
    loop {
        match atlas.project_name(&id, Instant::now() + NAME_TIMEOUT).await {
            Ok(name) => board.name_project(&id, name),
            Err(error) => {
                tracing::warn!(project_id = %id, reason = error.reason().as_str(), error = %error, "cannot read the project's name");
                if !board.is_named(&id) {
                    board.name_project(&id, id.to_string());
                }
            }
        }
        tokio::time::sleep(interval).await;
    }
}
