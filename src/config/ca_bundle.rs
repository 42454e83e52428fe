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
    let refused = |problem: &str| format!("names {name}, which {problem}");
    let bundle = text::read(path, MAX_BUNDLE + 1).map_err(|error| {
            refused(&format!("cannot be read: {error}; name a file with the authority's certificate in PEM, a relative path is looked up beside the configuration"))
        })?;
    if bundle.len() as u64 > MAX_BUNDLE {
        return Err(refused(&format!(
            "has more than {MAX_BUNDLE} bytes; name a file with the certificates of your own authorities, those of the system are trusted anyway"
        )));
    }
    let pem = pem::certificates(&name, &bundle).map_err(|problem| {
        refused(&format!(
            "cannot be used: {problem}; name a file with the authority's X.509 certificates in PEM"
        ))
    })?;
    if !pem.certificates.is_empty() {
        return Ok(pem.certificates.into());
    }
    let is_key = pem.others.iter().any(|label| label.ends_with("PRIVATE KEY"));
    Err(refused(if is_key {
        "holds a private key and no certificate; no key is needed here: name the file with the authority's certificate"
    } else if pem.others.is_empty() {
        "holds no certificate in PEM, which begins with BEGIN CERTIFICATE; openssl x509 -inform der makes it of a binary one"
    } else {
        "holds no certificate, but other PEM; name the file with the authority's certificate, which begins with BEGIN CERTIFICATE"
    }))
}
