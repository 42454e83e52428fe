//! Web configuration; `tests/e2e/web.rs` compares it with the node exporter.

use std::path::Path;
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Simulator};
use reqwest::{Certificate, Client, Identity, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connections::{connect, rest};
use crate::support::atlas::{atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::certificates::{Authority, Issued};
use crate::support::exporter::{Exporter, command, http};
use crate::support::scrape::Scrape;

/// Hash of `secret`.
const HASH: &str = "$2b$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

const TLS: &str = "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n";

/// Returns a TLS configuration with `rest`.
pub(crate) fn tls(rest: &str) -> String {
    format!("tls_server_config: {{cert_file: server.pem, key_file: server-key.pem, {rest}}}\n")
}

fn users(names: &[&str]) -> String {
    let users: Vec<_> = names.iter().map(|name| format!("{name}: {HASH}")).collect();
    format!("basic_auth_users: {{{}}}\n", users.join(", "))
}

fn write(folder: &Path, yaml: &str) {
    std::fs::write(folder.join("web.yml"), yaml).unwrap();
}

/// Starts an exporter with this web configuration and certificates of `authority`.
pub(crate) async fn serve(yaml: &str, authority: &Authority) -> (Simulator, Exporter) {
    let folder = tempfile::tempdir().unwrap();
    authority.server().write(folder.path(), "server");
    std::fs::write(folder.path().join("ca.pem"), &authority.certificate).unwrap();
    write(folder.path(), yaml);
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator)
        .flag("--web.config.file=web.yml")
        .flag("--log.level=debug")
        .start_in(folder)
        .await;
    (simulator, exporter)
}

/// Returns a client with its own connections that trusts only `authority`.
fn client(authority: &Authority, identity: Option<&Issued>) -> Client {
    let trusted = Certificate::from_pem(authority.certificate.as_bytes()).unwrap();
    let mut client = Client::builder().tls_certs_only([trusted]).timeout(Duration::from_secs(10));
    if let Some(issued) = identity {
        let pem = issued.key.clone() + &issued.certificate;
        client = client.identity(Identity::from_pem(pem.as_bytes()).unwrap());
    }
    client.build().unwrap()
}

fn https(exporter: &Exporter, path: &str) -> String {
    exporter.url.replace("http://", "https://") + path
}

async fn status(client: &Client, url: String, user: Option<(&str, &str)>) -> Option<StatusCode> {
    let mut request = client.get(url);
    if let Some((name, password)) = user {
        request = request.basic_auth(name, Some(password));
    }
    Some(request.send().await.ok()?.status())
}

/// Sends requests over new connections until the status is `expected`.
async fn until(expected: Option<u16>, mut ask: impl AsyncFnMut() -> Option<StatusCode>) {
    let mut last = None;
    for _ in 0..100 {
        last = ask().await;
        if last.map(|status| status.as_u16()) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the answer is {last:?} and not {expected:?}");
}

/// Waits until the log contains `text`.
async fn logged(exporter: &Exporter, text: &str) {
    for _ in 0..100 {
        if exporter.log().contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{text} is not in {}", exporter.log());
}

#[tokio::test]
async fn basic_auth_protects_all_but_health() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(&(TLS.to_owned() + &users(&["alice", "bob"])), &authority).await;
    let client = client(&authority, None);
    for path in
        ["/", "/metrics", "/-/ready", "/-/reload", "/nothing", "//-/healthy", "/-/healthy/../../metrics"]
    {
        for user in [None, Some(("alice", "")), Some(("alice", "wrong")), Some(("mallory", "secret"))] {
            let status = status(&client, https(&exporter, path), user).await;
            assert_eq!(status, Some(StatusCode::UNAUTHORIZED), "{path} {user:?}");
        }
    }
    for name in ["alice", "bob", "alice"] {
        let status = status(&client, https(&exporter, "/metrics"), Some((name, "secret"))).await;
        assert_eq!(status, Some(StatusCode::OK), "{name}");
    }
    assert_eq!(status(&client, https(&exporter, "/-/healthy"), None).await, Some(StatusCode::OK));
    let refused = client.get(https(&exporter, "/")).send().await.unwrap();
    assert_eq!(refused.headers()["www-authenticate"], "Basic");
    assert_eq!(refused.headers()["content-length"], "13");
    assert_eq!(refused.text().await.unwrap(), "Unauthorized\n");
    let log = exporter.log();
    assert!(!log.contains("secret") && !log.contains("$2b$"), "{log}");
}

#[tokio::test]
async fn certificates_rotate_without_a_restart() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (_simulator, exporter) = serve(TLS, &old).await;
    let url = || https(&exporter, "/-/healthy");
    let kept = client(&old, None);
    assert_eq!(status(&kept, url(), None).await, Some(StatusCode::OK));
    assert_eq!(status(&client(&new, None), url(), None).await, None);
    new.server().write(exporter.folder.path(), "server");
    until(Some(200), async || status(&client(&new, None), url(), None).await).await;
    // Open connections with the old certificate were closed.
    assert_eq!(status(&kept, url(), None).await, None);
}

#[tokio::test]
async fn chain_without_newlines_is_used_completely() {
    let (root, other) = (Authority::new("root"), Authority::new("other"));
    let between = root.subordinate("between");
    let (server, client_of_other) = (between.server(), other.client("prometheus.example"));
    let folder = tempfile::tempdir().unwrap();
    server.write(folder.path(), "server");
    let glued = |parts: &[&str]| parts.iter().map(|pem| pem.trim_end()).collect::<String>();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    // Key and certificate in one file, as some servers require.
    write("all.pem", glued(&["\u{feff}", &server.certificate, &server.key, &between.certificate]));
    let revoked = other.certificate.replace("CERTIFICATE", "X509 CRL");
    write("clients.pem", glued(&[&root.certificate, &revoked, &other.certificate]).replace('\n', "\r\n"));
    write(
        "web.yml",
        "tls_server_config: {cert_file: all.pem, key_file: all.pem, client_ca_file: clients.pem, client_auth_type: RequireAndVerifyClientCert}".to_owned(),
    );
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).flag("--web.config.file=web.yml").start_in(folder).await;
    for identity in [&root.client("a.example"), &client_of_other] {
        // Clients that trust only the root need the whole chain.
        let client = client(&root, Some(identity));
        assert_eq!(status(&client, https(&exporter, "/-/healthy"), None).await, Some(StatusCode::OK));
    }
    let log = exporter.log();
    for message in [
        "level=info msg=\"skipped a section that is not a certificate\" file=all.pem line=",
        "level=warn msg=\"skipped a certificate revocation list; revocation is not checked\" file=clients.pem",
    ] {
        assert!(log.contains(message), "{message} is not in {log}");
    }
}

