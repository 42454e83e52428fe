//! Asking for the configuration to be read anew: the signal, the page and the files themselves ask, [`crate::run()`] does.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

/// What is to be read anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The configuration and the web configuration.
    All,
    /// The web configuration, which has changed.
    Web,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "the configuration",
            Self::Web => "the web configuration",
        })
    }
}

/// Asks once.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) what: What,
    /// Where the outcome goes; an error is the sentence that refuses it.
    pub(crate) answer: oneshot::Sender<Result<(), String>>,
}

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
        self.ask(What::All).await
    }

    pub(crate) async fn ask(&self, what: What) -> Result<(), String> {
        let gone = || "the exporter is stopping".to_owned();
        let (answer, outcome) = oneshot::channel();
        self.0.send(Ask { what, answer }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}
