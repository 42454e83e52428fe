//! PEM files as they are found in practice: sections in sequence, with any text between them.
//!
//! The reader of `rustls-pki-types` drops a certificate silently if its first line is not a line of
//! its own, as after `cat a.pem b.pem` without a last newline. So the sections are found here, and
//! decoded there.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::text;

const DASHES: &str = "-----";
const BEGIN: &str = "-----BEGIN ";

/// Labels of a certificate; the others are older names (RFC 7468, section 5.1).
const CERTIFICATE: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "X.509 CERTIFICATE"];

const REVOCATION_LIST: &str = "X509 CRL";

/// Maximum length of a label that is repeated.
const MAX_LABEL: usize = 40;

/// The sections of a PEM file.
#[derive(Debug)]
pub struct Pem {
    /// The certificates in the order of the file.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Labels of the other sections.
    pub others: Vec<String>,
}

/// A section between its first and its last line.
#[derive(Debug)]
struct Section<'a> {
    label: &'a str,
    body: &'a str,
    line: usize,
}

/// Reads the certificates of the file `name`; other sections are skipped and logged.
///
/// The error names the place, and repeats nothing of the file.
pub fn certificates(name: &str, content: &[u8]) -> Result<Pem, String> {
    let text = text::decode_lossy(content);
    let mut pem = Pem { certificates: Vec::new(), others: Vec::new() };
    let mut skipped = Vec::new();
    for section in sections(&text)? {
        if !CERTIFICATE.contains(&section.label) {
            section.refuse_lost_certificate()?;
            skipped.push((section.shown(), section.line));
            continue;
        }
        let place = format!("certificate {} at line {}", pem.certificates.len() + 1, section.line);
        let certificate = CertificateDer::from_pem_slice(section.plain("CERTIFICATE").as_bytes())
            .map_err(|_| format!("{place} has damaged base64{}", section.hint()))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| format!("{place}: {error}{}", section.hint()))?;
        pem.certificates.push(certificate);
    }
    for (section, line) in &skipped {
        if pem.certificates.is_empty() {
            // The caller refuses the file.
        } else if section == REVOCATION_LIST {
            tracing::warn!(
                file = name,
                line,
                "skipped a certificate revocation list; revocation is not checked"
            );
        } else {
            tracing::info!(file = name, line, section, "skipped a section that is not a certificate");
        }
    }
    pem.others = skipped.into_iter().map(|(section, _)| section).collect();
    Ok(pem)
}

/// Reads the first private key; other sections do not matter.
///
/// The error repeats nothing of the file.
pub(crate) fn private_key(content: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let text = text::decode_lossy(content);
    let malformed = |problem| format!("is no private key in PEM: {problem}");
    let sections = sections(&text).map_err(malformed)?;
    let is_known = |section: &&Section<'_>| {
        matches!(section.label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY")
            && !section.is_encrypted()
    };
    match sections.iter().find(is_known) {
        Some(section) => PrivateKeyDer::from_pem_slice(section.plain(section.label).as_bytes())
            .map_err(|_| malformed(format!("the key at line {} is damaged", section.line))),
        None if sections.iter().any(Section::is_encrypted) => {
            Err("is encrypted; a key without a passphrase is needed".into())
        }
        None => Err("is no private key in PEM".into()),
    }
}

