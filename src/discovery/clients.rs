//! Atlas clients: one for each set of credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use atlas_client::{AtlasClient, ClientOptions, Credentials, Error};
use jiff::Timestamp;

use crate::config::Config;
use crate::metrics::self_metrics::SelfMetrics;

/// All clients. Targets with the same credentials share a client with its token or nonce.
#[derive(Debug)]
pub struct Clients {
    metrics: Arc<SelfMetrics>,
    known: Vec<(Credentials, AtlasClient)>,
}

impl Clients {
    /// Creates the clients for the credentials of `config`.
    pub fn new(metrics: Arc<SelfMetrics>, config: &Config) -> Result<Self, Error> {
        let mut clients = Self { metrics, known: Vec::new() };
        clients.prepare(config)?;
        Ok(clients)
    }

    /// Keeps or creates a client for each set of credentials of `config`, and drops the others.
    ///
    /// Clients with the same base URL share connections and rate limits. On an error, all clients
    /// are kept.
    pub fn prepare(&mut self, config: &Config) -> Result<(), Error> {
        let mut clients: Vec<(Credentials, AtlasClient)> = Vec::new();
        let options = ClientOptions {
            base_url: config.base_url.clone(),
            user_agent: concat!("atlas-backup-exporter/", env!("CARGO_PKG_VERSION")).to_owned(),
            ca_bundle: config.ca_bundle.clone(),
            proxy: config.proxy.clone(),
            observer: self.metrics.clone(),
        };
        let usable = |known: &&(Credentials, AtlasClient)| known.1.fits(&options);
        for credentials in config.credentials() {
            if clients.iter().any(|(known, _)| known == credentials) {
                continue;
            }
            let same = self.known.iter().filter(usable).find(|(known, _)| known == credentials);
            let sibling = clients.first().or(self.known.iter().find(usable));
            let client = match (same, sibling) {
                (Some((_, client)), _) => client.clone(),
                (None, Some((_, sibling))) => sibling.with_credentials(credentials),
                (None, None) => AtlasClient::new(&options, credentials)?,
            };
            clients.push((credentials.clone(), client));
        }
        self.known = clients;
        Ok(())
    }

    /// Returns the client for `credentials`, if the configuration has them.
    #[must_use]
    pub fn of(&self, credentials: &Credentials) -> Option<AtlasClient> {
        self.known.iter().find(|(known, _)| known == credentials).map(|(_, client)| client.clone())
    }
}

/// Returns the credentials whose secret expired before `now`, with the time of the expiry.
#[must_use]
pub fn expired(config: &Config, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let expired = config.credentials().filter_map(|credentials| {
        Some((credentials.to_string(), credentials.expires_at.filter(|at| *at <= now)?))
    });
    expired.collect()
}

/// Returns the expiry of each service account's secret by short client id, the earliest if several
/// ids have the same short form.
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

/// Prefix of all client ids.
const CLIENT_ID_PREFIX: &str = "mdb_sa_id_";

/// Length of a short client id in characters.
const SHORT_ID_LENGTH: usize = 6;

/// Returns the end of a client id, which identifies it but does not disclose it.
fn short_client_id(id: &str) -> String {
    let id = id.strip_prefix(CLIENT_ID_PREFIX).unwrap_or(id);
    let removed = id.chars().count().saturating_sub(SHORT_ID_LENGTH);
    id.chars().skip(removed).collect()
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
