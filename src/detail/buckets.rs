//! The export buckets of a project, and whether one that a policy names is really missing.
//!
//! Policies and buckets are read independently, so a list that lacks the bucket of a policy may only be older or newer than that. A
//! second request decides at once: an older list is read again, and then the policy. The bucket is missing if the policy still
//! names it after a list that lacks it.

use tokio::time::Instant;

use super::{READING_TIMEOUT, parted};
use crate::atlas::{Atlas, Error, Listing};
use crate::board::Board;
use crate::model::ProjectId;

/// Reads the export buckets, and then the policies again that name one which is not among them.
pub(super) async fn read(atlas: &Atlas, board: &Board, id: &ProjectId) -> Result<(), Error> {
    let at = Instant::now();
    let listed = atlas.export_buckets(id, at + READING_TIMEOUT).await.and_then(Listing::complete);
    let (listed, outcome) = parted(listed);
    board.export_buckets(id, at, listed);
    for target in board.unconfirmed_buckets(id) {
        if let Ok(schedule) = atlas.schedule(&target, Instant::now() + READING_TIMEOUT).await {
            board.schedule(&target, Ok(schedule));
        }
    }
    outcome
}