impl Section<'_> {
    /// Returns the section for a strict parser: without indentation and headers.
    fn plain(&self, label: &str) -> String {
        let lines = self.body.lines().map(str::trim).filter(|line| !line.contains(':'));
        let body = lines.collect::<Vec<_>>().join("\n");
        format!("{BEGIN}{label}{DASHES}\n{body}\n-----END {label}{DASHES}\n")
    }

    fn is_encrypted(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
            && (self.label.starts_with("ENCRYPTED") || self.body.contains("ENCRYPTED"))
    }

    /// Refuses sections with certificates that would be missed only when they are needed.
    fn refuse_lost_certificate(&self) -> Result<(), String> {
        let (line, label) = (self.line, self.label.to_ascii_uppercase());
        let hint = match label.as_str() {
            "TRUSTED CERTIFICATE" => "openssl x509 converts it",
            "PKCS7" => "openssl pkcs7 -print_certs converts it",
            "CMS" => "openssl cms converts it",
            "ATTRIBUTE CERTIFICATE" => return Ok(()),
            label if label.contains("CERTIFICATE") && !label.contains("REQUEST") => {
                return Err(format!(
                    "line {line} begins something like a certificate; its label should be CERTIFICATE"
                ));
            }
            _ => return Ok(()),
        };
        Err(format!("line {line} begins a {label}, which is not supported; {hint}"))
    }

    /// Returns the label, unless it could be something else.
    fn shown(&self) -> String {
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || " .#".contains(c);
        let is_label = self.label.len() <= MAX_LABEL && self.label.chars().all(is_plain);
        if is_label { self.label.to_owned() } else { "unknown".to_owned() }
    }

    fn hint(&self) -> &'static str {
        if self.body.contains("\\n") { "; it has \\n where lines should end" } else { "" }
    }
}

/// Finds every section, wherever in a line it begins. A truncated certificate is an error.
fn sections(text: &str) -> Result<Vec<Section<'_>>, String> {
    let (mut sections, mut read) = (Vec::new(), 0);
    while let Some(begin) = next_begin(text, read) {
        refuse_stray_markers(text, read, begin)?;
        let line = line_at(text, begin);
        let rest = &text[begin + BEGIN.len()..];
        let label = rest.split_once(DASHES).map(|(label, _)| label).filter(|label| !label.contains('\n'));
        let label =
            label.ok_or_else(|| format!("line {line} begins a section without {DASHES} at its end"))?;
        let body = &rest[label.len() + DASHES.len()..];
        // No body has dashes.
        let end = format!("-----END {label}{DASHES}");
        let length = body.find(DASHES).filter(|at| body[*at..].starts_with(&end));
        let length = length.ok_or_else(|| format!("the section that begins at line {line} has no end"))?;
        sections.push(Section { label, body: &body[..length], line });
        read = text.len() - body.len() + length + end.len();
    }
    refuse_stray_markers(text, read, text.len())?;
    Ok(sections)
}

/// Returns the start of the next section that is not in a comment.
fn next_begin(text: &str, from: usize) -> Option<usize> {
    let mut begins = text[from..].match_indices(BEGIN).map(|(at, _)| from + at);
    begins.find(|at| {
        let line = text[from..*at].rfind('\n').map_or(from, |newline| from + newline + 1);
        !is_comment(&text[line..*at])
    })
}

fn is_comment(line: &str) -> bool {
    ["#", ";", "//"].iter().any(|mark| line.trim_start().starts_with(mark))
}

/// Refuses a line that was meant to be the first or last one of a certificate.
///
/// It may have too few dashes, or those of a word processor.
fn refuse_stray_markers(text: &str, from: usize, to: usize) -> Result<(), String> {
    let is_dash = |c: char| c == '-' || ('\u{2010}'..='\u{2015}').contains(&c) || c == '\u{2212}';
    let is_marker = |line: &str| {
        let line = line.to_uppercase().replace(is_dash, "-").replace("- ", "-");
        let words = line.trim_matches(|c: char| c == '-' || c.is_whitespace());
        let is_bare = ["BEGIN ", "END "].iter().any(|first| words.starts_with(first));
        let is_within = ["--BEGIN ", "--END "].iter().any(|part| line.contains(part));
        is_bare && words.ends_with("CERTIFICATE") || is_within && line.contains("CERTIFICATE")
    };
    match text[from..to].split('\n').position(|line| !is_comment(line) && is_marker(line)) {
        None => Ok(()),
        Some(index) => Err(format!(
            "line {} is like the first or last line of a certificate, but is not one",
            line_at(text, from) + index
        )),
    }
}

fn line_at(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests;
