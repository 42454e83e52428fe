//! Files that are refused, and their errors.

use super::*;
use crate::files::MAX_FILE_BYTES;

#[test]
fn invalid_value_is_refused_with_expected_ones() {
    assert_refused([
        ("a: [", ":1:1: unknown key `a`"),
        ("rate_limit:\n\tburst: 2", ":2:2: not YAML"),
        ("rate_limit:\n\tburst: 2", "indent with spaces instead of tabs"),
        ("rate_limit: {burst: 1", ":1:13: not YAML"),
        ("[poll]\ninterval = \"1m\"", ":1:1: "),
        ("- a", ":1:1: the file has another type; expected `key: value` entries"),
        ("rate_limit: {}\nrate_limit: {}\n", ":2:1: duplicate key \"rate_limit\""),
        ("tls_config: {}", ":1:1: unknown key `tls_config`; did you mean `tls_server_config`?"),
        (
            "tls_server_config: {cert_fil: a}",
            "unknown key `tls_server_config.cert_fil`; did you mean `cert_file`?",
        ),
        (
            "tls_server_config: {cert_file: cert.pem}",
            "tls_server_config.cert_file and key_file belong together",
        ),
        ("tls_server_config: {client_auth_type: NoClientCert}", "belong together"),
        ("tls_server_config: {cert_file: none.pem, key_file: key.pem}", "none.pem: No such file"),
        (
            "tls_server_config: {cert_file: key.pem, key_file: key.pem}",
            "key.pem) holds a private key and no certificate",
        ),
        (
            "tls_server_config: {cert_file: cert.pem, key_file: cert.pem}",
            "tls_server_config.key_file is no private key",
        ),
        (
            "tls_server_config: {cert_file: cert.pem, key_file: other.pem}",
            "tls_server_config.key_file is not the key of cert_file",
        ),
        (
            &tls("client_auth_type: Sometimes"),
            "client_auth_type is \"Sometimes\"; expected one of NoClientCert, ",
        ),
        (&tls("client_ca_file: cert.pem"), "client_auth_type verifies no certificate"),
        (&tls("client_allowed_sans: [a]"), "client_auth_type verifies no certificate"),
        (&tls("client_auth_type: RequireAndVerifyClientCert"), "client_ca_file is missing"),
        (
            &tls("client_ca_file: cert.pem, client_auth_type: NoClientCert"),
            "client_auth_type verifies no certificate",
        ),
        (
            &tls("client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: [a@b.c]"),
            "an e-mail address",
        ),
        (
            &tls("client_auth_type: RequireAndVerifyClientCert, client_ca_file: key.pem"),
            "key.pem) holds a private key and no certificate",
        ),
        (&tls("min_version: TLS14"), "min_version is \"TLS14\"; expected one of TLS10, TLS11, TLS12, TLS13"),
        (&tls("max_version: TLS11"), "max_version leaves no version that is supported"),
        (&tls("min_version: TLS13, max_version: TLS12"), "max_version leaves no version that is supported"),
        (&tls("min_version: 1.2"), "min_version is \"1.2\""),
        (
            &tls("cipher_suites: [RC4]"),
            "cipher_suites holds \"RC4\"; expected some of TLS_AES_256_GCM_SHA384, ",
        ),
        (
            &tls("cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA], max_version: TLS12"),
            "cipher_suites cannot be used",
        ),
        (&tls("curve_preferences: [P256]"), "curve_preferences holds \"P256\"; expected some of X25519, "),
        (
            &tls("prefer_server_cipher_suites: perhaps"),
            "prefer_server_cipher_suites is \"perhaps\"; expected true or false",
        ),
        (&tls("curve_preferences: [CurveP521]"), "curve_preferences names none that is supported"),
        ("http_server_config: {http2: 3}", "http_server_config.http2 is \"3\""),
        (
            "http_server_config: {headers: {Server: x}}",
            "unknown key `http_server_config.headers.Server`; expected one of Content-Security-Policy, ",
        ),
        ("http_server_config: {headers: {X-Frame-Options: always}}", "expected deny or sameorigin"),
        ("http_server_config: {headers: {X-XSS-Protection: \"a\\nb\"}}", "has control characters"),
        ("rate_limit: {interval: often, burst: 1}", "rate_limit.interval is \"often\""),
        (
            "rate_limit: {interval: 5, burst: 1}",
            "rate_limit.interval is \"5\"; expected a duration with its unit",
        ),
        ("rate_limit: {interval: -1s, burst: 1}", "rate_limit.interval is \"-1s\""),
        ("rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst is \"-1\"; expected a whole number"),
        ("rate_limit: {interval: 1s}", "rate_limit.burst is 0 or missing"),
        ("rate_limit: {interval: 1s, burst: 0}", "rate_limit.burst is 0 or missing"),
        (
            "basic_auth_users: [alice]",
            ":1:19: basic_auth_users has another type; expected `key: value` entries",
        ),
        (
            &format!("basic_auth_users:\n  alice:{HASH}"),
            "expected `key: value` entries, with a space after the colon",
        ),
        (&format!("basic_auth_users: {{'a:b': {HASH}}}"), "has a colon in its name"),
        ("basic_auth_users: {c: x, b: x, a: x, d: x}", "basic_auth_users.a should be a bcrypt hash"),
    ]);
}

