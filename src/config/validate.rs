//! Conversion of the tables to [`Config`], with the rules across keys.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use atlas_client::{CaBundle, CredentialKind, Credentials, SecretSource};
use secrecy::SecretString;
use url::Url;

use super::error::ConfigError;
use super::layers::Layers;
use super::raw::{Raw, RawApiKey, RawCollectors, RawServiceAccount, RawShard};
use super::types::{
    BASE_URL, CollectorConfig, Config, DISCOVERY_INTERVAL, OrganizationConfig, PollConfig, ProjectTarget,
};
use super::value::{ExportExpected, Parsed};
use super::{ca_bundle, secret as secret_file};
use crate::model::{CollectorKind, ExportExpectation, Shard};

/// Returns the configuration of all layers, without the proxy.
pub(super) fn config(layers: &Layers, host_name: &str) -> Result<Config, ConfigError> {
    let raw: Raw = layers.deserialize()?;
    let base_url = match raw.atlas.base_url {
        Some(Parsed(url)) => url,
        None => Url::parse(BASE_URL).map_err(|error| layers.error("atlas.base_url", error))?,
    };
    let ca_bundle = match raw.atlas.ca_file {
        Some(Parsed(path)) => ca_bundle::read(&layers.beside(&path))
            .map_err(|problem| layers.error("atlas.ca_file", problem))?,
        None => CaBundle::default(),
    };
    let default = credentials(layers, "atlas", raw.atlas.service_account, raw.atlas.api_key)?;
    let own_or_default = |own: Option<Credentials>| {
        let missing = "is missing, and so is atlas.api_key; set one of them, or the environment variables \
                       MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET";
        own.or_else(|| default.clone()).ok_or_else(|| layers.error("atlas.service_account", missing))
    };
    if raw.projects.is_empty() && raw.organizations.is_empty() {
        own_or_default(None)?;
        let missing = "is missing, and so is organizations; add a [[projects]] or [[organizations]] entry \
                       with an id";
        return Err(layers.error("projects", missing));
    }
    let mut projects = Vec::new();
    for (number, raw) in raw.projects.into_iter().enumerate() {
        let path = format!("projects[{number}]");
        let own = credentials(layers, &path, raw.service_account, raw.api_key)?;
        let mut selection = raw.clusters.map(|clusters| clusters.0).unwrap_or_default();
        selection.excluded = raw.exclude_clusters.map(|excluded| excluded.0).unwrap_or_default();
        if let Some(name) = selection.names.iter().find(|name| selection.excludes(name)) {
            let problem =
                format!("has {name:?}, which exclude_clusters excludes; remove it from one of them");
            return Err(layers.error(&format!("{path}.clusters"), problem));
        }
        projects.push(ProjectTarget {
            id: raw.id.0,
            organization: None,
            selection,
            expected: expected(raw.expected_interval, raw.export_expected),
            credentials: own_or_default(own)?,
        });
    }
    let mut organizations = Vec::new();
    for (number, raw) in raw.organizations.into_iter().enumerate() {
        let own = credentials(layers, &format!("organizations[{number}]"), raw.service_account, raw.api_key)?;
        organizations.push(OrganizationConfig {
            id: raw.id.0,
            exclude_projects: raw.exclude_projects.map(|excluded| excluded.0).unwrap_or_default(),
            exclude_clusters: raw.exclude_clusters.map(|excluded| excluded.0).unwrap_or_default(),
            expected: expected(raw.expected_interval, raw.export_expected),
            credentials: own_or_default(own)?,
        });
    }
    refuse_repeated_ids(layers, "projects", projects.iter().map(|project| &project.id))?;
    refuse_repeated_ids(layers, "organizations", organizations.iter().map(|organization| &organization.id))?;
    Ok(Config {
        base_url,
        ca_bundle,
        proxy: None,
        poll: poll(layers, raw.poll)?,
        discovery_interval: raw.discovery.interval.map_or(DISCOVERY_INTERVAL, |interval| interval.0),
        collectors: collectors(raw.collectors),
        projects,
        organizations,
        shard: shard(layers, &raw.shard, host_name)?,
        links: raw.links,
        warnings: Vec::new(),
    })
}

fn refuse_repeated_ids<T: Ord + Display>(
    layers: &Layers,
    table: &str,
    ids: impl Iterator<Item = T>,
) -> Result<(), ConfigError> {
    let mut known = BTreeSet::new();
    for (number, id) in ids.enumerate() {
        let problem = format!("is \"{id}\" a second time; merge these entries of [[{table}]]");
        if !known.insert(id) {
            return Err(layers.error(&format!("{table}[{number}].id"), problem));
        }
    }
    Ok(())
}

fn expected(interval: Option<Parsed<Duration>>, export: Option<Parsed<ExportExpected>>) -> ExportExpectation {
    ExportExpectation {
        interval: interval.map(|interval| interval.0),
        export: export.and_then(|export| export.0.0),
    }
}

