use std::fs;
use std::path::Path;

use hyper::header::HeaderValue;
use rcgen::{CertificateParams, KeyPair};
use rustls::{CipherSuite, NamedGroup};
use tempfile::TempDir;

use super::*;

/// The password is `secret`, the cost 4.
const HASH: &str = "$2y$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

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

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let other = KeyPair::generate().unwrap();
    fs::write(folder.path().join("other.pem"), other.serialize_pem()).unwrap();
    folder
}

fn load(folder: &Path, yaml: &str) -> Result<Web, String> {
    let file = folder.join("web.yml");
    fs::write(&file, yaml).unwrap();
    Web::load(Some(file)).map_err(|error| error.to_string())
}

/// TLS with what `rest` says of it.
fn tls(rest: &str) -> String {
    format!("tls_server_config: {{cert_file: cert.pem, key_file: key.pem, {rest}}}")
}

/// Each file is refused by one line that names it and says this.
#[track_caller]
fn are_refused(cases: impl IntoIterator<Item = (String, &'static str)>) {
    let folder = folder();
    for (yaml, said) in cases {
        let error = load(folder.path(), &yaml).expect_err(&yaml);
        assert!(error.contains(said), "{yaml}\n{error}");
        let file = folder.path().join("web.yml").display().to_string();
        assert!(error.starts_with(&file) && !error.contains('\n'), "{yaml}\n{error}");
    }
}

#[test]
fn what_is_empty_is_plain_http_for_everybody() {
    let folder = folder();
    for yaml in [
        "",
        "\n\n",
        "# nothing\n  # yet",
        "---\n",
        "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\nrate_limit:\n",
        "tls_server_config: {}\nbasic_auth_users: {}\n",
        "tls_server_config:\n  cert_file: ''\n  key_file: ''\n  client_auth_type: ''\n",
        "http_server_config:\n  http2: false\n",
        "http_server_config:\n  headers:\n    X-XSS-Protection: ''\n",
        "\u{feff}basic_auth_users: {}\r\n \t\r\n",
    ] {
        let web = load(folder.path(), yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        let config = web.follow().borrow().clone();
        assert!(
            config.tls.is_none()
                && config.users.is_none()
                && config.headers.values().all(HeaderValue::is_empty),
            "{yaml}"
        );
    }
    assert!(Web::load(None).is_ok());
    let yaml = format!("\u{feff}basic_auth_users:\r\n  alice: {HASH}\r\n");
    let file = folder.path().join("web.yml");
    fs::write(&file, yaml.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    assert_eq!(Web::load(Some(file)).unwrap().users(), 1);
}

#[test]
fn everything_that_may_be_said_is_understood() {
    let folder = folder();
    let pem = |name: &str| {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        text.replace("-----BEGIN", "\n-----BEGIN").replace('\n', "\n    ")
    };
    let inline = format!("tls_server_config:\n  cert: |{}\n  key: |{}\n", pem("cert.pem"), pem("key.pem"));
    for yaml in [
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, min_version: TLS13, max_version: TLS13}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, min_version: TLS10, prefer_server_cipher_suites: false}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: NoClientCert}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: RequireClientCert}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, client_auth_type: RequireAndVerifyClientCert, client_ca_file: cert.pem, client_allowed_sans: [a, 'spiffe://b/c', 127.0.0.1]}",
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem, cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_RSA_WITH_AES_128_CBC_SHA], curve_preferences: [CurveP521, CurveP384]}",
        &inline,
    ] {
        let web = load(folder.path(), yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
        assert!(web.is_encrypted(), "{yaml}");
    }
    let yaml = format!(
        "http_server_config: {{http2: No, headers: {{X-Frame-Options: deny, X-Content-Type-Options: nosniff, X-XSS-Protection: 0, Strict-Transport-Security: max-age=3, Content-Security-Policy: default-src 'self'}}}}\nbasic_auth_users: {{alice: {HASH}, 7: {HASH}}}\nrate_limit: {{interval: 1s, burst: 20}}"
    );
    let config = load(folder.path(), &yaml).unwrap().follow().borrow().clone();
    assert_eq!(config.headers.len(), 5);
    assert_eq!(config.rate_limit, Some(RateLimit { interval: Duration::from_secs(1), burst: 20 }));
    assert!(config.users.is_some());
}

