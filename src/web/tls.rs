//! `tls_server_config`: which TLS is spoken, with which certificate, to whom.
//!
//! Versions, suites and curves have the names of Go's crypto/tls. Of those that rustls leaves out on purpose (TLS 1.0 and 1.1, RSA key
//! exchange, CBC, P-521) the log tells that they are not spoken; other exporters that share the file may.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::Files;
use super::clients::{Clients, Policy};
use crate::config::{ConfigError, Section, is_no_secret};

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

/// Go's versions of TLS, oldest first, and rustls's.
const VERSIONS: [(&str, Option<&SupportedProtocolVersion>); 4] =
    [("TLS10", None), ("TLS11", None), ("TLS12", Some(&version::TLS12)), ("TLS13", Some(&version::TLS13))];

/// Go's suites that are considered safe, in this and the last releases, and rustls's.
const SUITES: [(&str, Option<SupportedCipherSuite>); 17] = {
    use rustls::crypto::ring::cipher_suite::{
        TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    [
        ("TLS_AES_128_GCM_SHA256", Some(TLS13_AES_128_GCM_SHA256)),
        ("TLS_AES_256_GCM_SHA384", Some(TLS13_AES_256_GCM_SHA384)),
        ("TLS_CHACHA20_POLY1305_SHA256", Some(TLS13_CHACHA20_POLY1305_SHA256)),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)),
        (
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            Some(TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        ),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", None),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", None),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", None),
    ]
};

/// The curves that a web configuration may name, and rustls's.
const CURVES: [(&str, Option<&dyn SupportedKxGroup>); 4] = [
    ("X25519", Some(ring::kx_group::X25519)),
    ("CurveP256", Some(ring::kx_group::SECP256R1)),
    ("CurveP384", Some(ring::kx_group::SECP384R1)),
    ("CurveP521", None),
];

/// What rustls needs to serve; `None` where no certificate, nor anything that needs one, is named.
pub(super) fn server_config(
    file: &Path,
    root: &mut Section<'_>,
    files: &mut Files,
) -> Result<(Option<ServerConfig>, Certificates), ConfigError> {
    let mut section = root.section("tls_server_config", &KEYS)?;
    let is_named = section.is_filled();
    let certificate = pem(file, &mut section, files, "cert")?;
    let key = pem(file, &mut section, files, "key")?;
    let authorities = pem(file, &mut section, files, "client_ca")?;
    let auth = section.text("client_auth_type", AUTH_TYPES)?;
    let policy = policy(&section, auth.as_deref())?;
    let allowed = section.texts("client_allowed_sans", "a list of names")?;
    let versions = versions(&mut section)?;
    let mut provider = ring::default_provider();
    suites(&mut section, &mut provider)?;
    if let Some(curves) = chosen(&mut section, "curve_preferences", "curve", &CURVES)? {
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
    let private = PrivateKeyDer::from_pem_slice(&key.content).map_err(|_| {
        let is_encrypted = key.content.windows(9).any(|part| part == b"ENCRYPTED");
        let problem = if is_encrypted {
            "is encrypted; a key without a passphrase is needed"
        } else {
            "is no private key in PEM"
        };
        section.error(&key.key, problem)
    })?;
    let shown = match policy {
        None => Certificates::None,
        // A name of the list is asked of everyone.
        Some(Policy::VerifyIfGiven) if allowed.is_some() => Certificates::Verified,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificates {
    None,
    /// None, or one that anybody can make.
    Unverified,
    Verified,
}

impl Certificates {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unverified => "unverified",
            Self::Verified => "verified",
        }
    }
}

/// A text in PEM, and the key that it, or the name of its file, was under.
struct Pem {
    key: String,
    content: Vec<u8>,
}

/// What `key_file` names, or else what `key` is.
fn pem(
    file: &Path,
    section: &mut Section<'_>,
    files: &mut Files,
    key: &str,
) -> Result<Option<Pem>, ConfigError> {
    let inline = section.text(key, "a text in PEM")?;
    let key_file = format!("{key}_file");
    let Some(name) = section.text(&key_file, "the name of a file")? else {
        return Ok(inline.map(|text| Pem { key: key.to_owned(), content: text.into_bytes() }));
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
        Ok(content) => Ok(Some(Pem { key: key_file, content })),
        // What stands here may be the key itself instead of its file.
        Err(error) if is_name => {
            Err(section.error(&key_file, &format!("cannot read {}: {error}", path.display())))
        }
        Err(_) => Err(section.error(&key_file, "should be the name of a file")),
    }
}

fn certificates(section: &Section<'_>, pem: &Pem) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.content).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(section.error(&pem.key, "holds no certificate in PEM")),
        Err(_) => Err(section.error(&pem.key, "is not PEM")),
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

/// The versions from `min_version` to `max_version`.
fn versions(section: &mut Section<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
    let names = VERSIONS.map(|(name, _)| name);
    let expected = names.join(", ");
    let mut bound = |key: &str, default: &str| {
        let index = |text: &str| names.iter().position(|name| *name == text);
        let found = section.word(key, &format!("one of {expected}"), index)?;
        Ok::<_, ConfigError>(found.or(index(default)).unwrap_or_default())
    };
    let (least, most) = (bound("min_version", "TLS12")?, bound("max_version", "TLS13")?);
    let within = VERSIONS.get(least..=most).unwrap_or_default();
    tell_of_what_is_left_out("version", within);
    let spoken: Vec<_> = within.iter().filter_map(|(_, version)| *version).collect();
    if spoken.is_empty() {
        let problem = format!(
            "is {}, and min_version {}: there is no version between them that is spoken here; those are TLS12 and TLS13",
            names[most], names[least]
        );
        return Err(section.error("max_version", &problem));
    }
    Ok(spoken)
}

/// Narrows the suites down. As in Go, that concerns TLS 1.2 alone: those of 1.3 are all good.
fn suites(section: &mut Section<'_>, provider: &mut CryptoProvider) -> Result<(), ConfigError> {
    let Some(chosen) = chosen(section, "cipher_suites", "cipher suite", &SUITES)? else { return Ok(()) };
    let is_old = |suite: &SupportedCipherSuite| suite.tls13().is_none();
    provider.cipher_suites.retain(|suite| !is_old(suite));
    provider.cipher_suites.extend(chosen.into_iter().filter(is_old));
    Ok(())
}

/// What the list `key` names of `known`, in its order; `None` without a list, or with an empty one.
fn chosen<T: Copy>(
    section: &mut Section<'_>,
    key: &str,
    what: &'static str,
    known: &[(&'static str, Option<T>)],
) -> Result<Option<Vec<T>>, ConfigError> {
    let texts = section.texts(key, "a list of names")?.unwrap_or_default();
    if texts.is_empty() {
        return Ok(None);
    }
    let find = |text: &String| {
        known.iter().find(|(name, _)| name == text).copied().ok_or_else(|| {
            let names = known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            let text = if is_no_secret(text, 32) { text } else { "another text" };
            section.error(key, &format!("holds {text}; known are {names}"))
        })
    };
    let chosen = texts.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    tell_of_what_is_left_out(what, &chosen);
    Ok(Some(chosen.into_iter().filter_map(|(_, one)| one).collect()))
}

fn tell_of_what_is_left_out<T>(what: &str, chosen: &[(&str, Option<T>)]) {
    for (name, one) in chosen {
        if one.is_none() {
            tracing::warn!(
                what,
                name,
                "the web configuration names something that is too weak to be spoken here; it is left out"
            );
        }
    }
}
