//! Certificate authorities that are trusted besides those of the system.

use std::path::Path;

use atlas_client::CaBundle;

use exporter_web::{pem, text};

/// Largest bundle in bytes; those of whole systems are a fifth of it.
const MAX_BUNDLE: u64 = 1024 * 1024;

/// Reads a file of PEM. The error continues a sentence that begins with the key; it repeats
/// nothing of the file, which may be a secret.
pub(super) fn read(path: &Path) -> Result<CaBundle, String> {
    let name = path.display().to_string();
    let refused = |problem: String| format!("names {name}, which {problem}");
    let bundle = text::read(path, MAX_BUNDLE).map_err(|error| {
        refused(format!("cannot be read: {error}; name a file with the authority's certificate in PEM, a relative path is looked up beside the configuration"))
    })?;
    pem::certificates(&name, &bundle).map(CaBundle::from).map_err(refused)
}
