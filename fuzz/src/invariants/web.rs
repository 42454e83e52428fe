//! Invariants of a web configuration file.

use std::path::Path;

use exporter_web::ConfigError;
use exporter_web::fuzzing::{Parsed, parse as parse_file};
use serde_json::Value;

/// A file in a folder that does not exist, so that no file is read.
const FILE: &str = "/dev/null/web.yml";

/// A bcrypt hash of the password `secret`.
const HASH: &str = "$2y$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

/// Length from which a part of a hash must not be in a message; shorter parts can be a coincidence.
const MIN_LEAK: usize = 8;

/// Checks a file in which `@` stands for a hash.
pub fn web(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // A message can contain a short and plain part of a hash, like any word.
    if has_part_of_hash(text) {
        return;
    }
    let text = text.replace('@', HASH);
    check(&text);
    for planted in [
        format!("{HASH}: 1\n{text}"),
        format!("{text}\n{HASH}"),
        format!("basic_auth_users: {{a: {HASH}}}\n{text}"),
        format!("basic_auth_users: {{a: {HASH}, b: {HASH}x}}\n{text}"),
        format!("basic_auth_users: {{{HASH}: a}}\n{text}"),
        format!("tls_server_config: {{cert_file: {HASH}}}\n{text}"),
    ] {
        check(&planted);
    }
    // A file with users restricts access, or is an error.
    for restricted in [
        format!("{text}\nbasic_auth_users: {{a: {HASH}}}\n"),
        format!("basic_auth_users: {{a: {HASH}}}\n{text}"),
    ] {
        assert!(parse(&restricted).map_or(true, |config| config.has_users), "{restricted:?}");
    }
}

fn check(text: &str) {
    let outcome = parse(text);
    assert_eq!(outcome, parse(text), "parsed twice");
    match outcome {
        Ok(config) => assert_as_in_file(&config, text),
        Err(error) => {
            let error = error.to_string();
            assert!(!error.contains(char::is_control) && error.starts_with(FILE), "{error:?}");
            assert_no_hash(&error);
        }
    }
}

fn parse(text: &str) -> Result<Parsed, ConfigError> {
    parse_file(Path::new(FILE), text)
}

fn assert_no_hash(message: &str) {
    assert!(!has_part_of_hash(message), "a hash is in: {message}");
}

fn has_part_of_hash(text: &str) -> bool {
    let mut windows = (0..=HASH.len() - MIN_LEAK).map(|begin| &HASH[begin..begin + MIN_LEAK]);
    windows.any(|part| text.contains(part))
}

/// Compares a configuration with the result of a simple YAML parser.
fn assert_as_in_file(config: &Parsed, text: &str) {
    assert_no_hash(&config.debug);
    let root: Option<Value> = serde_saphyr::from_str(text).expect("parsed before");
    let at = |section: &str, key: &str| root.as_ref()?.get(section)?.get(key);
    let is_filled = |value: &Value| !value.is_null() && value != "";
    let users = root.as_ref().and_then(|root| root.get("basic_auth_users")?.as_object());
    assert_eq!(config.has_users, users.is_some_and(|users| !users.is_empty()), "users");
    let is_encrypted =
        ["cert", "cert_file"].iter().any(|key| at("tls_server_config", key).is_some_and(is_filled));
    assert_eq!(config.has_tls, is_encrypted, "TLS");
    let has_limit = at("rate_limit", "interval").is_some_and(is_filled);
    assert!(has_limit || config.rate_limit.is_none());
    assert!(config.rate_limit.is_none_or(|(interval, _)| !interval.is_zero()));
}
