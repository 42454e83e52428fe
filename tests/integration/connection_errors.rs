//! Errors of connections to Atlas: one line with host, port and cause.

use std::sync::Arc;
use std::time::Duration;

use atlas_client::{
    AtlasClient, CaBundle, ClientOptions, CredentialKind, Credentials, ProjectId, Proxy, SecretSource,
};
use atlas_simulator::{Cluster, Simulator};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;

use crate::support::atlas::{PRIVATE_KEY, PROJECT, atlas_state, simulator};
use crate::support::authority::{Authority, self_signed};
use crate::support::fault_proxy::{FOREVER, FaultProxy, ProxyMode, Step, send};

/// Response that breaks off within its body.
const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";

/// Host name with a label that is too long, so that no DNS server is needed.
const INVALID_HOST: &str = "a-label-of-more-than-sixty-three-characters-is-refused-by-resolvers.test";

struct Setup {
    simulator: Simulator,
    authority: Authority,
}

impl Setup {
    async fn new() -> Self {
        Self {
            simulator: simulator(atlas_state([("prod", Cluster::default())])).await,
            authority: Authority::new(),
        }
    }

    async fn server(&self, mode: ProxyMode) -> FaultProxy {
        FaultProxy::start(&self.simulator, mode).await
    }

    /// Returns class and text of the error of a request to `url`.
    async fn error(&self, url: &str, proxy: Option<&str>) -> (&'static str, String) {
        let base_url = url.parse().unwrap();
        let variable = |name: &str| proxy.filter(|_| name == "HTTPS_PROXY");
        let proxy = Proxy::from_environment(variable, &base_url, |_, _| {}).unwrap();
        let certificate = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap();
        let user_agent = "test".to_owned();
        let ca_bundle = CaBundle::from([certificate]);
        let options = ClientOptions { base_url, user_agent, ca_bundle, proxy, observer: Arc::new(()) };
        let credentials = Credentials {
            kind: CredentialKind::ApiKey,
            id: "pubkey".to_owned(),
            origin: String::new(),
            secret: SecretSource::Inline { secret: PRIVATE_KEY.into(), origin: String::new() },
            expires_at: None,
        };
        let client = AtlasClient::new(&options, &credentials).unwrap().without_retries();
        let id = ProjectId::parse(PROJECT).unwrap();
        let error = client.project_name(&id, Instant::now() + Duration::from_secs(12)).await.unwrap_err();
        (error.reason().as_str(), error.to_string())
    }
}

fn respond(text: &str) -> ProxyMode {
    ProxyMode::Respond(vec![send(text)])
}

#[tokio::test]
async fn failed_connections_name_host_port_and_cause() {
    let setup = Setup::new().await;
    for (mode, reason, expected) in [
        (ProxyMode::Refuse, "connect", "cannot connect to HOST: connection refused"),
        (
            ProxyMode::RespondFirst(vec![Step::Reset]),
            "connect",
            "connection to HOST failed: connection reset by peer",
        ),
        (ProxyMode::Respond(vec![]), "connect", "HOST closed the connection without a response"),
        (
            respond("SSH-2.0-OpenSSH_9.2\r\n"),
            "invalid_response",
            "invalid response from Atlas: HOST does not speak HTTP/1.1 (invalid HTTP version parsed)",
        ),
        (
            respond(HALF),
            "invalid_response",
            "response from HOST broke off: end of file before message length reached",
        ),
    ] {
        let server = setup.server(mode).await;
        let url = format!("{}/", server.plain_url());
        let host = server.plain_url().replace("http://", "");
        assert_eq!(setup.error(&url, None).await, (reason, expected.replace("HOST", &host)));
    }
    let (reason, text) = setup.error(&format!("http://{INVALID_HOST}:80/"), None).await;
    assert_eq!(reason, "connect");
    let start = format!("cannot resolve {INVALID_HOST}: ");
    assert!(text.starts_with(&start) && !text[start.len()..].contains(':'), "{text}");
}

