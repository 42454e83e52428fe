//! Values of known secrets, found in a text in whatever form they come back.
//!
//! A text is compared without white space, invisible characters and letter case, as it is and with
//! its escapes undone. So a secret is found percent-encoded, in JSON, HTML or Rust's debug format,
//! mixed, nested or split. In base64 it is found wherever it begins, as in a Basic pair.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretSlice};

use super::hidden::is_hidden;

/// Shorter values would be found in ordinary words.
pub(super) const MIN_LENGTH: usize = size_of::<u64>();

/// Bytes at the end of a text that is cut whose meaning may have changed: the cut may be within
/// several layers of escapes.
pub(super) const MAX_CUT: usize = 64;

/// Memory for the forms of all secrets of one kind; the newest is always kept. A token of 1 KB
/// takes 5 KB.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Depth of escapes within escapes.
const MAX_DEPTH: usize = 3;

/// Longest escape, in bytes, such as `\u{10ffff}` or `&#x10ffff;`.
const MAX_ESCAPE: usize = 10;

/// Where a secret comes from. No kind pushes out secrets of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The configuration, the environment, or a file that one of these names.
    Configuration,
    /// The token endpoint.
    Token,
}

/// A form of a secret.
struct Needle {
    bytes: SecretSlice<u8>,
    is_base64: bool,
}

impl Needle {
    fn new(bytes: Vec<u8>, is_base64: bool) -> Arc<Self> {
        Arc::new(Self { bytes: bytes.into(), is_base64 })
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.expose_secret()
    }
}

/// The secrets that are known.
pub(super) struct Known {
    /// The forms of each secret, the oldest first.
    secrets: BTreeMap<Kind, VecDeque<Vec<Arc<Needle>>>>,
    /// Forms by their first bytes.
    index: BTreeMap<u64, Vec<Arc<Needle>>>,
}

impl Known {
    pub(super) const fn new() -> Self {
        Self { secrets: BTreeMap::new(), index: BTreeMap::new() }
    }

    /// Adds a secret; old ones of its kind make room for it.
    pub(super) fn add(&mut self, kind: Kind, value: &str) {
        let needles = needles(value);
        for needle in &needles {
            self.index.entry(window(needle.bytes())).or_default().push(needle.clone());
        }
        let secrets = self.secrets.entry(kind).or_default();
        secrets.push_back(needles);
        let mut size: usize = secrets.iter().flatten().map(|needle| needle.bytes().len()).sum();
        while size > MAX_BYTES && secrets.len() > 1 {
            for old in secrets.pop_front().into_iter().flatten() {
                size -= old.bytes().len();
                if let Some(needles) = self.index.get_mut(&window(old.bytes())) {
                    needles.retain(|needle| !Arc::ptr_eq(needle, &old));
                }
            }
            self.index.retain(|_, needles| !needles.is_empty());
        }
    }

    /// Returns true if the whole of `value` is a known secret, or is too short for one.
    pub(super) fn has(&self, value: &str) -> bool {
        let bytes = bytes(&skeleton(&units(value)));
        bytes.len() < MIN_LENGTH
            || self
                .index
                .get(&window(&bytes))
                .is_some_and(|needles| needles.iter().any(|needle| needle.bytes() == bytes))
    }

    /// Returns the places of secrets in `text`, in order and apart. Of a text that is cut, the end
    /// may be the beginning of one.
    pub(super) fn find(&self, text: &str, is_cut: bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if !self.may_be_in(text) {
            return found;
        }
        let mut layer = units(text);
        for _ in 0..=MAX_DEPTH {
            self.find_in(&skeleton(&layer), text, is_cut, &mut found);
            let Some(inner) = unescaped(&layer) else { break };
            layer = inner;
        }
        found.sort_by_key(|range| range.start);
        found.dedup_by(|next, last| {
            let overlaps = next.start <= last.end;
            if overlaps {
                last.end = last.end.max(next.end);
            }
            overlaps
        });
        found
    }

    /// A quick look that takes no memory: false for nearly every text without a secret.
    fn may_be_in(&self, text: &str) -> bool {
        let (mut last, mut length) = (0, 0);
        !self.index.is_empty()
            && text.bytes().any(|byte| match byte {
                b'%' | b'\\' | b'&' | 0x80.. => text.len() >= MIN_LENGTH,
                _ if byte.is_ascii_whitespace() || byte.is_ascii_control() => false,
                _ => {
                    (last, length) = (last << 8 | u64::from(folded(byte)), length + 1);
                    length >= MIN_LENGTH && self.index.contains_key(&last)
                }
            })
    }

    fn find_in(&self, layer: &[Unit], text: &str, is_cut: bool, found: &mut Vec<Range<usize>>) {
        let (bytes, text) = (bytes(layer), text.as_bytes());
        // Up to here, letters around base64 are in a range already.
        let mut done = 0;
        for start in 0..bytes.len().saturating_sub(MIN_LENGTH - 1) {
            let rest = &bytes[start..];
            for needle in self.index.get(&window(rest)).into_iter().flatten() {
                let same = rest.iter().zip(needle.bytes()).take_while(|(one, other)| one == other).count();
                let mut range = layer[start].place.start..layer[start + same - 1].place.end;
                let ends_at_cut = is_cut && text.len() - range.end <= MAX_CUT;
                if range.end <= done || same < needle.bytes().len() && !ends_at_cut {
                    continue;
                }
                if needle.is_base64 {
                    // The letters around it hold some bits of it, and who it belongs to.
                    let is_around = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/-_=%".contains(byte);
                    let before = text.get(done..range.start).unwrap_or_default();
                    range.start -= before.iter().rev().take_while(is_around).count();
                    range.end += text[range.end..].iter().take_while(is_around).count();
                    done = range.end;
                }
                found.push(range);
            }
        }
    }
}

