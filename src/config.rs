//! TOML and environment, read once into typed values. The only room that knows TOML.
//!
//! Layers, later ones win: defaults, the file, `ATLAS_BACKUP_EXPORTER__SECTION__KEY`. Flags name nothing that the
//! file names, so they never disagree. The `MONGODB_ATLAS_*` names of Atlas's own tools are read as the
//! credentials of the environment layer.

mod section;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, File, FileFormat, Map, Value, ValueKind};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::model::ProjectId;
use section::Section;

/// What every variable of the environment layer begins with, two underscores after it.
pub const ENV_PREFIX: &str = "ATLAS_BACKUP_EXPORTER";

/// Names that Atlas's own command line and Terraform provider use, and the key each stands for.
const ATLAS_NAMES: [(&str, &str, &str); 4] = [
    ("MONGODB_ATLAS_CLIENT_ID", "service_account", "client_id"),
    ("MONGODB_ATLAS_CLIENT_SECRET", "service_account", "client_secret"),
    ("MONGODB_ATLAS_PUBLIC_API_KEY", "api_key", "public_key"),
    ("MONGODB_ATLAS_PRIVATE_API_KEY", "api_key", "private_key"),
];

/// Everything the exporter was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Atlas is and who asks.
    pub atlas: AtlasConfig,
    /// How clusters are polled.
    pub poll: PollConfig,
    /// How often projects are asked for their names.
    pub discovery_interval: Duration,
    /// What to watch; each project once.
    pub projects: Vec<ProjectConfig>,
}

/// `[atlas]`
#[derive(Debug, Clone)]
pub struct AtlasConfig {
    /// The root of the API, with neither query nor credentials in it; its path ends in a slash.
    pub base_url: Url,
    /// Who asks.
    pub credentials: Credentials,
}

/// The two ways to sign in to Atlas.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// OAuth 2.0 client credentials.
    ServiceAccount {
        /// `mdb_sa_id_...`
        client_id: String,
        /// `mdb_sa_sk_...`
        client_secret: SecretSource,
    },
    /// HTTP Digest.
    ApiKey {
        /// The user of the digest.
        public_key: String,
        /// Its password.
        private_key: SecretSource,
    },
}

/// A secret, or the file it is in.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Written in the configuration or the environment.
    Inline(SecretString),
    /// Read anew whenever it is needed, so that it can be rotated under a running exporter.
    File(PathBuf),
}

impl SecretSource {
    /// The secret as it is now, without white space around it. Errors name the file, never what is in it.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Inline(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                let secret = SecretString::from(text.trim());
                if secret.expose_secret().is_empty() {
                    return Err(format!("{} is empty; it should hold the secret", path.display()));
                }
                Ok(secret)
            }
        }
    }
}

/// `[poll]`
#[derive(Debug, Clone)]
pub struct PollConfig {
    /// From one poll of a cluster to its next.
    pub interval: Duration,
    /// One poll of one cluster, all pages and retries.
    pub timeout: Duration,
    /// Age at which figures are withdrawn.
    pub stale_after: Duration,
    /// Polls begun at once; at least 1.
    pub concurrency: usize,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(30),
            stale_after: Duration::from_secs(15 * 60),
            concurrency: 8,
        }
    }
}

/// `[discovery] interval` when nobody sets it.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_secs(600);

/// `[[projects]]`
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    /// The project.
    pub id: ProjectId,
    /// Its clusters, each once, at least one.
    pub clusters: Vec<String>,
}

/// Why a configuration was refused. Displays as one sentence for the person who wrote it; no secret is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `file` and the environment of this process.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::layered(
            file,
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// Reads `file` under the variables of `environment`.
    pub fn layered(
        file: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let variables: config::Map<String, String> = environment.into_iter().collect();
        let text = std::fs::read_to_string(file).map_err(|error| {
            ConfigError(format!(
                "{}: cannot read the configuration file: {error}; name another with --config.file, or start from config.example.toml",
                file.display()
            ))
        })?;
        let mut builder =
            config::Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).add_source(
                Environment::with_prefix(ENV_PREFIX)
                    .prefix_separator("__")
                    .separator("__")
                    .ignore_empty(true)
                    .source(Some(variables.clone())),
            );
        for (name, section, key) in ATLAS_NAMES {
            let own = format!("{ENV_PREFIX}__ATLAS__{section}__{key}").to_uppercase();
            let Some(value) = variables.get(name).filter(|value| !value.is_empty()) else { continue };
            if variables.get(&own).is_none_or(String::is_empty) {
                let origin = name.to_owned();
                let value = Value::new(Some(&origin), ValueKind::String(value.clone()));
                builder = builder
                    .set_override(format!("atlas.{section}.{key}"), value)
                    .map_err(|error| ConfigError(format!("{name}: {error}")))?;
            }
        }
        let merged = builder.build().map_err(|error| {
            ConfigError(format!("{}: not TOML: {}", file.display(), error.to_string().trim()))
        })?;
        read(&Context { file }, merged.cache)
    }
}

