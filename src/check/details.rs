//! The collectors that the credentials have the roles for. A collector without access is a warning: polls do not depend on it.

use std::fmt::Write;

use atlas_client::{AtlasClient, Error, EventKind, ExportBucket, PartialList, ProjectId, Schedule, Target};
use jiff::Timestamp;

use super::remediation::{Resource, hint};
use super::{Row, Timeouts, Verdict};
use crate::config::DetailConfig;
use crate::model::Detail;
use crate::plan::Project;

/// What is asked of a project.
pub(super) struct Asked<'a> {
    pub(super) atlas: &'a AtlasClient,
    pub(super) id: &'a ProjectId,
    pub(super) detail: &'a DetailConfig,
    /// A cluster that Atlas exports by itself, and whether it is sharded; without one, no snapshots are read.
    pub(super) exporting: Option<(Target, bool)>,
    /// The project's buckets, once they were read.
    pub(super) buckets: Option<Vec<ExportBucket>>,
}

impl Asked<'_> {
    /// Asks for each detail that is not switched off; `None` if nothing is asked.
    pub(super) async fn row(&mut self, mut row: Row, plan: &Project, timeouts: Timeouts) -> Option<Row> {
        let (mut fine, mut trouble) = (Vec::new(), String::new());
        for detail in Detail::ALL {
            if self.detail.off.contains(&detail) {
                continue;
            }
            let Some(outcome) = self.ask(detail, timeouts).await else { continue };
            row.details.insert(detail, outcome.is_ok());
            match outcome {
                Ok(()) => fine.push(detail.as_str()),
                Err(error) => {
                    let advice = hint(&error, Resource::Collector(detail), &plan.credentials);
                    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
                    let _ = write!(trouble, "{} cannot be read{code}: {advice}; ", detail.as_str());
                    row.error_code = row.error_code.or(error.code().map(str::to_owned));
                }
            }
        }
        if row.details.is_empty() {
            return None;
        }
        let fine = if fine.is_empty() {
            "no collector has access".to_owned()
        } else {
            format!("collectors with access: {}", fine.join(", "))
        };
        let advice = format!("{trouble}{fine}");
        Some(if trouble.is_empty() { row.note(&advice) } else { row.warn(&advice) })
    }

    /// Adds to the rows of clusters that the bucket of their policy is missing. A second request confirms it: the policy must
    /// still name a bucket that a list lacks which is younger than the policy.
    pub(super) async fn judge_buckets(
        &self,
        rows: &mut [Row],
        schedules: &[(Target, Schedule)],
        timeouts: Timeouts,
    ) {
        let Some(buckets) = &self.buckets else { return };
        let missing = |schedule: &Schedule| {
            schedule.bucket().map(str::to_owned).filter(|id| buckets.iter().all(|bucket| bucket.id != *id))
        };
        for (target, schedule) in schedules {
            let named = missing(schedule);
            if named.is_none() || timeouts.is_over() {
                continue;
            }
            let again = self.atlas.schedule(target, timeouts.deadline()).await;
            let (Some(id), Ok(true)) = (&named, again.map(|again| missing(&again) == named)) else {
                continue;
            };
            let is_of_cluster = |row: &&mut Row| row.cluster_name.as_ref() == Some(&target.cluster_name);
            if let Some(row) = rows.iter_mut().find(is_of_cluster) {
                row.verdict = Verdict::Problem;
                row.advice = format!(
                    "its export bucket {id} is none of the project's, so no export can succeed: name another in the export policy, or create the bucket again"
                );
            }
        }
    }

    /// `None` if there is nothing to ask for.
    async fn ask(&mut self, detail: Detail, timeouts: Timeouts) -> Option<Result<(), Error>> {
        let deadline = timeouts.deadline();
        Some(match detail {
            Detail::Snapshots => {
                let (target, sharded) = self.exporting.as_ref()?;
                self.atlas
                    .snapshots(target, *sharded, deadline)
                    .await
                    .and_then(PartialList::complete)
                    .map(drop)
            }
            // Whether it may be asked at all shows as well in a list of nothing.
            Detail::Events => {
                let (kinds, now) = (&EventKind::ALL, Timestamp::now());
                self.atlas
                    .events(self.id, kinds, now, &[], deadline)
                    .await
                    .and_then(PartialList::complete)
                    .map(drop)
            }
            Detail::Buckets => {
                let listed = self.atlas.export_buckets(self.id, deadline).await;
                listed.and_then(PartialList::complete).map(|listed| self.buckets = Some(listed))
            }
        })
    }
}
