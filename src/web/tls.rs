//! `tls_server_config`: which TLS is spoken, with which certificate, to whom.

mod choices;

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::Files;
use super::clients::{Clients, Policy};
use crate::config::pem::{self, NoKey};
use crate::config::{ConfigError, Section};
use choices::{CURVES, chosen, suites, versions};

pub(super) const KEYS: [&str; 13] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

const AUTH_TYPES: &str = "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert";

/// What rustls needs to serve; `None` where no certificate, nor anything that needs one, is named.
pub(super) fn server_config(
    file: &Path,
    root: &mut Section<'_>,
    files: &mut Files,
) -> Result<(Option<ServerConfig>, Certificates), ConfigError> {
    let mut section = root.section("tls_server_config", &KEYS)?;
    let is_named = section.is_filled();
    let certificate = named(file, &mut section, files, "cert")?;
    let key = named(file, &mut section, files, "key")?;
    let authorities = named(file, &mut section, files, "client_ca")?;
    let auth = section.text("client_auth_type", AUTH_TYPES)?;
    let policy = policy(&section, auth.as_deref())?;
    let is_about_names = section.has("client_allowed_sans");
    let allowed = section.texts("client_allowed_sans", "a list of names")?;
    if is_about_names && allowed.as_ref().is_none_or(Vec::is_empty) {
        return Err(
            section.error("client_allowed_sans", "is empty; it should be a list of names, or left out")
        );
    }
    let versions = versions(&mut section)?;
    let mut provider = ring::default_provider();
    suites(&mut section, &mut provider)?;
    if let Some(curves) = chosen(&mut section, "curve_preferences", "curve", &CURVES)? {
        if curves.is_empty() {
            return Err(section.error(
                "curve_preferences",
                "names none that is spoken here; those are X25519, CurveP256 and CurveP384",
            ));
        }
        provider.kx_groups = curves;
    }
    let is_used = certificate.is_some() || key.is_some() || authorities.is_some() || auth.is_some();
    let server_decides = section.switch("prefer_server_cipher_suites")?.unwrap_or(true);
    if !is_used {
        if allowed.is_some() {
            return Err(section.error(
                "cert_file",
                "is missing, so no client would be asked for a name of client_allowed_sans",
            ));
        }
        if is_named {
            tracing::warn!(
                file = %file.display(),
                "tls_server_config names no certificate: the pages are served over plain HTTP"
            );
        }
        return Ok((None, Certificates::None));
    }
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Err(section.error("cert_file", "and key_file belong together; name both"));
    };
    let provider = Arc::new(provider);
    let chain = certificates(&section, &certificate)?;
    let private = pem::private_key(&key.content).map_err(|error| {
        let problem = match error {
            NoKey::Encrypted => "is encrypted; a key without a passphrase is needed".to_owned(),
            NoKey::Missing => "is no private key in PEM".to_owned(),
            NoKey::Malformed(problem) => format!("is no private key in PEM: {problem}"),
        };
        section.error(&key.key, &problem)
    })?;
    let shown = match policy {
        None => Certificates::None,
        // A name of the list is asked of everyone.
        Some(_) if allowed.is_some() => Certificates::Named,
        Some(Policy::RequireAndVerify) => Certificates::Verified,
        Some(_) => Certificates::Unverified,
    };
    let clients = clients(&section, policy, authorities.as_ref(), allowed, &provider)?;

    let refused = |error: rustls::Error| match error {
        rustls::Error::InconsistentKeys(_) => {
            section.error(&key.key, &format!("is not the key of {}", certificate.key))
        }
        error => section.error(&certificate.key, &format!("cannot be used: {error}")),
    };
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| section.error("cipher_suites", &format!("cannot be used: {error}")))?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::new(clients)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, private).map_err(refused)?;
    config.ignore_client_order = server_decides;
    if policy.is_some() {
        // Who resumes a session shows no certificate: whether it has expired meanwhile, nobody would ask.
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok((Some(config), shown))
}

/// Which certificates clients must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Certificates {
    None,
    /// None, or one that anybody can make.
    Unverified,
    Verified,
    /// For one of certain names.
    Named,
}

impl Certificates {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unverified => "unverified",
            Self::Verified | Self::Named => "verified",
        }
    }
}

/// A text in PEM, and the key that it, or the name of its file, was under.
struct Pem {
    key: String,
    /// The file.
    name: String,
    content: Vec<u8>,
}

