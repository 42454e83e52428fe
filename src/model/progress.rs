//! Tracks the progress of active jobs from poll to poll.

use std::collections::HashMap;

use atlas_client::{CollectionProgress, JobState};
use jiff::{SignedDuration, Timestamp};

use super::job_summary::{JobId, ListedJob, MAX_ACTIVE};

/// Retention of jobs that are no longer listed as active.
///
/// A job can come back from an unknown state, or after it was missed between two pages. It must
/// not seem to have made no progress since its creation.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);

/// The last known progress of the active jobs of a cluster.
#[derive(Debug, Default)]
pub struct ProgressTracker(HashMap<JobId, JobProgress>);

#[derive(Debug, Clone, Copy)]
struct JobProgress {
    state: JobState,
    counts: CollectionProgress,
    progressed_at: Timestamp,
    last_seen: Timestamp,
}

impl ProgressTracker {
    /// Updates the progress with the active jobs of a poll at `now`.
    ///
    /// Returns the last change of state or counts of the job without progress for longest; `None`
    /// if no job is active. For a new job, this is its creation: after a restart, a job that hangs
    /// must not seem to make progress.
    pub fn observe(&mut self, active: &[ListedJob], now: Timestamp) -> Option<Timestamp> {
        for job in active {
            let progressed_at = match self.0.get(&job.key.id) {
                None => job.key.created_at,
                Some(before) if (before.state, before.counts) == (job.state, job.counts) => {
                    before.progressed_at
                }
                Some(_) => now,
            };
            let progress =
                JobProgress { state: job.state, counts: job.counts, progressed_at, last_seen: now };
            self.0.insert(job.key.id.clone(), progress);
        }
        // Bounds the memory if every poll lists other jobs.
        let is_full = self.0.len() > 2 * MAX_ACTIVE;
        let retention = if is_full { SignedDuration::from_millis(1) } else { RETENTION };
        self.0.retain(|_, job| now.duration_since(job.last_seen) < retention);
        active.iter().filter_map(|job| self.0.get(&job.key.id)).map(|job| job.progressed_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobKey;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn active(id: &str, created: i64, state: JobState, exported: Option<u64>) -> ListedJob {
        ListedJob {
            key: JobKey { created_at: at(created), id: id.into() },
            state,
            counts: CollectionProgress { exported, total: Some(105) },
        }
    }

    #[test]
    fn new_job_has_progress_since_its_creation_only() {
        let stuck = [active("a", 100, JobState::InProgress, Some(105))];
        let mut tracker = ProgressTracker::default();
        assert_eq!(tracker.observe(&stuck, at(9000)), Some(at(100)));
        assert_eq!(tracker.observe(&stuck, at(9060)), Some(at(100)));
    }

    #[test]
    fn changed_count_or_state_is_progress() {
        let mut tracker = ProgressTracker::default();
        tracker.observe(&[active("a", 100, JobState::Queued, None)], at(200));
        let running = [active("a", 100, JobState::InProgress, None)];
        assert_eq!(tracker.observe(&running, at(300)), Some(at(300)));
        let further = [active("a", 100, JobState::InProgress, Some(1))];
        assert_eq!(tracker.observe(&further, at(400)), Some(at(400)));
        assert_eq!(tracker.observe(&further, at(500)), Some(at(400)));
    }

    #[test]
    fn job_without_progress_for_longest_decides() {
        let mut tracker = ProgressTracker::default();
        let old = active("a", 100, JobState::InProgress, Some(1));
        let new = active("b", 200, JobState::Queued, None);
        assert_eq!(tracker.observe(&[old, new.clone()], at(300)), Some(at(100)));
        assert_eq!(tracker.observe(&[new], at(400)), Some(at(200)));
        assert_eq!(tracker.observe(&[], at(500)), None);
    }

    #[test]
    fn progress_of_a_missing_job_is_kept_for_a_day() {
        let mut tracker = ProgressTracker::default();
        tracker.observe(&[active("a", 100, JobState::InProgress, Some(1))], at(7000));
        let moved = [active("a", 100, JobState::InProgress, Some(2))];
        assert_eq!(tracker.observe(&moved, at(7300)), Some(at(7300)));
        assert_eq!(tracker.observe(&[], at(7360)), None);
        assert_eq!(tracker.observe(&moved, at(7420)), Some(at(7300)));
        tracker.observe(&[], at(7480));
        let further = [active("a", 100, JobState::InProgress, Some(3))];
        assert_eq!(tracker.observe(&further, at(7540)), Some(at(7540)));
        tracker.observe(&[], at(7600 + 86_400));
        assert!(tracker.0.is_empty());
    }

    #[test]
    fn number_of_tracked_jobs_is_bounded() {
        let mut tracker = ProgressTracker::default();
        for poll in 0..4 {
            let job = |number| active(&format!("{poll}-{number}"), 100, JobState::Queued, None);
            tracker.observe(&(0..MAX_ACTIVE).map(job).collect::<Vec<_>>(), at(1000 + poll));
            assert!(tracker.0.len() <= 2 * MAX_ACTIVE, "{}", tracker.0.len());
        }
    }
}
