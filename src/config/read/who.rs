//! Who asks, and who vouches for whom is asked.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::section::Section;
use super::super::{Authorities, ConfigError, Credentials, SecretSource};
use super::{filled, text};
use crate::redact::holds_secret;

pub(super) const SERVICE_ACCOUNT: [&str; 4] =
    ["client_id", "client_secret", "client_secret_file", "expires_at"];
pub(super) const API_KEY: [&str; 3] = ["public_key", "private_key", "private_key_file"];

/// Read once: a reload takes a bundle that has changed.
pub(super) fn authorities(file: &Path, atlas: &mut Section<'_>) -> Result<Authorities, ConfigError> {
    let message = atlas.error("ca_file", "");
    let Some(path) = atlas.optional("ca_file", "the path of a file of certificates in PEM", filled)? else {
        return Ok(Authorities::default());
    };
    Authorities::read(&beside(file, &path))
        .map_err(|error| ConfigError::new(&format!("{}: {error}", message.to_string().trim_end())))
}

/// A path of the configuration: a relative one is looked up beside it.
fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// The credentials of a table, `None` where it has none of its own.
pub(super) fn credentials(file: &Path, table: &mut Section<'_>) -> Result<Option<Credentials>, ConfigError> {
    let account = table.has("service_account");
    let key = table.has("api_key");
    match (account, key) {
        (true, true) => Err(table.error(
            "service_account",
            &format!(
                "({}) and {} ({}) are both set; Atlas takes one kind of credentials, so remove one",
                table.origin_of("service_account"),
                table.path_of("api_key"),
                table.origin_of("api_key")
            ),
        )),
        (false, false) => Ok(None),
        (true, false) => {
            let mut section = table.section("service_account", &SERVICE_ACCOUNT)?;
            let origin = section.origin_of("client_id");
            let client_id = section.required(
                "client_id",
                "the client id, such as \"mdb_sa_id_...\", not the secret",
                |value| filled(value).filter(|id| !holds_secret(id)),
            )?;
            let client_secret = secret(file, &mut section, "client_secret", "client_secret_file")?;
            let expires_at = section.optional(
                "expires_at",
                "the day or the time at which the secret ends, such as \"2027-01-31\" (its first moment, UTC) or \"2027-01-31T12:00:00Z\"; a time needs Z or an offset",
                |value| text(value).and_then(expiry),
            )?;
            Ok(Some(Credentials::ServiceAccount { client_id, origin, client_secret, expires_at }))
        }
        (false, true) => {
            let mut section = table.section("api_key", &API_KEY)?;
            let origin = section.origin_of("public_key");
            let public_key = section.required("public_key", "the public part of the API key", filled)?;
            let private_key = secret(file, &mut section, "private_key", "private_key_file")?;
            Ok(Some(Credentials::ApiKey { public_key, origin, private_key }))
        }
    }
}

/// A secret given as such or by file. The environment's word wins over the file's, whichever form either takes.
fn secret(
    file: &Path,
    section: &mut Section<'_>,
    key: &str,
    file_key: &str,
) -> Result<SecretSource, ConfigError> {
    if section.has(key) && section.has(file_key) {
        match (section.is_from_environment(key), section.is_from_environment(file_key)) {
            (true, false) => section.forget(file_key),
            (false, true) => section.forget(key),
            _ => return Err(section.error(key, &format!("and {file_key} are both set; keep one of them"))),
        }
    }
    if section.has(key) {
        let origin = section.origin_of(key);
        return Ok(SecretSource::Inline { secret: section.secret(key)?, origin });
    }
    if !section.has(file_key) {
        return Err(section.error(key, &format!("is missing; set it or {file_key}")));
    }
    let message = section.error(file_key, "");
    let path = section.required(file_key, "the path of a file that holds the secret", filled)?;
    let source = SecretSource::File(beside(file, &path));
    source
        .read()
        .map_err(|error| {
            let hint = "put the secret there, or name another file; a relative path is looked up beside the configuration";
            ConfigError::new(&format!("{}: {error}; {hint}", message.to_string().trim_end()))
        })?;
    Ok(source)
}

/// A time, or a day, of which the first moment counts (UTC): what ends in its course may end then.
fn expiry(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().or_else(|_| format!("{text}T00:00:00Z").parse()).ok()
}
