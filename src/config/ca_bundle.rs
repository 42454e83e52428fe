//! Certificate authorities in addition to those of the system.

use std::path::Path;

use atlas_client::CaBundle;
use exporter_web::{pem, text};

/// Maximum size of a bundle in bytes. The bundles of Linux distributions have a fifth of it.
const MAX_BUNDLE: u64 = 1024 * 1024;

/// Reads a PEM file. The error continues the name of the key, and repeats nothing of the file,
/// which can be a secret.
pub(super) fn read(path: &Path) -> Result<CaBundle, String> {
    let name = path.display().to_string();
    let refused = |problem: String| format!("({name}) {problem}");
    let bundle = text::read(path, MAX_BUNDLE).map_err(|error| {
        refused(format!(
            "cannot be read: {error}; expected a PEM file with CA certificates \
             (relative paths start from the folder of the configuration file)"
        ))
    })?;
    pem::certificates(&name, &bundle).map(CaBundle::from).map_err(refused)
}
