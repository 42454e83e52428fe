//! Who may ask, checked without the client's own libraries.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use axum::http::{HeaderMap, Method, header};
use base64::Engine;
use md5::{Digest, Md5};
use tokio::time::Instant;

/// Tokens that Atlas mints for one client in a minute.
const MINTS_A_MINUTE: usize = 10;

/// Tokens of one client that may be alive at once.
const LIVE_TOKENS: usize = 100;

const REALM: &str = "MMS Public API";

/// How an account signs its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// OAuth 2.0 client credentials.
    ServiceAccount,
    /// HTTP Digest.
    ApiKey,
}

/// Someone who may ask.
#[derive(Debug, Clone)]
pub struct Account {
    /// How it signs.
    pub scheme: Scheme,
    /// Client id or public key.
    pub id: String,
    /// Client secret or private key.
    pub secret: String,
    /// Whether it has the role Project Backup Manager, without which exports cannot be listed.
    pub backup_manager: bool,
    /// Whether it is a member of the organizations, without which their projects cannot be listed.
    pub organization_member: bool,
    /// The projects that it is in; `None` for all.
    pub projects: Option<Vec<String>>,
    /// Ends of paths that it lacks the role for, such as `events`; `snapshots` stands for those of
    /// sharded clusters too.
    pub denied: Vec<String>,
}

impl Account {
    /// An account that may read everything.
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

/// Tokens and nonces that are out.
#[derive(Debug)]
pub struct Sessions {
    /// Life of a token minted from now on.
    pub token_life: Duration,
    /// `expires_in` as it stands in the answer instead of the life; empty to leave it out.
    pub told_life: Option<&'static str>,
    /// Life of a nonce given from now on.
    pub nonce_life: Duration,
    /// How many good digests are still to be called stale.
    pub call_stale: u32,
    /// Every token that was ever minted, for those who search for them where they should not be.
    pub issued: Vec<String>,
    tokens: HashMap<String, (String, Instant)>,
    nonces: HashMap<String, Nonce>,
    /// When each client asked for its last tokens.
    minted: HashMap<String, VecDeque<Instant>>,
}

#[derive(Debug)]
struct Nonce {
    ends_at: Instant,
    used: HashSet<u32>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            token_life: Duration::from_hours(1),
            told_life: None,
            nonce_life: Duration::from_mins(5),
            call_stale: 0,
            issued: Vec::new(),
            tokens: HashMap::new(),
            nonces: HashMap::new(),
            minted: HashMap::new(),
        }
    }
}

/// What the `Authorization` header of a request comes to.
pub(crate) enum Verdict {
    /// The id of the account.
    Granted(String),
    /// A challenge to be met, and whether the nonce was merely too old.
    Refused { stale: bool },
}

pub(crate) enum Minted {
    Token { text: String, life: Duration },
    Unknown,
    TooMany { wait: Duration },
}

impl Sessions {
    /// Ends every token at once, as when a service account's secret is revoked.
    pub fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Ends every nonce at once.
    pub fn expire_nonces(&mut self) {
        for nonce in self.nonces.values_mut() {
            nonce.ends_at = Instant::now();
        }
    }

    pub(crate) fn mint(&mut self, accounts: &[Account], headers: &HeaderMap) -> Minted {
        let now = Instant::now();
        let Some((id, secret)) = basic(headers) else { return Minted::Unknown };
        let minted = self.minted.entry(id.clone()).or_default();
        minted.retain(|at| now - *at < Duration::from_mins(1));
        if minted.len() >= MINTS_A_MINUTE {
            return Minted::TooMany { wait: (minted[0] + Duration::from_mins(1)) - now };
        }
        minted.push_back(now);
        let known = accounts.iter().any(|account| {
            account.scheme == Scheme::ServiceAccount && account.id == id && account.secret == secret
        });
        if !known {
            return Minted::Unknown;
        }
        self.tokens.retain(|_, (_, ends_at)| now < *ends_at);
        if self.tokens.values().filter(|(owner, _)| *owner == id).count() >= LIVE_TOKENS {
            return Minted::TooMany { wait: Duration::from_mins(1) };
        }
        let text = format!("eyJ{:032x}", fastrand::u128(..));
        self.issued.push(text.clone());
        self.tokens.insert(text.clone(), (id, now + self.token_life));
        Minted::Token { text, life: self.token_life }
    }

    pub(crate) fn check(
        &mut self,
        accounts: &[Account],
        method: &Method,
        uri: &str,
        headers: &HeaderMap,
    ) -> Verdict {
        let refused = Verdict::Refused { stale: false };
        let Some(value) = authorization(headers) else { return refused };
        if let Some(token) = value.strip_prefix("Bearer ") {
            return match self.tokens.get(token) {
                Some((id, ends_at)) if Instant::now() < *ends_at => Verdict::Granted(id.clone()),
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
            .is_some_and(|known| Instant::now() < known.ends_at && known.used.insert(uses));
        if self.call_stale > 0 {
            self.call_stale -= 1;
            return Verdict::Refused { stale: true };
        }
        if fresh { Verdict::Granted(account.id.clone()) } else { Verdict::Refused { stale: true } }
    }

    /// A challenge with a new nonce.
    pub(crate) fn challenge(&mut self, stale: bool) -> String {
        let nonce = format!("{:032x}", fastrand::u128(..));
        let ends_at = Instant::now() + self.nonce_life;
        self.nonces.insert(nonce.clone(), Nonce { ends_at, used: HashSet::new() });
        format!(
            r#"Digest realm="{REALM}", domain="", nonce="{nonce}", algorithm=MD5, qop="auth", stale={stale}"#
        )
    }
}

pub(crate) fn authorization(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::AUTHORIZATION)?.to_str().ok()?.to_owned())
}

/// The count of a digest's nonce; it begins at 1.
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

/// `name=value` and `name="value"`, separated by commas.
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

    /// The example of RFC 2617, section 3.5, with the realm and nonce of this file would not match;
    /// so the arithmetic is checked on its parts.
    #[test]
    fn the_arithmetic_is_that_of_the_rfc() {
        let hash = |text: &str| format!("{:x}", Md5::digest(text));
        let secret = hash("Mufasa:testrealm@host.com:Circle Of Life");
        let request = hash("GET:/dir/index.html");
        let all = format!("{secret}:dcd98b7102dd2f0e8b11d0f600bfb0c093:00000001:0a4f113b:auth:{request}");
        assert_eq!(hash(&all), "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn fields_may_hold_commas_in_quotes() {
        let fields = fields(r#"username="a,b", nc=0000000a, uri="/x?y=z""#);
        assert_eq!(fields["username"], "a,b");
        assert_eq!(fields["uri"], "/x?y=z");
        assert_eq!(nonce_count("Digest nc=0000000a"), Some(10));
        assert_eq!(nonce_count("Digest nc=00000000"), None);
    }
}
