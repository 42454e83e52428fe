//! What the listing of export jobs cannot say: snapshots that nobody exports, exports that failed before there was a job, buckets
//! that are gone.
//!
//! Each is read by a task of its own, for a project or a cluster, on an interval that is longer than that of the polls. Nothing
//! here ever harms a poll: it may be switched off, and where the credentials lack a role for it, it rests.

mod events;
mod subject;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::atlas::{Atlas, Error, Listing};
use crate::board::Board;
use crate::model::{FailureReason, PollError, ProjectId, Snapshots, Target};
use crate::settings::{Follow, Settings, rest};
use crate::telling::log;
use events::Cursor;
use subject::Scope;
pub use subject::Subject;

/// One reading may take this long, all pages and retries.
const READING_TIMEOUT: Duration = Duration::from_secs(30);

/// A role that is missing is looked for again after this time, or after an interval where that is longer.
const ROLE_PAUSE: Duration = Duration::from_hours(1);

/// Who was refused, until when that is believed, and before which reload: whoever reloads may have mended it.
#[derive(Debug)]
struct Refusal {
    who: Atlas,
    until: Instant,
    reloads: u64,
}

/// What every reading needs.
#[derive(Debug)]
pub struct Reader {
    board: Arc<Board>,
    follow: Follow,
    /// Who lacks the role for a detail of a project, or of one cluster of it, and until when that is believed.
    refused: Mutex<BTreeMap<Scope, Refusal>>,
}

/// What a reading must know of the last one.
#[derive(Debug, Default)]
struct Memory {
    cursor: Cursor,
    failing: Option<FailureReason>,
}

impl Reader {
    /// Prepares to read; nothing is sent yet.
    #[must_use]
    pub fn new(board: Arc<Board>, follow: Follow) -> Self {
        Self { board, follow, refused: Mutex::default() }
    }

    /// Reads `subject` at once and then on the interval, for ever.
    pub async fn watch(self: Arc<Self>, subject: Subject) {
        let mut follow = self.follow.clone();
        let (mut memory, mut slow) = (Memory::default(), false);
        loop {
            let began = Instant::now();
            let settings = follow.borrow_and_update().clone();
            let atlas = subject.client(&settings);
            match &atlas {
                None => self.forget(&subject),
                Some(atlas) => {
                    let turn = self.turn(&subject, atlas, &mut memory, &settings);
                    // Twelve kilobytes, which nobody needs until the next reading.
                    Box::pin(settings.readings.pass(&mut slow, turn)).await;
                }
            }
            let pause = |settings: &Settings| self.pause(&subject, settings, began, atlas.as_ref());
            rest(&mut follow, began, atlas.as_ref(), |settings| subject.client(settings), pause, |_| ())
                .await;
        }
    }

    /// Reads, unless another reading has just found that the role is missing.
    async fn turn(&self, subject: &Subject, atlas: &Atlas, memory: &mut Memory, settings: &Settings) {
        if self.refused_until(subject, atlas, settings.reloads).is_some() {
            return self.tell_unread(subject);
        }
        let client = if memory.failing.is_some() { atlas.without_retries() } else { atlas.clone() };
        let outcome = match subject {
            Subject::Buckets(id) => self.buckets(&client, id).await,
            Subject::Events(id) => self.events(&client, id, &mut memory.cursor).await,
            Subject::Snapshots { target, sharded } => self.snapshots(&client, target, *sharded).await,
        };
        self.take_in(subject, atlas, outcome.err(), memory, settings);
    }

    async fn buckets(&self, atlas: &Atlas, id: &ProjectId) -> Result<(), Error> {
        let at = Instant::now();
        let listed = atlas.export_buckets(id, at + READING_TIMEOUT).await;
        let (buckets, outcome) = parted(listed.and_then(Listing::complete));
        self.board.export_buckets(id, at, buckets);
        outcome
    }

    async fn events(&self, atlas: &Atlas, id: &ProjectId, cursor: &mut Cursor) -> Result<(), Error> {
        let outcome = cursor.read(atlas, &self.board, id).await;
        self.board.events_up(id, outcome.is_ok());
        outcome
    }

