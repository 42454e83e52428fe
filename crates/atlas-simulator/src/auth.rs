//! Authentication: OAuth tokens and HTTP Digest, without the libraries that clients use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use axum::http::Method;
use base64::Engine;
use md5::{Digest, Md5};
use tokio::time::Instant;

/// Token requests of one client per minute.
const MAX_TOKEN_REQUESTS_PER_MINUTE: usize = 10;

/// Valid tokens of one client at the same time.
const MAX_VALID_TOKENS: usize = 100;

const REALM: &str = "MMS Public API";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    ServiceAccount,
    ApiKey,
}

/// A service account or an API key.
#[derive(Debug, Clone)]
pub struct Account {
    pub scheme: Scheme,
    /// Client id or public key.
    pub id: String,
    /// Client secret or private key.
    pub secret: String,
    /// The projects it is assigned to; `None` for all.
    pub projects: Option<Vec<String>>,
    /// Segments of paths that it lacks the role for, such as `events`.
    pub denied: Vec<&'static str>,
}

impl Account {
    /// An account with all roles in all projects.
    #[must_use]
    pub fn new(scheme: Scheme, id: &str, secret: &str) -> Self {
        Self { scheme, id: id.to_owned(), secret: secret.to_owned(), projects: None, denied: Vec::new() }
    }

    pub(crate) fn is_denied(&self, path: &str) -> bool {
        path.split('/').any(|segment| self.denied.contains(&segment))
    }

    pub(crate) fn is_in(&self, project: &str) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.iter().any(|known| known == project))
    }
}

#[derive(Debug)]
pub struct Sessions {
    /// Lifetime of tokens issued from now on.
    pub token_lifetime: Duration,
    /// `expires_in` of token responses instead of the lifetime, as JSON; empty to omit it.
    pub reported_lifetime: Option<&'static str>,
    /// Lifetime of nonces issued from now on.
    pub nonce_lifetime: Duration,
    /// Number of valid digests that will still be answered with `stale=true`.
    pub stale_digests: u32,
    /// All tokens so far, for tests that search outputs for leaked ones.
    pub issued_tokens: Vec<String>,
    tokens: HashMap<String, (String, Instant)>,
    nonces: HashMap<String, Nonce>,
    /// Times of the latest token requests of each client.
    token_requests: HashMap<String, VecDeque<Instant>>,
}

#[derive(Debug)]
struct Nonce {
    expires_at: Instant,
    used: HashSet<u32>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_hours(1),
            reported_lifetime: None,
            nonce_lifetime: Duration::from_mins(5),
            stale_digests: 0,
            issued_tokens: Vec::new(),
            tokens: HashMap::new(),
            nonces: HashMap::new(),
            token_requests: HashMap::new(),
        }
    }
}

/// Reason to refuse a token request.
pub(crate) enum TokenRefusal {
    UnknownClient,
    RateLimited(Duration),
}

