//! YAML, for the one file whose form is not ours.

use std::path::Path;

use config::{File, FileFormat, Map, Value, ValueKind};

use super::ConfigError;

/// The table that a YAML file is. An error says where it is none, but repeats nothing: any line of it may be a secret.
pub(crate) fn yaml(file: &Path, text: &str) -> Result<Value, ConfigError> {
    // Such a file is no table to the parser.
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    if text.lines().map(str::trim).all(is_empty) {
        return Ok(Value::new(None, ValueKind::Table(Map::new())));
    }
    let source = File::from_str(text, FileFormat::Yaml);
    let read = config::Config::builder().add_source(source).build().map_err(|error| {
        let place = place(&error.to_string()).map(|line| format!(" at line {line}")).unwrap_or_default();
        let problem = format!("not YAML{place}, or no table, or a key stands in it twice");
        ConfigError::new(&format!("{}: {problem}", file.display()))
    })?;
    Ok(read.cache)
}

/// The line that the parser names last.
fn place(error: &str) -> Option<usize> {
    let rest = error.rsplit_once("line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
