//! The layers of the configuration, merged into one table with the origin of each value.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use config::FileFormat;
use config::builder::{ConfigBuilder, DefaultState};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer};
use toml::de::{DeTable, DeValue, Error};
use toml::{Spanned, Value};

use super::environment;
use super::error::ConfigError;
use super::raw::tables;
use super::types::{SHARD_FLAG, Source};

/// Maximum length of a value in a message, in bytes.
const MAX_SHOWN: usize = 80;

/// Renamed keys with their new names.
const RENAMED: [(&str, &str); 2] =
    [("detail", "collectors"), ("poll.full_walk_interval", "poll.full_listing_interval")];

pub(super) struct Layers {
    folder: PathBuf,
    file: String,
    root: Value,
    /// `file:line:column`, or the name of the variable or flag, by paths such as `projects[0].id`.
    origins: BTreeMap<String, String>,
}

impl Layers {
    /// Merges the text of the file with the environment and the flags.
    pub(super) fn merge(
        source: &Source,
        text: &str,
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let folder = source.file.parent().unwrap_or(Path::new("")).to_owned();
        let file = source.file.display().to_string();
        let mut origins = positions(&file, text)?;
        let flag = source.shard_index.iter().map(|_| ("shard.index".to_owned(), SHARD_FLAG.to_owned()));
        for (path, origin) in environment::keys(environment).chain(flag) {
            for (dot, _) in path.match_indices('.') {
                origins.entry(path[..dot].to_owned()).or_insert_with(|| origin.clone());
            }
            origins.insert(path, origin);
        }
        let merged = config::Config::builder()
            .add_source(config::File::from_str(text, FileFormat::Toml))
            .add_source(environment::layer(environment))
            .set_override_option("shard.index", source.shard_index.clone())
            .and_then(ConfigBuilder::<DefaultState>::build)
            .and_then(config::Config::try_deserialize);
        // The text was parsed above, so this does not fail. The error could repeat a value.
        let root = merged.map_err(|_| ConfigError::new(&format!("{file}: failed to merge the layers")))?;
        Ok(Self { folder, file, root, origins })
    }

    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        path.split(['.', '[']).try_fold(&self.root, |value, segment| match segment.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?),
            None => value.get(segment),
        })
    }

    /// Returns the origin of a key, or of the table in which it is missing.
    pub(super) fn origin(&self, path: &str) -> &str {
        let parent = || path.rsplit_once('.').map(|(parent, _)| self.origin(parent));
        self.origins.get(path).map(String::as_str).or_else(parent).unwrap_or(&self.file)
    }

    /// Returns the file, the variable or the flag that sets a key.
    pub(super) fn source(&self, path: &str) -> String {
        if self.is_from_file(path) { self.file.clone() } else { self.origin(path).to_owned() }
    }

    pub(super) fn is_from_file(&self, path: &str) -> bool {
        let rest = self.origin(path).strip_prefix(&self.file);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }

    /// Resolves a path of the configuration; a relative one starts from the folder of the file.
    pub(super) fn beside(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns an error about a key; `problem` continues the sentence that begins with its path.
    pub(super) fn error(&self, path: &str, problem: impl Display) -> ConfigError {
        ConfigError::new(&format!("{}: {path} {problem}", self.origin(path)))
    }

    /// Deserializes all layers. The error has all unknown keys, or else the first invalid value.
    pub(super) fn deserialize<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let tables = tables();
        let unknown = self.origins.keys().filter(|path| !path.ends_with(']')).filter_map(|path| {
            let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
            // Indexes of entries are not part of the table's name.
            let table: String = parent.split(['[', ']']).step_by(2).collect();
            // The keys of an unknown table are not reported.
            let (_, known) = tables.iter().find(|(name, _)| *name == table)?;
            let is_known = known.iter().any(|known| known == key);
            (!is_known).then(|| (line_and_column(self.origin(path)), self.unknown_key(path, key, known)))
        });
        let mut unknown: Vec<_> = unknown.collect();
        if !unknown.is_empty() {
            unknown.sort();
            let problems: Vec<_> = unknown.into_iter().map(|(_, problem)| problem).collect();
            return Err(ConfigError::all(&problems));
        }
        serde_path_to_error::deserialize(self.root.clone()).map_err(|error| {
            let (path, message) = (error.path().to_string(), error.inner().message());
            match message.strip_prefix("missing field `") {
                Some(field) => self.error(&join(&path, field.trim_end_matches('`')), "is missing"),
                // A key with a dot in its name, which the loop above does not find.
                None if message.starts_with("unknown field") => {
                    ConfigError::new(&self.unknown_key(&path, &path, &[]))
                }
                None => self.error(&path, self.problem(&path, message)),
            }
        })
    }

    fn unknown_key(&self, path: &str, key: &str, known: &[String]) -> String {
        let origin = self.origin(path);
        if let Some((old, new)) = RENAMED.iter().find(|(old, _)| *old == path) {
            return format!("{origin}: unknown key `{old}`; it is now `{new}`");
        }
        let suggestion = if self.is_from_file(path) {
            exporter_web::suggest(key, known.iter().map(String::as_str)).map(str::to_owned)
        } else {
            environment::suggestion(origin)
        };
        let hint = suggestion.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
        format!("{origin}: unknown key `{}`{hint}", path.escape_debug())
    }

    /// Returns the invalid value and the expected one. The rest of serde's messages can hold a
    /// secret.
    fn problem(&self, path: &str, message: &str) -> String {
        let (Some((_, expected)), Some(value)) = (message.rsplit_once("expected "), self.get(path)) else {
            return message.to_owned();
        };
        let is_credential = path.contains("service_account") || path.contains("api_key");
        let is_secret = is_credential && !path.ends_with(".expires_at");
        let is_blank = value.as_str().is_some_and(|text| text.trim().is_empty());
        let mut shown = value.to_string();
        // A URL can hold a password, and its query a token.
        let is_hidden = is_secret && !is_blank || value.is_table() || shown.contains(['@', '?']);
        if is_hidden || shown.len() > MAX_SHOWN {
            shown = format!("of type {}", value.type_str());
        }
        format!("is {shown}; expected {expected}")
    }
}

