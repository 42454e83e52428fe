use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;

use super::*;

/// A certificate and its key, in PEM.
fn made() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn read(content: impl AsRef<[u8]>) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates("ca.pem", content.as_ref())
}

/// The only section of `pem`, decoded.
fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// The body of `pem` under another label.
fn relabelled(pem: &str, label: &str) -> String {
    pem.replace("CERTIFICATE", label)
}

#[test]
fn certificates_in_any_layout_are_all_read() {
    let ((one, key), (two, _)) = (made(), made());
    let (one, two) = (one.trim(), two.trim());
    let utf16: Vec<_> = format!("\u{feff}{one}\r\n{two}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let body =
        |pem: &str| pem.replace("-----BEGIN CERTIFICATE-----", "").replace("-----END CERTIFICATE-----", "");
    let joined = |pem: &str| body(pem).replace('\n', "");
    for bundle in [
        format!("{one}\n{two}\n"),
        // No newline between two files.
        format!("{one}{two}"),
        format!("Our root{one}Our other root{two}"),
        // Files of other systems and editors.
        format!("\u{feff}{one}\n\u{feff}{two}\n"),
        format!("{one}\n{two}\n").replace('\n', "\r\n"),
        format!("{one}\n{two}\n").replace('\n', "\r"),
        format!("{one}\n{two}\n").replace('\n', "   \n"),
        format!("  {}\n\t{}\n", one.replace('\n', "\n  "), two.replace('\n', "\n\t")),
        // Comments, and what openssl writes between certificates.
        format!(
            "# the company's\n{one}\n\nBag Attributes\n    friendlyName: prod - END entity certificate\n\
             subject=CN = x\n{two}\n# -----END CERTIFICATE-----"
        ),
        format!(
            "Certificate:\n    Data:\n        Issuer: O=Telef\u{f3}nica\n{one}\n\
             ; paste between BEGIN CERTIFICATE and END CERTIFICATE\n{two}"
        ),
        format!("# -----BEGIN CERTIFICATE-----\n# removed\n# -----END CERTIFICATE-----\n{one}\n{two}"),
        // All in one line, as templates flatten it, and with headers.
        format!("-----BEGIN CERTIFICATE-----{}-----END CERTIFICATE-----{two}", joined(one)),
        format!("{one} {}", two.replace('\n', " ")),
        format!("{one}\n{}", two.replace('\n', "\\n")),
        format!("{one}\n{}", two.replacen('\n', "\n# a comment\n", 1)),
        format!("{one}\n-----BEGIN CERTIFICATE-----\nName: x\n\n{}-----END CERTIFICATE-----", body(two)),
        // Older names.
        format!("{}\n{}", relabelled(one, "X509 CERTIFICATE"), relabelled(two, "X.509 CERTIFICATE")),
        // Other sections.
        format!("{key}{one}\n{}{two}", relabelled(one, "X509 CRL")),
        format!("{}{one}{two}", relabelled(one, "CERTIFICATE REQUEST")),
    ] {
        let read = read(&bundle).unwrap_or_else(|error| panic!("{error}:\n{bundle}"));
        assert_eq!(read, [der(one), der(two)], "{bundle}");
    }
    assert_eq!(read(utf16).unwrap(), [der(one), der(two)]);
    let latin = [b"Issuer: O=Telef\xf3nica\n", one.as_bytes()].concat();
    assert_eq!(read(latin).unwrap(), [der(one)]);
}

#[test]
fn certificate_that_cannot_be_used_is_named_by_place() {
    let ((one, key), (two, _)) = (made(), made());
    let lines = one.lines().count();
    let second = format!("certificate 2 at line {}", lines + 1);
    let line = |number: usize| format!("line {}", lines + number);
    let end = line(two.lines().count() - 1);
    let dashes = |with: &str| two.replace("-----", with);
    for (bad, place) in [
        (two.replacen("MII", "MI!", 1), format!("{second} has damaged base64")),
        (two.replacen("MII", "MIJ", 1), second.clone()),
        (
            two.lines()
                .enumerate()
                .filter(|(at, _)| *at != 3)
                .map(|(_, line)| line.to_owned() + "\n")
                .collect(),
            second.clone(),
        ),
        (two.replace("-----END CERTIFICATE-----", ""), format!("begins at {} has no end", line(1))),
        (two[..two.len() / 2].to_owned(), format!("begins at {} has no end", line(1))),
        (two.replace("END CERTIFICATE", "END X"), format!("begins at {} has no end", line(1))),
        (two.replace("-----END", "----END"), format!("begins at {} has no end", line(1))),
        (two.replace("CERTIFICATE-----\nM", "CERTIFICATE----\nM"), format!("{} begins a section", line(1))),
        (two.replace("-----BEGIN", "----BEGIN"), line(1)),
        (two.replace("-----BEGIN CERTIFICATE-----\n", ""), end),
        (dashes("----"), line(1)),
        (dashes("\u{2014}\u{2013}"), line(1)),
        (dashes("- ----"), line(1)),
        (dashes(""), line(1)),
        (two.to_lowercase(), line(1)),
        (
            relabelled(&two, "TRUSTED CERTIFICATE"),
            format!("{} begins a section that is not supported (TRUSTED CERTIFICATE)", line(1)),
        ),
        (relabelled(&two, "PKCS7"), format!("{} begins a section that is not supported (PKCS7)", line(1))),
        (relabelled(&two, "hunter2 Certificate"), "not supported (unknown)".to_owned()),
    ] {
        let content = format!("{one}{bad}{key}");
        let error = read(&content).expect_err(&content);
        assert!(error.contains(&place), "{place:?} is not in {error:?}:\n{content}");
        for secret in key.lines().chain(two.lines()).filter(|line| !line.contains("---")) {
            assert!(!error.contains(secret), "{error}");
        }
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn file_without_certificate_is_refused() {
    let (one, key) = made();
    for (content, problem) in [
        (String::new(), "holds no PEM certificate"),
        ("MIIB".to_owned(), "holds no PEM certificate"),
        (relabelled(&one, "my hunter2"), "holds no PEM certificate"),
        (key, "holds a private key and no certificate"),
    ] {
        let error = read(content).unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn certificate_with_unknown_critical_extension_is_read() {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions.push(unknown);
    let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    // Clients judge the extensions of a chain.
    assert_eq!(read(&pem).unwrap(), [der(&pem)]);
}

#[test]
fn first_private_key_is_found_among_other_sections() {
    let ((one, key), (_, other)) = (made(), made());
    let right = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    for content in [
        key.clone(),
        format!("\u{feff}{}", key.replace('\n', "\r\n")),
        format!("{one}{key}{other}"),
        format!("{}{}", one.trim(), key),
        format!("{}{key}", relabelled(&one, "EC PARAMETERS")),
        format!("{}{key}", key.replace("PRIVATE", "ENCRYPTED PRIVATE")),
    ] {
        assert_eq!(private_key(content.as_bytes()).as_ref(), Ok(&right), "{content}");
    }
    let of = |content: String| private_key(content.as_bytes()).unwrap_err();
    let (missing, encrypted) =
        ("is no private key in PEM", "is encrypted; expected a key without a passphrase");
    assert_eq!(of(String::new()), missing);
    assert_eq!(of(one.clone()), missing);
    assert_eq!(of(key.replace("PRIVATE", "ENCRYPTED PRIVATE")), encrypted);
    let old = key.replace("PRIVATE", "RSA PRIVATE").replacen('\n', "\nProc-Type: 4,ENCRYPTED\n\n", 1);
    assert_eq!(of(old), encrypted);
    for damaged in [key.replacen("MI", "M!", 1), key.replace("-----END", "----END")] {
        let problem = of(damaged);
        assert!(problem.contains("line 1") && !key.lines().any(|line| problem.contains(line)), "{problem}");
    }
}
