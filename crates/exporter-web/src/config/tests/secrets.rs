//! Secrets in files that are refused.

use super::*;

const TLS_KEYS: [&str; 13] = [
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

#[test]
fn errors_contain_no_key_or_hash() {
    let folder = folder();
    let key = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    let body: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let block =
        |indent: &str| key.replace("-----BEGIN", "\n-----BEGIN").replace('\n', &format!("\n{indent}"));
    let one_line = format!("-----BEGIN PRIVATE KEY-----{body}");
    let mut files = vec![
        key.clone(),
        body.clone(),
        format!("alice:{HASH}"),
        format!("{HASH}: 1"),
        format!("tls_server_config: \"{one_line}\""),
        "basic_auth_users: {alice: hunter2hunter2}".to_owned(),
        "basic_auth_users: {alice: [hunter2hunter2]}".to_owned(),
        "basic_auth_users: hunter2hunter2".to_owned(),
        "basic_auth_users: [hunter2hunter2]".to_owned(),
        format!("basic_auth_users: {{'{HASH}': alice}}"),
        format!("basic_auth_users:\n  '{HASH}': {HASH}\n  '{HASH}': {HASH}"),
        format!("rate_limit: {{'{HASH}': 1}}"),
        format!("rate_limit: {{interval: '{HASH}', burst: 1}}"),
        format!("http_server_config: {{http2: '{HASH}'}}"),
        format!("http_server_config: {{headers: {{X-Frame-Options: '{HASH}'}}}}"),
    ];
    for name in TLS_KEYS {
        for value in
            [block("    "), format!(" \"{one_line}\""), format!(" [\"{one_line}\"]"), format!(" {body}")]
        {
            let value = if value.starts_with('\n') { format!(" |{value}") } else { value };
            files.push(format!("tls_server_config:\n  {name}:{value}\n"));
            let others =
                ["cert_file: cert.pem", "key_file: key.pem", "client_auth_type: RequireAnyClientCert"];
            let others = others.iter().filter(|other| !other.starts_with(&format!("{name}:")));
            let others: Vec<_> = others.map(|other| format!("\n  {other}")).collect();
            files.push(format!("tls_server_config:\n  {name}:{value}{}\n", others.concat()));
        }
    }
    let mut refused = 0;
    for yaml in files {
        let Err(error) = load(folder.path(), &yaml) else { continue };
        refused += 1;
        let decimal: Vec<_> = body.bytes().take(4).map(|byte| byte.to_string()).collect();
        for secret in
            ["hunter2", "BEGIN", &body[..16], &body[body.len() - 16..], &HASH[..12], &decimal.join(", ")]
        {
            assert!(!error.contains(secret), "{yaml}\n{error}");
        }
    }
    // Some keys take a text for what it is.
    assert!(refused > 100, "{refused}");
    let yaml = format!(
        "basic_auth_users: {{alice: {HASH}}}\ntls_server_config: {{cert_file: cert.pem, key_file: key.pem}}"
    );
    let web = load(folder.path(), &yaml).unwrap();
    assert!(!format!("{web:?}").contains("$2"), "{web:?}");
}
