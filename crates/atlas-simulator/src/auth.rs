//! Authentication: OAuth tokens and HTTP Digest, without the libraries that clients use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use md5::{Digest, Md5};
use tokio::time::Instant;

/// Token requests of one client per minute.
const MAX_TOKEN_REQUESTS_PER_MINUTE: usize = 10;

/// Valid tokens of one client at the same time.
const MAX_VALID_TOKENS: usize = 100;

const REALM: &str = "MMS Public API";

/// Authentication of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// OAuth 2.0 client credentials.
    ServiceAccount,
    /// HTTP Digest.
    ApiKey,
}

/// A service account or an API key.
#[derive(Debug, Clone)]
pub struct Account {
    /// Authentication method.
    pub scheme: Scheme,
    /// Client id or public key.
    pub id: String,
    /// Client secret or private key.
    pub secret: String,
    /// True if it has the role Project Backup Manager, which listing export jobs requires.
    pub backup_manager: bool,
    /// True if it is a member of the organizations, which listing their projects requires.
    pub organization_member: bool,
    /// The projects it is assigned to; `None` for all.
    pub projects: Option<Vec<String>>,
    /// Ends of paths that it lacks the role for, such as `events`; `snapshots` includes those of
    /// sharded clusters.
    pub denied: Vec<String>,
}

impl Account {
    /// An account with all roles in all projects.
    #[must_use]
    pub fn new(scheme: Scheme, id: &str, secret: &str) -> Self {
        Self {
            scheme,
            id: id.to_owned(),
            secret: secret.to_owned(),
            backup_manager: true,
            organization_member: true,
            projects: None,
            denied: Vec::new(),
        }
    }

    pub(crate) fn is_denied(&self, path: &str) -> bool {
        let of_any_cluster = path.strip_suffix("/shardedClusters").unwrap_or(path);
        let ends = |path: &str, end: &str| path.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'));
        self.denied.iter().any(|end| ends(path, end) || ends(of_any_cluster, end))
    }

    pub(crate) fn is_in(&self, project: &str) -> bool {
        self.projects.as_ref().is_none_or(|projects| projects.iter().any(|known| known == project))
    }
}

/// Issued tokens and nonces.
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

/// The outcome of authentication.
pub(crate) enum AuthResult {
    /// Success, with the id of the account.
    Granted(String),
    /// Failure, and whether only the nonce is invalid.
    Refused { stale: bool },
}

pub(crate) enum TokenResponse {
    Token { text: String, lifetime: Duration },
    UnknownClient,
    RateLimited { wait: Duration },
}

impl Sessions {
    /// Revokes all tokens, as when the secret of a service account is revoked.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Expires all nonces.
    pub fn expire_nonces(&mut self) {
        for nonce in self.nonces.values_mut() {
            nonce.expires_at = Instant::now();
        }
    }

    pub(crate) fn issue_token(&mut self, accounts: &[Account], headers: &HeaderMap) -> TokenResponse {
        let now = Instant::now();
        let Some((id, secret)) = basic(headers) else { return TokenResponse::UnknownClient };
        let times = self.token_requests.entry(id.clone()).or_default();
        times.retain(|at| now - *at < Duration::from_mins(1));
        if times.len() >= MAX_TOKEN_REQUESTS_PER_MINUTE {
            return TokenResponse::RateLimited { wait: (times[0] + Duration::from_mins(1)) - now };
        }
        times.push_back(now);
        let known = accounts.iter().any(|account| {
            account.scheme == Scheme::ServiceAccount && account.id == id && account.secret == secret
        });
        if !known {
            return TokenResponse::UnknownClient;
        }
        self.tokens.retain(|_, (_, expires_at)| now < *expires_at);
        if self.tokens.values().filter(|(owner, _)| *owner == id).count() >= MAX_VALID_TOKENS {
            return TokenResponse::RateLimited { wait: Duration::from_mins(1) };
        }
        let text = format!("eyJ{:032x}", fastrand::u128(..));
        self.issued_tokens.push(text.clone());
        self.tokens.insert(text.clone(), (id, now + self.token_lifetime));
        TokenResponse::Token { text, lifetime: self.token_lifetime }
    }

