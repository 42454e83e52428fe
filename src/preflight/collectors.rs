//! The collectors that the credentials have the roles for. A collector without access is a warning: polls do not depend on it.

use std::fmt::Write;

use atlas_client::{AtlasClient, Error, EventKind, ExportBucket, PartialList, ProjectId, Schedule, Target};
use jiff::Timestamp;

use super::remediation::{Resource, hint};
use super::report::{CheckStatus, Row};
use super::timeouts::Timeouts;
use crate::config::CollectorConfig;
use crate::discovery::targets::ProjectTarget;
use crate::model::CollectorKind;

/// What is asked of a project.
pub(super) struct ProjectCollectors<'a> {
    pub(super) atlas: &'a AtlasClient,
    pub(super) id: &'a ProjectId,
    pub(super) config: &'a CollectorConfig,
    /// A cluster that Atlas exports by itself, and whether it is sharded; without one, no snapshots are read.
    pub(super) exporting: Option<(Target, bool)>,
    /// The project's buckets, once they were read.
    pub(super) buckets: Option<Vec<ExportBucket>>,
}

impl ProjectCollectors<'_> {
    /// Asks for each collector that is not switched off; `None` if nothing is asked.
    pub(super) async fn row(
        &mut self,
        mut row: Row,
        project: &ProjectTarget,
        timeouts: Timeouts,
    ) -> Option<Row> {
        let (mut fine, mut trouble) = (Vec::new(), String::new());
        for collector in CollectorKind::ALL {
            if self.config.off.contains(&collector) {
                continue;
            }
            let Some(outcome) = self.ask(collector, timeouts).await else { continue };
            row.collectors.insert(collector, outcome.is_ok());
            match outcome {
                Ok(()) => fine.push(collector.as_str()),
                Err(error) => {
                    let hint = hint(&error, Resource::Collector(collector), &project.credentials);
                    let code = error.code().map(|code| format!(" ({code})")).unwrap_or_default();
                    let _ = write!(trouble, "{} cannot be read{code}: {hint}; ", collector.as_str());
                    row.error_code = row.error_code.or(error.code().map(str::to_owned));
                }
            }
        }
        if row.collectors.is_empty() {
            return None;
        }
        let fine = if fine.is_empty() {
            "no collector has access".to_owned()
        } else {
            format!("collectors with access: {}", fine.join(", "))
        };
        let hint = format!("{trouble}{fine}");
        Some(if trouble.is_empty() { row.note(&hint) } else { row.warn(&hint) })
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
                row.status = CheckStatus::Problem;
                row.hint = format!(
                    "its export bucket {id} is none of the project's, so no export can succeed: name another in the export policy, or create the bucket again"
                );
            }
        }
    }

    /// `None` if there is nothing to ask for.
    async fn ask(&mut self, collector: CollectorKind, timeouts: Timeouts) -> Option<Result<(), Error>> {
        let deadline = timeouts.deadline();
        Some(match collector {
            CollectorKind::Snapshots => {
                let (target, sharded) = self.exporting.as_ref()?;
                self.atlas
                    .snapshots(target, *sharded, deadline)
                    .await
                    .and_then(PartialList::complete)
                    .map(drop)
            }
            // Whether it may be asked at all shows as well in a list of nothing.
            CollectorKind::Events => {
                let (kinds, now) = (&EventKind::ALL, Timestamp::now());
                self.atlas
                    .events(self.id, kinds, now, &[], deadline)
                    .await
                    .and_then(PartialList::complete)
                    .map(drop)
            }
            CollectorKind::Buckets => {
                let listed = self.atlas.export_buckets(self.id, deadline).await;
                listed.and_then(PartialList::complete).map(|listed| self.buckets = Some(listed))
            }
        })
    }
}