fn poll(layers: &Layers, mut poll: PollConfig) -> Result<PollConfig, ConfigError> {
    if layers.get("poll.stale_after").is_none() {
        poll.stale_after = poll.stale_after.max(poll.interval * 3);
    }
    if poll.stale_after < poll.interval * 2 {
        let problem = format!(
            "is {:?}; expected at least {:?}, twice poll.interval, or metrics are withdrawn between \
             successful polls",
            poll.stale_after,
            poll.interval * 2
        );
        return Err(layers.error("poll.stale_after", problem));
    }
    Ok(poll)
}

fn collectors(raw: RawCollectors) -> CollectorConfig {
    let default = CollectorConfig::default();
    let switches = [
        (CollectorKind::Snapshots, raw.snapshots),
        (CollectorKind::Events, raw.events),
        (CollectorKind::Buckets, raw.buckets),
    ];
    let disabled = switches.into_iter().filter(|(_, is_on)| is_on.as_ref().is_some_and(|is_on| !is_on.0));
    CollectorConfig {
        interval: raw.interval.map_or(default.interval, |interval| interval.0),
        disabled: disabled.map(|(collector, _)| collector).collect(),
    }
}

fn shard(layers: &Layers, raw: &RawShard, host_name: &str) -> Result<Shard, ConfigError> {
    let refused = |problem: String| Err(layers.error("shard.index", problem));
    let (index, total) = match (&raw.index, &raw.total) {
        (None, None | Some(Parsed(1))) => return Ok(Shard::default()),
        (None, Some(Parsed(total))) => {
            return refused(format!(
                "is missing; expected 0 to {} for {total} shards, or \"auto\" in a StatefulSet",
                total - 1
            ));
        }
        (Some(_), None) => {
            return Err(layers.error("shard.total", "is missing; expected the number of shards"));
        }
        (Some(Parsed(index)), Some(Parsed(total))) => (index.0, *total),
    };
    let ordinal = || host_name.rsplit_once('-')?.1.parse().ok();
    match index.or_else(ordinal) {
        Some(index) if index < total => Ok(Shard { index, total }),
        Some(index) => refused(format!("is {index}; expected 0 to {} for {total} shards", total - 1)),
        None => refused(format!(
            "is \"auto\", but the host name {host_name:?} does not end in a number, as \"exporter-0\" of a \
             StatefulSet does; write the number"
        )),
    }
}

/// Returns the credentials of a table; `None` if it has none.
fn credentials(
    layers: &Layers,
    table: &str,
    service_account: Option<RawServiceAccount>,
    api_key: Option<RawApiKey>,
) -> Result<Option<Credentials>, ConfigError> {
    let path = |key: &str| format!("{table}.{key}");
    match (service_account, api_key) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            let key_path = path("api_key");
            let origin = layers.origin(&key_path);
            let problem = format!(
                "and {key_path} ({origin}) are both set; Atlas takes one kind of credentials, so remove one"
            );
            Err(layers.error(&path("service_account"), problem))
        }
        (Some(raw), None) => {
            let secret_path = path("service_account.client_secret");
            Ok(Some(Credentials {
                kind: CredentialKind::ServiceAccount,
                id: raw.client_id.0.0,
                secret: secret(layers, &secret_path, raw.client_secret, raw.client_secret_file)?,
                origin: layers.source(&path("service_account.client_id")),
                expires_at: raw.expires_at.map(|at| at.0),
            }))
        }
        (None, Some(raw)) => {
            let secret_path = path("api_key.private_key");
            Ok(Some(Credentials {
                kind: CredentialKind::ApiKey,
                id: raw.public_key.0.0,
                secret: secret(layers, &secret_path, raw.private_key, raw.private_key_file)?,
                origin: layers.source(&path("api_key.public_key")),
                expires_at: None,
            }))
        }
    }
}

/// Returns the source of a secret: a value or a file. If both are set, that of the environment
/// overrides that of the configuration file.
fn secret(
    layers: &Layers,
    path: &str,
    inline: Option<Parsed<SecretString>>,
    file: Option<Parsed<PathBuf>>,
) -> Result<SecretSource, ConfigError> {
    let file_path = format!("{path}_file");
    let (is_inline_lower, is_file_lower) = (layers.is_from_file(path), layers.is_from_file(&file_path));
    match (inline, file) {
        (Some(_), Some(_)) if is_inline_lower == is_file_lower => {
            Err(layers.error(path, format!("and {file_path} are both set; keep one of them")))
        }
        (Some(Parsed(secret)), file) if file.is_none() || is_file_lower => {
            Ok(SecretSource::Inline { secret, origin: layers.source(path) })
        }
        (_, Some(Parsed(file))) => {
            let source = SecretSource::File { path: layers.beside(&file), read: secret_file::read };
            let hint = "relative paths start from the folder of the configuration file";
            match source.read() {
                Ok(_) => Ok(source),
                Err(error) => Err(layers.error(&file_path, format!("cannot be read: {error} ({hint})"))),
            }
        }
        (_, None) => Err(layers.error(path, format!("is missing; set it or {file_path}"))),
    }
}
