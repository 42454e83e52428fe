//! `tls_server_config`: the certificate and the verification of client certificates.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::client_cert::{ClientAuthType, ClientCertRequirement, ClientVerifier};
use crate::files::Files;
use crate::yaml::TlsServerConfig;
use crate::{pem, tls_params};

/// Returns no configuration if neither a certificate nor a key that needs one is set.
///
/// An error begins with the key.
pub(crate) fn server_config(
    file: &Path,
    raw: &TlsServerConfig,
    files: &mut Files,
) -> Result<(Option<Arc<ServerConfig>>, ClientCertRequirement), String> {
    let mut pem = |key, inline: &Option<String>, name: &Option<String>| {
        // An empty value counts as missing, as in the exporter toolkit.
        let [inline, name] = [inline, name].map(|text| text.as_deref().filter(|text| !text.is_empty()));
        Pem::read(file, files, key, inline, name)
    };
    let certificate = pem("cert", &raw.cert, &raw.cert_file)?;
    let key = pem("key", &raw.key, &raw.key_file)?;
    let authorities = pem("client_ca", &raw.client_ca, &raw.client_ca_file)?;
    if raw.client_allowed_sans.as_ref().is_some_and(Vec::is_empty) {
        return Err("client_allowed_sans is empty; expected a list of names".into());
    }
    let versions = tls_params::versions(raw)?;
    let provider = Arc::new(tls_params::provider(raw)?);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if authorities.is_none() && raw.client_auth_type.is_none() => {
            if raw.client_allowed_sans.is_some() {
                return Err("cert_file is missing, so client_allowed_sans would have no effect".into());
            }
            if *raw != TlsServerConfig::default() {
                tracing::warn!("no certificate in tls_server_config; serving plain HTTP");
            }
            return Ok((None, ClientCertRequirement::None));
        }
        _ => return Err("cert_file and key_file belong together; name both".into()),
    };
    let chain = certificate.certificates()?;
    let private_key = pem::private_key(&key.content).map_err(|problem| key.error(&problem))?;
    let verifier = client_verifier(raw, authorities.as_ref(), &provider)?;
    let requirement = match raw.client_auth_type {
        _ if verifier.is_none() => ClientCertRequirement::None,
        // The verifier requires a name of every client.
        _ if raw.client_allowed_sans.is_some() => ClientCertRequirement::Named,
        Some(ClientAuthType::RequireAndVerifyClientCert) => ClientCertRequirement::Verified,
        _ => ClientCertRequirement::Unverified,
    };

    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| format!("cipher_suites cannot be used: {error}"))?;
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
    if requirement != ClientCertRequirement::None {
        // A resumed session would accept a certificate that has expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok((Some(Arc::new(config)), requirement))
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
            return Err(format!("{key} holds another key; it is indented too far"));
        }
        let key_file = format!("{key}_file");
        let Some(name) = name else {
            let pem = |text: &str| Self { key: key.into(), file: "inline".into(), content: text.into() };
            return Ok(inline.map(pem));
        };
        if inline.is_some() {
            tracing::warn!(ignored = key, used = key_file, "two keys set the same value");
        }
        // Relative names start from the directory of the web configuration file.
        let path = file.parent().unwrap_or(Path::new("")).join(name);
        let path_name = path.display().to_string();
        match files.read(&path) {
            Ok(content) => Ok(Some(Self { key: key_file, file: path_name, content })),
            Err(error) if is_file_name(name) => Err(format!("{key_file} cannot read {path_name}: {error}")),
            // The value can be a private key or a hash.
            Err(error) => Err(format!("{key_file} should name a file: {}", error.kind())),
        }
    }

    fn error(&self, problem: &str) -> String {
        format!("{} {problem}", self.key)
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        pem::certificates(&self.file, &self.content)
            .map_err(|problem| self.error(&format!("({}) {problem}", self.file)))
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
    if allowed_sans.iter().flatten().any(|name| name.contains('@') && !name.contains(':')) {
        return Err(
            "client_allowed_sans holds an e-mail address; expected DNS names, IP addresses or URIs".into()
        );
    }
    if !auth_type.verifies() && (authorities.is_some() || allowed_sans.is_some()) {
        return Err(
            "client_auth_type verifies no certificate, as client_ca_file and client_allowed_sans need; \
             expected RequireAndVerifyClientCert"
                .into(),
        );
    }
    if auth_type == ClientAuthType::NoClientCert {
        return Ok(None);
    }
    let mut issuer_verifier = None;
    if auth_type.verifies() {
        let missing = "client_ca_file is missing; expected the authorities that issue client certificates";
        let authorities = authorities.ok_or(missing)?;
        let mut roots = RootCertStore::empty();
        // `pem` has parsed all certificates.
        roots.add_parsable_certificates(authorities.certificates()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
        let unusable = |error| authorities.error(&format!("cannot be used: {error}"));
        issuer_verifier = Some(verifier.map_err(unusable)?);
    }
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(ClientVerifier { auth_type, issuer_verifier, allowed_sans, algorithms }))
}
