//! Files that are accepted, and what they mean.

use std::time::Duration;

use hyper::header::HeaderValue;
use rustls::{CipherSuite, NamedGroup};

use super::*;
use crate::basic_auth::AuthResult;
use crate::rate_limit::RateLimit;

#[test]
fn empty_file_serves_plain_http_without_authentication() {
    let folder = folder();
    for yaml in [
        "",
        "\n\n",
        "# nothing\n  # yet",
        "---\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {}\nbasic_auth_users: {}\n",
        "tls_server_config:\n  cert_file: ''\n  key_file: ''\n  client_auth_type: ''\n",
        "http_server_config:\n  http2: false\n",
        "http_server_config:\n  headers:\n    X-XSS-Protection: ''\n",
        "\u{feff}basic_auth_users: {}\r\n \t\r\n",
    ] {
        let web = load(folder.path(), yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        let config = web.subscribe().borrow().clone();
        assert!(
            config.tls.is_none()
                && config.basic_auth.is_none()
                && config.headers.values().all(HeaderValue::is_empty),
            "{yaml}"
        );
    }
    assert!(WebConfigWatcher::load(None).is_ok());
    let yaml = format!("\u{feff}basic_auth_users:\r\n  alice: {HASH}\r\n");
    let file = folder.path().join("web.yml");
    fs::write(&file, yaml.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let config = WebConfigWatcher::load(Some(file)).unwrap().subscribe().borrow().clone();
    assert!(config.basic_auth.is_some());
}

#[test]
fn every_key_is_accepted() {
    let folder = folder();
    let pem = |name: &str| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.replace("-----BEGIN", "\n-----BEGIN").replace('\n', "\n    ")
    };
    let inline = format!("tls_server_config:\n  cert: |{}\n  key: |{}\n", pem("cert.pem"), pem("key.pem"));
    for yaml in [
        tls(""),
        tls("min_version: TLS13, max_version: TLS13"),
        tls("min_version: TLS10, prefer_server_cipher_suites: false"),
        tls("client_auth_type: NoClientCert"),
        tls("client_auth_type: RequireClientCert"),
        tls("client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem, \
             client_allowed_sans: [a, 'spiffe://b/c', 127.0.0.1]"),
        tls("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_RSA_WITH_AES_128_CBC_SHA], \
             curve_preferences: [CurveP521, CurveP384]"),
        inline,
    ] {
        let web = load(folder.path(), &yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        assert!(web.is_encrypted(), "{yaml}");
    }
    let yaml = format!(
        "http_server_config: {{http2: No, headers: {{X-Frame-Options: deny, X-Content-Type-Options: \
         nosniff, X-XSS-Protection: 0, Strict-Transport-Security: max-age=3, Content-Security-Policy: \
         default-src 'self'}}}}\nbasic_auth_users: {{alice: {HASH}, 7: {HASH}}}\n\
         rate_limit: {{interval: 1s, burst: 20}}"
    );
    let config = load(folder.path(), &yaml).unwrap().subscribe().borrow().clone();
    assert_eq!(config.headers.len(), 5);
    assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_secs(1), burst: 20 }));
    assert!(config.basic_auth.is_some());
}

#[test]
fn rate_limit_interval_of_zero_is_no_limit() {
    let folder = folder();
    for (interval, limit) in [
        ("'0'", None),
        ("0", None),
        ("0s", None),
        ("1ms", Some(Duration::from_millis(1))),
        ("1h30m", Some(Duration::from_mins(90))),
    ] {
        let yaml = format!("rate_limit: {{interval: {interval}, burst: 1}}");
        let config = load(folder.path(), &yaml).map(|web| web.subscribe().borrow().clone());
        assert_eq!(config.unwrap().rate_limit.map(|limit| limit.interval), limit, "{interval}");
    }
}

#[test]
fn cipher_suites_and_curves_keep_their_order() {
    let folder = folder();
    let yaml = tls("cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, \
         TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP384, X25519]");
    let config = load(folder.path(), &yaml).unwrap().subscribe().borrow().clone();
    let server = config.tls.as_ref().unwrap();
    let provider = server.crypto_provider();
    let old: Vec<_> = provider
        .cipher_suites
        .iter()
        .filter(|suite| suite.tls13().is_none())
        .map(rustls::SupportedCipherSuite::suite)
        .collect();
    assert_eq!(
        old,
        [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        ]
    );
    assert_eq!(provider.cipher_suites.len(), 5, "those of TLS 1.3 are all there");
    let curves: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(curves, [NamedGroup::secp384r1, NamedGroup::X25519]);
    assert_eq!(server.alpn_protocols, [b"http/1.1"]);
    assert!(server.ignore_client_order);
    let yaml = tls("prefer_server_cipher_suites: no");
    let config = load(folder.path(), &yaml).unwrap().subscribe().borrow().clone();
    assert!(!config.tls.as_ref().unwrap().ignore_client_order);
}

#[tokio::test]
async fn aliases_within_budget_are_resolved() {
    let folder = folder();
    let yaml = format!("basic_auth_users: {{alice: &hash {HASH}, bob: *hash}}");
    let config = load(folder.path(), &yaml).unwrap().subscribe().borrow().clone();
    let users = config.basic_auth.as_ref().unwrap();
    for name in ["alice", "bob"] {
        assert_eq!(users.verify(name, b"secret").await, AuthResult::Accepted, "{name}");
    }
}
