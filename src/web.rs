//! TLS and authentication by the web configuration file of Prometheus's exporter toolkit
//! (`docs/web-configuration.md` there), so that one file serves every exporter of a host.

mod clients;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod tls;
mod users;

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use rustls::ServerConfig;
use tokio::sync::{Mutex, watch};

use crate::config::ConfigError;
pub(crate) use config::RateLimit;
use tls::Certificates;
use users::Users;
pub(crate) use users::{Guesses, Verdict};

/// How often the files are compared with what was read last. A change is taken when two comparisons in a row
/// find the same: until then, the file may still be written.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Larger files are refused.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Timeout of reading the files.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A web configuration, ready for use.
pub struct WebConfig {
    /// `None` for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Which certificates clients must present.
    pub(crate) certificates: Certificates,
    /// Headers of every response.
    pub(crate) headers: HeaderMap,
    /// `None` if access needs no password.
    pub(crate) users: Option<Users>,
    pub(crate) rate_limit: Option<RateLimit>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither keys nor hashes.
        f.debug_struct("WebConfig").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Default for WebConfig {
    /// Plain HTTP without authentication.
    fn default() -> Self {
        Self {
            tls: None,
            certificates: Certificates::None,
            headers: HeaderMap::new(),
            users: None,
            rate_limit: None,
            fingerprint: Fingerprint::default(),
        }
    }
}

impl WebConfig {
    /// Returns the requirements that `next` would no longer have.
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

/// The web configuration in force, and the file that it is from.
#[derive(Debug, Default)]
pub struct Web {
    file: Option<PathBuf>,
    current: watch::Sender<Arc<WebConfig>>,
    guesses: Guesses,
    /// What was read last, in force or refused. The lock is held while files are read: one that hangs blocks one
    /// thread, and no more.
    last_read: Arc<Mutex<Fingerprint>>,
}

/// The files of a web configuration, and a hash of their content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fingerprint {
    paths: Vec<PathBuf>,
    hash: u64,
}

/// Why the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Somebody wants it so.
    Asked,
    /// It has changed.
    ByItself,
}

impl Web {
    /// Reads `file`; without one, the pages are served over plain HTTP without authentication.
    pub fn load(file: Option<PathBuf>) -> Result<Self, ConfigError> {
        let mut web = Self { file, ..Self::default() };
        if let Some(file) = &web.file {
            let (config, fingerprint) = read(file, &web.guesses);
            web.apply(config?, Occasion::Asked)?;
            web.last_read = Arc::new(Mutex::new(fingerprint));
        }
        Ok(web)
    }

    /// Whether the pages are served over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.current.borrow().tls.is_some()
    }

    /// Number of users; 0 if access needs no password.
    #[must_use]
    pub fn users(&self) -> usize {
        self.current.borrow().users.as_ref().map_or(0, Users::count)
    }

    /// Which certificates clients must present: `none`, `unverified` or `verified`.
    #[must_use]
    pub fn certificates(&self) -> &'static str {
        self.current.borrow().certificates.as_str()
    }

    /// Subscribes to the configuration in force.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<WebConfig>> {
        self.current.subscribe()
    }

    /// Reads the file again and puts it in force; a file that is refused changes nothing. A file that changed
    /// `ByItself` is also refused if it would open what is closed: it may be half of a file, or what a full disk
    /// left of it.
    pub(crate) async fn read_again(&self, occasion: Occasion) -> Result<(), String> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let (guesses, last_read) = (self.guesses.clone(), self.last_read.clone());
        let reading = async {
            let last_read = last_read.lock_owned().await;
            tokio::task::spawn_blocking(move || (read(&file, &guesses), last_read)).await
        };
        let ((config, fingerprint), mut last_read) = tokio::time::timeout(READ_TIMEOUT, reading)
            .await
            .map_err(|_| "reading the web configuration takes too long".to_owned())?
            .map_err(|error| error.to_string())?;
        *last_read = fingerprint;
        config.and_then(|config| self.apply(config, occasion)).map_err(|error| error.to_string())
    }

    fn apply(&self, config: WebConfig, occasion: Occasion) -> Result<(), ConfigError> {
        let opened = self.current.borrow().opened_by(&config);
        if let (false, Occasion::ByItself, Some(file)) = (opened.is_empty(), occasion, &self.file) {
            return Err(ConfigError::new(&format!(
                "{}: no longer {}, which needs a reload on request: reload the configuration if that is meant",
                file.display(),
                opened.join(", nor ")
            )));
        }
        // The same content is no reason to close connections.
        if self.current.borrow().fingerprint == config.fingerprint {
            return Ok(());
        }
        self.current.send_replace(Arc::new(config));
        for requirement in opened {
            tracing::warn!("the web configuration no longer {requirement}");
        }
        Ok(())
    }

    /// Waits until the file, or one that it names, has changed and stays so.
    pub(crate) async fn changed(&self) {
        if self.file.is_none() {
            return std::future::pending().await;
        }
        let mut before = None;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let last_read = self.last_read.clone().lock_owned().await;
            let comparing = tokio::task::spawn_blocking(move || last_read.changed_hash());
            // A reading that fails will say why.
            let Ok(Ok(now)) = tokio::time::timeout(READ_TIMEOUT, comparing).await else { return };
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    }
}

impl Fingerprint {
    /// Returns the hash of the files as they are now, if it differs.
    fn changed_hash(&self) -> Option<u64> {
        let mut files = Files::default();
        for path in &self.paths {
            // An error is part of the hash.
            let _ = files.read(path);
        }
        Some(files.fingerprint().hash).filter(|hash| *hash != self.hash)
    }
}

/// Reads files, and fingerprints them.
#[derive(Debug, Default)]
struct Files {
    paths: Vec<PathBuf>,
    hasher: DefaultHasher,
}

impl Files {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        let content = read_file(path);
        content.as_ref().map_err(io::Error::kind).hash(&mut self.hasher);
        self.paths.push(path.to_owned());
        content
    }

    fn fingerprint(self) -> Fingerprint {
        Fingerprint { paths: self.paths, hash: self.hasher.finish() }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Others, such as pipes, block until they are written.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    // The end of a file may be what closes the pages.
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    Ok(content)
}

fn read(file: &Path, guesses: &Guesses) -> (Result<WebConfig, ConfigError>, Fingerprint) {
    let mut files = Files::default();
    let config = config::read(file, &mut files, guesses);
    let fingerprint = files.fingerprint();
    (config.map(|config| WebConfig { fingerprint: fingerprint.clone(), ..config }), fingerprint)
}

#[cfg(test)]
mod tests;