    async fn snapshots(&self, atlas: &Atlas, target: &Target, sharded: bool) -> Result<(), Error> {
        // In between the policy may have come to export nothing.
        let Some(frequency) = self.board.exported_frequency(target) else { return Ok(()) };
        let (at, read_at) = (Instant::now(), Timestamp::now().into());
        let listed = atlas.snapshots(target, sharded, at + READING_TIMEOUT).await;
        let (listed, outcome) = parted(listed.and_then(Listing::complete));
        let snapshots = listed.map(|listed| Snapshots::new(&listed, frequency.as_deref(), read_at));
        if self.board.exported_frequency(target) == Some(frequency) {
            self.board.snapshots(target, at, snapshots);
        }
        outcome
    }

    /// From one reading to the next: later while the project's budget is scarce, but not so late that what was read goes stale;
    /// and much later where a role is missing.
    fn pause(
        &self,
        subject: &Subject,
        settings: &Settings,
        began: Instant,
        atlas: Option<&Atlas>,
    ) -> Duration {
        if let Some(until) = atlas.and_then(|atlas| self.refused_until(subject, atlas, settings.reloads)) {
            return until.duration_since(began);
        }
        let stretch = atlas.map_or(1.0, |atlas| atlas.stretch(subject.project()));
        settings.detail.interval.mul_f64(stretch).min(settings.detail.stale_after() / 2)
    }

    /// Until when it is believed that `atlas` lacks the role.
    fn refused_until(&self, subject: &Subject, atlas: &Atlas, reloads: u64) -> Option<Instant> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let known = [subject.scope(true), subject.scope(false)];
        let believed = known.iter().filter_map(|scope| refused.get(scope));
        let believed = believed.filter(|refusal| refusal.who.is(atlas) && refusal.reloads == reloads);
        believed.map(|refusal| refusal.until).filter(|until| Instant::now() < *until).max()
    }

    fn take_in(
        &self,
        subject: &Subject,
        atlas: &Atlas,
        error: Option<Error>,
        memory: &mut Memory,
        settings: &Settings,
    ) {
        let missing_role = error.as_ref().is_some_and(Error::is_missing_role);
        // The clusters of a project share a role, and the warning; what is new to us may be about one of them.
        let scope = subject.scope(error.as_ref().is_some_and(Error::is_about_the_project));
        let error = error.map(PollError::from);
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error.as_ref().filter(|_| missing_role) else {
            // Only who was refused can say that it is not any longer: others may have asked before.
            if error.is_none() && memory.failing.is_some() {
                refused.remove(&subject.scope(true));
                refused.remove(&subject.scope(false));
            }
            return log(&mut memory.failing, error.as_ref(), subject.place(), subject.what());
        };
        let until = Instant::now() + ROLE_PAUSE.max(settings.detail.interval);
        let refusal = Refusal { who: atlas.clone(), until, reloads: settings.reloads };
        let known = refused.insert(scope, refusal).is_some_and(|before| before.who.is(atlas));
        if !known {
            tracing::warn!(
                project_id = %subject.project(),
                detail = subject.detail().as_str(),
                error = error.text,
                "the credentials lack the role to read {}: this rests, and is tried again in an hour or after a reload; all else goes on", subject.what()
            );
        }
        memory.failing = Some(error.reason);
    }

    /// Says that the detail could not be read, though nobody was asked.
    fn tell_unread(&self, subject: &Subject) {
        match subject {
            Subject::Buckets(id) => self.board.export_buckets(id, Instant::now(), None),
            Subject::Events(id) => self.board.events_up(id, false),
            Subject::Snapshots { target, .. } => self.board.snapshots(target, Instant::now(), None),
        }
    }

    /// What was read is shown no longer: the detail is switched off.
    fn forget(&self, subject: &Subject) {
        match subject {
            Subject::Buckets(id) | Subject::Events(id) => self.board.forget_detail(id, subject.detail()),
            Subject::Snapshots { target, .. } => self.board.forget_snapshots(target),
        }
    }
}

