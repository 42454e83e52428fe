//! Invariants of gzip bodies.

use std::io::Read;

use atlas_client::fuzzing::gunzip;
use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, GzEncoder};
use flate2::{Compression, Crc};

use super::text::assert_single_line;

const MAX_BODY: usize = 1 << 16;

/// Checks bytes as a gzip body, as its deflated content under a correct checksum, and as text that
/// is compressed first.
pub fn inflate(bytes: &[u8]) {
    assert_decompressed_alike(bytes);
    let mut text = Vec::new();
    let mut deflated = DeflateDecoder::new(bytes).take(MAX_BODY as u64 + 1);
    if deflated.read_to_end(&mut text).is_ok() {
        let (mut crc, used) = (Crc::new(), deflated.into_inner().total_in());
        crc.update(&text);
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let payload = &bytes[..usize::try_from(used).unwrap_or_default().min(bytes.len())];
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let sum = crc.sum().to_le_bytes();
        assert_decompressed_alike(&[&header, payload, &sum, &length.to_le_bytes()].concat());
    }
    if bytes.len() <= MAX_BODY {
        let mut body = Vec::new();
        assert!(GzEncoder::new(bytes, Compression::new(1)).read_to_end(&mut body).is_ok());
        assert_eq!(gunzip(&body, MAX_BODY, body.len()).as_deref(), Ok(bytes));
    }
}

/// Checks that a body in pieces of any size is decompressed as by another decoder, up to the
/// maximum.
fn assert_decompressed_alike(body: &[u8]) {
    let outcome = gunzip(body, MAX_BODY, body.len());
    assert_eq!(gunzip(body, MAX_BODY, 13).ok(), outcome.as_ref().ok().cloned(), "in pieces");
    let mut expected = Vec::new();
    let mut decoder = GzDecoder::new(body).take(MAX_BODY as u64 + 1);
    let is_complete =
        decoder.read_to_end(&mut expected).is_ok() && decoder.into_inner().into_inner().is_empty();
    match outcome {
        Ok(text) => {
            assert!(text == expected && text.len() <= MAX_BODY && (is_complete || body.is_empty()));
        }
        Err(error) => {
            assert_single_line(&error.to_string());
            assert!(!is_complete || expected.len() > MAX_BODY, "refused, though it is complete: {error}");
        }
    }
}