#[tokio::test]
async fn removed_user_is_rejected() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(&users(&["alice", "bob"]), &authority).await;
    // Neither the connection nor the password outlives the change.
    let client = http();
    let asked =
        async |name| status(&client, format!("{}/metrics", exporter.url), Some((name, "secret"))).await;
    assert_eq!(asked("alice").await, Some(StatusCode::OK));
    write(exporter.folder.path(), &users(&["bob"]));
    until(Some(401), async || asked("alice").await).await;
    assert_eq!(asked("bob").await, Some(StatusCode::OK));
}

#[tokio::test]
async fn invalid_change_keeps_the_web_configuration() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(&users(&["alice"]), &authority).await;
    let client = http();
    let scrape = async || {
        let request = client.get(format!("{}/metrics", exporter.url)).basic_auth("alice", Some("secret"));
        Scrape::parse(&request.send().await.unwrap().text().await.unwrap())
    };
    let own = |scrape: &Scrape, name: &str| scrape.of(&format!("mongodbatlas_backup_exporter_{name}"))[0].1;
    let until = async |value: f64| {
        for _ in 0..100 {
            let scrape = scrape().await;
            if own(&scrape, "config_last_reload_successful") == value {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", exporter.log());
    };
    let before = until(1.0).await;
    write(exporter.folder.path(), "basic_auth_user: {}");
    let refused = until(0.0).await;
    assert_eq!(own(&refused, "config_reload_failures_total"), 1.0);
    assert!(
        exporter
            .log()
            .contains("web.yml:1:1: unknown key `basic_auth_user`; did you mean `basic_auth_users`?")
    );
    // A reload does not apply it either, whatever the other file contains.
    exporter.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(own(&until(0.0).await, "config_reload_failures_total"), 2.0);
    write(exporter.folder.path(), &users(&["alice", "bob"]));
    let after = until(1.0).await;
    let success = "config_last_reload_success_timestamp_seconds";
    assert!(own(&after, success) > own(&before, success));
    assert_eq!(own(&after, "config_reload_failures_total"), 2.0);
}

#[tokio::test]
async fn refused_reload_keeps_basic_auth() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(&users(&["alice"]), &authority).await;
    let config = exporter.folder.path().join("config.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, "x = [").unwrap();
    write(exporter.folder.path(), "# nothing");
    exporter.signal("HUP");
    logged(&exporter, ": not TOML").await;
    assert_eq!(status_of(&exporter, "/metrics").await, Some(StatusCode::UNAUTHORIZED));
    // A later valid change does not apply the refused reload.
    write(exporter.folder.path(), &users(&["alice", "bob"]));
    let scrape = async || {
        let request = http().get(format!("{}/metrics", exporter.url)).basic_auth("bob", Some("secret"));
        Scrape::parse(&request.send().await.unwrap().text().await.unwrap())
    };
    until(Some(200), async || {
        status(&http(), format!("{}/metrics", exporter.url), Some(("bob", "secret"))).await
    })
    .await;
    assert_eq!(scrape().await.of("mongodbatlas_backup_exporter_config_last_reload_successful")[0].1, 0.0);
    std::fs::write(&config, good).unwrap();
    write(exporter.folder.path(), "# nothing");
    exporter.signal("HUP");
    until(Some(200), async || status_of(&exporter, "/metrics").await).await;
    assert_eq!(
        exporter.scrape().await.of("mongodbatlas_backup_exporter_config_last_reload_successful")[0].1,
        1.0
    );
}

#[tokio::test]
async fn client_certificates_are_verified() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let names = ["prometheus.example", "127.0.0.9", "spiffe://example/prometheus"];
    let good: Vec<_> = names.iter().map(|name| ours.client(name)).collect();
    let (other, foreign) = (ours.client("other.example"), theirs.client(names[0]));
    let verified = "client_ca_file: ca.pem, client_auth_type: RequireAndVerifyClientCert";
    let allowed = format!("client_allowed_sans: {names:?}");
    // Whether clients are accepted without a certificate, with a valid one, with one of another
    // name, and with one of another authority.
    for (rest, expected) in [
        (verified.to_owned(), [false, true, true, false]),
        (format!("{verified}, {allowed}"), [false, true, false, false]),
        ("client_auth_type: RequestClientCert".to_owned(), [true, true, true, true]),
        ("client_auth_type: RequireAnyClientCert".to_owned(), [false, true, true, true]),
        (
            "client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem".to_owned(),
            [true, true, true, false],
        ),
        (
            format!("client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem, {allowed}"),
            [false, true, false, false],
        ),
        ("client_auth_type: NoClientCert".to_owned(), [true, true, true, true]),
    ] {
        let (_simulator, exporter) = serve(&tls(&rest), &ours).await;
        let admits = async |identity| {
            status(&client(&ours, identity), https(&exporter, "/metrics"), None).await == Some(StatusCode::OK)
        };
        let mut admitted = vec![admits(None).await];
        for issued in good.iter().chain([&other, &foreign]) {
            admitted.push(admits(Some(issued)).await);
        }
        let [none, right, wrong, strange] = expected;
        assert_eq!(admitted, [none, right, right, right, wrong, strange], "{rest}");
    }
}

#[tokio::test]
async fn reload_switches_tls_on_and_off() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve("", &authority).await;
    let kept = http();
    let plain = || format!("{}/-/healthy", exporter.url);
    assert_eq!(status(&kept, plain(), None).await, Some(StatusCode::OK));
    write(exporter.folder.path(), TLS);
    until(Some(400), async || status(&kept, plain(), None).await).await;
    until(Some(200), async || status(&client(&authority, None), https(&exporter, "/-/healthy"), None).await)
        .await;
    // A truncated file would look like this, so it is applied on a reload only.
    write(exporter.folder.path(), "# nothing");
    logged(&exporter, "the new file no longer encrypts; request a reload to apply it").await;
    assert_eq!(status(&http(), plain(), None).await, Some(StatusCode::BAD_REQUEST));
    exporter.signal("HUP");
    until(Some(200), async || status(&http(), plain(), None).await).await;
}

