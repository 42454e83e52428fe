//! What must hold of a web configuration, whatever stands in it.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use std::path::Path;

use serde_json::Value;

use super::{Files, Guesses, WebConfig, config};
use crate::config::ConfigError;
use crate::fuzzing::is_a_line;

/// A folder that is not there: what the file names cannot be read, and nothing of the machine is.
const FILE: &str = "/dev/null/web.yml";

/// Of the password `secret`.
const HASH: &str = "$2y$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

/// Letters of a hash that may stand in a message: fewer than that are chance.
const CHANCE: usize = 8;

/// A file. An `@` in it stands for a hash.
pub fn web(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // A part of it that is as short and as plain as a word may be repeated like one.
    if has_part_of_a_hash(text) {
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
    // Whatever stands before it, what is closed is closed, or an error.
    for closed in [
        format!("{text}\nbasic_auth_users: {{a: {HASH}}}\n"),
        format!("basic_auth_users: {{a: {HASH}}}\n{text}"),
    ] {
        assert!(read(&closed).is_err() || is_closed(&closed), "it is open: {closed:?}");
    }
}

fn is_closed(text: &str) -> bool {
    read(text).is_ok_and(|config| config.users.is_some())
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
            is_a_line(&error);
            assert!(error.starts_with(FILE), "nobody knows where: {error}");
            tells_no_hash(&error);
        }
        _ => panic!("once well, once badly"),
    }
}

fn read(text: &str) -> Result<WebConfig, ConfigError> {
    config::load(Path::new(FILE), text, &mut Files::default(), &Guesses::default())
}

fn tells_no_hash(told: &str) {
    assert!(!has_part_of_a_hash(told), "a hash is in: {told}");
}

fn has_part_of_a_hash(text: &str) -> bool {
    let mut windows = (0..=HASH.len() - CHANCE).map(|begin| &HASH[begin..begin + CHANCE]);
    windows.any(|part| text.contains(part))
}

/// What is closed in the file is closed, by another reading of it.
fn holds(config: &WebConfig, text: &str) {
    tells_no_hash(&format!("{config:?}"));
    let root: Option<Value> = serde_saphyr::from_str(text).expect("it was understood before");
    let at = |section: &str, key: &str| root.as_ref()?.get(section)?.get(key);
    let is_filled = |value: &Value| !value.is_null() && value != "";
    let users = root.as_ref().and_then(|root| root.get("basic_auth_users")?.as_object());
    assert_eq!(config.users.is_some(), users.is_some_and(|users| !users.is_empty()), "users");
    let is_encrypted =
        ["cert", "cert_file"].iter().any(|key| at("tls_server_config", key).is_some_and(is_filled));
    assert_eq!(config.tls.is_some(), is_encrypted, "TLS");
    let limit = at("rate_limit", "interval").is_some_and(is_filled);
    assert!(limit || config.rate_limit.is_none());
    assert!(config.rate_limit.is_none_or(|limit| !limit.interval.is_zero()));
}
