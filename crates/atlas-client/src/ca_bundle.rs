//! Certificate authorities that are trusted besides those of the system.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;

/// Certificates in the order of their file. Clones share them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CaBundle(Arc<[CertificateDer<'static>]>);

impl fmt::Debug for CaBundle {
    /// Writes how many there are; each would be a page of bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({})", self.0.len())
    }
}

impl From<Vec<CertificateDer<'static>>> for CaBundle {
    fn from(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self(certificates.into())
    }
}

impl Deref for CaBundle {
    type Target = [CertificateDer<'static>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
