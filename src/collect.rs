//! One poll of one cluster: which calls, and what they fold into.

use tokio::time::Instant;

use crate::atlas::{Atlas, Error};
use crate::model::{ClusterReport, Fold, Target};

/// Reads the whole listing of `target` before `deadline`. Half a listing is no listing: it is an error.
pub async fn cluster(atlas: &Atlas, target: &Target, deadline: Instant) -> Result<ClusterReport, Error> {
    let mut fold = Fold::default();
    atlas.export_jobs(target, deadline, &mut fold).await?;
    Ok(fold.finish())
}
