//! The export buckets of a project, and whether one that a policy names is really missing.
//!
//! Policies and buckets are read apart, so a list that lacks the bucket of a policy may only be older or younger than that. A second
//! request decides at once: the bucket is missing if the policy still names it after a list that lacks it.

use tokio::time::Instant;

use super::{READING_TIMEOUT, parted};
use crate::atlas::{Atlas, Error, Listing};
use crate::board::Board;
use crate::model::{ProjectId, Target};

/// Reads the export buckets, and then the policies again that name one which is not among them.
pub(super) async fn read(atlas: &Atlas, board: &Board, id: &ProjectId) -> Result<(), Error> {
    let at = Instant::now();
    let listed = atlas.export_buckets(id, at + READING_TIMEOUT).await.and_then(Listing::complete);
    let (listed, outcome) = parted(listed);
    board.export_buckets(id, at, listed);
    for target in board.unconfirmed_buckets(id) {
        read_policy(atlas, board, &target).await;
    }
    outcome
}

/// Decides whether the bucket that a policy names is missing, where the buckets were listed before the policy was read.
pub(crate) async fn confirm(atlas: &Atlas, board: &Board, target: &Target) {
    if !board.is_bucket_unlisted(target) {
        return;
    }
    let at = Instant::now();
    let listed = atlas.export_buckets(&target.project_id, at + READING_TIMEOUT).await;
    // What cannot be read now is read again on its own interval, which tells why.
    if let Ok(listed) = listed.and_then(Listing::complete) {
        board.export_buckets(&target.project_id, at, Ok(listed));
        if board.unconfirmed_buckets(&target.project_id).contains(target) {
            read_policy(atlas, board, target).await;
        }
    }
}

async fn read_policy(atlas: &Atlas, board: &Board, target: &Target) {
    if let Ok(schedule) = atlas.schedule(target, Instant::now() + READING_TIMEOUT).await {
        board.schedule(target, Ok(schedule));
    }
}
