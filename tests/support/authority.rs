//! Certificates that are good, and those that are not.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::certificates;

/// Who vouches for servers.
pub(crate) struct Authority(certificates::Authority);

impl Authority {
    /// Those of one name are strangers to each other all the same.
    pub(crate) fn new() -> Self {
        // Servers and clients of tests share the process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self(certificates::Authority::new("an authority of tests"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.certificate.clone()
    }

    /// A server that is what it says.
    pub(crate) fn good(&self) -> Arc<ServerConfig> {
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

    pub(crate) fn of_another_name(&self) -> Arc<ServerConfig> {
        self.server(&params("elsewhere.test"))
    }

    fn server(&self, params: &CertificateParams) -> Arc<ServerConfig> {
        let (certificate, key) = self.0.sign(params);
        config(certificate.der().clone(), &key)
    }
}

/// A server that vouches for itself.
pub(crate) fn self_signed() -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    config(params("localhost").self_signed(&key).unwrap().der().clone(), &key)
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

/// It would speak HTTP/2 with whoever asks for it.
fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
