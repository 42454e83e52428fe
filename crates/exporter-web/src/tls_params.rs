//! TLS versions, cipher suites and curves, by their names in Go.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::error::shown;
use crate::yaml::{TlsServerConfig, TlsVersion};

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
/// As in Go, `cipher_suites` applies to TLS 1.2 only, because all suites of TLS 1.3 are secure.
pub(crate) fn provider(raw: &TlsServerConfig) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if let Some(names) = raw.cipher_suites.as_ref().filter(|names| !names.is_empty()) {
        // Go names the suites of TLS 1.3 as the RFC does, without the version.
        let name = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        let known: Vec<_> = provider.cipher_suites.iter().map(|suite| (name(suite), *suite)).collect();
        // Go has suites with RSA key exchange or CBC, which rustls omits on purpose.
        let is_weak = |name: &str| name.starts_with("TLS_RSA_") || name.contains("_CBC_");
        let chosen = choose("cipher_suites", names, &known, is_weak)?;
        provider.cipher_suites.retain(|suite| suite.tls13().is_some());
        provider.cipher_suites.extend(chosen.into_iter().filter(|suite| suite.tls13().is_none()));
    }
    if let Some(names) = raw.curve_preferences.as_ref().filter(|names| !names.is_empty()) {
        let known = CURVES.map(|(name, curve)| (name.to_owned(), curve));
        provider.kx_groups = choose("curve_preferences", names, &known, |name| name == "CurveP521")?;
        if provider.kx_groups.is_empty() {
            return Err(
                "curve_preferences names none that is supported; expected X25519, CurveP256 or CurveP384"
                    .into(),
            );
        }
    }
    Ok(provider)
}

/// Looks up names in their order. Weak ones are ignored with a warning.
fn choose<T: Copy>(
    key: &'static str,
    names: &[String],
    known: &[(String, T)],
    is_weak: impl Fn(&str) -> bool,
) -> Result<Vec<T>, String> {
    let mut chosen = Vec::new();
    for name in names {
        if let Some((_, value)) = known.iter().find(|(known, _)| known == name) {
            chosen.push(*value);
        } else if is_weak(name) {
            warn_weak(key, name);
        } else {
            let known: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("{key} holds {}; expected some of {}", shown(name), known.join(", ")));
        }
    }
    Ok(chosen)
}

fn warn_weak(key: &str, name: &str) {
    tracing::warn!(key, name, "ignoring a TLS parameter that is too weak to be supported");
}
