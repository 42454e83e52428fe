//! Decoding of JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Error;

pub(crate) fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    // Validating the whole body once is faster than each text. If that fails, the invalid text may
    // be one that is skipped.
    let decoded = match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    decoded.map_err(|error| Error::invalid(&error.to_string()))
}

/// Decodes one entry of a listing.
pub(super) fn entry<'a, T: Deserialize<'a>>(entry: &'a RawValue) -> Result<T, Error> {
    serde_json::from_str(entry.get()).map_err(|error| Error::invalid(&format!("entry of a listing: {error}")))
}
