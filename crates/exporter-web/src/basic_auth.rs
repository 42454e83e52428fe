//! `basic_auth_users`: names, and passwords as bcrypt hashes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bcrypt::{BASE_64, HashParts};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Maximum number of concurrent verifications, so that guesses leave cores to the application.
const MAX_CONCURRENT: usize = 2;

/// Maximum number of verifications in progress and waiting.
const MAX_PENDING: usize = 16;

/// Maximum number of verifications in progress and waiting for one name.
const MAX_PENDING_OF_NAME: usize = 4;

/// Maximum cost of a hash. At this cost, a verification takes about a second, which delays others.
const MAX_COST: u32 = 14;

pub(crate) struct BasicAuth {
    hashes: BTreeMap<String, SecretString>,
    /// The hash with the highest cost. A password for an unknown name is verified against it, so
    /// that the time does not reveal which names exist.
    slowest: SecretString,
    verifier: PasswordVerifier,
}

/// Limits and remembers verifications of passwords across reloads.
///
/// One password of a name is verified at a time, so that guesses of one name leave a permit to
/// other names. That holds for unknown names, too, or the time would reveal which names exist.
#[derive(Debug, Clone)]
pub(crate) struct PasswordVerifier {
    permits: Arc<Semaphore>,
    /// One lock for each name; each pending verification holds a clone.
    names: Arc<Mutex<BTreeMap<String, NameLock>>>,
    /// The MAC of hash and password of each verified user: only the first request needs bcrypt.
    verified: Arc<Mutex<BTreeMap<String, hmac::Tag>>>,
    key: hmac::Key,
}

type NameLock = Arc<tokio::sync::Mutex<()>>;

impl Default for PasswordVerifier {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            names: Arc::default(),
            verified: Arc::default(),
            key: key.expect("the operating system has randomness"),
        }
    }
}

impl PasswordVerifier {
    /// Adds a pending verification for `name`; `None` if there are too many.
    fn add(&self, name: &str) -> Option<NameLock> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = |lock: &NameLock| Arc::strong_count(lock) - 1;
        names.retain(|_, lock| pending(lock) > 0);
        let of_name = names.get(name).map_or(0, pending);
        if names.values().map(pending).sum::<usize>() >= MAX_PENDING || of_name >= MAX_PENDING_OF_NAME {
            return None;
        }
        Some(names.entry(name.to_owned()).or_default().clone())
    }

    /// Blocks further verifications until the result is dropped.
    #[cfg(test)]
    pub(crate) fn occupied(&self) -> Vec<NameLock> {
        (0..MAX_PENDING).filter_map(|number| self.add(&number.to_string())).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthResult {
    Accepted,
    Rejected,
    /// Too many passwords are being verified.
    Busy,
}

impl BasicAuth {
    /// Returns `None` without users. An error has a name and its problem.
    pub(crate) fn new(
        hashes: BTreeMap<String, SecretString>,
        verifier: &PasswordVerifier,
    ) -> Result<Option<Self>, (String, String)> {
        for (name, hash) in &hashes {
            let problem = match cost(hash.expose_secret()) {
                _ if name.contains(':') => {
                    "has a colon in its name, which Basic auth does not allow".to_owned()
                }
                Some(cost) if cost <= MAX_COST => continue,
                Some(cost) => format!(
                    "has a cost of {cost}; the maximum is {MAX_COST}, because a guess delays other users"
                ),
                None => format!(
                    "should be a bcrypt hash with a cost from 4 to {MAX_COST}, as `htpasswd -nBC 10` writes"
                ),
            };
            return Err((name.clone(), problem));
        }
        let slowest = hashes.values().max_by_key(|hash| cost(hash.expose_secret())).cloned();
        Ok(slowest.map(|slowest| Self { hashes, slowest, verifier: verifier.clone() }))
    }

    pub(crate) async fn authenticate(&self, headers: &HeaderMap) -> AuthResult {
        match credentials(headers) {
            Some((name, password)) => self.verify(&name, &password).await,
            None => AuthResult::Rejected,
        }
    }

    /// Verifies a password. The time does not reveal whether the name is known.
    pub(crate) async fn verify(&self, name: &str, password: &[u8]) -> AuthResult {
        // bcrypt ignores a password behind a zero byte.
        if password.contains(&0) {
            return AuthResult::Rejected;
        }
        let is_known = self.hashes.contains_key(name);
        let hash = self.hashes.get(name).unwrap_or(&self.slowest).clone();
        let mut mac = hmac::Context::with_key(&self.verifier.key);
        mac.update(hash.expose_secret().as_bytes());
        mac.update(password);
        let tag = mac.sign();
        let verified = || self.verifier.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if is_known && verified().get(name).is_some_and(|right| right.as_ref() == tag.as_ref()) {
            return AuthResult::Accepted;
        }
        let Some(lock) = self.verifier.add(name) else { return AuthResult::Busy };
        let turn = lock.lock_owned().await;
        let Ok(permit) = self.verifier.permits.clone().acquire_owned().await else {
            return AuthResult::Rejected;
        };
        let (slowest, password) = (self.slowest.clone(), password.to_owned());
        let verifying = spawn_blocking(move || {
            // Held until the verification ends, even if the client is gone.
            let _held = (turn, permit);
            let is_right = matches!(bcrypt::verify(&password, hash.expose_secret()), Ok(true));
            if !is_right {
                spend_remaining_time(&password, hash.expose_secret(), slowest.expose_secret());
            }
            is_right
        });
        // The await comes first, so that unknown names take as long.
        if !matches!(verifying.await, Ok(true)) || !is_known {
            return AuthResult::Rejected;
        }
        verified().insert(name.to_owned(), tag);
        AuthResult::Accepted
    }
}

/// Spends the rest of the time that a verification of `slowest` takes, after that of `hash`.
///
/// Each cost takes twice as long as the one before, so the costs between them add up to that.
fn spend_remaining_time(password: &[u8], hash: &str, slowest: &str) {
    if let (Some(done), Some(most)) = (cost(hash), cost(slowest)) {
        for cost in done..most {
            let _ = std::hint::black_box(bcrypt::hash_with_salt(password, cost, [0; 16]));
        }
    }
}

/// Returns name and password of `Authorization: Basic` (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8_lossy(&decoded[..colon]).into_owned();
    Some((name, decoded[colon + 1..].to_vec()))
}

/// Returns the cost of a bcrypt hash; `None` if it is not valid.
fn cost(hash: &str) -> Option<u32> {
    let cost = hash.parse::<HashParts>().ok()?.get_cost();
    // HashParts does not decode the parts. Verification of an invalid hash takes no time, which
    // would reveal its name.
    let decodes = |part: &str, bytes| BASE_64.decode(part).is_ok_and(|decoded| decoded.len() == bytes);
    let is_whole =
        hash.is_ascii() && hash.len() == 60 && decodes(&hash[7..29], 16) && decodes(&hash[29..], 23);
    ((4..=31).contains(&cost) && is_whole).then_some(cost)
}

#[cfg(test)]
mod tests;
