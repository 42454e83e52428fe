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
use tls::Certificates;
use users::Users;
pub(crate) use users::{Guesses, Verdict};

/// How often it is looked whether the file, or one that it names, has changed. A change is taken when two looks saw the same: until then,
/// somebody may still be writing.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A larger file is not read.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Longest time that reading them may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What the file says, ready for use.
pub struct WebConfig {
    /// `None` for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Which certificates clients must show.
    pub(crate) certificates: Certificates,
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
        Self {
            tls: None,
            certificates: Certificates::None,
            headers: HeaderMap::new(),
            users: None,
            rate_limit: None,
        }
    }
}

impl WebConfig {
    /// What of it `next` would no longer hold whoever looks to.
    fn opened_by(&self, next: &Self) -> Vec<&'static str> {
        let mut opened = Vec::new();
        if self.tls.is_some() && next.tls.is_none() {
            opened.push("encrypts");
        }
        if self.users.is_some() && next.users.is_none() {
            opened.push("asks for a password");
        }
        match (self.certificates, next.certificates) {
            (Certificates::Named, Certificates::Verified) => {
                opened.push("looks for names of client_allowed_sans");
            }
            (before @ (Certificates::Named | Certificates::Verified), now) if now < before => {
                opened.push("verifies the certificates of clients");
            }
            _ => {}
        }
        opened
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
    /// Held while the files are read: one that hangs should hold one thread, and no more.
    reading: Arc<tokio::sync::Mutex<()>>,
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
            web.take_in(read(file, &web.guesses), Occasion::Asked)?;
        }
        Ok(web)
    }

    /// Whether the pages are served over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.current.borrow().tls.is_some()
    }

    /// How many may look by their passwords; 0 if none is asked for.
    #[must_use]
    pub fn users(&self) -> usize {
        self.current.borrow().users.as_ref().map_or(0, Users::count)
    }

    /// Which certificates clients must show: `none`, `unverified` or `verified`.
    #[must_use]
    pub fn certificates(&self) -> &'static str {
        self.current.borrow().certificates.word()
    }

    /// For those who follow it.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<WebConfig>> {
        self.current.subscribe()
    }

    /// Reads the file again and puts it in force; a file that is refused changes nothing. One that has changed `ByItself` is refused, too, if
    /// it would open what is closed: it may be half of a file, or what a full disk left of it.
    pub(crate) async fn read_again(&self, occasion: Occasion) -> Result<(), String> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let (guesses, reading) = (self.guesses.clone(), self.reading.clone());
        let read = async {
            let held = reading.lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let _held = held;
                read(&file, &guesses)
            })
            .await
        };
        match tokio::time::timeout(READ_TIMEOUT, read).await {
            Ok(read) => {
                let read = read.map_err(|error| error.to_string())?;
                self.take_in(read, occasion).map_err(|error| error.to_string())
            }
            Err(_) => Err("reading the web configuration takes too long".to_owned()),
        }
    }

    fn take_in(
        &self,
        (config, read): (Result<WebConfig, ConfigError>, Seen),
        occasion: Occasion,
    ) -> Result<(), ConfigError> {
        *self.seen() = read.clone();
        let mut config = config?;
        if let (Some(users), Some(before)) = (&mut config.users, &self.current.borrow().users) {
            users.succeed(before);
        }
        let opened = self.current.borrow().opened_by(&config);
        if let (false, Occasion::ByItself, Some(file)) = (opened.is_empty(), occasion, &self.file) {
            let problem = format!(
                "no longer {}, which is not done unasked: reload the configuration if that is meant",
                opened.join(", nor ")
            );
            return Err(ConfigError::new(&format!("{}: {problem}", file.display())));
        }
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        // The same again is no reason to let anyone go.
        if *in_force == read {
            return Ok(());
        }
        *in_force = read;
        self.current.send_replace(Arc::new(config));
        for what in opened {
            tracing::warn!("the web configuration no longer {what}");
        }
        Ok(())
    }

    /// Waits until something in the file, or in one that it names, has changed, and stays so.
    pub(crate) async fn changed(&self) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        let mut before = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // However long a reading takes, the next one waits for it.
            let held = self.reading.clone().lock_owned().await;
            let seen = self.seen().clone();
            let look = move || {
                let _held = held;
                seen.change()
            };
            let now = match tokio::time::timeout(READ_TIMEOUT, tokio::task::spawn_blocking(look)).await {
                Ok(Ok(now)) => now,
                Ok(Err(_)) => continue,
                // Whoever reads it now will tell.
                Err(_) => return,
            };
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Somebody wants it so.
    Asked,
    /// It has changed.
    ByItself,
}

impl Seen {
    /// The hash of what is in the files now, if that is something else.
    fn change(&self) -> Option<u64> {
        let mut files = Files::default();
        for path in &self.paths {
            // That it cannot be read is something to see, too.
            let _ = files.read(path);
        }
        Some(files.seen().hash).filter(|hash| *hash != self.hash)
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
        let read =
            open().and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut content)).and_then(|read| {
                // What was cut off might be what closes the pages.
                if content.len() as u64 > LARGEST_FILE {
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
                }
                Ok(read)
            });
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
