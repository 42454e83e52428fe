//! Asking for the configuration to be read anew: the signal and the page ask, [`crate::run()`] does.

use tokio::sync::{mpsc, oneshot};

/// Asks once; the answer is the sentence that refuses it.
pub(crate) type Ask = oneshot::Sender<Result<(), String>>;

/// Where reloads are asked for.
#[derive(Debug, Clone)]
pub struct ReloadHandle(mpsc::Sender<Ask>);

/// Where [`crate::run()`] hears of them.
#[derive(Debug)]
pub struct Reloads {
    handle: ReloadHandle,
    asked: mpsc::Receiver<Ask>,
}

impl Default for Reloads {
    fn default() -> Self {
        let (sender, asked) = mpsc::channel(1);
        Self { handle: ReloadHandle(sender), asked }
    }
}

impl Reloads {
    /// For those who may ask.
    #[must_use]
    pub fn handle(&self) -> ReloadHandle {
        self.handle.clone()
    }

    /// The next one who asks.
    pub(crate) async fn next(&mut self) -> Option<Ask> {
        self.asked.recv().await
    }
}

impl ReloadHandle {
    /// Has the configuration read anew; an error is the sentence that refuses it.
    pub async fn reload(&self) -> Result<(), String> {
        let gone = || "the exporter is stopping".to_owned();
        let (sender, outcome) = oneshot::channel();
        self.0.send(sender).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
