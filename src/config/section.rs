//! One table of the configuration: unknown keys are refused when it is opened, known ones are taken out one by one.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use config::{Map, Value, ValueKind};
use jiff::{Span, SpanRelativeTo};
use secrecy::SecretString;

use super::ConfigError;
use super::text::trimmed;
use super::told::{origin, wrong};
use crate::likeness;

type Values = Map<String, Value>;

/// Anything shorter would ask Atlas without a pause.
const SHORTEST: Duration = Duration::from_millis(100);

pub(crate) struct Section<'a> {
    /// The file that messages name.
    file: &'a Path,
    /// `poll`, `projects[1]`; empty at the top.
    path: String,
    /// The file or the variable that the table is from.
    origin: String,
    values: Values,
}

impl<'a> Section<'a> {
    /// The whole configuration; every key in it must be one of `known`.
    pub(crate) fn root(file: &'a Path, value: Value, known: &[&str]) -> Result<Self, ConfigError> {
        Self::open(file, String::new(), value, known)
    }

    fn open(file: &'a Path, path: String, value: Value, known: &[&str]) -> Result<Self, ConfigError> {
        let origin = origin(file, &path, &value);
        let values = match value.kind {
            ValueKind::Table(values) => values,
            ValueKind::Nil => Values::new(),
            _ => return Err(wrong(file, &path, &value, &format!("a table, written [{path}]"))),
        };
        let section = Self { file, path, origin, values };
        match section.values.keys().filter(|key| !known.contains(&key.as_str())).min() {
            None => Ok(section),
            Some(key) => {
                let meant = likeness::meant(key, known.iter().copied());
                let meant = meant.map(|known| format!("did you mean {known}? ")).unwrap_or_default();
                let problem = format!("is no key of this version; {meant}known here: {}", known.join(", "));
                Err(section.error(key, &problem))
            }
        }
    }

    /// The table `key`, empty if it is not there.
    pub(crate) fn section(&mut self, key: &str, known: &[&str]) -> Result<Section<'a>, ConfigError> {
        let value = self.values.remove(key).unwrap_or_else(|| Value::new(None, ValueKind::Nil));
        Section::open(self.file, self.path_of(key), value, known)
    }

    /// The tables of the array `key`.
    pub(crate) fn sections(&mut self, key: &str, known: &[&str]) -> Result<Vec<Section<'a>>, ConfigError> {
        let path = self.path_of(key);
        let Some(value) = self.values.remove(key) else { return Ok(Vec::new()) };
        match value.kind {
            ValueKind::Array(tables) => tables
                .into_iter()
                .enumerate()
                .map(|(i, table)| Section::open(self.file, format!("{path}[{i}]"), table, known))
                .collect(),
            _ => Err(wrong(self.file, &path, &value, &format!("an array of tables, written [[{path}]]"))),
        }
    }

    /// The value of `key`, or an error that says what `expected` is.
    pub(crate) fn optional<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let path = self.path_of(key);
        let value = self.values.remove(key).filter(|value| !matches!(value.kind, ValueKind::Nil));
        let Some(value) = value else { return Ok(None) };
        parse(&value).map(Some).ok_or_else(|| wrong(self.file, &path, &value, expected))
    }

    pub(crate) fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        match self.optional(key, expected, parse)? {
            Some(value) => Ok(value),
            None => Err(self.error(key, &format!("is missing; it should be {expected}"))),
        }
    }

    /// A length of time with its unit, no shorter than [`SHORTEST`]. Days are 24 hours; months and years have no fixed length
    /// and are refused.
    pub(crate) fn duration(&mut self, key: &str) -> Result<Option<Duration>, ConfigError> {
        self.optional(
            key,
            "a length of time of at least 100ms with its unit, such as \"30s\", \"1m 30s\" or \"1d\"",
            |value| length(value).filter(|length| *length >= SHORTEST),
        )
    }

    /// A secret; its value is in no message.
    pub(crate) fn secret(&mut self, key: &str) -> Result<SecretString, ConfigError> {
        match self.values.remove(key).map(|value| value.kind) {
            Some(ValueKind::String(secret)) if !trimmed(&secret).is_empty() => {
                Ok(SecretString::from(trimmed(&secret)))
            }
            _ => Err(self.error(key, "should be a string that is not empty")),
        }
    }

    /// A whole number of `range`, told as `expected`. The environment has only text.
    pub(crate) fn number(
        &mut self,
        key: &str,
        expected: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>, ConfigError> {
        self.optional(key, expected, |value| {
            let number = match &value.kind {
                ValueKind::I64(number) => u32::try_from(*number).ok(),
                ValueKind::String(text) => text.trim().parse().ok(),
                _ => None,
            };
            number.filter(|number| range.contains(number))
        })
    }

    /// True or false. The environment has only text.
    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, ConfigError> {
        self.optional(key, "true or false", |value| match &value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(crate) fn forget(&mut self, key: &str) {
        self.values.remove(key);
    }

    pub(crate) fn is_from_environment(&self, key: &str) -> bool {
        self.values.get(key).and_then(Value::origin).is_some()
    }

    /// Where `key` was set: the file, or the variable.
    pub(crate) fn origin_of(&self, key: &str) -> String {
        let path = self.path_of(key);
        self.values.get(key).map_or_else(|| self.origin.clone(), |value| origin(self.file, &path, value))
    }

    /// An error about `key`: `problem` continues the sentence that begins with its name.
    pub(crate) fn error(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError::new(&format!("{}: {} {problem}", self.origin_of(key), self.path_of(key)))
    }

    /// The full name of `key`.
    pub(crate) fn path_of(&self, key: &str) -> String {
        let key = key.escape_debug().to_string();
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// A length of time with its unit.
fn length(value: &Value) -> Option<Duration> {
    let ValueKind::String(text) = &value.kind else { return None };
    let span: Span = text.trim().parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok()
}
