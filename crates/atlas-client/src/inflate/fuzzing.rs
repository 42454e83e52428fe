//! What must hold of a body that is said to be gzip.

// To panic is how these say no.
#![allow(clippy::missing_panics_doc)]

use std::io::Read;

use flate2::bufread::GzDecoder;
use flate2::read::DeflateDecoder;
use flate2::{Compression, Crc};

use super::gunzip;
use crate::fuzzing::is_a_line;

/// The most that a body may be here.
const MOST: usize = 1 << 16;

/// Any bytes: as a body, as what is compressed in one whose checksum is right, and as what was
/// before a body was compressed.
pub fn inflate(bytes: &[u8]) {
    agrees(bytes);
    let mut text = Vec::new();
    let mut deflated = DeflateDecoder::new(bytes).take(MOST as u64 + 1);
    if deflated.read_to_end(&mut text).is_ok() {
        let (mut crc, used) = (Crc::new(), deflated.into_inner().total_in());
        crc.update(&text);
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let payload = &bytes[..usize::try_from(used).unwrap_or_default().min(bytes.len())];
        let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        let sum = crc.sum().to_le_bytes();
        agrees(&[&header, payload, &sum, &length.to_le_bytes()].concat());
    }
    if bytes.len() <= MOST {
        let mut zipped = Vec::new();
        let read = flate2::read::GzEncoder::new(bytes, Compression::new(1)).read_to_end(&mut zipped);
        assert!(read.is_ok());
        assert_eq!(gunzip(&zipped, MOST, zipped.len()).as_deref(), Ok(bytes));
    }
}

/// A body is what another reader reads, in whatever pieces it comes, and no more than there may be.
fn agrees(body: &[u8]) {
    let fresh = gunzip(body, MOST, body.len());
    assert_eq!(gunzip(body, MOST, 13).ok(), fresh.as_ref().ok().cloned(), "in pieces");
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(body).take(MOST as u64 + 1);
    let whole = decoder.read_to_end(&mut plain).is_ok() && decoder.into_inner().into_inner().is_empty();
    match fresh {
        Ok(text) => assert!(text == plain && text.len() <= MOST && (whole || body.is_empty())),
        Err(error) => {
            is_a_line(&error.to_string());
            assert!(!whole || plain.len() > MOST, "refused, though it is whole: {error}");
        }
    }
}
