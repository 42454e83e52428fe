//! Verification of client certificates.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use serde::Deserialize;
use webpki::EndEntityCert;

/// `client_auth_type`, by its names in Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum ClientAuthType {
    NoClientCert,
    RequestClientCert,
    /// Requires a certificate of any issuer. The alias is an older name.
    #[serde(alias = "RequireClientCert")]
    RequireAnyClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

impl ClientAuthType {
    pub(crate) fn verifies(self) -> bool {
        matches!(self, Self::VerifyClientCertIfGiven | Self::RequireAndVerifyClientCert)
    }
}

/// Requirements for client certificates, weakest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClientCertRequirement {
    #[default]
    None,
    /// No certificate, or a certificate of any issuer.
    Unverified,
    Verified,
    /// A verified certificate for an allowed name.
    Named,
}

/// Accepts the certificates that a [`ClientAuthType`] admits, if they are for an allowed name.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    pub(crate) auth_type: ClientAuthType,
    /// `None` if any issuer is accepted.
    pub(crate) issuer_verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Subject alternative names, one of which a client must have.
    pub(crate) allowed_sans: Option<Vec<String>>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        // A client without a certificate has none of the names.
        self.allowed_sans.is_some()
            || matches!(
                self.auth_type,
                ClientAuthType::RequireAnyClientCert | ClientAuthType::RequireAndVerifyClientCert
            )
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.issuer_verifier.as_ref().map_or(&[], |verifier| verifier.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(verifier) = &self.issuer_verifier {
            verifier.verify_client_cert(certificate, intermediates, now)?;
        }
        match &self.allowed_sans {
            Some(names) if !is_for_any_of(certificate, names)? => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Names are compared literally: a wildcard matches only itself.
fn is_for_any_of(certificate: &CertificateDer<'_>, names: &[String]) -> Result<bool, Error> {
    let certificate = EndEntityCert::try_from(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    let is_named = |name: &str| match name.parse::<IpAddr>() {
        Ok(address) => {
            certificate.verify_is_valid_for_subject_name(&ServerName::IpAddress(address.into())).is_ok()
        }
        Err(_) => certificate.valid_dns_names().chain(certificate.valid_uri_names()).any(|one| one == name),
    };
    Ok(names.iter().any(|name| is_named(name)))
}