#[tokio::test]
async fn ignored_settings_are_logged() {
    let authority = Authority::new("ours");
    let yaml = TLS.replace('{', "{cert: nothing, min_version: TLS10, ") + &users(&["alice"]);
    let (_simulator, exporter) = serve(&yaml, &authority).await;
    let begun = exporter.log();
    for warning in ["ignored=cert used=cert_file", "name=TLS10", "name=TLS11"] {
        assert!(begun.contains(warning), "{warning}: {begun}");
    }
    write(exporter.folder.path(), "# nothing");
    exporter.signal("HUP");
    until(Some(200), async || status_of(&exporter, "/metrics").await).await;
    for what in ["encrypts", "asks for a password"] {
        let warning = format!("level=warn msg=\"the web configuration no longer {what}\"");
        assert!(exporter.log().contains(&warning), "{warning}: {}", exporter.log());
    }
}

#[tokio::test]
async fn unfinished_handshakes_are_closed() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(TLS, &authority).await;
    let start = Instant::now();
    let (mut silent, mut half) = (connect(&exporter).await, connect(&exporter).await);
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.unwrap();
    let answers = tokio::join!(rest(&mut silent), rest(&mut half));
    assert_eq!(answers, (String::new(), String::new()));
    assert!((9..19).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test]
async fn headers_are_on_every_response() {
    let authority = Authority::new("ours");
    let headers =
        "headers: {X-Frame-Options: deny, Content-Security-Policy: '', Strict-Transport-Security: max-age=5}";
    let yaml = format!("{TLS}{}http_server_config: {{{headers}}}\n", users(&["alice"]));
    let (_simulator, exporter) = serve(&yaml, &authority).await;
    let ask = async |path: &str, user: &str| {
        let request = client(&authority, None).get(https(&exporter, path)).basic_auth(user, Some("secret"));
        request.send().await.unwrap()
    };
    for (path, user, status) in [
        ("/metrics", "alice", 200),
        ("/", "alice", 200),
        ("/", "bob", 401),
        ("/-/healthy", "bob", 200),
        ("/x", "alice", 404),
    ] {
        let answer = ask(path, user).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.headers()["x-frame-options"], "deny", "{path}");
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=5", "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers().get_all("x-frame-options").iter().count(), 1, "{path}");
        assert!(!answer.headers().contains_key("content-security-policy"), "{path}");
    }
}