/// What was read, and why it was not.
fn parted<T>(read: Result<T, Error>) -> (Option<T>, Result<(), Error>) {
    match read {
        Ok(read) => (Some(read), Ok(())),
        Err(error) => (None, Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use tokio::sync::watch;

    use super::*;
    use crate::config::{Authorities, Credentials, DetailConfig, PollConfig, SecretSource};
    use crate::self_metrics::SelfMetrics;
    use crate::settings::Lanes;

    fn atlas() -> Atlas {
        let credentials =
            Credentials::ApiKey { public_key: "a".to_owned(), private_key: SecretSource::File("a".into()) };
        let metrics = Arc::new(SelfMetrics::new(&crate::atlas::ENDPOINTS, Timestamp::UNIX_EPOCH));
        let base = "http://127.0.0.1:9/".parse().unwrap();
        Atlas::new(&base, &Authorities::default(), &credentials, metrics).unwrap()
    }

    fn settings(minutes: u64) -> Settings {
        Settings {
            poll: PollConfig::default(),
            discovery_interval: Duration::from_mins(10),
            reloads: 0,
            detail: DetailConfig { interval: Duration::from_mins(minutes), off: Vec::new() },
            projects: BTreeMap::new(),
            organizations: BTreeMap::new(),
            polls: Lanes::new(1),
            readings: Lanes::new(1),
        }
    }

    fn reader() -> Reader {
        let (_, follow) = watch::channel(Arc::new(settings(10)));
        Reader::new(Arc::new(Board::new(Duration::from_mins(15))), follow)
    }

    fn snapshots(name: &str) -> Subject {
        let project_id = ProjectId::parse("32b6e34b3d91647abb20e7b8").unwrap();
        Subject::Snapshots { target: Target { project_id, cluster_name: name.to_owned() }, sharded: false }
    }

    fn refusal(code: &str) -> Error {
        let code = Some(code.to_owned());
        Error::Answer { status: StatusCode::FORBIDDEN, code, detail: None, retry_after: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_role_is_believed_for_an_hour_or_an_interval() {
        for (interval, minutes) in [(10, 60), (120, 120)] {
            let (reader, atlas, subject) = (reader(), atlas(), snapshots("a"));
            let refused = |name: &str| reader.refused_until(&snapshots(name), &atlas, 0).is_some();
            let settings = settings(interval);
            reader.take_in(
                &subject,
                &atlas,
                Some(refusal("USER_UNAUTHORIZED")),
                &mut Memory::default(),
                &settings,
            );
            assert!(refused("a") && refused("b"), "the clusters of a project share it");
            assert!(
                reader.refused_until(&subject, &atlas, 1).is_none(),
                "whoever reloads may have mended it"
            );
            tokio::time::advance(Duration::from_mins(minutes - 1)).await;
            assert!(refused("a"));
            tokio::time::advance(Duration::from_mins(1)).await;
            assert!(!refused("a") && !refused("b"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_was_refused_can_say_that_it_is_over() {
        let (reader, atlas) = (reader(), atlas());
        let refused = |name: &str| reader.refused_until(&snapshots(name), &atlas, 0).is_some();
        let settings = settings(10);
        let (mut a, mut b) = (Memory::default(), Memory::default());
        reader.take_in(&snapshots("a"), &atlas, Some(refusal("USER_UNAUTHORIZED")), &mut a, &settings);
        reader.take_in(&snapshots("b"), &atlas, None, &mut b, &settings);
        assert!(refused("a") && refused("b"), "b had asked before");
        reader.take_in(&snapshots("a"), &atlas, None, &mut a, &settings);
        assert!(!refused("a") && !refused("b"));
        // A code that is new to us may be about one cluster.
        reader.take_in(&snapshots("a"), &atlas, Some(refusal("CLUSTER_RESTRICTED")), &mut a, &settings);
        assert!(refused("a") && !refused("b"));
    }
}