/// What `key_file` names, or else what `key` is.
fn named(
    file: &Path,
    section: &mut Section<'_>,
    files: &mut Files,
    key: &str,
) -> Result<Option<Pem>, ConfigError> {
    let inline = section.text(key, "a text in PEM")?;
    let is_key = |line: &str| {
        KEYS.iter().any(|key| line.trim().strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    };
    if inline.as_deref().unwrap_or_default().lines().any(is_key) {
        return Err(section.error(key, "holds another key; it is indented too far"));
    }
    let key_file = format!("{key}_file");
    let Some(name) = section.text(&key_file, "the name of a file")? else {
        let (key, name) = (key.to_owned(), "inline".to_owned());
        return Ok(inline.map(|text| Pem { key, name, content: text.into_bytes() }));
    };
    if inline.is_some() {
        tracing::warn!(
            left_out = key,
            kept = key_file,
            "the web configuration says twice what one of them should"
        );
    }
    // `$` begins the parts of a hash.
    let odd = |c: char| c.is_control() || c == '$';
    let is_name = name.contains('.') && name.len() < 256 && !name.contains("-----") && !name.contains(odd);
    // As everywhere: a relative name is looked up beside the file that it is in.
    let path = file.parent().unwrap_or(Path::new("")).join(name);
    match files.read(&path) {
        Ok(content) => Ok(Some(Pem { key: key_file, name: path.display().to_string(), content })),
        // What stands here may be the key itself instead of its file.
        Err(error) if is_name => {
            Err(section.error(&key_file, &format!("cannot read {}: {error}", path.display())))
        }
        Err(error) => {
            let problem =
                format!("should be the name of a file; what it says cannot be read: {}", error.kind());
            Err(section.error(&key_file, &problem))
        }
    }
}

fn certificates(
    section: &Section<'_>,
    Pem { key, name, content }: &Pem,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    match pem::certificates(name, content) {
        Ok(pem) if !pem.certificates.is_empty() => Ok(pem.certificates),
        Ok(_) => Err(section.error(key, "holds no certificate in PEM")),
        Err(problem) => Err(section.error(key, &format!("({name}) cannot be used: {problem}"))),
    }
}

fn policy(section: &Section<'_>, auth: Option<&str>) -> Result<Option<Policy>, ConfigError> {
    match auth {
        None | Some("NoClientCert") => Ok(None),
        Some("RequestClientCert") => Ok(Some(Policy::Request)),
        // The second is an older name.
        Some("RequireAnyClientCert" | "RequireClientCert") => Ok(Some(Policy::RequireAny)),
        Some("VerifyClientCertIfGiven") => Ok(Some(Policy::VerifyIfGiven)),
        Some("RequireAndVerifyClientCert") => Ok(Some(Policy::RequireAndVerify)),
        Some(_) => Err(section.error("client_auth_type", &format!("should be {AUTH_TYPES}"))),
    }
}

fn clients(
    section: &Section<'_>,
    policy: Option<Policy>,
    authorities: Option<&Pem>,
    allowed: Option<Vec<String>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Clients>, ConfigError> {
    let Some(policy) = policy else {
        return match (authorities, allowed) {
            (None, None) => Ok(None),
            _ => Err(section.error("client_auth_type", "is missing or NoClientCert, so no client would be asked for the certificate that client_ca_file or client_allowed_sans is about; write RequireAndVerifyClientCert")),
        };
    };
    if allowed.iter().flatten().any(|name| name.contains('@') && !name.contains(':')) {
        let problem = "holds an e-mail address, which is not looked for in certificates; name a DNS name, an IP address or a URI";
        return Err(section.error("client_allowed_sans", problem));
    }
    if allowed.is_some() && !policy.verifies() {
        let problem = "asks for certificates without verifying them, so anybody can make one with a name of client_allowed_sans; write RequireAndVerifyClientCert, and client_ca_file";
        return Err(section.error("client_auth_type", problem));
    }
    let issued = match authorities {
        None if !policy.verifies() => None,
        Some(_) if !policy.verifies() => {
            let problem = "asks for certificates without verifying them, though client_ca_file says by whom they should be issued; write RequireAndVerifyClientCert";
            return Err(section.error("client_auth_type", problem));
        }
        None => {
            return Err(section.error(
                "client_ca_file",
                "is missing; it should name the certificates of the authorities that clients are verified by",
            ));
        }
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(section, pem)? {
                roots
                    .add(certificate)
                    .map_err(|error| section.error(&pem.key, &format!("cannot be used: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            Some(
                verifier
                    .build()
                    .map_err(|error| section.error(&pem.key, &format!("cannot be used: {error}")))?,
            )
        }
    };
    let algorithms = provider.signature_verification_algorithms;
    Ok(Some(Clients { policy, issued, allowed, algorithms }))
}
