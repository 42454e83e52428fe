//! TLS clients that break the protocol.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, SignatureScheme, SupportedProtocolVersion, version,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use crate::connections::connect;
use crate::support::certificates::{Authority, Issued};
use crate::support::exporter::Exporter;
use crate::web::{serve, tls};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

const VERIFIED: &str = "client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert";

/// Presents a certificate and signs with any key.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Returns a client that presents `certificate`, signs with `key`, and caches sessions.
fn client(
    authority: &Authority,
    certificate: &Issued,
    key: &Issued,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap()).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.key.as_bytes()).unwrap();
    let shown = Shown(Arc::new(CertifiedKey::new(chain, any_supported_type(&key).unwrap())));
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config = config
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(shown));
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// Sends a request; returns the kind of the handshake.
async fn ask(exporter: &Exporter, client: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(client.clone()).connect(name, connect(exporter).await).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    assert!(response.starts_with(b"HTTP/1.1 200 OK"));
    Ok(stream.get_ref().1.handshake_kind().unwrap())
}

#[tokio::test]
async fn half_closed_client_gets_the_whole_response() {
    // The hash of `secret`, which takes a while to verify.
    let user = "basic_auth_users: {alice: $2b$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK}\n";
    let authority = Authority::new("ours");
    let own = authority.client("prometheus.example");
    let request = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text\r\n\
                    Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n";
    for is_encrypted in [false, true] {
        let yaml = if is_encrypted { tls("client_auth_type: NoClientCert") + user } else { user.to_owned() };
        let (_simulator, exporter) = serve(&yaml, &authority).await;
        let stream = connect(&exporter).await;
        let mut stream = if is_encrypted {
            let client = client(&authority, &own, &own, VERSIONS[1]);
            let name = ServerName::try_from("localhost").unwrap();
            Either::Right(TlsConnector::from(client).connect(name, stream).await.unwrap())
        } else {
            Either::Left(stream)
        };
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut response = String::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_string(&mut response)).await;
        assert!(read.is_ok(), "the connection stays open");
        let is_whole = response.starts_with("HTTP/1.1 200 OK") && response.contains("\n# EOF\n");
        assert!(is_whole, "{is_encrypted}: {response}");
    }
}

#[tokio::test]
async fn http_1_1_is_served_although_clients_offer_http_2() {
    let authority = Authority::new("ours");
    let own = authority.client("prometheus.example");
    let yaml = tls("client_auth_type: NoClientCert") + "http_server_config: {http2: true}\n";
    let (_simulator, exporter) = serve(&yaml, &authority).await;
    let warning = "level=warn msg=\"HTTP/2 is not supported; serving HTTP/1.1\"";
    assert_eq!(exporter.log().matches(warning).count(), 1, "{}", exporter.log());
    let mut client = Arc::unwrap_or_clone(client(&authority, &own, &own, VERSIONS[1]));
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let mut stream = connector.connect(name, connect(&exporter).await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await.unwrap();
    assert!(response.starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn certificate_of_another_key_is_rejected() {
    let authority = Authority::new("ours");
    let (good, other) = (authority.client("prometheus.example"), authority.client("prometheus.example"));
    for rest in [VERIFIED, "client_auth_type: RequireAnyClientCert"] {
        let (_simulator, exporter) = serve(&tls(rest), &authority).await;
        for version in VERSIONS {
            assert!(ask(&exporter, &client(&authority, &good, &good, version)).await.is_ok());
            let error = ask(&exporter, &client(&authority, &good, &other, version)).await.unwrap_err();
            assert!(error.to_string().contains("alert"), "{version:?}: {error}");
        }
    }
}

#[tokio::test]
async fn client_certificates_are_verified_on_each_connection() {
    let authority = Authority::new("ours");
    let good = authority.client("prometheus.example");
    // Sessions are resumed where no certificate is required.
    for (rest, again) in [
        (VERIFIED, HandshakeKind::Full),
        ("client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem", HandshakeKind::Full),
        ("client_auth_type: NoClientCert", HandshakeKind::Resumed),
    ] {
        let (_simulator, exporter) = serve(&tls(rest), &authority).await;
        for version in VERSIONS {
            let client = client(&authority, &good, &good, version);
            assert_eq!(ask(&exporter, &client).await.unwrap(), HandshakeKind::Full);
            assert_eq!(ask(&exporter, &client).await.unwrap(), again, "{rest}, {version:?}");
        }
    }
}
