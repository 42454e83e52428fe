//! What must hold of a configuration, whatever stands in it.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use atlas_client::Credentials;
use atlas_client::fuzzing::{PROXY_VARIABLES, is_a_line, leads_to};

use super::environment::ATLAS_NAMES;
use super::types::SHARD_FLAG;
use super::{Config, ENV_PREFIX, Source};

const FILE: &str = "exporter.toml";

/// A secret that the text knows nothing of.
const PLANTED: &str = "d0a1ca1d-4c2b";

/// A file. Its comments that begin with `#env ` are variables of the environment, and one with `#shard ` is the flag.
pub fn config(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let source = Source {
        file: FILE.into(),
        shard_index: text.lines().find_map(|line| line.strip_prefix("#shard ")).map(str::to_owned),
    };
    let environment: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#env ")?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    check(&source, text, &environment, false);
    if text.contains(PLANTED) {
        return;
    }
    // What is left open, or is no text, is no TOML; the sentence about that says no more of it.
    for broken in [format!("client_secret = {PLANTED}{text}"), format!("client_secret = \"{PLANTED}{text}")] {
        check(&source, &format!("[atlas.service_account]\n{broken}"), &environment, true);
    }
    for account in [
        format!(
            "[atlas.service_account]\nclient_id = \"mdb_sa_id_1\"\nclient_secret = \"{PLANTED}\"\n{text}"
        ),
        format!("[atlas.api_key]\npublic_key = \"abcdefgh\"\nprivate_key = \"{PLANTED}\"\n{text}"),
        format!(
            "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\napi_key.private_key = \"{PLANTED}\"\n{text}"
        ),
    ] {
        check(&source, &account, &environment, true);
    }
    for (name, ..) in ATLAS_NAMES
        .iter()
        .filter(|(_, path)| path.ends_with("client_secret") || path.ends_with("private_key"))
    {
        let planted = ((*name).to_owned(), PLANTED.to_owned());
        check(&source, text, &[environment.as_slice(), &[planted]].concat(), true);
    }
}

fn check(source: &Source, text: &str, environment: &[(String, String)], planted: bool) {
    let read = || Config::parse(source, text, environment.iter().cloned());
    match read() {
        Ok(config) => {
            assert!(!planted || !format!("{config:?}").contains(PLANTED));
            holds(&config);
        }
        Err(error) => {
            assert_eq!(read().err().as_ref(), Some(&error), "read twice");
            says_where(&error.to_string());
            assert!(!planted || !error.to_string().contains(PLANTED), "a secret is in: {error}");
        }
    }
}

/// An error is one line that says where it is.
fn says_where(error: &str) {
    is_a_line(error);
    let proxies = PROXY_VARIABLES.into_iter().flatten().copied();
    let variables = ATLAS_NAMES.iter().map(|(name, ..)| *name).chain(proxies);
    let mut places = variables.chain([FILE, ENV_PREFIX, SHARD_FLAG]);
    assert!(places.any(|place| error.contains(place)), "nobody knows where: {error}");
}

/// What is accepted can be worked with.
fn holds(config: &Config) {
    let url = &config.base_url;
    assert!(
        url.scheme() == "https"
            || url.scheme() == "http" && matches!(url.host_str(), Some(host) if is_here(host))
    );
    assert!(
        url.path().ends_with('/')
            && url.query().is_none()
            && url.password().is_none()
            && url.username().is_empty()
    );
    let poll = &config.poll;
    assert!((1..=1000).contains(&poll.concurrency) && poll.stale_after >= poll.interval * 2);
    assert!(config.collectors.stale_after() > config.collectors.interval);
    assert!(config.shard.index < config.shard.total);
    assert!(!config.projects.is_empty() || !config.organizations.is_empty());
    for (i, project) in config.projects.iter().enumerate() {
        assert!(config.projects[..i].iter().all(|other| other.id != project.id));
        for name in &project.clusters.names {
            leads_to(name);
        }
    }
    for who in config.credentials() {
        let (Credentials::ServiceAccount { client_secret: secret, .. }
        | Credentials::ApiKey { private_key: secret, .. }) = who;
        assert!(secret.read().is_ok());
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
