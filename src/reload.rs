//! Requests to reload the configuration, from signals, the HTTP endpoint and changed files to
//! [`crate::app::run`].

use tokio::sync::{mpsc, oneshot};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadScope {
    /// The configuration and the web configuration.
    All,
    Web,
}

#[derive(Debug)]
pub(crate) struct ReloadRequest {
    pub(crate) scope: ReloadScope,
    /// Receives the outcome; an error describes the problem of the configuration.
    pub(crate) answer: oneshot::Sender<Result<(), String>>,
}

#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<ReloadRequest>);

#[derive(Debug)]
pub struct Reloads {
    handle: ReloadHandle,
    requests: mpsc::Receiver<ReloadRequest>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (sender, requests) = mpsc::channel(1);
        Self { handle: ReloadHandle(sender), requests }
    }
}

impl Reloads {
    /// Returns a handle that sends requests to this queue.
    #[must_use]
    pub fn handle(&self) -> ReloadHandle {
        self.handle.clone()
    }

    pub(crate) async fn next(&mut self) -> ReloadRequest {
        self.requests.recv().await.expect("the queue holds a handle")
    }
}

impl ReloadHandle {
    /// Reloads the configuration; an error describes its problem.
    pub async fn reload(&self, scope: ReloadScope) -> Result<(), String> {
        let stopping = || "the exporter is stopping".to_owned();
        let (answer, outcome) = oneshot::channel();
        self.0.send(ReloadRequest { scope, answer }).await.map_err(|_| stopping())?;
        outcome.await.map_err(|_| stopping())?
    }
}
