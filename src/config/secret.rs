//! Secret files.

use std::path::Path;

use exporter_web::text;

/// Maximum size of the file in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Reads a secret, without white space around it. The error repeats nothing of the file.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let content = text::read(path, MAX_SECRET).map_err(|error| error.to_string())?;
    text::decode(&content).map(|text| text::trimmed(&text).to_owned())
}