#[tokio::test]
async fn failed_handshakes_name_the_certificate_problem() {
    let setup = Setup::new().await;
    let (ours, other) = (&setup.authority, Authority::new());
    for (mode, reason, expected) in [
        (ProxyMode::Tls(ours.expired()), "tls", "TLS handshake with HOST failed: certificate has expired"),
        (
            ProxyMode::Tls(ours.not_yet_valid()),
            "tls",
            "TLS handshake with HOST failed: certificate is not valid yet",
        ),
        (
            ProxyMode::Tls(ours.wrong_name()),
            "tls",
            "TLS handshake with HOST failed: certificate is for another host name",
        ),
        (
            ProxyMode::Tls(self_signed()),
            "tls",
            "TLS handshake with HOST failed: certificate has an unknown issuer",
        ),
        (ProxyMode::Tls(other.valid()), "tls", "TLS handshake with HOST failed: "),
        (
            respond("HTTP/1.1 400 Bad Request\r\n\r\n"),
            "tls",
            "TLS handshake with HOST failed: received corrupt message of type InvalidContentType",
        ),
        (
            ProxyMode::Respond(vec![]),
            "connect",
            "cannot connect to HOST: connection closed during the TLS handshake",
        ),
        (ProxyMode::Refuse, "connect", "cannot connect to HOST: connection refused"),
    ] {
        let server = setup.server(mode).await;
        let host = server.url().replace("https://", "");
        let (class, text) = setup.error(&format!("{}/", server.url()), None).await;
        let expected = expected.replace("HOST", &host);
        assert!(class == reason && text.starts_with(&expected), "{class} {text}\nexpected {expected}");
        assert!(text.len() < expected.len() + 80, "{text}");
    }
}

#[tokio::test]
async fn failed_proxies_are_named_without_credentials() {
    let setup = Setup::new().await;
    let server = setup.server(ProxyMode::Tls(setup.authority.valid())).await;
    let host = server.url().replace("https://", "");
    for (mode, reason, expected) in [
        (ProxyMode::Refuse, "connect", "cannot connect to proxy PROXY: connection refused"),
        (
            respond("HTTP/1.1 407 Who Are You\r\n\r\n"),
            "connect",
            "proxy PROXY answered 407: its credentials are missing or wrong",
        ),
        (respond("HTTP/1.1 502 Bad Gateway\r\n\r\n"), "connect", "proxy PROXY failed to connect to HOST"),
        (
            ProxyMode::Respond(vec![]),
            "connect",
            "proxy PROXY failed to connect to HOST: unexpected end of file",
        ),
        (
            respond("HTTP/1.1 200 Connection established\r\n\r\n"),
            "connect",
            "cannot connect to HOST: connection closed during the TLS handshake",
        ),
        (
            ProxyMode::Respond(vec![FOREVER]),
            "connect",
            "cannot connect to HOST through proxy PROXY: no response within 10s",
        ),
    ] {
        let proxy = setup.server(mode).await;
        let address = proxy.plain_url().replace("http://", "");
        let with_password = format!("http://jane:pa55-w0rd@{address}");
        let expected = expected.replace("HOST", &host).replace("PROXY", &address);
        assert_eq!(
            setup.error(&format!("{}/", server.url()), Some(&with_password)).await,
            (reason, expected)
        );
    }
    let encrypted = setup.server(ProxyMode::Tls(setup.authority.expired())).await;
    let address = encrypted.url().replace("https://", "");
    let (_, text) = setup.error(&format!("{}/", server.url()), Some(&encrypted.url())).await;
    assert_eq!(text, format!("TLS handshake with proxy {address} failed: certificate has expired"));
    let proxy = format!("http://{INVALID_HOST}:3128");
    let (_, text) = setup.error(&format!("{}/", server.url()), Some(&proxy)).await;
    assert!(text.starts_with(&format!("cannot resolve {INVALID_HOST}: ")), "{text}");
}

#[tokio::test]
async fn timeouts_name_host_port_and_time() {
    let setup = Setup::new().await;
    let server = setup.server(ProxyMode::FullBacklog).await;
    let host = server.plain_url().replace("http://", "");
    let (reason, text) = setup.error(&format!("{}/", server.plain_url()), None).await;
    assert_eq!((reason, text), ("connect", format!("cannot connect to {host}: no response within 10s")));
    let server = setup.server(ProxyMode::Respond(vec![FOREVER])).await;
    let host = server.plain_url().replace("http://", "");
    let (reason, text) = setup.error(&format!("{}/", server.plain_url()), None).await;
    assert_eq!((reason, text), ("timeout", format!("no response from {host} within 12s")));
}