#[test]
fn ineffective_restriction_is_refused() {
    assert_refused([
        ("basic_auth_users: {alice: }", "basic_auth_users.alice is empty; expected a text"),
        ("basic_auth_users: {alice: null}", "basic_auth_users.alice is empty; expected a text"),
        ("basic_auth_users: {alice: ''}", "basic_auth_users.alice should be a bcrypt hash"),
        ("tls_server_config: {client_allowed_sans: [a]}", "cert_file is missing"),
        (&tls("client_auth_type: RequireAnyClientCert, client_ca_file: cert.pem"), "verifies no certificate"),
        (&tls("client_auth_type: RequestClientCert, client_ca_file: cert.pem"), "verifies no certificate"),
        (&tls("client_auth_type: RequireAnyClientCert, client_allowed_sans: [a]"), "verifies no certificate"),
        (&tls("client_auth_type: RequestClientCert, client_allowed_sans: [a]"), "verifies no certificate"),
        (&tls("client_allowed_sans: []"), "client_allowed_sans is empty"),
        (&tls("client_allowed_sans: "), "client_allowed_sans is empty"),
        (
            "tls_server_config:\n  key_file: key.pem\n  cert: |\n    x\n      client_auth_type: \
             RequireAndVerifyClientCert\n",
            "cert holds another key; it is indented too far",
        ),
    ]);
}

#[test]
fn unusual_yaml_is_refused() {
    let laughs = (1..40)
        .fold("a0: &a0 [x,x]".to_owned(), |text, n| format!("{text}, a{n}: &a{n} [*a{p},*a{p}]", p = n - 1));
    let repeated =
        (0..100).fold(format!("a: &a {}", "x".repeat(10_000)), |text, n| format!("{text}, b{n}: *a"));
    let long = (0..20_000).fold(String::new(), |text, n| format!("{text}a{n}: x, "));
    let in_users = |entries: &str| format!("basic_auth_users: {{{entries}}}");
    assert_refused([
        ("rate_limit: {}\n'rate_limit': {}", ":2:1: duplicate key"),
        (&in_users(&format!("a: {HASH}, a: {HASH}")), "duplicate key \"a\""),
        ("rate_limit: !mine {}", "tags are not supported"),
        ("!mine rate_limit: {}", "tags are not supported"),
        ("!!int rate_limit: {}", "tags are not supported"),
        (&in_users("a: !!int 7"), "tags are not supported"),
        (&in_users("[a]: b"), "has another type; expected a text"),
        (&in_users("~: b"), "expected a text"),
        (&in_users("<<: {a: b}"), "merge keys are not supported"),
        ("<<: {rate_limit: {}}", "merge keys are not supported"),
        (&in_users("a: *b"), "not YAML"),
        ("basic_auth_users: &b {a: *b}", "not YAML"),
        ("rate_limit: {}\n---\nrate_limit: {}", ":2:1: a second document"),
        ("rate_limit: {}\n...\nrate_limit: {}", ":3:1: a second document"),
        ("rate_limit: {}\n\0\n", ":2: not YAML: a control character"),
        ("# a\u{2028}b: 1", ":1: not YAML: a control character"),
        (&in_users(&laughs), ":1:28: basic_auth_users.a0 has another type; expected a text"),
        (&in_users(&repeated), "anchors or aliases"),
        (&in_users(&long), "too many values"),
        (&"? ".repeat(100_000), "nested too deep"),
        (&format!("rate_limit: {}", "[".repeat(100_000)), ":1:"),
    ]);
}

#[test]
fn file_above_size_limit_is_refused() {
    let folder = folder();
    let most = usize::try_from(MAX_FILE_BYTES).unwrap();
    let yaml = |length: usize| format!("#{}\n", "x".repeat(length - 2));
    assert!(load(folder.path(), &yaml(most)).is_ok());
    let error = load(folder.path(), &yaml(most + 1)).unwrap_err();
    assert!(error.ends_with("failed to read the web configuration: more than 1048576 bytes"), "{error}");
}

#[test]
fn unusable_certificate_is_named_by_file_and_line() {
    let folder = folder();
    let good = fs::read_to_string(folder.path().join("cert.pem")).unwrap();
    let second = good.lines().count() + 1;
    fs::write(folder.path().join("bad.pem"), format!("{good}{}", good.replacen("MII", "MIJ", 1))).unwrap();
    for (key, yaml) in [
        ("cert_file", "tls_server_config: {cert_file: bad.pem, key_file: key.pem}"),
        ("client_ca_file", &tls("client_ca_file: bad.pem, client_auth_type: RequireAndVerifyClientCert")),
    ] {
        let error = load(folder.path(), yaml).unwrap_err();
        let path = folder.path().join("bad.pem").display().to_string();
        let said = format!("{key} ({path}) cannot be used: certificate 2 at line {second}: ");
        assert!(error.contains(&said), "{said} is not in {error}");
    }
}
