//! Certificate authorities that are trusted besides those of the system.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

use super::pem;

/// More of a bundle is not read: those of whole systems are a fifth of it.
const LARGEST_BUNDLE: u64 = 1024 * 1024;

/// Certificates, in the order of their file. Clones share them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(Arc<[CertificateDer<'static>]>);

impl fmt::Debug for Authorities {
    /// How many there are; each would be a page of bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

impl Authorities {
    /// The certificates themselves.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// Reads a file of PEM. The error says what is wrong with it, and what would be right.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let mut bundle = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(LARGEST_BUNDLE + 1).read_to_end(&mut bundle))
            .map_err(|error| {
                format!("cannot read {name}: {error}; name a file with the authority's certificate in PEM, a relative path is looked up beside the configuration")
            })?;
        if bundle.len() as u64 > LARGEST_BUNDLE {
            return Err(format!(
                "{name} has more than {LARGEST_BUNDLE} bytes; name a file with the certificates of your own authorities, those of the system are trusted anyway"
            ));
        }
        let pem = pem::certificates(&name.to_string(), &bundle).map_err(|problem| {
            format!(
                "{name} cannot be used: {problem}; name a file with the authority's X.509 certificates in PEM"
            )
        })?;
        if pem.certificates.is_empty() {
            return Err(instead(&name, &pem.others));
        }
        Ok(Self(pem.certificates.into()))
    }
}

/// What a file without any certificate holds, as far as that helps. None of its text is repeated: it may be a secret.
fn instead(name: &dyn fmt::Display, sections: &[String]) -> String {
    let what = if sections.iter().any(|section| section.ends_with("PRIVATE KEY")) {
        "holds a private key and no certificate; no key is needed here: name the file with the authority's certificate"
    } else if !sections.is_empty() {
        "holds no certificate, but other PEM; name the file with the authority's certificate, which begins with BEGIN CERTIFICATE"
    } else {
        "holds no certificate in PEM, which begins with BEGIN CERTIFICATE; openssl x509 -inform der makes it of a binary one"
    };
    format!("{name} {what}")
}
