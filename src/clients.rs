//! Who asks Atlas: one client for each set of credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::atlas::{Atlas, Error};
use crate::config::{Config, Credentials};
use crate::model::short_client_id;
use crate::self_metrics::SelfMetrics;

/// Every client in use. Since there is one for each set of credentials, there is one token for a client id and one nonce for a key.
#[derive(Debug)]
pub struct Clients {
    metrics: Arc<SelfMetrics>,
    known: Vec<(Credentials, Atlas)>,
}

impl Clients {
    /// The clients that `config` needs.
    pub fn new(metrics: Arc<SelfMetrics>, config: &Config) -> Result<Self, Error> {
        let mut clients = Self { metrics, known: Vec::new() };
        clients.prepare(config)?;
        Ok(clients)
    }

    /// Sets up a client for each set of credentials of `config`, and drops those without one. Clients of the same Atlas share
    /// connections and pacer.
    pub fn prepare(&mut self, config: &Config) -> Result<(), Error> {
        let mut fresh: Vec<(Credentials, Atlas)> = Vec::new();
        let usable = |known: &&(Credentials, Atlas)| known.1.trusts(&config.base_url, &config.authorities);
        for credentials in config.credentials() {
            if fresh.iter().any(|(known, _)| known == credentials) {
                continue;
            }
            let same = self.known.iter().filter(usable).find(|(known, _)| known == credentials);
            let sibling = fresh.first().or(self.known.iter().find(usable));
            let client = match (same, sibling) {
                (Some((_, client)), _) => client.clone(),
                (None, Some((_, sibling))) => sibling.with(credentials),
                (None, None) => Atlas::new(
                    &config.base_url,
                    &config.authorities,
                    config.proxy.as_ref(),
                    credentials,
                    self.metrics.clone(),
                )?,
            };
            fresh.push((credentials.clone(), client));
        }
        self.known = fresh;
        Ok(())
    }

    /// The client for `credentials`, if the configuration has them.
    #[must_use]
    pub fn of(&self, credentials: &Credentials) -> Option<Atlas> {
        self.known.iter().find(|(known, _)| known == credentials).map(|(_, client)| client.clone())
    }
}

/// The service accounts whose secret ended before `now`, each once however many entries name it, and when it did.
#[must_use]
pub fn ended(config: &Config, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let ended = config.credentials().filter_map(|one| Some((one.to_string(), one.ended(now)?)));
    ended.collect()
}

/// When the secrets of service accounts end, by the short forms of their ids; of two that look alike, the first to end.
#[must_use]
pub fn expiries(config: &Config) -> BTreeMap<String, Timestamp> {
    let mut expiries = BTreeMap::new();
    for credentials in config.credentials() {
        if let Credentials::ServiceAccount { client_id, expires_at: Some(at), .. } = credentials {
            let known = expiries.entry(short_client_id(client_id)).or_insert(*at);
            *known = (*known).min(*at);
        }
    }
    expiries
}