/// Returns line and column of an origin; variables and flags follow the file.
fn line_and_column(origin: &str) -> (usize, usize) {
    let mut numbers = origin.rsplit(':').map_while(|number| number.parse().ok());
    let column = numbers.next().unwrap_or(usize::MAX);
    (numbers.next().unwrap_or(usize::MAX), column)
}

/// Returns the likely format of a file that is not TOML, by its first line.
fn other_form(text: &str) -> Option<&'static str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?;
    let key = first.split_once(':').map(|(key, _)| key);
    let is_yaml =
        first == "---" || first.starts_with("- ") || key.is_some_and(|key| !key.contains(['=', '[']));
    if first.starts_with('{') { Some("JSON") } else { is_yaml.then_some("YAML") }
}

/// Returns the position of every key and entry of the file.
fn positions(file: &str, text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    let lines: Vec<_> = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let position = |at: usize| {
        let line = lines.partition_point(|start| *start <= at);
        format!("{file}:{line}:{}", at - lines[line - 1] + 1)
    };
    let refused = |error: Error| {
        // The display of the parser's error quotes the line, which can hold a secret.
        let at = error.span().unwrap_or_default().start;
        match other_form(text) {
            Some(form) => ConfigError::new(&format!(
                "{file}: not TOML but {form}; expected lines such as [poll] and interval = \"1m\", as in \
                 config.example.toml"
            )),
            None => ConfigError::new(&format!("{}: not TOML: {}", position(at), error.message())),
        }
    };
    let document = DeTable::parse(text).map_err(refused)?;
    let document = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    let mut origins = BTreeMap::new();
    locate(document.get_ref(), "", &position, &mut origins);
    // Rejects numbers that are too large.
    Value::deserialize(document.into_deserializer()).map_err(refused)?;
    Ok(origins)
}

fn locate(
    value: &DeValue<'_>,
    path: &str,
    position: &impl Fn(usize) -> String,
    origins: &mut BTreeMap<String, String>,
) {
    match value {
        DeValue::Table(table) => {
            for (key, value) in table {
                let path = join(path, key.get_ref());
                origins.insert(path.clone(), position(key.span().start));
                locate(value.get_ref(), &path, position, origins);
            }
        }
        DeValue::Array(entries) => {
            for (number, entry) in entries.iter().enumerate() {
                let path = format!("{path}[{number}]");
                origins.insert(path.clone(), position(entry.span().start));
                locate(entry.get_ref(), &path, position, origins);
            }
        }
        _ => {}
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
