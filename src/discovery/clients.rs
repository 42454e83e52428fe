//! Clients of Atlas: one for each set of credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use atlas_client::{AtlasClient, ClientOptions, Credentials, Error};
use jiff::Timestamp;

use crate::config::Config;
use crate::metrics::self_metrics::SelfMetrics;

/// Every client in use. Targets with the same credentials share a client, and so its token or nonce.
#[derive(Debug)]
pub struct Clients {
    metrics: Arc<SelfMetrics>,
    known: Vec<(Credentials, AtlasClient)>,
}

impl Clients {
    /// Creates the clients that `config` needs.
    pub fn new(metrics: Arc<SelfMetrics>, config: &Config) -> Result<Self, Error> {
        let mut clients = Self { metrics, known: Vec::new() };
        clients.prepare(config)?;
        Ok(clients)
    }

    /// Keeps or creates a client for each set of credentials of `config`, and drops the others.
    /// Clients of the same Atlas share connections and rate limits. An error changes nothing.
    pub fn prepare(&mut self, config: &Config) -> Result<(), Error> {
        let mut fresh: Vec<(Credentials, AtlasClient)> = Vec::new();
        let options = ClientOptions {
            base_url: config.base_url.clone(),
            user_agent: concat!("atlas-backup-exporter/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_bundle: config.ca_bundle.clone(),
            proxy: config.proxy.clone(),
            observer: self.metrics.clone(),
        };
        let usable = |known: &&(Credentials, AtlasClient)| known.1.fits(&options);
        for credentials in config.credentials() {
            if fresh.iter().any(|(known, _)| known == credentials) {
                continue;
            }
            let same = self.known.iter().filter(usable).find(|(known, _)| known == credentials);
            let sibling = fresh.first().or(self.known.iter().find(usable));
            let client = match (same, sibling) {
                (Some((_, client)), _) => client.clone(),
                (None, Some((_, sibling))) => sibling.with_credentials(credentials),
                (None, None) => AtlasClient::new(&options, credentials)?,
            };
            fresh.push((credentials.clone(), client));
        }
        self.known = fresh;
        Ok(())
    }

    /// Returns the client for `credentials`, if the configuration has them.
    #[must_use]
    pub fn of(&self, credentials: &Credentials) -> Option<AtlasClient> {
        self.known.iter().find(|(known, _)| known == credentials).map(|(_, client)| client.clone())
    }
}

/// Returns the service accounts whose secret expired before `now`, and when it did.
#[must_use]
pub fn ended(config: &Config, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let ended = config
        .credentials()
        .filter_map(|one| Some((one.to_string(), one.expires_at.filter(|at| *at <= now)?)));
    ended.collect()
}

/// Returns when secrets of service accounts expire, by the short forms of their ids: the earliest
/// where several have the same form.
#[must_use]
pub fn expiries(config: &Config) -> BTreeMap<String, Timestamp> {
    let mut expiries = BTreeMap::new();
    for credentials in config.credentials() {
        if let Some(at) = credentials.expires_at {
            let known = expiries.entry(short_client_id(&credentials.id)).or_insert(at);
            *known = (*known).min(at);
        }
    }
    expiries
}

/// What every client id begins with.
const CLIENT_ID_PREFIX: &str = "mdb_sa_id_";

/// Characters of a client id that tell it from others.
const SHORT: usize = 6;

/// Returns the end of a client id: enough to know it by, too little to sign in with.
fn short_client_id(id: &str) -> String {
    let id = id.strip_prefix(CLIENT_ID_PREFIX).unwrap_or(id);
    let cut = id.chars().count().saturating_sub(SHORT);
    id.chars().skip(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_id_is_shortened_to_its_end() {
        for (id, short) in [
            ("mdb_sa_id_0123456789abcdef01234567", "234567"),
            ("mdb_sa_id_demo", "demo"),
            ("abcdefgh", "cdefgh"),
            ("äöüäöüä", "öüäöüä"),
            ("", ""),
        ] {
            assert_eq!(short_client_id(id), short, "{id}");
        }
    }
}
