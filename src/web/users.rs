//! Basic auth: names, and passwords as bcrypt hashes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Passwords that are verified at once. Guesses take two cores at most, so that polls go on.
const SLOTS: usize = 2;

/// Passwords that are verified, or wait for a slot.
const MAX_GUESSES: usize = 16;

/// The same for one name, of which one is verified at a time.
const MAX_GUESSES_OF_NAME: usize = 4;

/// At this cost a password takes about a second, and a guess delays other users by as much.
const MAX_COST: u32 = 14;

/// `basic_auth_users`.
pub(crate) struct Users {
    hashes: BTreeMap<String, SecretString>,
    /// The hash that takes the longest to verify. A password for an unknown name is verified against it, so
    /// that the time does not tell which names exist.
    slowest: SecretString,
    guesses: Guesses,
}

/// The verification of passwords, whichever configuration is in force. Guesses of one name share one slot, so
/// that they leave the other one to other names. That holds for unknown names, too, or the time would tell which
/// names exist.
#[derive(Clone)]
pub(crate) struct Guesses {
    slots: Arc<Semaphore>,
    /// One lock for each name; each guess holds a clone.
    names: Arc<Mutex<BTreeMap<String, NameLock>>>,
    /// The hash of each user whose password was right, and the password's MAC: only the first request needs bcrypt.
    verified: Arc<Mutex<BTreeMap<String, (SecretString, hmac::Tag)>>>,
    key: hmac::Key,
}

type NameLock = Arc<tokio::sync::Mutex<()>>;

impl Default for Guesses {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self {
            slots: Arc::new(Semaphore::new(SLOTS)),
            names: Arc::default(),
            verified: Arc::default(),
            key: key.expect("the operating system has randomness"),
        }
    }
}

impl fmt::Debug for Guesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guesses").finish_non_exhaustive()
    }
}

impl Guesses {
    /// Adds a guess of `name`; `None` if there are too many.
    fn add(&self, name: &str) -> Option<NameLock> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let guesses = |lock: &NameLock| Arc::strong_count(lock) - 1;
        names.retain(|_, lock| guesses(lock) > 0);
        let of_name = names.get(name).map_or(0, guesses);
        if names.values().map(guesses).sum::<usize>() >= MAX_GUESSES || of_name >= MAX_GUESSES_OF_NAME {
            return None;
        }
        Some(names.entry(name.to_owned()).or_default().clone())
    }

    fn is_verified(&self, name: &str, hash: &SecretString, tag: &hmac::Tag) -> bool {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(name).is_some_and(|(right_hash, right_tag)| {
            right_hash.expose_secret() == hash.expose_secret() && right_tag.as_ref() == tag.as_ref()
        })
    }

    /// Leaves no room for another guess while the result is held.
    #[cfg(test)]
    pub(super) fn occupied(&self) -> Vec<NameLock> {
        (0..MAX_GUESSES).filter_map(|number| self.add(&number.to_string())).collect()
    }
}

/// The result of verifying a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// Too many are being verified.
    Busy,
}

impl Users {
    /// Returns `None` without users. An error is a name, and the problem with its hash.
    pub(super) fn new(
        hashes: BTreeMap<String, SecretString>,
        guesses: &Guesses,
    ) -> Result<Option<Self>, (String, String)> {
        for (name, hash) in &hashes {
            let problem = match cost(hash.expose_secret()) {
                _ if name.contains(':') => {
                    "has a colon in its name, where Basic auth ends the name".to_owned()
                }
                Some(cost) if cost <= MAX_COST => continue,
                Some(cost) => format!(
                    "has a cost of {cost}; the maximum is {MAX_COST}, since a guess would delay other users for too long"
                ),
                None => format!(
                    "should be a bcrypt hash with a cost from 4 to {MAX_COST}, such as `htpasswd -nBC 10` writes after the name"
                ),
            };
            return Err((name.clone(), problem));
        }
        let slowest = hashes.values().max_by_key(|hash| cost(hash.expose_secret())).cloned();
        Ok(slowest.map(|slowest| Self { hashes, slowest, guesses: guesses.clone() }))
    }

    pub(super) fn count(&self) -> usize {
        self.hashes.len()
    }

    /// Verifies a password. The time does not tell whether the name is known.
    pub(crate) async fn verify(&self, name: &str, password: &[u8]) -> Verdict {
        // bcrypt ends passwords at a zero byte.
        if password.contains(&0) {
            return Verdict::Wrong;
        }
        let tag = hmac::sign(&self.guesses.key, password);
        let known = self.hashes.get(name);
        let hash = known.unwrap_or(&self.slowest).clone();
        if known.is_some() && self.guesses.is_verified(name, &hash, &tag) {
            return Verdict::Right;
        }
        let Some(lock) = self.guesses.add(name) else { return Verdict::Busy };
        let turn = lock.lock_owned().await;
        let Ok(slot) = self.guesses.slots.clone().acquire_owned().await else { return Verdict::Wrong };
        let (slowest, password) = (self.slowest.clone(), password.to_owned());
        let verified = tokio::task::spawn_blocking(move || {
            // The slot is taken until this ends, though the client may have hung up.
            let _taken = (turn, slot);
            let is_right = matches!(bcrypt::verify(&password, hash.expose_secret()), Ok(true));
            if !is_right {
                take_the_rest_of_the_time(&password, hash.expose_secret(), slowest.expose_secret());
            }
            is_right
        });
        // Awaited whether the name is known or not.
        let is_right = matches!(verified.await, Ok(true));
        match known {
            Some(hash) if is_right => {
                let mut verified = self.guesses.verified.lock().unwrap_or_else(PoisonError::into_inner);
                verified.insert(name.to_owned(), (hash.clone(), tag));
                Verdict::Right
            }
            _ => Verdict::Wrong,
        }
    }
}

/// Takes the time of verifying `slowest` when `hash` was verified already. Each cost takes twice as long as the
/// one before, so the costs between them add up to just that.
fn take_the_rest_of_the_time(password: &[u8], hash: &str, slowest: &str) {
    if let (Some(done), Some(most)) = (cost(hash), cost(slowest)) {
        for cost in done..most {
            let _ = std::hint::black_box(bcrypt::hash_with_salt(password, cost, [0; 16]));
        }
    }
}

/// Returns the cost of a bcrypt hash; `None` if it is none.
fn cost(hash: &str) -> Option<u32> {
    let cost = hash.parse::<HashParts>().ok()?.get_cost();
    // HashParts does not decode the parts. A hash that does not decode would be verified in no time, and so tell
    // its name from others.
    let decodes = |part: &str, bytes| BASE_64.decode(part).is_ok_and(|decoded| decoded.len() == bytes);
    let is_whole =
        hash.is_ascii() && hash.len() == 60 && decodes(&hash[7..29], 16) && decodes(&hash[29..], 23);
    ((4..=31).contains(&cost) && is_whole).then_some(cost)
}

#[cfg(test)]
mod tests;
