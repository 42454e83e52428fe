//! YAML, for the one file whose form is not ours.

use std::collections::BTreeMap;
use std::path::Path;

use config::{File, FileFormat, Map, Value, ValueKind};
use yaml_rust2::Event;
use yaml_rust2::parser::Parser;

use super::ConfigError;

/// Tables and lists within each other. The reader goes down into them on its stack.
const DEEPEST: usize = 32;

/// Bytes of all texts, and one for each value, when every alias stands for what it means. The reader writes them out.
const LARGEST: usize = 1024 * 1024;

/// The table that a YAML file is. An error says where it is none, but repeats nothing: any line of it may be a secret.
pub(crate) fn yaml(file: &Path, text: &str) -> Result<Value, ConfigError> {
    // Such a file is no table to the parser.
    let is_empty = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    if text.lines().map(str::trim).all(is_empty) {
        return Ok(Value::new(None, ValueKind::Table(Map::new())));
    }
    if !is_bounded(text) {
        let problem = format!(
            "nests deeper than {DEEPEST}, or is larger than {LARGEST} bytes with its aliases written out"
        );
        return Err(ConfigError::new(&format!("{}: {problem}", file.display())));
    }
    let source = File::from_str(text, FileFormat::Yaml);
    let read = config::Config::builder().add_source(source).build().map_err(|error| {
        let place = place(&error.to_string()).map(|line| format!(" at line {line}")).unwrap_or_default();
        let problem = format!("not YAML{place}, or no table, or a key stands in it twice");
        ConfigError::new(&format!("{}: {problem}", file.display()))
    })?;
    Ok(read.cache)
}

/// Whether it is safe to read. What is no YAML at all, the reader will say.
fn is_bounded(text: &str) -> bool {
    let mut parser = Parser::new_from_str(text);
    let mut size = 0_usize;
    // Anchors of what is open, and how much there was before; how much was under those that are closed.
    let (mut open, mut closed) = (Vec::new(), BTreeMap::new());
    while let Ok((event, _)) = parser.next_token() {
        match event {
            Event::StreamEnd => break,
            Event::Scalar(text, _, anchor, _) => {
                size += 1 + text.len();
                closed.insert(anchor, 1 + text.len());
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push((anchor, size));
                size += 1;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                closed.extend(open.pop().map(|(anchor, before)| (anchor, size - before)));
            }
            Event::Alias(anchor) => size += 1 + closed.get(&anchor).copied().unwrap_or_default(),
            _ => {}
        }
        if open.len() > DEEPEST || size > LARGEST {
            return false;
        }
    }
    true
}

/// The line that the parser names last.
fn place(error: &str) -> Option<usize> {
    let rest = error.rsplit_once("line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        yaml(Path::new("web.yml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_would_exhaust_its_reader_is_refused() {
        let laughs = (1..9).map(|level| {
            let before = format!("*a{},", level - 1).repeat(9);
            format!("a{level}: &a{level} [{before}]\n")
        });
        let laughs = format!("a0: &a0 [x]\n{}", laughs.collect::<String>());
        let one_long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a,".repeat(1000));
        for text in [
            laughs,
            one_long,
            format!("a:\n {}b", "- ".repeat(100_000)),
            format!("{}b", "? ".repeat(100_000)),
            format!("a: {}{}", "[".repeat(33), "]".repeat(33)),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with("web.yml: nests deeper than 32, or is larger than"), "{error}");
        }
        // The reader's own bound.
        assert!(read(&format!("a: {}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn aliases_stand_for_what_they_mean() {
        let value = read("a: &a x\nb: [*a, *a]\nc: &c {d: *a}\ne: *c\n").unwrap();
        let ValueKind::Table(table) = value.kind else { panic!("no table") };
        assert_eq!(table["b"].clone().try_deserialize::<Vec<String>>().unwrap(), ["x", "x"]);
        assert_eq!(table["e"], table["c"]);
    }
}
