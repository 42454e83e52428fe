//! TOML and environment, read once into typed values. The only room that knows TOML and YAML.
//!
//! Layers, later ones win: defaults, the file, `ATLAS_BACKUP_EXPORTER__SECTION__KEY`, flags. The `MONGODB_ATLAS_*` names of
//! Atlas's own tools are read as the credentials of the environment layer.

mod authorities;
mod credentials;
mod environment;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub(crate) mod pem;
mod proxy;
mod read;
mod section;
mod selection;
pub(crate) mod text;
mod told;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Environment, File, FileFormat, Value, ValueKind};
use url::Url;

use crate::model::{Detail, Expected, OrganizationId, ProjectId, Shard};
use crate::redact;
pub use authorities::Authorities;
pub use credentials::{Credentials, SecretSource};
pub(crate) use credentials::{client_hint, key_hint};
pub use proxy::Proxy;
pub use selection::{ProjectPattern, Selection};

/// Where Atlas is, unless someone says otherwise.
const BASE_URL: &str = "https://cloud.mongodb.com";

/// What every variable of the environment layer begins with, two underscores after it.
pub const ENV_PREFIX: &str = "ATLAS_BACKUP_EXPORTER";

/// The flag that wins over `shard.index`.
const SHARD_FLAG: &str = "--shard.index";

/// Names that Atlas's own command line and Terraform provider use, and the key each stands for.
const ATLAS_NAMES: [(&str, &str, &str); 4] = [
    ("MONGODB_ATLAS_CLIENT_ID", "service_account", "client_id"),
    ("MONGODB_ATLAS_CLIENT_SECRET", "service_account", "client_secret"),
    ("MONGODB_ATLAS_PUBLIC_API_KEY", "api_key", "public_key"),
    ("MONGODB_ATLAS_PRIVATE_API_KEY", "api_key", "private_key"),
];

/// Keys that a web configuration begins with.
const WEB_KEYS: [&str; 3] = ["tls_server_config", "http_server_config", "basic_auth_users"];

/// Everything the exporter was told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The root of the API, with neither query nor credentials in it; its path ends in a slash.
    pub base_url: Url,
    /// Who may vouch for it besides the authorities of the system.
    pub authorities: Authorities,
    /// The proxy on the way to it.
    pub proxy: Option<Proxy>,
    /// How clusters are polled.
    pub poll: PollConfig,
    /// How often organizations, projects and schedules are read.
    pub discovery_interval: Duration,
    /// What is read besides the export jobs.
    pub detail: DetailConfig,
    /// What to watch; each project once. They win over `organizations` where both name a project.
    pub projects: Vec<ProjectConfig>,
    /// What to watch as a whole; each organization once.
    pub organizations: Vec<OrganizationConfig>,
    /// Which of all clusters are this exporter's.
    pub shard: Shard,
    /// Variables of the environment without effect.
    pub warnings: Vec<Warning>,
}

/// A variable of the environment that has no effect, though it seems to be meant to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Its name.
    pub variable: String,
    /// The problem with it. Its value is not repeated.
    pub problem: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is ignored: {}", self.variable, self.problem)
    }
}

/// Where a configuration is read from, and what the command line adds to it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// `--shard.index`: a number, or `auto`.
    pub shard_index: Option<String>,
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
    /// Whether jobs that ended long ago are read by every poll, or only by a full walk.
    pub incremental: bool,
    /// From one full walk of a listing to its next.
    pub full_walk_interval: Duration,
}

impl Default for PollConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_mins(1),
            timeout: Duration::from_secs(30),
            stale_after: Duration::from_mins(15),
            concurrency: 8,
            incremental: true,
            full_walk_interval: Duration::from_hours(1),
        }
    }
}

/// `[discovery] interval` when nobody sets it.
pub const DISCOVERY_INTERVAL: Duration = Duration::from_mins(10);

/// `[detail]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetailConfig {
    /// From one reading of a detail to its next.
    pub interval: Duration,
    /// The details that are switched off.
    pub off: Vec<Detail>,
}

impl Default for DetailConfig {
    fn default() -> Self {
        Self { interval: Duration::from_mins(10), off: Vec::new() }
    }
}

impl DetailConfig {
    /// Age at which what was read is withdrawn: two readings may fail.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.interval * 3
    }
}

/// `[[projects]]`
#[derive(Debug, Clone)]
pub struct ProjectConfig {
    /// The project.
    pub id: ProjectId,
    /// Which of its clusters.
    pub clusters: Selection,
    /// What is expected of them.
    pub expected: Expected,
    /// Who asks for them.
    pub credentials: Credentials,
}

/// `[[organizations]]`
#[derive(Debug, Clone)]
pub struct OrganizationConfig {
    /// The organization.
    pub id: OrganizationId,
    /// Projects that are not read.
    pub exclude_projects: Vec<ProjectPattern>,
    /// Clusters of its projects that are not watched.
    pub exclude_clusters: Vec<glob::Pattern>,
    /// What is expected of the clusters of its projects.
    pub expected: Expected,
    /// Who asks for them.
    pub credentials: Credentials,
}

