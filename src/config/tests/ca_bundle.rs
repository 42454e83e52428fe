//! `atlas.ca_file`

use rcgen::{Certificate, CertificateParams, KeyPair};

use super::*;

/// Creates a certificate and its key.
pub(super) fn made() -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap(), key)
}

/// Loads a configuration whose `atlas.ca_file` has this content.
fn read(content: &[u8]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("trust")).unwrap();
    std::fs::write(folder.path().join("trust/ca.pem"), content).unwrap();
    let file = folder.path().join("exporter.toml");
    std::fs::write(&file, format!("[atlas]\nca_file = \"trust/ca.pem\"\n{GOOD}")).unwrap();
    Config::layered(&from(&file), []).map_err(|error| error.to_string())
}

#[test]
fn every_certificate_of_a_bundle_is_read_in_order() {
    let ((one, _), (other, _)) = (made(), made());
    let bundle = format!("Comments stand in bundles.\n{}{}", one.pem(), other.pem());
    let read: Vec<_> = read(bundle.as_bytes()).unwrap().ca_bundle.iter().cloned().collect();
    assert_eq!(read, [one.der().clone(), other.der().clone()]);
    assert_eq!(load(GOOD, &[]).unwrap().ca_bundle.iter().count(), 0);
}

#[test]
fn bundles_are_the_same_if_their_certificates_are() {
    let ((one, _), (other, _)) = (made(), made());
    let of = |pem: String| read(pem.as_bytes()).unwrap().ca_bundle;
    assert_eq!(of(one.pem()), of(format!("# renewed\n{}", one.pem())));
    assert_ne!(of(one.pem()), of(other.pem()));
}

#[test]
fn invalid_bundle_is_refused_with_a_hint() {
    let (certificate, key) = made();
    let key = key.serialize_pem();
    let no_x509 = certificate.pem().replacen("MII", "MIJ", 1);
    let long = vec![b'a'; 1024 * 1024 + 1];
    for (content, part) in [
        (key.as_bytes(), "holds a private key and no certificate"),
        (b"not PEM at all\n", "openssl x509 -inform der"),
        (certificate.der(), "openssl x509 -inform der"),
        (no_x509.as_bytes(), "cannot be used: certificate 1 at line 1: "),
        (&long, "more than 1048576 bytes"),
    ] {
        let error = read(content).expect_err(part);
        for part in [part, "exporter.toml:2:1: atlas.ca_file (", "trust/ca.pem) "] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        assert!(!key.lines().any(|line| error.contains(line)), "the key is in: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let missing = "atlas.ca_file (nowhere.pem) cannot be read: No such file";
    let toml = format!("[atlas]\nca_file = \"nowhere.pem\"\n{GOOD}");
    refused(&toml, &[], &["exporter.toml:2:1: ", missing, "the folder of the configuration file"]);
    let variable = "ATLAS_BACKUP_EXPORTER__ATLAS__CA_FILE";
    refused(GOOD, &[(variable, "nowhere.pem")], &[&format!("{variable}: {missing}")]);
}