#[test]
fn a_rate_limit_may_be_of_any_length_and_none_at_0() {
    let folder = folder();
    for (interval, limit) in [
        ("'0'", None),
        ("0", None),
        ("0s", None),
        ("1ms", Some(Duration::from_millis(1))),
        ("1h30m", Some(Duration::from_mins(90))),
    ] {
        let yaml = format!("rate_limit: {{interval: {interval}, burst: 1}}");
        let config = load(folder.path(), &yaml).map(|web| web.follow().borrow().clone());
        assert_eq!(config.unwrap().rate_limit.map(|limit| limit.interval), limit, "{interval}");
    }
}

#[test]
fn the_order_of_suites_and_curves_is_the_one_that_was_written() {
    let folder = folder();
    let yaml = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP384, X25519]}";
    let config = load(folder.path(), yaml).unwrap().follow().borrow().clone();
    let tls = config.tls.as_ref().unwrap();
    let provider = tls.crypto_provider();
    let old: Vec<_> = provider
        .cipher_suites
        .iter()
        .filter(|suite| suite.tls13().is_none())
        .map(rustls::SupportedCipherSuite::suite)
        .collect();
    assert_eq!(
        old,
        [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        ]
    );
    assert_eq!(provider.cipher_suites.len(), 5, "those of TLS 1.3 are all there");
    let curves: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(curves, [NamedGroup::secp384r1, NamedGroup::X25519]);
    assert_eq!(tls.alpn_protocols, [b"http/1.1"]);
    assert!(tls.ignore_client_order);
    let yaml = "tls_server_config: {cert_file: cert.pem, key_file: key.pem, prefer_server_cipher_suites: no}";
    let config = load(folder.path(), yaml).unwrap().follow().borrow().clone();
    assert!(!config.tls.as_ref().unwrap().ignore_client_order);
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    are_refused([
        ("a: [".to_owned(), ":1:1: unknown key `a`"),
        ("rate_limit:\n\tburst: 2".to_owned(), ":2:2: not YAML"),
        ("rate_limit:\n\tburst: 2".to_owned(), "indent with spaces instead of tabs"),
        ("rate_limit: {burst: 1".to_owned(), ":1:13: not YAML"),
        ("[poll]\ninterval = \"1m\"".to_owned(), "TOML belongs into --config.file"),
        ("- a".to_owned(), ":1:1: the file has another type; expected `key: value` entries"),
        ("rate_limit: {}\nrate_limit: {}\n".to_owned(), ":2:1: duplicate key \"rate_limit\""),
        ("tls_config: {}".to_owned(), ":1:1: unknown key `tls_config`; did you mean `tls_server_config`?"),
        (
            "tls_server_config: {cert_fil: a}".to_owned(),
            "unknown key `tls_server_config.cert_fil`; did you mean `cert_file`?",
        ),
        (
            "tls_server_config: {cert_file: cert.pem}".to_owned(),
            "tls_server_config.cert_file and key_file belong together",
        ),
        ("tls_server_config: {client_auth_type: NoClientCert}".to_owned(), "belong together"),
        ("tls_server_config: {cert_file: none.pem, key_file: key.pem}".to_owned(), "none.pem: No such file"),
        (
            "tls_server_config: {cert_file: key.pem, key_file: key.pem}".to_owned(),
            "tls_server_config.cert_file holds no certificate",
        ),
        (
            "tls_server_config: {cert_file: cert.pem, key_file: cert.pem}".to_owned(),
            "tls_server_config.key_file is no private key",
        ),
        (
            "tls_server_config: {cert_file: cert.pem, key_file: other.pem}".to_owned(),
            "tls_server_config.key_file is not the key of cert_file",
        ),
        (
            tls("client_auth_type: Sometimes"),
            "client_auth_type is \"Sometimes\"; expected one of NoClientCert, ",
        ),
        (tls("client_ca_file: cert.pem"), "client_auth_type verifies no certificate"),
        (tls("client_allowed_sans: [a]"), "client_auth_type verifies no certificate"),
        (tls("client_auth_type: RequireAndVerifyClientCert"), "client_ca_file is missing"),
        (
            tls("client_ca_file: cert.pem, client_auth_type: NoClientCert"),
            "client_auth_type verifies no certificate",
        ),
        (
            tls("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a@b.c]"),
            "an e-mail address",
        ),
        (
            tls("client_auth_type: RequireAndVerifyClientCert, client_ca_file: key.pem"),
            "client_ca_file holds no certificate",
        ),
        (tls("min_version: TLS14"), "min_version is \"TLS14\"; expected one of TLS10, TLS11, TLS12, TLS13"),
        (tls("max_version: TLS11"), "max_version leaves no version that is supported"),
        (tls("min_version: TLS13, max_version: TLS12"), "max_version leaves no version that is supported"),
        (tls("min_version: 1.2"), "min_version is \"1.2\""),
        (
            tls("cipher_suites: [RC4]"),
            "cipher_suites holds \"RC4\"; expected some of TLS_AES_256_GCM_SHA384, ",
        ),
        (
            tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA], max_version: TLS12"),
            "cipher_suites cannot be used",
        ),
        (tls("curve_preferences: [P256]"), "curve_preferences holds \"P256\"; expected some of X25519, "),
        (
            tls("prefer_server_cipher_suites: perhaps"),
            "prefer_server_cipher_suites is \"perhaps\"; expected true or false",
        ),
        (tls("curve_preferences: [CurveP521]"), "curve_preferences names none that is supported"),
        ("http_server_config: {http2: 3}".to_owned(), "http_server_config.http2 is \"3\""),
        (
            "http_server_config: {headers: {Server: x}}".to_owned(),
            "unknown key `http_server_config.headers.Server`; expected one of Content-Security-Policy, ",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: always}}".to_owned(),
            "expected deny or sameorigin",
        ),
        ("http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}".to_owned(), "has control characters"),
        ("rate_limit: {interval: often, burst: 1}".to_owned(), "rate_limit.interval is \"often\""),
        (
            "rate_limit: {interval: 5, burst: 1}".to_owned(),
            "rate_limit.interval is \"5\"; expected a duration with its unit",
        ),
        ("rate_limit: {interval: -1s, burst: 1}".to_owned(), "rate_limit.interval is \"-1s\""),
        (
            "rate_limit: {interval: 1s, burst: -1}".to_owned(),
            "rate_limit.burst is \"-1\"; expected a whole number",
        ),
        ("rate_limit: {interval: 1s}".to_owned(), "rate_limit.burst is 0 or missing"),
        ("rate_limit: {interval: 1s, burst: 0}".to_owned(), "rate_limit.burst is 0 or missing"),
        (
            "basic_auth_users: [alice]".to_owned(),
            ":1:19: basic_auth_users has another type; expected `key: value` entries",
        ),
        (
            format!("basic_auth_users:\n  alice:{HASH}"),
            "expected `key: value` entries, with a space after the colon",
        ),
        (format!("basic_auth_users: {{'a:b': {HASH}}}"), "has a colon in its name"),
    ]);
}