impl OrganizationConfig {
    /// Returns true if a project is excluded, as far as its name is known.
    #[must_use]
    pub fn excludes(&self, id: &ProjectId, name: Option<&str>) -> bool {
        self.exclude_projects.iter().any(|pattern| pattern.matches(id, name))
    }
}

/// Why a configuration was refused. Displays as one sentence, on one line, for the person who wrote it; no secret is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ConfigError {
    pub(crate) fn new(sentence: &str) -> Self {
        Self(redact::line(sentence))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Whoever asks for something, each as often as it is configured.
    pub fn credentials(&self) -> impl Iterator<Item = &Credentials> {
        let of_projects = self.projects.iter().map(|project| &project.credentials);
        of_projects.chain(self.organizations.iter().map(|organization| &organization.credentials))
    }

    /// Reads `source` and the environment of this process; warnings are logged, and secrets redacted from now on.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let config =
            Self::layered(source, std::env::vars_os().map(|(name, value)| (text(name), text(value))))?;
        // Before anything that repeats them can be read.
        config.credentials().for_each(Credentials::redact);
        config.proxy.iter().for_each(Proxy::redact);
        for Warning { variable, problem } in &config.warnings {
            tracing::warn!(variable, problem, "ignoring a variable of the environment");
        }
        Ok(config)
    }

    /// Reads `source` under the variables of `environment`.
    pub fn layered(
        source: &Source,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let file = source.file.as_path();
        let unreadable = |error: &dyn fmt::Display| {
            ConfigError::new(&format!(
                "{}: cannot read the configuration file: {error}; name another with --config.file, or start from config.example.toml",
                file.display()
            ))
        };
        let content = std::fs::read(file).map_err(|error| unreadable(&error))?;
        let text = text::decode(&content).map_err(|error| unreadable(&error))?;
        Self::of(source, &text, environment)
    }

    /// Reads `text`, which is that of the file, under the variables of `environment`.
    fn of(
        source: &Source,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let file = source.file.as_path();
        let variables: config::Map<String, String> = environment.into_iter().collect();
        let mut warnings = environment::warnings(&variables)?;
        let refused =
            |origin: &str, error: &dyn fmt::Display| ConfigError::new(&format!("{origin}: {error}"));
        let mut builder = config::Config::builder()
            .set_default("atlas.base_url", BASE_URL)
            .map_err(|error| refused("atlas.base_url", &error))?
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(
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
                    .map_err(|error| refused(name, &error))?;
            }
        }
        if let Some(index) = &source.shard_index {
            let value = Value::new(Some(&SHARD_FLAG.to_owned()), ValueKind::String(index.clone()));
            builder =
                builder.set_override("shard.index", value).map_err(|error| refused(SHARD_FLAG, &error))?;
        }
        let merged = builder.build().map_err(|error| {
            if let Some(form) = other_form(file, text) {
                return ConfigError::new(&format!("{}: {}", file.display(), not_toml(form, text)));
            }
            // The parser draws a picture of the line; its first and last line say where and what.
            let text = error.to_string();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let place = lines.next().unwrap_or_default().trim_start_matches("TOML parse error ");
            let what = lines.next_back().map(|what| format!(": {what}")).unwrap_or_default();
            ConfigError::new(&format!("{}: not TOML {place}{what}", file.display()))
        })?;
        let host_name = variables.get("HOSTNAME").filter(|name| !name.is_empty()).cloned();
        let host_name =
            host_name.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
        let mut config = read::config(file, merged.cache, &host_name)?;
        config.proxy = proxy::proxy(&variables, &config.base_url, &mut warnings)?;
        Ok(Self { warnings, ..config })
    }
}

/// Returns the form of a file that is not TOML, judged by its name and its first line.
fn other_form(file: &Path, text: &str) -> Option<&'static str> {
    let is_named = |extension: &str| file.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension));
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    let is_key = |key: &str| !key.contains(['=', '[']);
    if first.starts_with('{') || is_named("json") {
        Some("JSON")
    } else if first == "---" || first.starts_with("- ") || is_named("yaml") || is_named("yml") {
        Some("YAML")
    } else {
        first.split_once(':').filter(|(key, _)| is_key(key)).map(|_| "YAML")
    }
}

/// Returns the hint on a configuration in another form. The text is not repeated.
fn not_toml(form: &str, text: &str) -> String {
    let is_web = text.lines().any(|line| WEB_KEYS.iter().any(|key| line.starts_with(key)));
    let hint = if is_web {
        "this is a web configuration, which --web.config.file names"
    } else {
        "write [poll] and interval = \"1m\", and see config.example.toml"
    };
    format!("the configuration is TOML, but this file is {form}; {hint}")
}

#[cfg(test)]
mod tests;
