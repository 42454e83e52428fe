//! Who may look at the pages, and over what: the web configuration file that exporters of Prometheus share.
//!
//! Its form is that of Prometheus's exporter toolkit (`docs/web-configuration.md` there), so that one file serves every exporter of a host.

mod clients;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod keys;
mod tls;
mod users;

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::config::ConfigError;
pub(crate) use keys::RateLimit;
use users::Users;
pub(crate) use users::{Guesses, Verdict};

/// How often it is looked whether the file, or one that it names, has changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// More of a file is not read.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Longest time that reading them may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What the file says, ready for use.
pub struct WebConfig {
    /// `None` for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Headers of every answer.
    pub(crate) headers: HeaderMap,
    /// `None` if everybody may look.
    pub(crate) users: Option<Users>,
    pub(crate) rate_limit: Option<RateLimit>,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither keys nor hashes.
        f.debug_struct("WebConfig").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Default for WebConfig {
    /// Plain HTTP for everybody.
    fn default() -> Self {
        Self { tls: None, headers: HeaderMap::new(), users: None, rate_limit: None }
    }
}

/// The web configuration in force, and the file it is from.
#[derive(Debug, Default)]
pub struct Web {
    file: Option<PathBuf>,
    /// What was read last, to see whether anything has changed.
    seen: Mutex<Seen>,
    /// What the one in force was read from.
    in_force: Mutex<Seen>,
    current: watch::Sender<Arc<WebConfig>>,
    guesses: Guesses,
}

/// The files of a web configuration, and a hash of what was in them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    paths: Vec<PathBuf>,
    hash: u64,
}

impl Web {
    /// Reads `file`; without one, everybody may look over plain HTTP.
    pub fn load(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let web = Self { file, ..Self::default() };
        if let Some(file) = &web.file {
            web.take_in(read(file, &web.guesses))?;
        }
        Ok(web)
    }

    /// Whether the pages are served over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.current.borrow().tls.is_some()
    }

    /// For those who follow it.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<WebConfig>> {
        self.current.subscribe()
    }

    /// Reads the file again and puts it in force; a file that is refused changes nothing.
    pub(crate) async fn read_again(&self) -> Result<(), String> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let guesses = self.guesses.clone();
        let reading = tokio::task::spawn_blocking(move || read(&file, &guesses));
        match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(read) => {
                self.take_in(read.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
            }
            Err(_) => Err("reading the web configuration takes too long".to_owned()),
        }
    }

    fn take_in(&self, (config, read): (Result<WebConfig, ConfigError>, Seen)) -> Result<(), ConfigError> {
        *self.seen() = read.clone();
        let config = config?;
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        // The same again is no reason to let anyone go.
        if *in_force == read {
            return Ok(());
        }
        *in_force = read;
        let before = self.current.send_replace(Arc::new(config));
        let now = self.current.borrow();
        if before.tls.is_some() && now.tls.is_none() {
            tracing::warn!("the web configuration no longer encrypts: the pages are served over plain HTTP");
        }
        if before.users.is_some() && now.users.is_none() {
            tracing::warn!("the web configuration names no user any more: no password is asked for");
        }
        Ok(())
    }

    /// Waits until something in the file, or in one that it names, has changed.
    pub(crate) async fn changed(&self) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let seen = self.seen().clone();
            // Waited for, however long it takes: a file that hangs holds one thread and no more.
            if let Ok(true) = tokio::task::spawn_blocking(move || seen.has_changed()).await {
                return;
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn has_changed(&self) -> bool {
        let mut files = Files::default();
        for path in &self.paths {
            // That it cannot be read is something to see, too.
            let _ = files.read(path);
        }
        files.seen().hash != self.hash
    }
}

/// Reads files, and remembers which they were and what was in them.
#[derive(Debug, Default)]
struct Files {
    paths: Vec<PathBuf>,
    hasher: DefaultHasher,
}

impl Files {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        // Others, such as pipes, hang until somebody writes.
        let open = || {
            if std::fs::metadata(path)?.is_file() {
                File::open(path)
            } else {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
            }
        };
        let read = open().and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut content));
        read.as_ref().map_err(io::Error::kind).map(|_| &content).hash(&mut self.hasher);
        self.paths.push(path.to_owned());
        read.map(|_| content)
    }

    fn seen(self) -> Seen {
        Seen { paths: self.paths, hash: self.hasher.finish() }
    }
}

/// What `file` says, and what was read for that.
fn read(file: &Path, guesses: &Guesses) -> (Result<WebConfig, ConfigError>, Seen) {
    let mut files = Files::default();
    let config = keys::read(file, &mut files, guesses);
    (config, files.seen())
}

#[cfg(test)]
mod tests;
