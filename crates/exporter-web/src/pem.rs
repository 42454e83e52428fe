//! PEM files: sections in sequence, with any text between them.
//!
//! The parser of `rustls-pki-types` silently skips a certificate that does not begin a line, as
//! after `cat a.pem b.pem` without a final newline. This module finds such sections.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::text;

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN ";

/// Labels of a certificate; the others are older names (RFC 7468, section 5.1).
const CERTIFICATE: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"];

const REVOCATION_LIST: &str = "X509 CRL";

/// Maximum length of a label in a message.
const MAX_LABEL: usize = 40;

/// A section between its first and its last line.
#[derive(Debug)]
struct Section<'a> {
    label: &'a str,
    body: &'a str,
    line: usize,
}

/// Reads the certificates of the file `name`, at least one; other sections are skipped and logged.
///
/// The error continues the name of the file, and repeats nothing of its content.
pub fn certificates(name: &str, content: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = without_comments(content);
    let mut certificates = Vec::new();
    let sections = sections(&text).map_err(|problem| format!("cannot be used: {problem}"))?;
    for section in &sections {
        if !CERTIFICATE.contains(&section.label) {
            section.skip(name)?;
            continue;
        }
        let place = format!("certificate {} at line {}", certificates.len() + 1, section.line);
        let damaged = || format!("cannot be used: {place} has damaged base64");
        let certificate = CertificateDer::from(section.decode().ok_or_else(damaged)?);
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| format!("cannot be used: {place}: {error}"))?;
        certificates.push(certificate);
    }
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(if sections.iter().any(|section| section.label.ends_with("PRIVATE KEY")) {
        "holds a private key and no certificate; use the file with the certificate".into()
    } else {
        "holds no PEM certificate (BEGIN CERTIFICATE); \
         convert a binary one with openssl x509 -inform der"
            .into()
    })
}

/// Reads the first private key; other sections are ignored.
///
/// The error continues the name of the key, and repeats nothing of the file.
pub(crate) fn private_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let text = without_comments(content);
    let malformed = |problem| format!("is no private key in PEM: {problem}");
    let mut keys = sections(&text).map_err(malformed)?;
    keys.retain(|section| section.label.ends_with("PRIVATE KEY"));
    let is_encrypted = |key: &Section<'_>| key.label.contains("ENCRYPTED") || key.body.contains("ENCRYPTED");
    match keys.iter().find(|key| !is_encrypted(key)) {
        Some(key) => key
            .decode()
            .and_then(|der| PrivateKeyDer::try_from(der).ok())
            .ok_or_else(|| malformed(format!("the key at line {} cannot be decoded", key.line))),
        None if keys.is_empty() => Err("is no private key in PEM".into()),
        None => Err("is encrypted; expected a key without a passphrase".into()),
    }
}

impl Section<'_> {
    /// Decodes the body. Lines with a colon are headers; some templates write `\n` for a line end.
    fn decode(&self) -> Option<Vec<u8>> {
        let body = self.body.replace("\\n", "\n");
        let lines = body.lines().filter(|line| !line.contains(':'));
        let base64: String = lines.flat_map(str::split_whitespace).collect();
        BASE64_STANDARD.decode(base64).ok()
    }

    /// Logs a section that is skipped, or refuses it if a certificate would be missed.
    fn skip(&self, file: &str) -> Result<(), String> {
        // Another label could contain a secret.
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " .#".contains(c);
        let is_label = self.label.len() <= MAX_LABEL && self.label.chars().all(is_plain);
        let (line, section) = (self.line, if is_label { self.label } else { "unknown" });
        let label = self.label.to_ascii_uppercase();
        let has_certificate = label.contains("CERTIFICATE") && !label.contains("REQUEST");
        if has_certificate || label == "PKCS7" || label == "CMS" {
            return Err(format!(
                "cannot be used: line {line} begins a section that is not supported ({section}); \
                 convert it to CERTIFICATE"
            ));
        }
        if section == REVOCATION_LIST {
            tracing::warn!(file, line, "skipped a certificate revocation list; revocation is not checked");
        } else {
            tracing::info!(file, line, section, "skipped a section that is not a certificate");
        }
        Ok(())
    }
}

/// Decodes a file, with an empty line for each comment.
fn without_comments(content: &[u8]) -> String {
    let text = text::decode_lossy(content);
    let lines =
        text.split('\n').map(|line| if line.trim_start().starts_with(['#', ';']) { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// Finds every section, wherever in a line it begins. A truncated certificate is an error.
fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let (mut sections, mut rest) = (Vec::new(), text);
    loop {
        let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (between, section) = rest.split_at(rest.find(BEGIN).unwrap_or(rest.len()));
        if let Some(index) = between.split('\n').position(is_stray_marker) {
            let line = line_of(rest) + index;
            return Err(format!(
                "line {line} is like the first or last line of a certificate, but is not one"
            ));
        }
        let Some(section_text) = section.strip_prefix(BEGIN) else { return Ok(sections) };
        let line = line_of(section);
        let (label, body) = section_text
            .split_once(DASHES)
            .filter(|(label, _)| !label.contains('\n'))
            .ok_or_else(|| format!("line {line} begins a section without {DASHES} at its end"))?;
        // A body has no dashes.
        let (body, end) = body.split_at(body.find(DASHES).unwrap_or(body.len()));
        rest = end
            .strip_prefix(&format!("-----END {label}{DASHES}"))
            .ok_or_else(|| format!("the section that begins at line {line} has no end"))?;
        sections.push(Section { label, body, line });
    }
}

/// Returns true for the first or last line of a certificate with other dashes, or none.
fn is_stray_marker(line: &str) -> bool {
    let line = line.to_uppercase();
    line.contains("BEGIN CERTIFICATE") || line.contains("END CERTIFICATE")
}

#[cfg(test)]
mod tests;
