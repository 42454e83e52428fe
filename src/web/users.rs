//! Names and passwords of those who may look, by bcrypt.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bcrypt::HashParts;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

/// Those who may look.
pub(crate) struct Users {
    hashes: BTreeMap<String, SecretString>,
    /// Whose password takes the longest to verify. One of a name that nobody has is compared with it: so that the time does not tell which names
    /// there are.
    slowest: SecretString,
    /// To remember passwords by, for as long as this process lives.
    key: hmac::Key,
    /// The password of each that was right last: bcrypt is slow on purpose.
    verified: Mutex<BTreeMap<String, hmac::Tag>>,
    /// Whoever guesses gets one core, and polls go on.
    one_at_a_time: Arc<Semaphore>,
}

impl Users {
    /// `None` where nobody is named; an error is the name whose hash is none.
    pub(super) fn new(hashes: Vec<(String, SecretString)>) -> Result<Option<Self>, String> {
        let mut slowest: Option<(u32, &SecretString)> = None;
        for (name, hash) in &hashes {
            let cost = cost(hash.expose_secret()).ok_or(name)?;
            if slowest.is_none_or(|(most, _)| cost > most) {
                slowest = Some((cost, hash));
            }
        }
        let Some((_, slowest)) = slowest else { return Ok(None) };
        let slowest = slowest.clone();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "of everyone: the system has no randomness".to_owned())?;
        Ok(Some(Self {
            hashes: hashes.into_iter().collect(),
            slowest,
            key,
            verified: Mutex::default(),
            one_at_a_time: Arc::new(Semaphore::new(1)),
        }))
    }

    /// Whether `password` is that of `name`.
    pub(crate) async fn know(&self, name: &str, password: &[u8]) -> bool {
        let tag = hmac::sign(&self.key, password);
        let known = self.hashes.get(name);
        if known.is_some() && self.verified().get(name).is_some_and(|right| right.as_ref() == tag.as_ref()) {
            return true;
        }
        let Ok(turn) = self.one_at_a_time.clone().acquire_owned().await else { return false };
        let hash = known.unwrap_or(&self.slowest).clone();
        let password = password.to_owned();
        let verified = tokio::task::spawn_blocking(move || {
            // Nobody else's turn comes before this ends, though whoever asked may have hung up.
            let _turn = turn;
            bcrypt::verify(password, hash.expose_secret())
        });
        let verified = verified.await;
        let right = known.is_some() && matches!(verified, Ok(Ok(true)));
        if right {
            self.verified().insert(name.to_owned(), tag);
        }
        right
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, hmac::Tag>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cost of a bcrypt hash; `None` if that is not what it is.
fn cost(hash: &str) -> Option<u32> {
    let cost = hash.parse::<HashParts>().ok()?.get_cost();
    // The parts are not looked at any closer; to verify something is to decode them.
    let decodes = hash.len() == 60 && hash.is_ascii();
    ((4..=31).contains(&cost) && decodes).then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password is its name.
    fn hashed(name: &str, cost: u32) -> (String, SecretString) {
        (name.to_owned(), bcrypt::hash(name, cost).unwrap().into())
    }

    #[tokio::test]
    async fn only_the_right_password_of_the_right_name_is_known() {
        let users = Users::new(vec![hashed("alice", 4), hashed("bob", 5)]).unwrap().unwrap();
        // Twice: what was verified is remembered.
        for _ in 0..2 {
            for (name, password, right) in [
                ("alice", "alice", true),
                ("bob", "bob", true),
                ("alice", "bob", false),
                ("bob", "alice", false),
                ("alice", "", false),
                ("", "bob", false),
                // The one that strangers are compared with.
                ("mallory", "bob", false),
                ("Alice", "alice", false),
            ] {
                assert_eq!(users.know(name, password.as_bytes()).await, right, "{name} {password}");
            }
        }
        assert_eq!(users.verified().len(), 2);
        assert!(!users.know("alice", &[0xff, 0]).await);
    }

    #[tokio::test]
    async fn what_was_verified_needs_no_bcrypt() {
        let users = Users::new(vec![hashed("alice", 4)]).unwrap().unwrap();
        assert!(users.know("alice", b"alice").await);
        // Nobody's turn comes any more.
        users.one_at_a_time.close();
        assert!(users.know("alice", b"alice").await);
        assert!(!users.know("alice", b"wrong").await && !users.know("mallory", b"alice").await);
    }

    #[tokio::test]
    async fn who_hangs_up_keeps_the_turn_until_it_is_over() {
        let users = Users::new(vec![hashed("alice", 10)]).unwrap().unwrap();
        for _ in 0..5 {
            let hangs_up =
                tokio::time::timeout(std::time::Duration::from_millis(5), users.know("alice", b"x"));
            assert!(hangs_up.await.is_err());
            assert_eq!(users.one_at_a_time.available_permits(), 0);
        }
    }

    #[test]
    fn strangers_take_as_long_as_the_slowest() {
        let users = Users::new(vec![hashed("a", 4), hashed("b", 6), hashed("c", 5)]).unwrap().unwrap();
        assert_eq!(cost(users.slowest.expose_secret()), Some(6));
    }

    #[test]
    fn what_is_no_hash_is_refused_by_its_name() {
        let hash = bcrypt::hash("x", 4).unwrap();
        let rest = &hash[7..];
        assert!(Users::new(Vec::new()).unwrap().is_none());
        for prefix in ["$2y$04$", "$2a$04$", "$2b$31$"] {
            assert!(cost(&format!("{prefix}{rest}")).is_some(), "{prefix}");
        }
        for wrong in
            ["", "secret", "$1$04$", &format!("$2y$03${rest}"), &format!("$2y$32${rest}"), &hash[..59]]
        {
            let refused = Users::new(vec![hashed("ok", 4), ("alice".to_owned(), wrong.to_owned().into())]);
            assert_eq!(refused.err().as_deref(), Some("alice"), "{wrong}");
        }
    }
}
