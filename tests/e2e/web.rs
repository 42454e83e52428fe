//! Web configuration files, compared with Debian's node exporter and promtool.

use std::path::Path;
use std::process::Stdio;

use exporter_web::WebConfigWatcher;
use tokio::process::Command;

use crate::servers::{eventually, serve};
use crate::support::certificates::Authority;
use crate::support::exporter::{Exporter, command};

/// The bcrypt hash of the password `secret`.
pub(crate) const HASH: &str = "$2b$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

/// Request of curl with its options.
const CLIENTS: [(&str, &[&str]); 14] = [
    ("nobody", &[]),
    ("a wrong password", &["-u", "alice:wrong"]),
    ("an empty password", &["-u", "alice:"]),
    ("the right password", &["-u", "alice:secret"]),
    ("a stranger", &["-u", "mallory:secret"]),
    ("no Basic", &["-H", "Authorization: Bearer secret"]),
    ("no base64", &["-H", "Authorization: Basic !"]),
    // The default level of OpenSSL refuses such an old version.
    ("TLS 1.1", &["-u", "alice:secret", "--tls-max", "1.1", "--tlsv1.1", "--ciphers", "DEFAULT@SECLEVEL=0"]),
    ("TLS 1.2", &["-u", "alice:secret", "--tls-max", "1.2", "--tlsv1.2"]),
    ("TLS 1.3", &["-u", "alice:secret", "--tlsv1.3"]),
    (
        "a cipher suite",
        &["-u", "alice:secret", "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    ),
    ("a certificate", &["-u", "alice:secret", "--cert", "client.pem", "--key", "client-key.pem"]),
    ("a foreign certificate", &["-u", "alice:secret", "--cert", "foreign.pem", "--key", "foreign-key.pem"]),
    ("the server's certificate", &["-u", "alice:secret", "--cert", "server.pem", "--key", "server-key.pem"]),
];

/// Returns the status and the configurable headers, or that there is no response.
async fn ask(folder: &Path, url: &str, client: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.current_dir(folder).args([
        "-s",
        "--max-time",
        "10",
        "--noproxy",
        "*",
        "--cacert",
        "ca.pem",
        "-o",
        "/dev/null",
        "-D",
        "-",
    ]);
    let output = curl.args(client).arg(url).output().await.unwrap();
    let head = String::from_utf8(output.stdout).unwrap().to_ascii_lowercase();
    let mut lines: Vec<_> = head.lines().map(str::trim_end).collect();
    lines.retain(|line| {
        let names = [
            "http/",
            "x-frame-options",
            "x-xss-protection",
            "strict-transport-security",
            "content-security-policy",
            "www-authenticate",
        ];
        names.iter().any(|name| line.starts_with(name))
    });
    // The node exporter serves HTTP/2 as well, which has no reason phrases.
    let mut lines: Vec<_> = lines
        .into_iter()
        .map(|line| match line.strip_prefix("http/") {
            Some(status) => status.split(' ').nth(1).unwrap_or_default(),
            None => line,
        })
        .collect();
    lines.sort_unstable();
    if lines.is_empty() { "no response".to_owned() } else { lines.join(", ") }
}

pub(crate) fn certificates(folder: &Path) {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    std::fs::write(folder.join("ca.pem"), &ours.certificate).unwrap();
    ours.server().write(folder, "server");
    ours.client("prometheus.example").write(folder, "client");
    theirs.client("prometheus.example").write(folder, "foreign");
}

#[tokio::test]
#[ignore = "needs Debian's prometheus-node-exporter and curl; tests/run installs them"]
async fn responses_equal_those_of_node_exporter() {
    let tls = "cert_file: server.pem, key_file: server-key.pem";
    let users = format!("basic_auth_users: {{alice: {HASH}, bob: {HASH}}}\n");
    let verified = "client_ca_file: ca.pem, client_auth_type";
    let files = [
        String::new(),
        users.clone(),
        format!("tls_server_config: {{{tls}}}"),
        format!("tls_server_config: {{{tls}}}\n{users}"),
        format!("tls_server_config: {{{tls}, min_version: TLS13}}\n{users}"),
        format!(
            "tls_server_config: {{{tls}, max_version: TLS12, \
             cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], curve_preferences: [CurveP256]}}"
        ),
        format!("tls_server_config: {{{tls}, {verified}: RequireAndVerifyClientCert}}\n{users}"),
        format!("tls_server_config: {{{tls}, {verified}: VerifyClientCertIfGiven}}"),
        format!("tls_server_config: {{{tls}, client_auth_type: RequireAnyClientCert}}"),
        format!("tls_server_config: {{{tls}, client_auth_type: RequestClientCert}}"),
        format!(
            "tls_server_config: {{{tls}}}\n{users}http_server_config: {{http2: true, headers: \
             {{X-Frame-Options: deny, X-XSS-Protection: '1', Strict-Transport-Security: max-age=7, \
             Content-Security-Policy: default-src 'none'}}}}"
        ),
    ];
    for yaml in files {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        // The node exporter sets no headers by default.
        let headers = "\nhttp_server_config: {headers: {X-Frame-Options: deny, \
                       Content-Security-Policy: default-src 'none'}}";
        let yaml = if yaml.contains("http_server_config") { yaml } else { yaml + headers };
        std::fs::write(folder.path().join("web.yml"), &yaml).unwrap();
        let arguments = ["--web.config.file=web.yml", "--collector.disable-defaults"];
        let (theirs, _child) = serve("prometheus-node-exporter", folder.path(), &arguments);
        let mut demo = command();
        demo.current_dir(folder.path()).stdout(Stdio::null());
        demo.args(["demo", "--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"]);
        let ours = Exporter::spawn(demo, tempfile::tempdir().unwrap()).await;
        let address = theirs.strip_prefix("http://").unwrap();
        eventually("the node exporter listens", || async {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
        for scheme in ["http", "https"] {
            for (who, client) in CLIENTS {
                let url = |base: &str| base.replace("http://", &format!("{scheme}://")) + "/metrics";
                let (theirs, ours) = (
                    ask(folder.path(), &url(&theirs), client).await,
                    ask(folder.path(), &url(&ours.url), client).await,
                );
                assert_eq!(ours, theirs, "{who} over {scheme}, with\n{yaml}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; tests/run installs it"]
async fn web_configurations_of_node_exporter_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let tls =
        |rest: &str| format!("tls_server_config: {{cert_file: server.pem, key_file: server-key.pem{rest}}}");
    let file = folder.path().join("web.yml");
    let mut taken = 0;
    let files = [
        String::new(),
        "# nothing".to_owned(),
        "---".to_owned(),
        "tls_server_config:".to_owned(),
        "tls_server_config: {min_version: TLS13}".to_owned(),
        "tls_server_config: {client_auth_type: NoClientCert}".to_owned(),
        "tls_server_config: {cert_file: server.pem}".to_owned(),
        "tls_server_config: {key_file: server-key.pem}".to_owned(),
        "tls_server_config: {cert_file: '', key_file: ''}".to_owned(),
        "tls_server_config: {cert_file: client.pem, key_file: server-key.pem}".to_owned(),
        "tls_server_config: {cert_file: none.pem, key_file: server-key.pem}".to_owned(),
        "tls_server_config: {cert_file: server.pem, key_file: server.pem}".to_owned(),
        "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\ntls_server_config: {}"
            .to_owned(),
        "tls_config: {}".to_owned(),
        "- a".to_owned(),
        "a: [".to_owned(),
        tls(""),
        tls(", min_version: TLS10"),
        tls(", min_version: TLS14"),
        tls(", min_version: ''"),
        tls(", max_version: TLS12, prefer_server_cipher_suites: false"),
        tls(", prefer_server_cipher_suites: no"),
        tls(", prefer_server_cipher_suites: perhaps"),
        tls(", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA, \
             TLS_AES_128_GCM_SHA256]"),
        tls(", cipher_suites: [RC4]"),
        tls(", cipher_suites: []"),
        tls(", cipher_suites: TLS_AES_128_GCM_SHA256"),
        tls(", curve_preferences: [CurveP521, X25519]"),
        tls(", curve_preferences: [P256]"),
        tls(", client_auth_type: Sometimes"),
        tls(", client_auth_type: RequireClientCert"),
        tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"),
        tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: none.pem"),
        tls(", client_ca_file: ca.pem"),
        "http_server_config: {http2: off}".to_owned(),
        "http_server_config: {http2: 2}".to_owned(),
        "http_server_config: {headers: {X-Frame-Options: sameorigin, X-Content-Type-Options: nosniff}}"
            .to_owned(),
        "http_server_config: {headers: {X-Frame-Options: always}}".to_owned(),
        "http_server_config: {headers: {X-Frame-Options: ''}}".to_owned(),
        "http_server_config: {headers: {X-XSS-Protection: ''}}".to_owned(),
        "http_server_config: {headers: {x-frame-options: deny}}".to_owned(),
        "http_server_config: {headers: {Server: x}}".to_owned(),
        format!("basic_auth_users: {{alice: {HASH}, 7: {HASH}, a.b: {HASH}}}"),
        "basic_auth_users: {alice: secret}".to_owned(),
        "basic_auth_users: [alice]".to_owned(),
        format!("basic_auth_users:\n  alice: {HASH}\n  alice: {HASH}"),
    ];
    for yaml in &files {
        std::fs::write(&file, yaml).unwrap();
        let promtool =
            Command::new("promtool").args(["check", "web-config"]).arg(&file).output().await.unwrap();
        let ours = WebConfigWatcher::load(Some(file.clone())).err().map(|error| error.to_string());
        assert_eq!(
            ours.is_none(),
            promtool.status.success(),
            "{yaml}\n{ours:?}\n{}",
            String::from_utf8_lossy(&promtool.stderr)
        );
        taken += usize::from(ours.is_none());
    }
    assert!((10..files.len() - 10).contains(&taken), "{taken}");
}