impl Sessions {
    /// Revokes all tokens, as when the secret of a service account is revoked.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    pub fn expire_nonces(&mut self) {
        for nonce in self.nonces.values_mut() {
            nonce.expires_at = Instant::now();
        }
    }

    pub(crate) fn issue_token(
        &mut self,
        accounts: &[Account],
        authorization: &str,
    ) -> Result<String, TokenRefusal> {
        let now = Instant::now();
        let (id, secret) = basic(authorization).ok_or(TokenRefusal::UnknownClient)?;
        let times = self.token_requests.entry(id.clone()).or_default();
        times.retain(|at| now - *at < Duration::from_mins(1));
        if times.len() >= MAX_TOKEN_REQUESTS_PER_MINUTE {
            return Err(TokenRefusal::RateLimited((times[0] + Duration::from_mins(1)) - now));
        }
        times.push_back(now);
        let is_known = accounts.iter().any(|account| {
            account.scheme == Scheme::ServiceAccount && account.id == id && account.secret == secret
        });
        if !is_known {
            return Err(TokenRefusal::UnknownClient);
        }
        self.tokens.retain(|_, (_, expires_at)| now < *expires_at);
        if self.tokens.values().filter(|(owner, _)| *owner == id).count() >= MAX_VALID_TOKENS {
            return Err(TokenRefusal::RateLimited(Duration::from_mins(1)));
        }
        let token = format!("eyJ{:032x}", fastrand::u128(..));
        self.issued_tokens.push(token.clone());
        self.tokens.insert(token.clone(), (id, now + self.token_lifetime));
        Ok(token)
    }

    /// The account that sent a request, or the challenge for it.
    pub(crate) fn authenticate<'a>(
        &mut self,
        accounts: &'a [Account],
        method: &Method,
        uri: &str,
        authorization: &str,
    ) -> Result<&'a Account, String> {
        let account = match authorization.strip_prefix("Bearer ") {
            Some(token) => self.tokens.get(token).and_then(|(id, expires_at)| {
                accounts.iter().find(|account| account.id == *id && Instant::now() < *expires_at)
            }),
            None => signer(accounts, method, uri, authorization),
        };
        let Some(account) = account else { return Err(self.challenge(false)) };
        if account.scheme == Scheme::ApiKey && !self.use_nonce(authorization) {
            return Err(self.challenge(true));
        }
        Ok(account)
    }

    /// Returns true if the nonce of a digest is valid and its count is new.
    fn use_nonce(&mut self, digest: &str) -> bool {
        let nonce = fields(digest).get("nonce").and_then(|nonce| self.nonces.get_mut(nonce));
        let is_fresh = nonce
            .zip(nonce_count(digest))
            .is_some_and(|(nonce, count)| Instant::now() < nonce.expires_at && nonce.used.insert(count));
        let is_called_stale = self.stale_digests > 0;
        self.stale_digests = self.stale_digests.saturating_sub(1);
        is_fresh && !is_called_stale
    }

    /// A challenge with a new nonce.
    fn challenge(&mut self, stale: bool) -> String {
        let nonce = format!("{:032x}", fastrand::u128(..));
        let expires_at = Instant::now() + self.nonce_lifetime;
        self.nonces.insert(nonce.clone(), Nonce { expires_at, used: HashSet::new() });
        format!(
            r#"Digest realm="{REALM}", domain="", nonce="{nonce}", algorithm=MD5, qop="auth", stale={stale}"#
        )
    }
}

/// The account whose digest is right, apart from its nonce.
fn signer<'a>(
    accounts: &'a [Account],
    method: &Method,
    uri: &str,
    authorization: &str,
) -> Option<&'a Account> {
    let fields = fields(authorization);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let account = accounts
        .iter()
        .find(|account| account.scheme == Scheme::ApiKey && account.id == field("username"))?;
    let hash = |text: String| format!("{:x}", Md5::digest(text));
    let secret = hash(format!("{}:{REALM}:{}", account.id, account.secret));
    let request = hash(format!("{method}:{uri}"));
    let (nonce, count) = (field("nonce"), field("nc"));
    let response = hash(format!("{secret}:{nonce}:{count}:{}:auth:{request}", field("cnonce")));
    let expected = [("response", response.as_str()), ("uri", uri), ("realm", REALM), ("qop", "auth")];
    let is_right = expected.iter().all(|(name, value)| field(name) == *value);
    (is_right && nonce_count(authorization).is_some()).then_some(account)
}

/// The nonce count of a digest; it starts at 1.
pub(crate) fn nonce_count(authorization: &str) -> Option<u32> {
    u32::from_str_radix(fields(authorization).get("nc")?, 16).ok().filter(|count| *count > 0)
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// The fields of a digest: `name=value` and `name="value"`, separated by commas.
fn fields(authorization: &str) -> HashMap<String, String> {
    let mut quoted = false;
    authorization
        .strip_prefix("Digest ")
        .unwrap_or_default()
        .split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .filter_map(|field| field.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_quotes_may_contain_commas() {
        let fields = fields(r#"Digest username="a,b", nc=0000000a, uri="/x?y=z""#);
        assert_eq!(fields["username"], "a,b");
        assert_eq!(fields["uri"], "/x?y=z");
        assert_eq!(nonce_count("Digest nc=0000000a"), Some(10));
        assert_eq!(nonce_count("Digest nc=00000000"), None);
    }
}
