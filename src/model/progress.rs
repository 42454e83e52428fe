//! When the jobs of a cluster last moved: the one figure that a single listing cannot give.

use std::collections::HashMap;

use atlas_client::{Counts, JobState};
use jiff::{SignedDuration, Timestamp};

use super::job_summary::{JobId, ListedJob, MAX_ACTIVE};

/// How long a job is remembered that is no longer active. It may come back from an unknown state or
/// from between two pages, and must not look as if it had never moved.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The active jobs of a cluster, as seen last.
#[derive(Debug, Default)]
pub struct ProgressTracker(HashMap<JobId, JobProgress>);

#[derive(Debug, Clone, Copy)]
struct JobProgress {
    state: JobState,
    counts: Counts,
    moved_at: Timestamp,
    last_seen: Timestamp,
}

impl ProgressTracker {
    /// Takes in the active jobs of a poll at `now`. Returns when the least recently moved one last
    /// changed its state or counts; `None` if none is active.
    ///
    /// A job that was not seen before counts as moved when it was created: a restart must not make
    /// a job that hangs look alive.
    pub fn observe(&mut self, active: &[ListedJob], now: Timestamp) -> Option<Timestamp> {
        for job in active {
            let moved_at = match self.0.get(&job.key.id) {
                None => job.key.created_at,
                Some(before) if (before.state, before.counts) == (job.state, job.counts) => before.moved_at,
                Some(_) => now,
            };
            let seen = JobProgress { state: job.state, counts: job.counts, moved_at, last_seen: now };
            self.0.insert(job.key.id.clone(), seen);
        }
        // A listing of other jobs each time must not be remembered for a day.
        let is_full = self.0.len() > 2 * MAX_ACTIVE;
        let remembered = if is_full { SignedDuration::from_millis(1) } else { REMEMBERED };
        self.0.retain(|_, seen| now.duration_since(seen.last_seen) < remembered);
        active.iter().filter_map(|job| self.0.get(&job.key.id)).map(|seen| seen.moved_at).min()
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
            counts: Counts { exported, total: Some(105) },
        }
    }

    #[test]
    fn stuck_job_looks_stuck_after_a_restart() {
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
    fn least_recently_moved_active_job_decides() {
        let mut tracker = ProgressTracker::default();
        let old = active("a", 100, JobState::InProgress, Some(1));
        let new = active("b", 200, JobState::Queued, None);
        assert_eq!(tracker.observe(&[old, new.clone()], at(300)), Some(at(100)));
        assert_eq!(tracker.observe(&[new], at(400)), Some(at(200)));
        assert_eq!(tracker.observe(&[], at(500)), None);
    }

    #[test]
    fn returning_job_is_remembered_for_a_day() {
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
    fn changing_jobs_are_remembered_within_bounds() {
        let mut tracker = ProgressTracker::default();
        for poll in 0..4 {
            let job = |number| active(&format!("{poll}-{number}"), 100, JobState::Queued, None);
            tracker.observe(&(0..MAX_ACTIVE).map(job).collect::<Vec<_>>(), at(1000 + poll));
            assert!(tracker.0.len() <= 2 * MAX_ACTIVE, "{}", tracker.0.len());
        }
    }
}
