//! How messages tell of keys and values, and of where these come from.

use std::path::Path;

use config::{Value, ValueKind};

use super::{ConfigError, ENV_PREFIX};

/// What the `config` crate calls the environment as an origin.
const ENVIRONMENT: &str = "the environment";

/// Longest value that a message repeats, in characters.
const SHOWN: usize = 80;

/// The error that a value is not what it should be.
pub(super) fn wrong(file: &Path, path: &str, value: &Value, expected: &str) -> ConfigError {
    let told = told(path, value);
    let place = origin(file, path, value);
    ConfigError::new(&format!("{place}: {path} is {told}; it should be {expected}"))
}

/// Where a value comes from. A table made by the environment has no origin of its own; its first value tells.
pub(super) fn origin(file: &Path, path: &str, value: &Value) -> String {
    if let ValueKind::Table(values) = &value.kind
        && let Some((key, inner)) =
            values.iter().min_by_key(|(key, inner)| (inner.origin().is_none(), (*key).clone()))
    {
        return origin(file, &format!("{path}.{key}"), inner);
    }
    match value.origin() {
        Some(ENVIRONMENT) => format!("{ENV_PREFIX}__{}", path.replace('.', "__").to_uppercase()),
        Some(variable) => variable.to_owned(),
        None => file.display().to_string(),
    }
}

/// A value as a message repeats it. Of what may hold a secret by mistake, only the kind is told.
fn told(path: &str, value: &Value) -> String {
    let secretive =
        (path.contains("service_account") || path.contains("api_key")) && !path.ends_with(".expires_at");
    match &value.kind {
        ValueKind::String(text) if secretive && !text.trim().is_empty() => "a text".to_owned(),
        ValueKind::Array(_) if secretive => "a list".to_owned(),
        _ => shown(value),
    }
}

fn shown(value: &Value) -> String {
    match &value.kind {
        ValueKind::String(text) if text.contains("://") && text.contains('?') => {
            "a URL with a query".to_owned()
        }
        ValueKind::String(text) => match text.rsplit_once('@') {
            // Perhaps a URL with a password in it, or with a query.
            Some((_, rest)) => {
                format!("{:?}", format!("...@{}", rest.chars().take(SHOWN).collect::<String>()))
            }
            None if text.chars().count() > SHOWN => {
                format!("{:?}...", text.chars().take(SHOWN).collect::<String>())
            }
            None => format!("{text:?}"),
        },
        ValueKind::Table(_) => "a table".to_owned(),
        ValueKind::Array(values) => {
            format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        ValueKind::Nil => "nothing".to_owned(),
        _ => value.to_string(),
    }
}
