//! Invariants of a configuration.

use atlas_backup_exporter::config::{Config, ENV_PREFIX, Source};
use atlas_backup_exporter::fuzzing::parse_config;

use super::text::{assert_path_segment, assert_single_line};

const FILE: &str = "exporter.toml";

/// A secret that the text does not contain.
const PLANTED: &str = "d0a1ca1d-4c2b";

/// Environment variables that contain a secret.
const SECRETS: [&str; 2] = ["MONGODB_ATLAS_CLIENT_SECRET", "MONGODB_ATLAS_PRIVATE_API_KEY"];

/// Origins in errors, in addition to [`SECRETS`] and [`ENV_PREFIX`].
const ORIGINS: [&str; 12] = [
    FILE,
    "--shard.index",
    "MONGODB_ATLAS_CLIENT_ID",
    "MONGODB_ATLAS_PUBLIC_API_KEY",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Checks a file. Its comments `#env NAME=VALUE` set environment variables, and `#shard INDEX` sets
/// the flag.
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
    for planted in [
        // A string without quotes, or without the closing one, is not TOML.
        format!("[atlas.service_account]\nclient_secret = {PLANTED}{text}"),
        format!("[atlas.service_account]\nclient_secret = \"{PLANTED}{text}"),
        format!(
            "[atlas.service_account]\nclient_id = \"mdb_sa_id_1\"\nclient_secret = \"{PLANTED}\"\n{text}"
        ),
        format!("[atlas.api_key]\npublic_key = \"abcdefgh\"\nprivate_key = \"{PLANTED}\"\n{text}"),
        format!(
            "[[projects]]\nid = \"32b6e34b3d91647abb20e7b8\"\napi_key.private_key = \"{PLANTED}\"\n{text}"
        ),
    ] {
        check(&source, &planted, &environment, true);
    }
    for name in SECRETS {
        let planted = (name.to_owned(), PLANTED.to_owned());
        check(&source, text, &[environment.as_slice(), &[planted]].concat(), true);
    }
}

fn check(source: &Source, text: &str, environment: &[(String, String)], is_planted: bool) {
    let parse = || parse_config(source, text, environment.iter().cloned());
    match parse() {
        Ok(config) => {
            assert!(!is_planted || !format!("{config:?}").contains(PLANTED));
            assert_usable(&config);
        }
        Err(error) => {
            assert_eq!(parse().err().as_ref(), Some(&error), "parsed twice");
            let error = error.to_string();
            error.lines().for_each(assert_single_line);
            // The prefix of variables has any case.
            let is_variable = error.to_ascii_uppercase().contains(ENV_PREFIX);
            let has_origin =
                is_variable || ORIGINS.iter().chain(&SECRETS).any(|origin| error.contains(origin));
            assert!(has_origin, "no origin: {error}");
            assert!(!is_planted || !error.contains(PLANTED), "a secret is in: {error}");
        }
    }
}

/// Checks the rules across keys that the exporter relies on.
fn assert_usable(config: &Config) {
    let url = &config.base_url;
    let is_loopback = matches!(url.host_str(), Some(host) if is_loopback(host));
    assert!(url.scheme() == "https" || url.scheme() == "http" && is_loopback);
    assert!(url.path().ends_with('/') && url.query().is_none());
    assert!(url.password().is_none() && url.username().is_empty());
    let poll = &config.poll;
    assert!((1..=1000).contains(&poll.concurrency) && poll.stale_after >= poll.interval * 2);
    assert!(config.collectors.stale_after() > config.collectors.interval);
    assert!(config.shard.index < config.shard.total);
    assert!(!config.projects.is_empty() || !config.organizations.is_empty());
    for (i, project) in config.projects.iter().enumerate() {
        assert!(config.projects[..i].iter().all(|other| other.id != project.id));
        project.selection.names.iter().for_each(|name| assert_path_segment(name));
    }
    for credentials in config.credentials() {
        assert!(credentials.secret.read().is_ok());
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
