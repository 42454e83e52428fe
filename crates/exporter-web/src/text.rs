//! Text files, as written by any operating system and editor.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads a file of at most `max` bytes. A longer file is an error, not truncated.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut content)?;
    if content.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {max} bytes")));
    }
    Ok(content)
}

/// Decodes a file. Removes a byte order mark, carriage returns, and white space at the end.
///
/// UTF-16 with a byte order mark is supported, because `>` of PowerShell writes it. The error does
/// not repeat the text.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    let text = match utf16(bytes) {
        Some(text) => text,
        None => str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
            let before = bytes.iter().take(error.valid_up_to());
            format!("not UTF-8 at line {}", before.filter(|byte| **byte == b'\n').count() + 1)
        })?,
    };
    Ok(tidy(&text))
}

/// Decodes a file whose comments can have any encoding.
pub(crate) fn decode_lossy(bytes: &[u8]) -> String {
    tidy(&utf16(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned()))
}

/// Returns `text` without white space and byte order marks around it.
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == BYTE_ORDER_MARK
}

fn tidy(text: &str) -> String {
    text.trim_start_matches(BYTE_ORDER_MARK).trim_end_matches(is_blank).replace("\r\n", "\n")
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (unit, rest): (fn([u8; 2]) -> u16, _) = match bytes {
        [0xff, 0xfe, rest @ ..] => (u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => (u16::from_be_bytes, rest),
        _ => return None,
    };
    let units: Vec<_> = rest.chunks(2).map(|pair| unit([pair[0], *pair.get(1).unwrap_or(&0)])).collect();
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_editor_is_decoded() {
        let utf16 =
            |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<_>>();
        for bytes in [
            b"a = 1\nb = \"\xc3\xa4\"".to_vec(),
            b"\xef\xbb\xbfa = 1\r\nb = \"\xc3\xa4\"\r\n \t\n".to_vec(),
            utf16("\u{feff}a = 1\r\nb = \"\u{e4}\"\r\n", u16::to_le_bytes),
            utf16("\u{feff}a = 1\nb = \"\u{e4}\"", u16::to_be_bytes),
        ] {
            assert_eq!(decode(&bytes).unwrap(), "a = 1\nb = \"\u{e4}\"");
            assert_eq!(decode_lossy(&bytes), "a = 1\nb = \"\u{e4}\"");
        }
        assert_eq!(decode(b"a\nb\xe4"), Err("not UTF-8 at line 2".to_owned()));
        assert_eq!(decode_lossy(b"a\nb\xe4"), "a\nb\u{fffd}");
        assert_eq!(trimmed("\u{feff} a b\r\n\u{a0}"), "a b");
    }
}
