//! Streaming decompression of response bodies: gzip (RFC 1952), into memory of the caller.

use flate2::{Decompress, FlushDecompress, Status};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use crate::error::Error;

/// Window size for gzip, as a power of two.
const WINDOW_BITS: u8 = 15;

/// Returns the decompressor for a body; `None` if it is not compressed.
pub(crate) fn decompressor(headers: &HeaderMap) -> Result<Option<Inflate>, Error> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    match encoding.to_str().map(|encoding| encoding.trim().to_ascii_lowercase()).as_deref() {
        Ok("" | "identity") => Ok(None),
        Ok("gzip" | "x-gzip") => Ok(Some(Inflate::new())),
        _ => Err(Error::invalid(&format!("`Content-Encoding` is {encoding:?}; only gzip was requested"))),
    }
}

/// A gzip body that is being decompressed.
#[derive(Debug)]
pub(crate) struct Inflate {
    stream: Decompress,
    is_complete: bool,
}

impl Inflate {
    pub(crate) fn new() -> Self {
        Self { stream: Decompress::new_gzip(WINDOW_BITS), is_complete: false }
    }

    /// Decompresses `input` into the spare capacity of `output`, and returns the rest of `input`,
    /// which is empty unless the capacity is used up.
    pub(crate) fn write<'a>(&mut self, input: &'a [u8], output: &mut Vec<u8>) -> Result<&'a [u8], Error> {
        if self.is_complete && !input.is_empty() {
            return Err(broken());
        }
        let before = self.stream.total_in();
        let status = self.stream.decompress_vec(input, output, FlushDecompress::None);
        let used = usize::try_from(self.stream.total_in() - before).unwrap_or(usize::MAX);
        let rest = input.get(used..).unwrap_or_default();
        match status {
            Ok(Status::StreamEnd) if rest.is_empty() => {
                self.is_complete = true;
                Ok(rest)
            }
            Ok(Status::Ok | Status::BufError) if rest.is_empty() || output.len() == output.capacity() => {
                Ok(rest)
            }
            _ => Err(broken()),
        }
    }

    /// Checks that the body was complete. An empty body is complete, whatever its header says.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        if self.is_complete || self.stream.total_in() == 0 { Ok(()) } else { Err(broken()) }
    }
}

fn broken() -> Error {
    Error::invalid("body is not valid gzip")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::fuzzing::gunzip;

    fn zipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn body_that_grows_too_large_is_refused() {
        let bomb = zipped(&vec![b' '; 1 << 20]);
        assert!(matches!(gunzip(&bomb, (1 << 20) - 1, 1000), Err(Error::TooLarge(_))));
        // The length at its end is wrong.
        let mut liar = bomb.clone();
        let end = liar.len() - 4;
        liar[end..].copy_from_slice(&9_u32.to_le_bytes());
        assert!(matches!(gunzip(&liar, 1 << 20, 1000), Err(Error::Invalid(_))));
    }

    #[test]
    fn only_gzip_is_read() {
        let of = |encoding: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
            decompressor(&headers).map(|gzip| gzip.is_some())
        };
        assert!(decompressor(&HeaderMap::new()).unwrap().is_none() && !of("identity").unwrap());
        assert!(of("gzip").unwrap() && of(" GZIP").unwrap() && of("x-gzip").unwrap());
        assert!(of("br").is_err() && of("gzip, gzip").is_err());
    }
}
