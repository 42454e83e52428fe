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
    read(text).map_err(|problem| ConfigError::new(&format!("{}: {problem}", file.display())))
}

fn read(text: &str) -> Result<Value, String> {
    // As editors of Windows begin one.
    let text = text.trim_start_matches('\u{feff}');
    let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
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
mod tests {
    use super::*;

    fn table(text: &str) -> Map<String, Value> {
        match read(text).unwrap_or_else(|error| panic!("{text}: {error}")).kind {
            ValueKind::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_would_exhaust_its_reader_is_refused() {
        let laughs = (1..9).map(|level| {
            let before = format!("*a{},", level - 1).repeat(9);
            format!("a{level}: &a{level} [{before}]\n")
        });
        let laughs = format!("a0: &a0 [x]\n{}", laughs.collect::<String>());
        let one_long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), "*a,".repeat(1000));
        // Each anchor keeps a copy of what is within it.
        let anchors: Vec<_> = (0..28).map(|level| format!("&a{level} [")).collect();
        let kept = format!("a: {}{}{}", anchors.concat(), "1,".repeat(100_000), "]".repeat(28));
        for (text, said) in [
            (laughs, "is larger than 1048576 bytes"),
            (one_long, "is larger than 1048576 bytes"),
            (kept, "is larger than 1048576 bytes"),
            (format!("a:\n {}b", "- ".repeat(100_000)), "nests deeper than 32, at line 2"),
            (format!("a: {}{}", "[".repeat(32), "]".repeat(32)), "nests deeper than 32, at line 1"),
            (format!("a: {}", "[".repeat(100_000)), "at line 1"),
            (format!("{}b", "? ".repeat(100_000)), "no text"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for (text, said) in [
            ("a: 1\na: 2", "has the same key twice, at line 2"),
            ("a: 1\n'a': 2", "has the same key twice, at line 2"),
            ("a: 1\n!!str a: 2", "has the same key twice, at line 2"),
            ("a: !!int x", "has a tag, which nothing here needs, at line 1"),
            ("!!int a: x", "has a tag"),
            ("a: {!!int b: c}", "has a tag"),
            ("a: !!map {}", "has a tag"),
            ("a: !mine x", "has a tag"),
            ("c: 1\n? [x]\n: 1", "has a key that is no text, at line 2"),
            ("&a\nb: *a", "has an alias of what has not ended, at line 2"),
            ("a: *b", "not YAML at line 1: "),
            ("a: &b [*b]", "has an alias of what has not ended"),
            ("a: 1\n---\nb: 2", "has a second document"),
            ("a: 1\n...\nb: 2", "at line"),
            ("a: 1\n\0\nb: 2", "not YAML at line 2: a control character"),
            ("\0\0\0", "not YAML at line 1: a control character"),
            ("- a", "should be keys and their values"),
            ("a", "should be keys and their values"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn keys_are_what_is_written() {
        let keys: Vec<_> = table("a.b: 1\na[3]: 2\n7: 3\ntrue: 4\n'<<': 5\n~: 6\nA: 7").into_keys().collect();
        assert_eq!(keys.len(), 7);
        for key in ["a.b", "a[3]", "7", "true", "<<", "~", "A"] {
            assert!(keys.iter().any(|known| known == key), "{key} of {keys:?}");
        }
    }

    #[test]
    fn values_are_what_they_look_like() {
        let table = table(
            "a: [x, 'x', 7, '7', -1, 1.5, .5, true, 'true', ~, yes, 0x1f, 1e3, inf, .inf, !!str 7, \"\\u00e4\"]\nb:\nc: |\n  x\n  y\nd: >\n  x\n  y\n",
        );
        let ValueKind::Array(values) = &table["a"].kind else { panic!("no list") };
        let kinds: Vec<_> = values.iter().map(|value| value.kind.clone()).collect();
        let text = |text: &str| ValueKind::String(text.to_owned());
        let expected = [
            text("x"),
            text("x"),
            ValueKind::I64(7),
            text("7"),
            ValueKind::I64(-1),
            ValueKind::Float(1.5),
            ValueKind::Float(0.5),
            ValueKind::Boolean(true),
            text("true"),
            ValueKind::Nil,
        ];
        assert_eq!(kinds[..10], expected);
        assert!(
            table["b"].kind == ValueKind::Nil
                && table["c"].kind == text("x\ny\n")
                && table["d"].kind == text("x y\n")
        );
        assert!(
            kinds.contains(&text("yes")) && kinds.contains(&text("0x1f")) && kinds.contains(&text("inf"))
        );
        assert_eq!(kinds.iter().filter(|kind| **kind == text("7")).count(), 2);
        assert!(kinds.contains(&text("\u{e4}")));
    }

    #[test]
    fn aliases_stand_for_what_they_mean() {
        let table = table("a: &a x\nb: [*a, *a]\nc: &c {d: *a}\ne: *c\n");
        assert_eq!(table["b"].clone().try_deserialize::<Vec<String>>().unwrap(), ["x", "x"]);
        assert_eq!(table["e"], table["c"]);
    }

    #[test]
    fn what_is_empty_is_a_table() {
        for text in ["", "\n", "# nothing", "---", "--- # nothing\n", "~", "{}", "\u{feff}", "\u{feff}{}"] {
            assert!(table(text).is_empty(), "{text}");
        }
        assert_eq!(table("\u{feff}a: 1\r\nb: 2\r\n").len(), 2);
    }
}
