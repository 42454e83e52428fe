//! YAML, for the one file whose form is not ours.

use std::path::Path;

use config::{File, FileFormat, Map, Value, ValueKind};

use super::ConfigError;

/// The table that a YAML file is; what it leaves empty is not in it.
pub(crate) fn yaml(file: &Path, text: &str) -> Result<Value, ConfigError> {
    let refused = |error: &dyn std::fmt::Display| {
        ConfigError::new(&format!("{}: not YAML: {}", file.display(), error.to_string().replace('\n', " ")))
    };
    // Such a file is no table to the parser.
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    if text.lines().map(str::trim).all(is_empty) {
        return Ok(Value::new(None, ValueKind::Table(Map::new())));
    }
    let source = File::from_str(text, FileFormat::Yaml);
    let read = config::Config::builder().add_source(source).build().map_err(|error| refused(&error))?;
    Ok(filled(read.cache))
}

/// A key without a value is as good as none.
fn filled(value: Value) -> Value {
    let kind = match value.kind {
        ValueKind::Table(values) => ValueKind::Table(
            values
                .into_iter()
                .filter(|(_, value)| !matches!(value.kind, ValueKind::Nil))
                .map(|(key, value)| (key, filled(value)))
                .collect(),
        ),
        other => other,
    };
    Value::new(None, kind)
}
