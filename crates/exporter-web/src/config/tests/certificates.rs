//! Certificates and keys that are refused.

use super::*;

#[test]
fn encrypted_key_is_refused() {
    let folder = folder();
    let key =
        fs::read_to_string(folder.path().join("key.pem")).unwrap().replace("PRIVATE", "ENCRYPTED PRIVATE");
    fs::write(folder.path().join("locked.pem"), key).unwrap();
    let error =
        load(folder.path(), "tls_server_config: {cert_file: cert.pem, key_file: locked.pem}").unwrap_err();
    assert!(
        error.ends_with("tls_server_config.key_file is encrypted; a key without a passphrase is needed"),
        "{error}"
    );
}

#[test]
fn unusable_certificate_is_named_by_file_and_line() {
    let folder = folder();
    let good = fs::read_to_string(folder.path().join("cert.pem")).unwrap();
    let second = good.lines().count() + 1;
    fs::write(folder.path().join("bad.pem"), format!("{good}{}", good.replacen("MII", "MIJ", 1))).unwrap();
    for (key, yaml) in [
        ("cert_file", "tls_server_config: {cert_file: bad.pem, key_file: key.pem}".to_owned()),
        ("client_ca_file", tls("client_ca_file: bad.pem, client_auth_type: RequireAndVerifyClientCert")),
    ] {
        let error = load(folder.path(), &yaml).unwrap_err();
        let path = folder.path().join("bad.pem").display().to_string();
        let said = format!("{key} ({path}) cannot be used: certificate 2 at line {second}: ");
        assert!(error.contains(&said), "{said} is not in {error}");
    }
}
