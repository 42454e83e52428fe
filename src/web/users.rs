//! Names and passwords of those who may look, by bcrypt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Passwords that are verified at once. Guesses take two cores at most, so that polls go on.
const SLOTS: usize = 2;

/// Passwords that are verified, or wait for that.
const MAX_GUESSES: usize = 16;

/// Those of one name, of which one is verified at a time.
const MAX_GUESSES_OF_NAME: usize = 4;

/// At this cost a password takes about a second; a stranger's guess would hold up others for as long.
const MAX_COST: u32 = 14;

/// Those who may look.
pub(crate) struct Users {
    hashes: BTreeMap<String, SecretString>,
    /// Whose password takes the longest to verify. One of a name that nobody has is compared with it: so that the time does not tell which names
    /// there are.
    slowest: SecretString,
    remembered: Arc<Remembered>,
    guesses: Guesses,
}

/// Passwords that were right, for as long as this process lives and the hashes stay: bcrypt is slow on purpose.
struct Remembered {
    key: hmac::Key,
    /// The last one of each name.
    verified: Mutex<BTreeMap<String, hmac::Tag>>,
}

/// The passwords that are being verified, whichever configuration is in force. Guesses of one name share one slot, so that they leave the
/// other one to other names; known or not, lest the time tell which names there are.
#[derive(Debug, Clone)]
pub(crate) struct Guesses {
    slots: Arc<Semaphore>,
    /// One lock for each name; each guess holds a clone.
    names: Arc<Mutex<BTreeMap<String, NameLock>>>,
}

type NameLock = Arc<tokio::sync::Mutex<()>>;

impl Default for Guesses {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(SLOTS)), names: Arc::default() }
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

    /// Has no room for another guess while the result is held.
    #[cfg(test)]
    pub(super) fn occupied(&self) -> Vec<NameLock> {
        (0..MAX_GUESSES).filter_map(|number| self.add(&number.to_string())).collect()
    }
}

/// What comes of a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// Too many are being verified to say.
    Busy,
}

impl Users {
    /// `None` where nobody is named; an error is the name, and what is wrong with its hash.
    pub(super) fn new(
        hashes: Vec<(String, SecretString)>,
        guesses: &Guesses,
    ) -> Result<Option<Self>, (String, String)> {
        let mut slowest: Option<(u32, &SecretString)> = None;
        for (name, hash) in &hashes {
            let problem = match cost(hash.expose_secret()) {
                Some(cost) if cost <= MAX_COST => {
                    if slowest.is_none_or(|(most, _)| cost > most) {
                        slowest = Some((cost, hash));
                    }
                    continue;
                }
                Some(cost) => format!(
                    "has a cost of {cost}; the maximum is {MAX_COST}, since a guess of it would hold up others for too long"
                ),
                None => format!(
                    "should be a bcrypt hash with a cost from 4 to {MAX_COST}, such as `htpasswd -nBC 10` writes after the name"
                ),
            };
            return Err((name.clone(), problem));
        }
        let Some((_, slowest)) = slowest else { return Ok(None) };
        let slowest = slowest.clone();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| (String::new(), "cannot be kept: the system has no randomness".to_owned()))?;
        Ok(Some(Self {
            hashes: hashes.into_iter().collect(),
            slowest,
            remembered: Arc::new(Remembered { key, verified: Mutex::default() }),
            guesses: guesses.clone(),
        }))
    }

    /// Remembers what `before` does, if it has the same hashes: a certificate that is renewed should make nobody wait among those who guess.
    pub(super) fn succeed(&mut self, before: &Self) {
        if self.hashes().eq(before.hashes()) {
            self.remembered = before.remembered.clone();
        }
    }

    fn hashes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.hashes.iter().map(|(name, hash)| (name.as_str(), hash.expose_secret()))
    }

    pub(super) fn count(&self) -> usize {
        self.hashes.len()
    }

    /// Whether `password` is that of `name`.
    pub(crate) async fn verify(&self, name: &str, password: &[u8]) -> Verdict {
        // bcrypt ends passwords with it.
        if password.contains(&0) {
            return Verdict::Wrong;
        }
        let tag = hmac::sign(&self.remembered.key, password);
        let known = self.hashes.get(name);
        if known.is_some() && self.verified().get(name).is_some_and(|right| right.as_ref() == tag.as_ref()) {
            return Verdict::Right;
        }
        let Some(lock) = self.guesses.add(name) else { return Verdict::Busy };
        let turn = lock.lock_owned().await;
        let Ok(slot) = self.guesses.slots.clone().acquire_owned().await else { return Verdict::Wrong };
        let (hash, slowest) = (known.unwrap_or(&self.slowest).clone(), self.slowest.clone());
        let password = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            // The slot is taken until this ends, though whoever asked may have hung up.
            let _taken = (turn, slot);
            let is_right = matches!(bcrypt::verify(&password, hash.expose_secret()), Ok(true));
            if !is_right {
                take_the_rest_of_the_time(&password, hash.expose_secret(), slowest.expose_secret());
            }
            is_right
        });
        // Waited for whether the name is known or not.
        let is_right = matches!(verified.await, Ok(true));
        if known.is_some() && is_right {
            self.verified().insert(name.to_owned(), tag);
            Verdict::Right
        } else {
            Verdict::Wrong
        }
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, hmac::Tag>> {
        self.remembered.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Works for as long as it takes to verify `slowest` when `hash` was verified already. Each cost takes twice as long as the one before, so
/// those from the one up to the other add up to just that.
fn take_the_rest_of_the_time(password: &[u8], hash: &str, slowest: &str) {
    if let (Some(done), Some(most)) = (cost(hash), cost(slowest)) {
        for cost in done..most {
            let _ = std::hint::black_box(bcrypt::hash_with_salt(password, cost, [0; 16]));
        }
    }
}

/// The cost of a bcrypt hash; `None` if that is not what it is.
fn cost(hash: &str) -> Option<u32> {
    let cost = hash.parse::<HashParts>().ok()?.get_cost();
    // The parts are not looked at any closer. One that does not decode would be verified in no time, and so tell its name from others.
    let decodes = |part: &str, bytes| BASE_64.decode(part).is_ok_and(|decoded| decoded.len() == bytes);
    let is_whole =
        hash.is_ascii() && hash.len() == 60 && decodes(&hash[7..29], 16) && decodes(&hash[29..], 23);
    ((4..=31).contains(&cost) && is_whole).then_some(cost)
}

#[cfg(test)]
mod tests;
