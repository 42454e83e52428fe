//! Invariants of a web configuration file of any content.

// A violated invariant panics.
#![allow(clippy::missing_panics_doc)]

use std::path::Path;

use serde_json::Value;

use crate::ConfigError;
use crate::basic_auth::PasswordVerifier;
use crate::config::WebConfig;
use crate::files::Files;

/// In a folder that does not exist, so that no file of the machine is read.
const FILE: &str = "/dev/null/web.yml";

/// Of the password `secret`.
const HASH: &str = "$2y$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

/// Length of a part of a hash that must not be in a message; shorter ones can be a coincidence.
const MIN_LEAK: usize = 8;

/// Checks a file in which `@` stands for a hash.
pub fn web(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // A short and plain part of a hash can be repeated like any word.
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
    // Users restrict access, or the file is refused, whatever else is in it.
    for restricted in [
        format!("{text}\nbasic_auth_users: {{a: {HASH}}}\n"),
        format!("basic_auth_users: {{a: {HASH}}}\n{text}"),
    ] {
        let config = read(&restricted);
        assert!(config.is_err() || config.is_ok_and(|config| config.basic_auth.is_some()), "{restricted:?}");
    }
}

fn check(text: &str) {
    match (read(text), read(text)) {
        (Ok(config), Ok(again)) => {
            assert!(config.headers == again.headers && config.rate_limit == again.rate_limit, "read twice");
            holds(&config, text);
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again, "read twice");
            let error = error.to_string();
            assert!(!error.contains(char::is_control) && error.starts_with(FILE), "{error:?}");
            holds_no_hash(&error);
        }
        _ => panic!("accepted once, refused once"),
    }
}

fn read(text: &str) -> Result<WebConfig, ConfigError> {
    WebConfig::parse(Path::new(FILE), text, &mut Files::default(), &PasswordVerifier::default())
}

fn holds_no_hash(message: &str) {
    assert!(!has_part_of_hash(message), "a hash is in: {message}");
}

fn has_part_of_hash(text: &str) -> bool {
    let mut windows = (0..=HASH.len() - MIN_LEAK).map(|begin| &HASH[begin..begin + MIN_LEAK]);
    windows.any(|part| text.contains(part))
}

/// Compares a configuration with a second reading of its file.
fn holds(config: &WebConfig, text: &str) {
    holds_no_hash(&format!("{config:?}"));
    let root: Option<Value> = serde_saphyr::from_str(text).expect("parsed before");
    let at = |section: &str, key: &str| root.as_ref()?.get(section)?.get(key);
    let is_filled = |value: &Value| !value.is_null() && value != "";
    let users = root.as_ref().and_then(|root| root.get("basic_auth_users")?.as_object());
    assert_eq!(config.basic_auth.is_some(), users.is_some_and(|users| !users.is_empty()), "users");
    let is_encrypted =
        ["cert", "cert_file"].iter().any(|key| at("tls_server_config", key).is_some_and(is_filled));
    assert_eq!(config.tls.is_some(), is_encrypted, "TLS");
    let limit = at("rate_limit", "interval").is_some_and(is_filled);
    assert!(limit || config.rate_limit.is_none());
    assert!(config.rate_limit.is_none_or(|limit| !limit.interval.is_zero()));
}