/// The first bytes of a form.
fn window(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// The forms that are sought. With escapes undone a text may hold a secret whose own escapes are
/// undone, too.
fn needles(value: &str) -> Vec<Arc<Needle>> {
    let mut needles = Vec::new();
    let mut layer = units(value);
    for _ in 0..=MAX_DEPTH {
        needles.push(Needle::new(bytes(&skeleton(&layer)), false));
        let Some(inner) = unescaped(&layer) else { break };
        layer = inner;
    }
    // How many bytes stand before it decides how its letters fall.
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([&vec![0; before], value.as_bytes()].concat());
        let (start, end) = ((before * 8).div_ceil(6), (before + value.len()) * 8 / 6);
        needles.push(Needle::new(bytes(&skeleton(&units(&text[start..end]))), true));
    }
    needles.retain(|needle| needle.bytes().len() >= MIN_LENGTH);
    needles
}

/// A byte, and the part of the text that it stands for.
#[derive(Clone)]
struct Unit {
    byte: u8,
    place: Range<usize>,
}

fn units(text: &str) -> Vec<Unit> {
    text.bytes().enumerate().map(|(at, byte)| Unit { byte, place: at..at + 1 }).collect()
}

fn bytes(units: &[Unit]) -> Vec<u8> {
    units.iter().map(|unit| unit.byte).collect()
}

/// Returns what is compared: no white space, nothing invisible, one case of letters and one
/// alphabet of base64.
fn skeleton(layer: &[Unit]) -> Vec<Unit> {
    let mut kept = Vec::with_capacity(layer.len());
    let mut keep = |part: &[Unit]| {
        kept.extend(part.iter().map(|unit| Unit { byte: folded(unit.byte), place: unit.place.clone() }));
    };
    let mut rest = layer;
    for chunk in bytes(layer).utf8_chunks() {
        for c in chunk.valid().chars() {
            let (part, after) = rest.split_at(c.len_utf8());
            rest = after;
            if !c.is_whitespace() && !is_hidden(c) {
                keep(part);
            }
        }
        let (part, after) = rest.split_at(chunk.invalid().len());
        rest = after;
        keep(part);
    }
    kept
}

fn folded(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        _ => byte.to_ascii_lowercase(),
    }
}

/// Undoes one layer of escapes of any kind; `None` where there are none.
fn unescaped(layer: &[Unit]) -> Option<Vec<Unit>> {
    let bytes = bytes(layer);
    let mut inner = Vec::with_capacity(layer.len());
    let mut at = 0;
    while at < layer.len() {
        let (meant, length) = escape(&bytes[at..]).unwrap_or_else(|| (vec![bytes[at]], 1));
        let place = layer[at].place.start..layer[at + length - 1].place.end;
        inner.extend(meant.into_iter().map(|byte| Unit { byte, place: place.clone() }));
        at += length;
    }
    (inner.len() < layer.len()).then_some(inner)
}

/// Returns what the escape at the beginning of `text` stands for, and its length, which is more.
fn escape(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let hex = |digits: &[u8]| u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok();
    let one = |code: u32, length: usize| Some((vec![u8::try_from(code).ok()?], length));
    let char = |code: u32, length: usize| {
        let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        Some((c.to_string().into_bytes(), length))
    };
    // Up to its last letter, of escapes whose length varies.
    let until = |last: u8, from: usize| {
        let length = text.iter().take(MAX_ESCAPE).position(|byte| *byte == last)?;
        Some((text.get(from..length)?, length + 1))
    };
    match text {
        [b'%', high, low, ..] => one(hex(&[*high, *low])?, 3),
        [b'\\', b'x', high, low, ..] => one(hex(&[*high, *low])?, 4),
        [b'\\', b'u', b'{', ..] => until(b'}', 3).and_then(|(digits, length)| char(hex(digits)?, length)),
        [b'\\', b'u', digits @ ..] => char(hex(digits.get(..4)?)?, 6),
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'0', ..] => one(b' '.into(), 2),
        [b'\\', other, ..] if other.is_ascii_punctuation() && !b"%&".contains(other) => {
            one((*other).into(), 2)
        }
        [b'&', ..] => until(b';', 1).and_then(|(name, length)| {
            let code = match name {
                b"amp" => b'&'.into(),
                b"lt" => b'<'.into(),
                b"gt" => b'>'.into(),
                b"quot" => b'"'.into(),
                b"apos" => b'\''.into(),
                [b'#', b'x' | b'X', digits @ ..] => hex(digits)?,
                [b'#', digits @ ..] => str::from_utf8(digits).ok()?.parse().ok()?,
                _ => return None,
            };
            char(code, length)
        }),
        _ => None,
    }
}