/// What messages need to know beside the value itself.
struct Context<'a> {
    file: &'a Path,
}

fn read(context: &Context<'_>, root: Value) -> Result<Config, ConfigError> {
    let mut root = Section::root(context, root)?;
    let mut atlas = root.section("atlas")?;
    let base_url = atlas
        .optional(
            "base_url",
            "an https URL, such as \"https://cloud.mongodb.com\" (http only to this machine)",
            base_url,
        )?
        .map_or_else(
            || parse_base("https://cloud.mongodb.com").ok_or_else(|| atlas.error("base_url", "is missing")),
            Ok,
        )?;
    let credentials = credentials(context, &mut atlas)?;
    atlas.finish()?;

    let mut section = root.section("poll")?;
    let default = PollConfig::default();
    let poll = PollConfig {
        interval: section.duration("interval")?.unwrap_or(default.interval),
        timeout: section.duration("timeout")?.unwrap_or(default.timeout),
        stale_after: section.duration("stale_after")?.unwrap_or(default.stale_after),
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
    if poll.stale_after < poll.interval {
        return Err(section.error(
            "stale_after",
            &format!(
                "is {:?}, shorter than poll.interval ({:?}), so figures would be withdrawn between two good polls; make it several intervals",
                poll.stale_after, poll.interval
            ),
        ));
    }
    section.finish()?;

    let mut section = root.section("discovery")?;
    let discovery_interval = section.duration("interval")?.unwrap_or(DISCOVERY_INTERVAL);
    section.finish()?;

    let projects = projects(&mut root)?;
    root.finish()?;
    Ok(Config { atlas: AtlasConfig { base_url, credentials }, poll, discovery_interval, projects })
}

fn projects(root: &mut Section<'_>) -> Result<Vec<ProjectConfig>, ConfigError> {
    let mut projects = Vec::new();
    let mut ids = BTreeSet::new();
    for mut section in root.sections("projects")? {
        let id = section.required(
            "id",
            "a project id: 24 lower-case hexadecimal digits, as in the project's address in Atlas",
            |value| ProjectId::parse(text(value)?),
        )?;
        let clusters = section.required(
            "clusters",
            "a list of cluster names, such as [\"prod-eu\", \"reporting\"]",
            |value| match &value.kind {
                ValueKind::Array(names) if !names.is_empty() => names
                    .iter()
                    .map(|name| text(name).filter(|name| !name.is_empty()).map(str::to_owned))
                    .collect(),
                _ => None,
            },
        )?;
        let clusters: Vec<String> = clusters;
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
        section.finish()?;
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

fn credentials(context: &Context<'_>, atlas: &mut Section<'_>) -> Result<Credentials, ConfigError> {
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
            let mut section = atlas.section("service_account")?;
            let client_id = section.required("client_id", "the client id, such as \"mdb_sa_id_...\"", filled)?;
            let client_secret = secret(context, &mut section, "client_secret", "client_secret_file")?;
            section.finish()?;
            Ok(Credentials::ServiceAccount { client_id, client_secret })
        }
        (false, true) => {
            let mut section = atlas.section("api_key")?;
            let public_key = section.required("public_key", "the public part of the API key", filled)?;
            let private_key = secret(context, &mut section, "private_key", "private_key_file")?;
            section.finish()?;
            Ok(Credentials::ApiKey { public_key, private_key })
        }
    }
}

/// A secret given as such or by file. The environment's word wins over the file's, whichever form either takes.
fn secret(
    context: &Context<'_>,
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
    let beside = context.file.parent().unwrap_or(Path::new(""));
    let source = SecretSource::File(beside.join(path));
    source.read().map_err(|error| ConfigError(format!("{}: {error}", message.0.trim_end())))?;
    Ok(source)
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

fn base_url(value: &Value) -> Option<Url> {
    parse_base(text(value)?)
}

/// Credentials go wherever this points, so plain http is for this machine only.
fn parse_base(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let loopback = match url.host()? {
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
        url::Host::Domain(name) => name == "localhost",
    };
    let plain = url.username().is_empty()
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

type Values = Map<String, Value>;

#[cfg(test)]
mod tests;
