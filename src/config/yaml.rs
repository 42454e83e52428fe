//! YAML, for the one file whose form is not ours.
//!
//! The `config` crate would read it, too, but takes keys such as `a.b` and `a[3]` for paths, makes nothing of a tag that does not fit, and is
//! exhausted by what nests deep or unfolds far. That file says who may look: whatever is not plain in it is an error.

use std::collections::BTreeMap;
use std::path::Path;

use config::{Map, Value, ValueKind};
use yaml_rust2::Event;
use yaml_rust2::parser::{Parser, Tag};
use yaml_rust2::scanner::TScalarStyle;

use super::ConfigError;

/// Tables and lists within each other.
const DEEPEST: usize = 32;

/// Bytes of all texts, and one for each value, with whatever an anchor keeps and an alias stands for.
const LARGEST: usize = 1024 * 1024;

/// The table that a YAML file is. An error says where it is none, but repeats nothing: any line of it may be a secret.
pub(crate) fn yaml(file: &Path, text: &str) -> Result<Value, ConfigError> {
    read(text).map_err(|problem| {
        let is_table = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
        let hint = if text.lines().any(is_table) { "; TOML belongs into --config.file" } else { "" };
        ConfigError::new(&format!("{}: {problem}{hint}", file.display()))
    })
}

/// Returns the form of a file that is not TOML, judged by its name and its first line.
pub(super) fn form(file: &Path, text: &str) -> Option<&'static str> {
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

fn read(text: &str) -> Result<Value, String> {
    // Some readers, and editors, see ends of lines in the last two.
    let is_odd =
        |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n') || matches!(c, '\u{2028}' | '\u{2029}');
    if let Some(line) = text.split('\n').position(|line| line.contains(is_odd)) {
        let line = line + 1;
        return Err(format!(
            "not YAML at line {line}: a control character; is it what a crash left of a file?"
        ));
    }
    let (mut parser, mut composer) = (Parser::new_from_str(text), Composer::default());
    loop {
        let (event, marker) = parser.next_token().map_err(|error| {
            let line = error.marker().line();
            let begins_with_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
            let tab = text.lines().nth(line.saturating_sub(1)).is_some_and(begins_with_tab);
            let hint = if tab { " (a tab: indent with spaces)" } else { "" };
            // These texts of the parser repeat nothing of the file.
            format!("not YAML at line {line}: {}{hint}", error.info())
        })?;
        if event == Event::StreamEnd {
            break;
        }
        composer.take(event).map_err(|problem| format!("{problem}, at line {}", marker.line()))?;
    }
    let root = composer.root.unwrap_or_else(|| Value::new(None, ValueKind::Nil));
    match root.kind {
        ValueKind::Table(_) => Ok(root),
        ValueKind::Nil => Ok(Value::new(None, ValueKind::Table(Map::new()))),
        _ => Err("should be keys and their values".to_owned()),
    }
}

/// Makes values of events.
#[derive(Debug, Default)]
struct Composer {
    /// What has begun and not ended, the innermost last.
    open: Vec<Open>,
    /// What anchors stand for, and how large that is.
    anchors: BTreeMap<usize, (Value, usize)>,
    size: usize,
    root: Option<Value>,
}

#[derive(Debug)]
struct Open {
    what: Collection,
    anchor: usize,
    /// How much there was before.
    before: usize,
}

#[derive(Debug)]
enum Collection {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Table(Map<String, Value>, Option<String>),
}

impl Composer {
    /// An error continues with the place.
    fn take(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(is_text);
                if tag.is_some() && !is_text {
                    return Err("has a tag, which nothing here needs".to_owned());
                }
                if let Some(Open { what: Collection::Table(table, key @ None), .. }) = self.open.last_mut() {
                    if table.contains_key(&text) {
                        return Err("has the same key twice".to_owned());
                    }
                    self.size += text.len();
                    *key = Some(text);
                    return self.is_small();
                }
                let before = self.size;
                self.size += 1 + text.len();
                let kind = if is_text || style != TScalarStyle::Plain {
                    ValueKind::String(text)
                } else {
                    plain(text)
                };
                self.close(Value::new(None, kind), anchor, before)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Collection::List(Vec::new()), anchor, tag.as_ref())
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Collection::Table(Map::new(), None), anchor, tag.as_ref())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { what, anchor, before }) = self.open.pop() else { return Ok(()) };
                let kind = match what {
                    Collection::List(values) => ValueKind::Array(values),
                    Collection::Table(table, _) => ValueKind::Table(table),
                };
                self.close(Value::new(None, kind), anchor, before)
            }
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err("has an alias of what has not ended".to_owned());
                };
                self.size += 1 + size;
                self.is_small()?;
                self.put(value)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, what: Collection, anchor: usize, tag: Option<&Tag>) -> Result<(), String> {
        if tag.is_some() {
            return Err("has a tag, which nothing here needs".to_owned());
        }
        if matches!(self.open.last(), Some(Open { what: Collection::Table(_, None), .. })) {
            return Err("has a key that is no text".to_owned());
        }
        self.open.push(Open { what, anchor, before: self.size });
        self.size += 1;
        if self.open.len() > DEEPEST {
            return Err(format!("nests deeper than {DEEPEST}"));
        }
        Ok(())
    }

    /// A value is whole, of which an anchor keeps another.
    fn close(&mut self, value: Value, anchor: usize, before: usize) -> Result<(), String> {
        if anchor > 0 {
            let size = self.size - before;
            self.size += size;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        self.is_small()?;
        self.put(value)
    }

    fn put(&mut self, value: Value) -> Result<(), String> {
        match self.open.last_mut().map(|open| &mut open.what) {
            Some(Collection::List(values)) => values.push(value),
            Some(Collection::Table(table, key)) => match key.take() {
                Some(key) => {
                    table.insert(key, value);
                }
                None => return Err("has a key that is no text".to_owned()),
            },
            None if self.root.is_some() => return Err("has a second document".to_owned()),
            None => self.root = Some(value),
        }
        Ok(())
    }

    fn is_small(&self) -> Result<(), String> {
        if self.size > LARGEST {
            return Err(format!("is larger than {LARGEST} bytes with its aliases written out"));
        }
        Ok(())
    }
}

/// `!!str`.
fn is_text(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str"
}

/// What a text without quotes is.
fn plain(text: String) -> ValueKind {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => return ValueKind::Nil,
        "true" | "True" | "TRUE" => return ValueKind::Boolean(true),
        "false" | "False" | "FALSE" => return ValueKind::Boolean(false),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return ValueKind::I64(number);
    }
    match text.parse() {
        Ok(number) if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            ValueKind::Float(number)
        }
        _ => ValueKind::String(text),
    }
}

#[cfg(test)]
mod tests;
