//! `tls_server_config`: the certificate, the TLS parameters, and which client certificates are required.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::Files;
use super::clients::{ClientAuthType, ClientVerifier};
use super::config::{TlsServerConfig, TlsVersion, shown};
use crate::config::pem::{self, NoKey};

/// Suites that Go has and rustls leaves out on purpose: RSA key exchange and CBC.
const WEAK_SUITES: [&str; 8] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

/// Curves by their names in Go.
const CURVES: [(&str, &dyn SupportedKxGroup); 3] = [
    ("X25519", ring::kx_group::X25519),
    ("CurveP256", ring::kx_group::SECP256R1),
    ("CurveP384", ring::kx_group::SECP384R1),
];

/// Which certificates clients must present, from the weakest requirement on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certificates {
    None,
    /// None, or one that anybody can make.
    Unverified,
    Verified,
    /// One for an allowed name.
    Named,
}

impl Certificates {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unverified => "unverified",
            Self::Verified | Self::Named => "verified",
        }
    }
}

/// Returns no configuration where neither a certificate is named nor a key that needs one. An error begins with
/// the key that it is about.
pub(super) fn server_config(
    file: &Path,
    raw: &TlsServerConfig,
    files: &mut Files,
) -> Result<(Option<Arc<ServerConfig>>, Certificates), String> {
    let mut pem = |key, inline: &Option<String>, name: &Option<String>| {
        // Empty is missing, as for the exporter toolkit.
        let [inline, name] = [inline, name].map(|text| text.as_deref().filter(|text| !text.is_empty()));
        Pem::read(file, files, key, inline, name)
    };
    let certificate = pem("cert", &raw.cert, &raw.cert_file)?;
    let key = pem("key", &raw.key, &raw.key_file)?;
    let authorities = pem("client_ca", &raw.client_ca, &raw.client_ca_file)?;
    if raw.client_allowed_sans.as_ref().is_some_and(Vec::is_empty) {
        return refused("client_allowed_sans is empty; expected a list of names");
    }
    let versions = versions(raw)?;
    let provider = Arc::new(provider(raw)?);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if authorities.is_none() && raw.client_auth_type.is_none() => {
            if raw.client_allowed_sans.is_some() {
                return refused("cert_file is missing, so client_allowed_sans would have no effect");
            }
            if *raw != TlsServerConfig::default() {
                tracing::warn!(
                    file = %file.display(),
                    "tls_server_config names no certificate: the pages are served over plain HTTP"
                );
            }
            return Ok((None, Certificates::None));
        }
        _ => return refused("cert_file and key_file belong together; name both"),
    };
    let chain = certificate.certificates()?;
    let private_key = pem::private_key(&key.content).map_err(|error| match error {
        NoKey::Encrypted => key.error("is encrypted; a key without a passphrase is needed"),
        NoKey::Missing => key.error("is no private key in PEM"),
        NoKey::Malformed(problem) => key.error(&format!("is no private key in PEM: {problem}")),
    })?;
    let verifier = client_verifier(raw, authorities.as_ref(), &provider)?;
    let certificates = match raw.client_auth_type {
        _ if verifier.is_none() => Certificates::None,
        // The verifier requires a name of everyone.
        _ if raw.client_allowed_sans.is_some() => Certificates::Named,
        Some(ClientAuthType::RequireAndVerifyClientCert) => Certificates::Verified,
        _ => Certificates::Unverified,
    };

    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| format!("tls_server_config.cipher_suites cannot be used: {error}"))?;
    let is_verifying = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, private_key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => key.error(&format!("is not the key of {}", certificate.key)),
        error => certificate.error(&format!("cannot be used: {error}")),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = raw.prefer_server_cipher_suites.unwrap_or(true);
    if is_verifying {
        // A resumed session would take the certificate from the session, even if it has expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok((Some(Arc::new(config)), certificates))
}

/// A PEM text, and the key that holds it or names its file.
struct Pem {
    key: String,
    file: String,
    content: Vec<u8>,
}

impl Pem {
    fn read(
        file: &Path,
        files: &mut Files,
        key: &str,
        inline: Option<&str>,
        name: Option<&str>,
    ) -> Result<Option<Self>, String> {
        // A key that is indented too far becomes a part of the text before it.
        let is_key = |key: &str| matches!(key, "cert" | "key") || key.contains('_');
        let mut lines = inline.unwrap_or_default().lines();
        if lines.any(|line| line.split_once(':').is_some_and(|(key, _)| is_key(key.trim()))) {
            return Err(format!("tls_server_config.{key} holds another key; it is indented too far"));
        }
        let key_file = format!("{key}_file");
        let Some(name) = name else {
            let content = inline.map(|text| text.as_bytes().to_vec());
            return Ok(content.map(|content| Self {
                key: key.to_owned(),
                file: "inline".to_owned(),
                content,
            }));
        };
        if inline.is_some() {
            tracing::warn!(
                left_out = key,
                kept = key_file,
                "the web configuration sets two keys of which one is used"
            );
        }
        // Relative names start from the directory of the web configuration file.
        let path = file.parent().unwrap_or(Path::new("")).join(name);
        match files.read(&path) {
            Ok(content) => Ok(Some(Self { key: key_file, file: path.display().to_string(), content })),
            // The value may be the key itself instead of its file; `$` separates the parts of a hash.
            Err(error) if is_file_name(name) => {
                Err(format!("tls_server_config.{key_file} cannot read {}: {error}", path.display()))
            }
            Err(error) => Err(format!(
                "tls_server_config.{key_file} should be a file name, but cannot be read: {}",
                error.kind()
            )),
        }
    }

