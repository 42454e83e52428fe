//! Environment variables that set a key.

use std::collections::BTreeMap;

use atlas_client::redact;
use config::Environment;

use super::raw::tables;
use super::types::{ENV_PREFIX, Warning};

/// Variables of Atlas's own command line and Terraform provider, with their keys.
pub(super) const ATLAS_NAMES: [(&str, &str); 4] = [
    ("MONGODB_ATLAS_CLIENT_ID", "atlas.service_account.client_id"),
    ("MONGODB_ATLAS_CLIENT_SECRET", "atlas.service_account.client_secret"),
    ("MONGODB_ATLAS_PUBLIC_API_KEY", "atlas.api_key.public_key"),
    ("MONGODB_ATLAS_PRIVATE_API_KEY", "atlas.api_key.private_key"),
];

/// Returns the variables that are not empty.
pub(super) fn set(environment: impl IntoIterator<Item = (String, String)>) -> BTreeMap<String, String> {
    environment.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

pub(super) fn layer(environment: &BTreeMap<String, String>) -> Environment {
    // The last variable of a key wins.
    let values = keys(environment).filter_map(|(path, name)| Some((path, environment.get(&name)?.clone())));
    Environment::default().source(Some(values.collect()))
}

/// Returns the paths of keys with their variables. Those with [`ENV_PREFIX`] come last, so that
/// they override [`ATLAS_NAMES`].
pub(super) fn keys(environment: &BTreeMap<String, String>) -> impl Iterator<Item = (String, String)> {
    let atlas = ATLAS_NAMES.into_iter().filter(|(name, _)| environment.contains_key(*name));
    let own = environment.keys().filter_map(|variable| {
        let name = variable.to_lowercase();
        let path = name.strip_prefix(&format!("{ENV_PREFIX}__").to_lowercase())?.replace("__", ".");
        Some((path, variable.clone()))
    });
    atlas.map(|(name, path)| (path.to_owned(), name.to_owned())).chain(own)
}

/// Returns warnings for variables of keys that lack an underscore behind [`ENV_PREFIX`].
pub(super) fn warnings(environment: &BTreeMap<String, String>) -> Vec<Warning> {
    let warning = |variable: &String| {
        let name = variable.to_uppercase();
        if name.strip_prefix(ENV_PREFIX)?.strip_prefix('_')?.starts_with('_') {
            return None;
        }
        let problem = format!("not a key; did you mean {}?", suggestion(variable)?);
        Some(Warning { variable: redact::line(variable), problem })
    };
    environment.keys().filter_map(warning).collect()
}

/// Returns the known variable that is most similar to an unknown one.
pub(super) fn suggestion(variable: &str) -> Option<String> {
    let name = variable.to_uppercase();
    let name = name.strip_prefix(ENV_PREFIX)?.trim_start_matches('_');
    let is_array = |table: &str| table.starts_with("projects") || table.starts_with("organizations");
    let tables = tables().into_iter().filter(|(table, _)| !table.is_empty() && !is_array(table));
    let paths = tables.flat_map(|(table, keys)| keys.into_iter().map(move |key| format!("{table}.{key}")));
    let known: Vec<_> = paths.map(|path| path.replace('.', "__").to_uppercase()).collect();
    let meant = exporter_web::suggest(name, known.iter().map(String::as_str))?;
    Some(format!("{ENV_PREFIX}__{meant}"))
}
