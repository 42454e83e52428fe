//! The web configuration file in use, and its changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::basic_auth::PasswordVerifier;
use crate::config::WebConfig;
use crate::error::ConfigError;
use crate::files::Files;

/// Interval between comparisons of the files with those that were read last.
///
/// A change counts after two equal comparisons, because a file can still be in the middle of a
/// write.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Timeout of reading the files.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A web configuration file and the configuration in use, which clones share.
///
/// The default has no file: plain HTTP without authentication.
#[derive(Debug, Clone, Default)]
pub struct WebConfigWatcher {
    file: Option<PathBuf>,
    current: watch::Sender<Arc<WebConfig>>,
    verifier: PasswordVerifier,
    /// The files that were read last, used or refused. The lock is held while files are read, so
    /// that a read that hangs blocks one thread only.
    last_read: Arc<Mutex<Files>>,
}

/// The cause of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadTrigger {
    /// A request by a signal or an HTTP endpoint.
    Manual,
    /// A change of the file or of one that it names.
    FileChange,
}

impl WebConfigWatcher {
    /// Reads `file`; without one, access is unrestricted, over plain HTTP.
    pub fn load(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let mut watcher = Self { file, ..Self::default() };
        if let Some(file) = &watcher.file {
            let config = WebConfig::read(file, &mut Files::default(), &watcher.verifier)?;
            watcher.last_read = Arc::new(Mutex::new(config.files.clone()));
            watcher.current.send_replace(Arc::new(config));
        }
        Ok(watcher)
    }

    /// Returns true if connections use TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.current.borrow().tls.is_some()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<WebConfig>> {
        self.current.subscribe()
    }

    /// Reads the file again; an error keeps the configuration in use.
    ///
    /// [`ReloadTrigger::FileChange`] also refuses a configuration that would remove TLS,
    /// authentication or the verification of client certificates: the file may be half written, or
    /// truncated by a full disk.
    pub async fn reload(&self, trigger: ReloadTrigger) -> Result<(), ConfigError> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let (path, verifier) = (file.clone(), self.verifier.clone());
        let last_read = self.last_read.clone();
        let reading = async {
            let last_read = last_read.lock_owned().await;
            spawn_blocking(move || {
                let mut files = Files::default();
                (WebConfig::read(&path, &mut files, &verifier), files, last_read)
            })
            .await
        };
        let (config, files, mut last_read) = timeout(READ_TIMEOUT, reading)
            .await
            .map_err(|_| ConfigError::new(&format!("web configuration not read within {READ_TIMEOUT:?}")))?
            .map_err(|error| ConfigError::new(&error.to_string()))?;
        *last_read = files;
        let config = config?;
        let removed = self.current.borrow().removed_by(&config);
        if trigger == ReloadTrigger::FileChange && !removed.is_empty() {
            return Err(ConfigError::new(&format!(
                "{}: the new file no longer {}; request a reload to apply it",
                file.display(),
                removed.join(", nor ")
            )));
        }
        // A change would close connections.
        if self.current.borrow().files == config.files {
            return Ok(());
        }
        self.current.send_replace(Arc::new(config));
        for requirement in removed {
            tracing::warn!("the web configuration no longer {requirement}");
        }
        Ok(())
    }

    /// Waits until the file, or one that it names, has changed and is no longer being written.
    pub async fn changed(&self) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        let mut before = None;
        loop {
            sleep(WATCH_INTERVAL).await;
            let last_read = self.last_read.clone().lock_owned().await;
            let comparing = spawn_blocking(move || last_read.changed());
            // The reload reports the cause.
            let Ok(Ok(now)) = timeout(READ_TIMEOUT, comparing).await else { return };
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    }
}

#[cfg(test)]
mod tests;
