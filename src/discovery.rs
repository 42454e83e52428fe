//! What the projects are called: asked at the start, and again on an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::atlas::Atlas;
use crate::board::Board;
use crate::model::ProjectId;

/// Longest time that a project's name may keep its clusters from being shown.
const NAME_TIMEOUT: Duration = Duration::from_secs(10);

/// A name that cannot be read is asked for again after this time.
const RETRY: Duration = Duration::from_mins(1);

/// Keeps the name of one project up to date; never ends.
///
/// Where the name cannot be read, the id stands in for it until it can; a name once read stays.
pub async fn name_project(atlas: Arc<Atlas>, board: Arc<Board>, id: ProjectId, interval: Duration) {
    let mut failing = false;
    loop {
        match atlas.project_name(&id, Instant::now() + NAME_TIMEOUT).await {
            Ok(name) => {
                failing = false;
                board.name_project(&id, name);
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(project_id = %id, reason = error.reason().as_str(), error = %error, "cannot read the project's name; the id stands in for it");
                }
                if !board.is_named(&id) {
                    board.name_project(&id, id.to_string());
                }
            }
        }
        tokio::time::sleep(if failing { interval.min(RETRY) } else { interval }).await;
    }
}
