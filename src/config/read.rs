//! Which keys there are, what each may be, and how they hang together.

use std::collections::BTreeSet;
use std::path::Path;

use config::{Value, ValueKind};
use url::Url;

use super::section::Section;
use super::{
    AtlasConfig, Config, ConfigError, Credentials, DISCOVERY_INTERVAL, PollConfig, ProjectConfig,
    SecretSource,
};
use crate::model::ProjectId;

pub(super) fn config(file: &Path, root: Value) -> Result<Config, ConfigError> {
    let mut root = Section::root(file, root, &["atlas", "poll", "discovery", "projects"])?;
    let mut atlas = root.section("atlas", &["base_url", "service_account", "api_key"])?;
    let base_url = atlas.required(
        "base_url",
        "an https URL without the path of the API, such as \"https://cloud.mongodb.com\" (http only to this machine)",
        |value| base_url(text(value)?),
    )?;
    let credentials = credentials(file, &mut atlas)?;

    let mut section = root.section("poll", &["interval", "timeout", "stale_after", "concurrency"])?;
    let default = PollConfig::default();
    let interval = section.duration("interval")?.unwrap_or(default.interval);
    let poll = PollConfig {
        interval,
        timeout: section.duration("timeout")?.unwrap_or(default.timeout),
        stale_after: section.duration("stale_after")?.unwrap_or(default.stale_after.max(interval * 3)),
        concurrency: section
            .optional("concurrency", "a whole number from 1 to 1000", |value| {
                let number = match &value.kind {
                    ValueKind::I64(number) => usize::try_from(*number).ok(),
                    // The environment has only text.
                    ValueKind::String(text) => text.trim().parse().ok(),
                    _ => None,
                };
                number.filter(|number| (1..=1000).contains(number))
            })?
            .unwrap_or(default.concurrency),
    };
    if poll.stale_after < poll.interval * 2 {
        return Err(section.error(
            "stale_after",
            &format!(
                "is {:?}, less than two of poll.interval ({:?}), so figures would be withdrawn between two good polls; make it at least {:?}",
                poll.stale_after, poll.interval, poll.interval * 2
            ),
        ));
    }

    let mut section = root.section("discovery", &["interval"])?;
    let discovery_interval = section.duration("interval")?.unwrap_or(DISCOVERY_INTERVAL);

    let projects = projects(&mut root)?;
    Ok(Config { atlas: AtlasConfig { base_url, credentials }, poll, discovery_interval, projects })
}

fn projects(root: &mut Section<'_>) -> Result<Vec<ProjectConfig>, ConfigError> {
    let mut projects = Vec::new();
    let mut ids = BTreeSet::new();
    for mut section in root.sections("projects", &["id", "clusters"])? {
        let id = section.required(
            "id",
            "a project id: 24 lower-case hexadecimal digits, as in the project's address in Atlas",
            |value| ProjectId::parse(text(value)?),
        )?;
        let clusters: Vec<String> = section.required(
            "clusters",
            "a list of cluster names, such as [\"prod-eu\", \"reporting\"]",
            |value| match &value.kind {
                ValueKind::Array(names) if !names.is_empty() => names
                    .iter()
                    .map(|name| text(name).filter(|name| is_name(name)).map(str::to_owned))
                    .collect(),
                _ => None,
            },
        )?;
        let mut seen = BTreeSet::new();
        for name in &clusters {
            if name.contains(['*', '?', '[', ']', '{', '}']) {
                return Err(section.error(
                    "clusters",
                    &format!("has {name:?}, a pattern; write each cluster's name in full"),
                ));
            }
            if !seen.insert(name) {
                return Err(section.error("clusters", &format!("names {name:?} twice; once is enough")));
            }
        }
        if !ids.insert(id.clone()) {
            return Err(section.error(
                "id",
                &format!("is \"{id}\" a second time; put all clusters of a project in one [[projects]]"),
            ));
        }
        projects.push(ProjectConfig { id, clusters });
    }
    if projects.is_empty() {
        return Err(root.error(
            "projects",
            "is missing; name at least one project with [[projects]], its id and its clusters",
        ));
    }
    Ok(projects)
}

fn credentials(file: &Path, atlas: &mut Section<'_>) -> Result<Credentials, ConfigError> {
    let account = atlas.has("service_account");
    let key = atlas.has("api_key");
    match (account, key) {
        (true, true) => Err(atlas.error(
            "service_account",
            &format!(
                "({}) and atlas.api_key ({}) are both set; Atlas takes one kind of credentials, so remove one",
                atlas.origin_of("service_account"),
                atlas.origin_of("api_key")
            ),
        )),
        (false, false) => Err(atlas.error(
            "service_account",
            "is missing, and so is atlas.api_key; set one of them, or MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET in the environment",
        )),
        (true, false) => {
            let mut section = atlas.section("service_account", &["client_id", "client_secret", "client_secret_file"])?;
            let client_id = section.required("client_id", "the client id, such as \"mdb_sa_id_...\"", filled)?;
            let client_secret = secret(file, &mut section, "client_secret", "client_secret_file")?;
            Ok(Credentials::ServiceAccount { client_id, client_secret })
        }
        (false, true) => {
            let mut section = atlas.section("api_key", &["public_key", "private_key", "private_key_file"])?;
            let public_key = section.required("public_key", "the public part of the API key", filled)?;
            let private_key = secret(file, &mut section, "private_key", "private_key_file")?;
            Ok(Credentials::ApiKey { public_key, private_key })
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
        let secret = section.secret(key)?;
        return Ok(SecretSource::Inline(secret));
    }
    if !section.has(file_key) {
        return Err(section.error(key, &format!("is missing; set it or {file_key}")));
    }
    let message = section.error(file_key, "");
    let path = section.required(file_key, "the path of a file that holds the secret", filled)?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let source = SecretSource::File(beside.join(path));
    source
        .read()
        .map_err(|error| {
            let hint = "put the secret there, or name another file; a relative path is looked up beside the configuration";
            ConfigError::new(format!("{}: {error}; {hint}", message.to_string().trim_end()))
        })?;
    Ok(source)
}

/// Whether a cluster could be called this. What Atlas allows is documented in two ways, so only what cannot stand in a path
/// as it is (dots alone) or stems from a slip is refused.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.trim() == name && !matches!(name, "." | "..") && !name.contains(char::is_control)
}

fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

fn filled(value: &Value) -> Option<String> {
    text(value).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Credentials go wherever this points, so plain http is for this machine only.
fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(name) => name == "localhost",
    };
    let plain = !url.path().contains("/api/")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !(url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}
