//! TLS servers with valid and invalid certificates.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::certificates;

/// Certificate authority that issues server certificates.
pub(crate) struct Authority(certificates::Authority);

impl Authority {
    /// Creates an authority with the same name as all others, but another key.
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(certificates::Authority::new("Test CA"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.certificate.clone()
    }

    pub(crate) fn valid(&self) -> Arc<ServerConfig> {
        self.server(&params("localhost"))
    }

    pub(crate) fn expired(&self) -> Arc<ServerConfig> {
        let mut params = params("localhost");
        params.not_after = date_time_ymd(2025, 1, 1);
        self.server(&params)
    }

    pub(crate) fn not_yet_valid(&self) -> Arc<ServerConfig> {
        let mut params = params("localhost");
        params.not_before = date_time_ymd(4000, 1, 1);
        self.server(&params)
    }

    pub(crate) fn wrong_name(&self) -> Arc<ServerConfig> {
        self.server(&params("elsewhere.test"))
    }

    fn server(&self, params: &CertificateParams) -> Arc<ServerConfig> {
        let (certificate, key) = self.0.sign(params);
        config(certificate.der().clone(), &key)
    }
}

pub(crate) fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    config(params("localhost").self_signed(&key).unwrap().der().clone(), &key)
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// Offers HTTP/2 as well, which the exporter does not ask for.
fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
