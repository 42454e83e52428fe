//! The configuration: TOML, environment and flags, parsed into typed values.
//!
//! Later layers override earlier ones: defaults, file, `ATLAS_BACKUP_EXPORTER__SECTION__KEY`,
//! flags. The environment can also have credentials as `MONGODB_ATLAS_*`, as for Atlas's own tools.

mod ca_bundle;
mod cluster_selector;
mod environment;
mod error;
mod layers;
mod link_template;
mod raw;
mod secret;
mod types;
mod validate;
mod value;

use std::ffi::OsString;
use std::fmt;

use atlas_client::{Credentials, Proxy};
use exporter_web::text;

pub use cluster_selector::{ClusterSelector, ProjectPattern};
pub use error::ConfigError;
use layers::Layers;
pub use link_template::LinkTemplate;
pub use raw::tables;
pub use types::{
    CollectorConfig, Config, DISCOVERY_INTERVAL, ENV_PREFIX, LinkConfig, OrganizationConfig, PollConfig,
    ProjectTarget, Source, Warning,
};

impl Config {
    /// Reads `source` and the environment of this process. Logs warnings, and registers secrets for
    /// redaction.
    pub fn load(source: &Source) -> Result<Self, ConfigError> {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let config = Self::layered(source, environment)?;
        // Before anything that contains them is read.
        config.credentials().for_each(Credentials::redact);
        config.proxy.iter().for_each(Proxy::redact);
        for Warning { variable, problem } in &config.warnings {
            tracing::warn!(variable, problem, "ignoring an environment variable");
        }
        Ok(config)
    }

    /// Reads `source`, overridden by the variables of `environment`.
    pub fn layered(
        source: &Source,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let refused = |problem: &dyn fmt::Display| {
            let file = source.file.display();
            ConfigError::new(&format!(
                "{file}: failed to read the configuration file: {problem}; \
                 choose another with --config.file, or start from config.example.toml"
            ))
        };
        let content = std::fs::read(&source.file).map_err(|error| refused(&error))?;
        let text = text::decode(&content).map_err(|error| refused(&error))?;
        Self::parse(source, &text, environment)
    }

    /// Reads `text`, the content of the file, overridden by the variables of `environment`.
    pub(crate) fn parse(
        source: &Source,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment = environment::set(environment);
        let layers = Layers::merge(source, text, &environment)?;
        let host_name = match environment.get("HOSTNAME") {
            Some(name) => name.clone(),
            None => gethostname::gethostname().to_string_lossy().into_owned(),
        };
        let config = validate::config(&layers, &host_name)?;
        let mut warnings = environment::warnings(&environment);
        let variable = |name: &str| environment.get(name).map(String::as_str);
        let warn =
            |variable: &str, problem| warnings.push(Warning { variable: variable.to_owned(), problem });
        let proxy = Proxy::from_environment(variable, &config.base_url, warn)
            .map_err(|problem| ConfigError::new(&problem))?;
        Ok(Self { proxy, warnings, ..config })
    }
}

#[cfg(test)]
mod tests;
