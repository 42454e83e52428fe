//! Names and passwords of those who may look, by bcrypt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use bcrypt::{BASE_64, HashParts};
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Passwords that are verified, or wait for that, at once.
const MOST_GUESSES: u32 = 16;

/// At a higher cost a password takes seconds.
const SLOW: u32 = 14;

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

/// How many passwords are verified at once, whichever configuration is in force: whoever guesses gets one core, and polls go on.
#[derive(Debug, Clone)]
pub(crate) struct Guesses {
    one_at_a_time: Arc<Semaphore>,
    /// Whose turn has come, and those who wait for it.
    queue: Arc<Semaphore>,
}

impl Default for Guesses {
    fn default() -> Self {
        Self {
            one_at_a_time: Arc::new(Semaphore::new(1)),
            queue: Arc::new(Semaphore::new(MOST_GUESSES as usize)),
        }
    }
}

#[cfg(test)]
impl Guesses {
    /// For as long as what is returned is held, nobody is verified.
    pub(super) async fn occupied(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.queue.acquire_many(MOST_GUESSES).await.unwrap()
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
    /// `None` where nobody is named; an error is the name whose hash is none.
    pub(super) fn new(
        hashes: Vec<(String, SecretString)>,
        guesses: &Guesses,
    ) -> Result<Option<Self>, String> {
        let mut slowest: Option<(u32, &SecretString)> = None;
        for (name, hash) in &hashes {
            let cost = cost(hash.expose_secret()).ok_or(name)?;
            if slowest.is_none_or(|(most, _)| cost > most) {
                slowest = Some((cost, hash));
            }
        }
        let Some((most, slowest)) = slowest else { return Ok(None) };
        if most > SLOW {
            tracing::warn!(
                cost = most,
                "a password of the web configuration is so costly that to verify one takes seconds or more, and nobody else's is verified meanwhile"
            );
        }
        let slowest = slowest.clone();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "of everyone: the system has no randomness".to_owned())?;
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
        let Ok(_waiting) = self.guesses.queue.try_acquire() else { return Verdict::Busy };
        let Ok(turn) = self.guesses.one_at_a_time.clone().acquire_owned().await else {
            return Verdict::Wrong;
        };
        let (hash, slowest) = (known.unwrap_or(&self.slowest).clone(), self.slowest.clone());
        let password = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            // Nobody else's turn comes before this ends, though whoever asked may have hung up.
            let _turn = turn;
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