#[test]
fn no_error_tells_a_key_or_a_hash() {
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

#[test]
fn what_looks_closed_is_not_open() {
    are_refused([
        ("basic_auth_users: {alice: }".to_owned(), "basic_auth_users.alice is empty; expected a text"),
        ("basic_auth_users: {alice: null}".to_owned(), "basic_auth_users.alice is empty; expected a text"),
        ("basic_auth_users: {alice: ''}".to_owned(), "basic_auth_users.alice should be a bcrypt hash"),
        ("tls_server_config: {client_allowed_sans: [a]}".to_owned(), "cert_file is missing"),
        (tls("client_auth_type: RequireAnyClientCert, client_ca_file: cert.pem"), "verifies no certificate"),
        (tls("client_auth_type: RequestClientCert, client_ca_file: cert.pem"), "verifies no certificate"),
        (tls("client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]"), "verifies no certificate"),
        (tls("client_auth_type: RequestClientCert, client_allowed_sans: [a]"), "verifies no certificate"),
        (tls("client_allowed_sans: []"), "client_allowed_sans is empty"),
        (tls("client_allowed_sans: "), "client_allowed_sans is empty"),
        (
            "tls_server_config:\n  key_file: key.pem\n  cert: |\n    x\n      client_auth_type: RequireAndVerifyClientCert\n".to_owned(),
            "cert holds another key; it is indented too far",
        ),
    ]);
}

#[test]
fn yaml_that_is_not_plain_is_refused() {
    let laughs = (1..40)
        .fold("a0: &a0 [x,x]".to_owned(), |text, n| format!("{text}, a{n}: &a{n} [*a{p},*a{p}]", p = n - 1));
    let repeated =
        (0..100).fold(format!("a: &a {}", "x".repeat(10_000)), |text, n| format!("{text}, b{n}: *a"));
    let long = (0..20_000).fold(String::new(), |text, n| format!("{text}a{n}: x, "));
    let in_users = |entries: &str| format!("basic_auth_users: {{{entries}}}");
    are_refused([
        ("rate_limit: {}\n'rate_limit': {}".to_owned(), ":2:1: duplicate key"),
        (in_users(&format!("a: {HASH}, a: {HASH}")), "duplicate key \"a\""),
        ("rate_limit: !mine {}".to_owned(), "tags are not supported"),
        ("!mine rate_limit: {}".to_owned(), "tags are not supported"),
        ("!!int rate_limit: {}".to_owned(), "tags are not supported"),
        (in_users("a: !!int 7"), "tags are not supported"),
        (in_users("[a]: b"), "has another type; expected a text"),
        (in_users("~: b"), "expected a text"),
        (in_users("<<: {a: b}"), "merge keys are not supported"),
        ("<<: {rate_limit: {}}".to_owned(), "merge keys are not supported"),
        (in_users("a: *b"), "not YAML"),
        ("basic_auth_users: &b {a: *b}".to_owned(), "not YAML"),
        ("rate_limit: {}\n---\nrate_limit: {}".to_owned(), ":2:1: a second document"),
        ("rate_limit: {}\n...\nrate_limit: {}".to_owned(), ":3:1: a second document"),
        ("rate_limit: {}\n\0\n".to_owned(), ":2: not YAML: a control character"),
        ("# a\u{2028}b: 1".to_owned(), ":1: not YAML: a control character"),
        (in_users(&laughs), ":1:28: basic_auth_users.a0 has another type; expected a text"),
        (in_users(&repeated), "anchors or aliases"),
        (in_users(&long), "too many values"),
        ("? ".repeat(100_000), "nested too deep"),
        (format!("rate_limit: {}", "[".repeat(100_000)), ":1:"),
    ]);
}

#[test]
fn aliases_within_the_budget_are_resolved() {
    let folder = folder();
    let yaml = format!("basic_auth_users: {{alice: &hash {HASH}, bob: *hash}}");
    assert_eq!(load(folder.path(), &yaml).unwrap().users(), 2);
}

#[test]
fn chance_does_not_choose_which_error_is_told() {
    let folder = folder();
    for _ in 0..20 {
        let error = load(folder.path(), "basic_auth_users: {c: x, b: x, a: x, d: x}").unwrap_err();
        assert!(error.contains("basic_auth_users.a "), "{error}");
    }
}

#[test]
fn what_is_too_large_is_not_read_in_part() {
    let folder = folder();
    let most = usize::try_from(MAX_FILE_BYTES).unwrap();
    let yaml = |length: usize| format!("#{}\n", "x".repeat(length - 2));
    assert!(load(folder.path(), &yaml(most)).is_ok());
    let error = load(folder.path(), &yaml(most + 1)).unwrap_err();
    assert!(error.ends_with("cannot read the web configuration: larger than 1 MiB"), "{error}");
}

#[test]
fn a_key_that_is_encrypted_is_told_so() {
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
fn certificate_that_cannot_be_used_is_named_by_file_and_line() {
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

mod changes;
