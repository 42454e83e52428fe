//! Versions, suites and curves, by the names of Go's crypto/tls.
//!
//! Of those that rustls leaves out on purpose (TLS 1.0 and 1.1, RSA key exchange, CBC, P-521) the log tells that they are not spoken; other
//! exporters that share the file may.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::config::{ConfigError, Section, is_no_secret};

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
pub(super) const CURVES: [(&str, Option<&dyn SupportedKxGroup>); 4] = [
    ("X25519", Some(ring::kx_group::X25519)),
    ("CurveP256", Some(ring::kx_group::SECP256R1)),
    ("CurveP384", Some(ring::kx_group::SECP384R1)),
    ("CurveP521", None),
];

/// The versions from `min_version` to `max_version`.
pub(super) fn versions(
    section: &mut Section<'_>,
) -> Result<Vec<&'static SupportedProtocolVersion>, ConfigError> {
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
pub(super) fn suites(section: &mut Section<'_>, provider: &mut CryptoProvider) -> Result<(), ConfigError> {
    let Some(chosen) = chosen(section, "cipher_suites", "cipher suite", &SUITES)? else { return Ok(()) };
    let is_old = |suite: &SupportedCipherSuite| suite.tls13().is_none();
    provider.cipher_suites.retain(|suite| !is_old(suite));
    provider.cipher_suites.extend(chosen.into_iter().filter(is_old));
    Ok(())
}

/// What the list `key` names of `known`, in its order; `None` without a list, or with an empty one.
pub(super) fn chosen<T: Copy>(
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
