//! TLS versions, cipher suites and curves, by their names in Go.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::error::shown;
use crate::yaml::{TlsServerConfig, TlsVersion};

/// Suites that Go has and rustls omits on purpose: RSA key exchange and CBC.
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

pub(crate) fn versions(raw: &TlsServerConfig) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let min = raw.min_version.unwrap_or(TlsVersion::Tls12);
    let max = raw.max_version.unwrap_or(TlsVersion::Tls13);
    for (version, name) in [(TlsVersion::Tls10, "TLS10"), (TlsVersion::Tls11, "TLS11")] {
        if (min..=max).contains(&version) {
            warn_weak("min_version", name);
        }
    }
    let supported = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    let supported = supported.into_iter().filter(|(version, _)| (min..=max).contains(version));
    let supported: Vec<_> = supported.map(|(_, version)| version).collect();
    if supported.is_empty() {
        return Err("max_version leaves no version that is supported; expected TLS12 or TLS13".into());
    }
    Ok(supported)
}

/// Returns the algorithms that are offered.
///
/// As in Go, `cipher_suites` concerns TLS 1.2 alone: those of 1.3 are all secure.
pub(crate) fn provider(raw: &TlsServerConfig) -> Result<CryptoProvider, String> {
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
            return Err(
                "curve_preferences names none that is supported; expected X25519, CurveP256 or CurveP384"
                    .into(),
            );
        }
    }
    Ok(provider)
}

/// Looks up names, in their order. Weak ones are ignored with a warning.
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
            warn_weak(key, name);
        } else {
            let known = known.iter().map(|(name, _)| name.as_str()).chain(weak.iter().copied());
            let known = known.collect::<Vec<_>>().join(", ");
            return Err(format!("{key} holds {}; expected some of {known}", shown(name)));
        }
    }
    Ok(chosen)
}

fn warn_weak(key: &str, name: &str) {
    tracing::warn!(key, name, "ignoring a TLS parameter that is too weak to be supported");
}
