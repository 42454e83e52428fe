//! Certificate authority and the certificates that it issues.

use std::path::Path;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The certificate of the authority in PEM format.
    pub(crate) certificate: String,
}

/// Certificate and its key, in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Returns an intermediate authority, signed by this one.
    pub(crate) fn subordinate(&self, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (certificate, key) = self.sign(&params);
        Self { issuer: Issuer::new(params, key), certificate: certificate.pem() }
    }

    /// Issues a certificate for a server on this machine.
    pub(crate) fn server(&self) -> Issued {
        self.server_of(&["localhost", "127.0.0.1"])
    }

    /// Issues a certificate for a server with these names.
    pub(crate) fn server_of(&self, names: &[&str]) -> Issued {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue(CertificateParams::new(names).unwrap(), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Issues a certificate for a client with this name: an IP address, a URI or a DNS name.
    pub(crate) fn client(&self, name: &str) -> Issued {
        let name = match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI(name.try_into().unwrap()),
            Err(_) => SanType::DnsName(name.try_into().unwrap()),
        };
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(name);
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Issued {
        params.extended_key_usages = vec![usage];
        let (certificate, key) = self.sign(&params);
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Signs a certificate with a new key.
    pub(crate) fn sign(&self, params: &CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

impl Issued {
    /// Writes the files `{name}.pem` and `{name}-key.pem`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        std::fs::write(folder.join(format!("{name}-key.pem")), &self.key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), &self.certificate).unwrap();
    }
}