    pub(crate) fn check(
        &mut self,
        accounts: &[Account],
        method: &Method,
        uri: &str,
        headers: &HeaderMap,
    ) -> AuthResult {
        let refused = AuthResult::Refused { stale: false };
        let Some(value) = authorization(headers) else { return refused };
        if let Some(token) = value.strip_prefix("Bearer ") {
            return match self.tokens.get(token) {
                Some((id, expires_at)) if Instant::now() < *expires_at => AuthResult::Granted(id.clone()),
                _ => refused,
            };
        }
        let Some(fields) = value.strip_prefix("Digest ").map(fields) else { return refused };
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let account = accounts
            .iter()
            .find(|account| account.scheme == Scheme::ApiKey && account.id == field("username"));
        let Some(account) = account else { return refused };
        let hash = |text: String| format!("{:x}", Md5::digest(text));
        let secret = hash(format!("{}:{REALM}:{}", account.id, account.secret));
        let request = hash(format!("{method}:{}", field("uri")));
        let (nonce, count) = (field("nonce"), field("nc"));
        let expected = hash(format!("{secret}:{nonce}:{count}:{}:auth:{request}", field("cnonce")));
        let Some(uses) = nonce_count(&value) else { return refused };
        if field("response") != expected
            || field("uri") != uri
            || field("realm") != REALM
            || field("qop") != "auth"
        {
            return refused;
        }
        let fresh = self
            .nonces
            .get_mut(nonce)
            .is_some_and(|known| Instant::now() < known.expires_at && known.used.insert(uses));
        if self.stale_digests > 0 {
            self.stale_digests -= 1;
            return AuthResult::Refused { stale: true };
        }
        if fresh { AuthResult::Granted(account.id.clone()) } else { AuthResult::Refused { stale: true } }
    }

    /// A challenge with a new nonce.
    pub(crate) fn challenge(&mut self, stale: bool) -> String {
        let nonce = format!("{:032x}", fastrand::u128(..));
        let expires_at = Instant::now() + self.nonce_lifetime;
        self.nonces.insert(nonce.clone(), Nonce { expires_at, used: HashSet::new() });
        format!(
            r#"Digest realm="{REALM}", domain="", nonce="{nonce}", algorithm=MD5, qop="auth", stale={stale}"#
        )
    }
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::AUTHORIZATION)?.to_str().ok()?.to_owned())
}

/// The nonce count of a digest; it starts at 1.
pub(crate) fn nonce_count(authorization: &str) -> Option<u32> {
    let fields = fields(authorization.strip_prefix("Digest ")?);
    u32::from_str_radix(fields.get("nc")?, 16).ok().filter(|count| *count > 0)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = authorization(headers)?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

/// Parses `name=value` and `name="value"`, separated by commas.
fn fields(text: &str) -> HashMap<String, String> {
    let mut quoted = false;
    text.split(|c| {
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
    fn digest_equals_the_example_of_rfc_2617() {
        let hash = |text: &str| format!("{:x}", Md5::digest(text));
        let secret = hash("Mufasa:testrealm@host.com:Circle Of Life");
        let request = hash("GET:/dir/index.html");
        let all = format!("{secret}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:{request}");
        assert_eq!(hash(&all), "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn fields_in_quotes_may_contain_commas() {
        let fields = fields(r#"username="a,b", nc=0000000a, uri="/x?y=z""#);
        assert_eq!(fields["username"], "a,b");
        assert_eq!(fields["uri"], "/x?y=z");
        assert_eq!(nonce_count("Digest nc=0000000a"), Some(10));
        assert_eq!(nonce_count("Digest nc=00000000"), None);
    }
}