#[tokio::test]
async fn requests_except_probes_are_limited() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve("rate_limit: {interval: 1h, burst: 3}", &authority).await;
    let mut statuses = Vec::new();
    for path in ["/metrics", "/-/healthy", "/-/ready", "/", "/metrics", "/-/healthy"] {
        statuses.push(exporter.get(path).await.status().as_u16());
    }
    let ready = statuses.remove(2);
    assert!(ready == 200 || ready == 503);
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

#[tokio::test]
async fn invalid_web_configuration_exits_with_code_2() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "tls_server_config: {cert_file: none.pem, key_file: none.pem}");
    for (flag, message) in [
        (
            "--web.config.file=web.yml",
            "error: web.yml: tls_server_config.cert_file cannot read none.pem: No such file",
        ),
        (
            "--web.config.file=other.yml",
            "error: other.yml: failed to read the web configuration: No such file",
        ),
    ] {
        for arguments in [&["demo", flag][..], &["demo", flag, "--web.listen-address=127.0.0.1:0"]] {
            let output = command().current_dir(folder.path()).args(arguments).output().await.unwrap();
            let log = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{log}");
            assert!(log.starts_with(message), "{log}");
        }
    }
}

#[tokio::test]
async fn password_guesses_do_not_block_known_users() {
    let authority = Authority::new("ours");
    let (_simulator, exporter) = serve(&users(&["alice"]).replace("$04$", "$08$"), &authority).await;
    let address = exporter.url.strip_prefix("http://").unwrap();
    // Slow to verify; no password matches, as the hash is of another one.
    let guess = "GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YWxpY2U6d3Jvbmc=\r\n\r\n";
    let mut crowd = Vec::new();
    for _ in 0..530 {
        let mut guesser = TcpStream::connect(address).await.unwrap();
        guesser.write_all(guess.as_bytes()).await.unwrap();
        crowd.push(guesser);
    }
    let start = Instant::now();
    let mut statuses = Vec::new();
    for _ in 0..10 {
        // Each over its own connection.
        let status = status(&http(), format!("{}/metrics", exporter.url), Some(("alice", "wrong"))).await;
        statuses.push(status.unwrap().as_u16());
        let healthy = status_of(&exporter, "/-/healthy").await;
        assert_eq!(healthy, Some(StatusCode::OK));
    }
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
    let mut busy = 0;
    for guesser in &mut crowd {
        let mut begin = [0; 12];
        let read = tokio::time::timeout(Duration::from_millis(1), guesser.read_exact(&mut begin));
        busy += usize::from(matches!(read.await, Ok(Ok(_))) && begin == *b"HTTP/1.1 429");
    }
    assert!(busy > 0, "all readings have ended");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

async fn status_of(exporter: &Exporter, path: &str) -> Option<StatusCode> {
    status(&http(), format!("{}{path}", exporter.url), None).await
}

#[tokio::test]
async fn expensive_guess_does_not_block_other_users() {
    let costly = HASH.replace("$04$", "$14$");
    let yaml = format!("basic_auth_users: {{alice: {costly}, bob: {HASH}, carol: {HASH}}}\n");
    let (_simulator, exporter) = serve(&yaml, &Authority::new("ours")).await;
    let url = format!("{}/metrics", exporter.url);
    let guess = || {
        let guess = http().get(&url).basic_auth("alice", Some("wrong"));
        tokio::spawn(async move { guess.send().await.map(drop) })
    };
    let guesses: Vec<_> = (0..3).map(|_| guess()).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for other in ["bob", "carol"] {
        let status = status(&http(), url.clone(), Some((other, "secret"))).await;
        assert_eq!(status, Some(StatusCode::OK), "{other}");
    }
    assert!(guesses.iter().all(|guess| !guess.is_finished()), "the guess was not expensive");
}