    fn error(&self, problem: &str) -> String {
        format!("tls_server_config.{} {problem}", self.key)
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        match pem::certificates(&self.file, &self.content) {
            Ok(pem) if !pem.certificates.is_empty() => Ok(pem.certificates),
            Ok(_) => Err(self.error("holds no certificate in PEM")),
            Err(problem) => Err(self.error(&format!("({}) cannot be used: {problem}", self.file))),
        }
    }
}

fn is_file_name(name: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c == '$';
    name.contains('.') && name.len() < 256 && !name.contains("-----") && !name.contains(is_odd)
}

fn client_verifier(
    raw: &TlsServerConfig,
    authorities: Option<&Pem>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<ClientVerifier>, String> {
    let auth_type = raw.client_auth_type.unwrap_or(ClientAuthType::NoClientCert);
    let allowed_sans = raw.client_allowed_sans.clone();
    if !auth_type.verifies() && (authorities.is_some() || allowed_sans.is_some()) {
        return refused(
            "client_auth_type verifies no certificate, so client_ca_file and client_allowed_sans would have no effect; write RequireAndVerifyClientCert",
        );
    }
    if auth_type == ClientAuthType::NoClientCert {
        return Ok(None);
    }
    if allowed_sans.iter().flatten().any(|name| name.contains('@') && !name.contains(':')) {
        return refused(
            "client_allowed_sans holds an e-mail address, which is not supported; expected DNS names, IP addresses or URIs",
        );
    }
    let issuer_verifier = match authorities {
        None if auth_type.verifies() => {
            return refused(
                "client_ca_file is missing; it should name the certificates of the authorities that issue client certificates",
            );
        }
        None => None,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in pem.certificates()? {
                roots.add(certificate).map_err(|error| pem.error(&format!("cannot be used: {error}")))?;
            }
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            Some(builder.build().map_err(|error| pem.error(&format!("cannot be used: {error}")))?)
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(ClientVerifier { auth_type, issuer_verifier, allowed_sans, algorithms }))
}

fn versions(raw: &TlsServerConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let min = raw.min_version.unwrap_or(TlsVersion::Tls12);
    let max = raw.max_version.unwrap_or(TlsVersion::Tls13);
    for (version, name) in [(TlsVersion::Tls10, "TLS10"), (TlsVersion::Tls11, "TLS11")] {
        if (min..=max).contains(&version) {
            warn_left_out("version", name);
        }
    }
    let supported = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    let supported = supported.into_iter().filter(|(version, _)| (min..=max).contains(version));
    let supported: Vec<_> = supported.map(|(_, version)| version).collect();
    if supported.is_empty() {
        return refused(
            "max_version leaves no version that is supported, together with min_version; supported are TLS12 and TLS13",
        );
    }
    Ok(supported)
}

/// The algorithms that are offered. As in Go, `cipher_suites` concerns TLS 1.2 alone: those of 1.3 are all good.
fn provider(raw: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = raw.cipher_suites.as_ref().filter(|names| !names.is_empty()) {
        // Go's names of suites of TLS 1.3 are those of the RFC, without the version.
        let name = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        let known: Vec<_> = provider.cipher_suites.iter().map(|suite| (name(suite), *suite)).collect();
        let chosen = choose("cipher_suites", names, &known, &WEAK_SUITES)?;
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(chosen.into_iter().filter(|suite| suite.tls13().is_none()));
    }
    if let Some(names) = raw.curve_preferences.as_ref().filter(|names| !names.is_empty()) {
        let known = CURVES.map(|(name, curve)| (name.to_owned(), curve));
        provider.kx_groups = choose("curve_preferences", names, &known, &["CurveP521"])?;
        if provider.kx_groups.is_empty() {
            return refused(
                "curve_preferences names none that is supported; supported are X25519, CurveP256 and CurveP384",
            );
        }
    }
    Ok(provider)
}

/// Looks up names, in their order. Weak ones are left out with a warning.
fn choose<T: Copy>(
    key: &'static str,
    names: &[String],
    known: &[(String, T)],
    weak: &[&str],
) -> Result<Vec<T>, String> {
    let mut chosen = Vec::new();
    for name in names {
        if let Some((_, value)) = known.iter().find(|(known, _)| known == name) {
            chosen.push(*value);
        } else if weak.contains(&name.as_str()) {
            warn_left_out(key, name);
        } else {
            let known = known.iter().map(|(name, _)| name.as_str()).chain(weak.iter().copied());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(format!("tls_server_config.{key} holds {}; expected some of {known}", shown(name)));
        }
    }
    Ok(chosen)
}

fn refused<T>(problem: &str) -> Result<T, String> {
    Err(format!("tls_server_config.{problem}"))
}

fn warn_left_out(what: &str, name: &str) {
    tracing::warn!(
        what,
        name,
        "the web configuration names something that is too weak to be supported; it is left out"
    );
}
