//! Helpers of tests: a folder with certificates and a web configuration file.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::WebConfigWatcher;

/// The password is `secret`, the cost 4.
pub(crate) const HASH: &str = "$2y$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

pub(crate) fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let other = KeyPair::generate().unwrap();
    fs::write(folder.path().join("other.pem"), other.serialize_pem()).unwrap();
    folder
}

pub(crate) fn load(folder: &Path, yaml: &str) -> Result<WebConfigWatcher, String> {
    let file = folder.join("web.yml");
    fs::write(&file, yaml).unwrap();
    WebConfigWatcher::load(Some(file)).map_err(|error| error.to_string())
}

pub(crate) fn tls(rest: &str) -> String {
    format!("tls_server_config: {{cert_file: cert.pem, key_file: key.pem, {rest}}}")
}

/// Each file is refused with one line that begins with its name and contains the text.
#[track_caller]
pub(crate) fn assert_refused<const N: usize>(cases: [(&str, &str); N]) {
    let folder = folder();
    for (yaml, text) in cases {
        let error = load(folder.path(), yaml).expect_err(yaml);
        assert!(error.contains(text), "{yaml}\n{error}");
        let file = folder.path().join("web.yml").display().to_string();
        assert!(error.starts_with(&file) && !error.contains('\n'), "{yaml}\n{error}");
    }
}
