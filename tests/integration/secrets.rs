//! Secrets that Atlas or a proxy repeats in a response are in no output.

mod atlas;
mod fields;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_client::redact::is_hidden;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tempfile::TempDir;

use self::atlas::Atlas;
use self::fields::{FIELDS, Of, clusters, number, project, visible};
use crate::support::atlas::{atlas_state, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command};
use crate::support::fault_proxy::{FaultProxy, ProxyMode, send};

/// Secrets without a known prefix.
const OLD_SECRET: &str = "Zq7x-old-K2m9_w4T";
const SECRET: &str = "Yp8v-new-J3n6_b5R";
const OTHER_SECRET: &str = "third&\"q<u>o\\te'%41";
const OLD_KEY: &str = "1f2e3d4c-old-key-5b6a";
const KEY: &str = "0a9b8c7d-new-key-6e5f";
const PASSWORD: &str = "pr%xy\"pass/word";

const ORGANIZATION: &str = "5f0e5a3b9c1d4e6f8a7b0000";

/// Configures credentials from files that are rotated, and from the configuration.
fn configure(builder: ExporterBuilder) -> ExporterBuilder {
    let own = [
        String::new(),
        "[projects.api_key]\npublic_key = \"pubkey\"\nprivate_key_file = \"key\"\n".to_owned(),
        format!(
            "[projects.service_account]\nclient_id = \"mdb_sa_id_2\"\nclient_secret = '''{OTHER_SECRET}'''\n"
        ),
        String::new(),
    ];
    let projects = own.iter().enumerate().map(|(number, credentials)| {
        let mut names = if number == 0 { clusters() } else { vec!["other".to_owned()] };
        names.push(format!("a\u{202e}b{number}"));
        format!("[[projects]]\nid = \"{}\"\nclusters = {}\n{credentials}", project(number), json!(names))
    });
    let sign_ins = FIELDS.iter().enumerate().filter(|(_, (of, _))| *of == Of::Token).map(|(index, _)| {
        let number = number(index);
        // Paths are not redacted on input: only finished lines of the log and of reports are.
        let secret = match number {
            0 => format!("client_secret_file = \"named-{SECRET}\""),
            _ => format!("client_secret = '''{OTHER_SECRET}'''"),
        };
        let account = format!("client_id = \"sign-in-{number}\"\n{secret}\n");
        let id = project(0xff00 + number);
        format!("[[projects]]\nid = \"{id}\"\nclusters = [\"other\"]\n[projects.service_account]\n{account}")
    });
    let organizations = [0, 1].map(|number| {
        format!("[[organizations]]\nid = \"{}\"\n", ORGANIZATION.replace("0000", &format!("{number:04x}")))
    });
    builder
        .secret_file("secret")
        .targets(projects.chain(sign_ins).chain(organizations).collect::<String>())
        .set("poll.interval", "150ms")
        .set("discovery.interval", "150ms")
        .set("collectors.interval", "150ms")
}

async fn start_proxy(atlas: &Arc<Atlas>) -> FaultProxy {
    let nothing = simulator(atlas_state([])).await;
    let server = FaultProxy::start(&nothing, ProxyMode::Plain).await;
    let atlas = atlas.clone();
    server.respond(" ", Some(Arc::new(move |head| vec![send(atlas.respond(head))])));
    server
}

/// Asserts that no repeated secret is in `seen`.
#[track_caller]
fn assert_no_trace(seen: &str, atlas: &Atlas) {
    for trace in &atlas.state().traces {
        if let Some(at) = seen.find(trace) {
            let line = seen[..at].rfind('\n').map_or(0, |start| start + 1);
            let line: String = seen[line..].lines().next().unwrap_or_default().chars().take(2000).collect();
            panic!("{trace:?} is in: {line}");
        }
    }
}

#[track_caller]
fn assert_no_hidden_character(seen: &str) {
    let is_hidden = |c: char| c != '\n' && is_hidden(c);
    if let Some(line) = seen.lines().find(|line| line.contains(is_hidden)) {
        panic!("a hidden character is in: {line:?}");
    }
}

fn write(folder: &TempDir, file: &str, text: &str) {
    std::fs::write(folder.path().join(file), text).unwrap();
}

async fn until(exporter: &Exporter, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_mins(1), "condition not reached: {}", exporter.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn pages(exporter: &Exporter, atlas: &Atlas) {
    for path in ["/", "/api/v1/clusters", "/metrics"] {
        let seen = exporter.get(path).await.text().await.unwrap();
        assert_no_trace(&seen, atlas);
        if path == "/" {
            assert_no_hidden_character(&seen);
        }
    }
}

/// Responses of each field, which contain all credentials in turn.
const TIMES: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoed_credentials_are_in_no_output() {
    let atlas = Arc::new(Atlas::default());
    let server = start_proxy(&atlas).await;
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret", OLD_SECRET);
    write(&folder, "key", OLD_KEY);
    write(&folder, &format!("named-{SECRET}"), SECRET);
    let nothing = simulator(atlas_state([])).await;
    let builder = ExporterBuilder::new(&nothing).base_url(&server.plain_url()).flag("--log.level=debug");
    let builder = configure(builder);
    let mut exporter = builder.start_in(folder).await;
    exporter.ready().await;

    // A refused token makes the exporter read the new secret; keys are read for every request.
    write(&exporter.folder, "secret", SECRET);
    write(&exporter.folder, "key", KEY);
    let (tokens, signed) = {
        let mut state = atlas.state();
        state.refuse = true;
        let tokens: Vec<_> = state.tokens().map(str::to_owned).collect();
        (tokens, state.authorizations.len())
    };
    until(&exporter, || {
        let state = atlas.state();
        let digests = state.authorizations[signed..].iter().filter(|header| header.starts_with("Digest"));
        state.tokens().count() > tokens.len() && digests.count() > 4
    })
    .await;

    let known = [OLD_SECRET, SECRET, OTHER_SECRET, OLD_KEY, KEY];
    let with_tokens: Vec<_> = known.into_iter().chain(tokens.iter().map(String::as_str)).collect();
    atlas.state().echo(&with_tokens);
    let start = Instant::now();
    while !atlas.is_answered(TIMES) {
        pages(&exporter, &atlas).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", atlas.state().answered);
    }
    assert!(exporter.get("/").await.text().await.unwrap().contains("<bdi>a\\u{202e}b0</bdi>"));
    exporter.signal("TERM");
    exporter.exit().await;
    let log = exporter.log();
    assert_no_trace(&log, &atlas);
    assert_no_hidden_character(&log);
    assert!(log.matches("[REDACTED]").count() > 100, "nothing was repeated: {log}");
    assert!(log.contains("from the file named-[REDACTED]"), "{log}");

    // These processes have never read the old secrets.
    atlas.state().echo(&[SECRET, OTHER_SECRET, KEY]);
    let run = async |arguments: &[&str]| {
        let mut command = command();
        command.current_dir(exporter.folder.path()).args(["--log.level=debug", "--log.format=json"]);
        let output = command.args(arguments).output().await.unwrap();
        let [out, log] = [output.stdout, output.stderr].map(|seen| String::from_utf8(seen).unwrap());
        assert_no_trace(&(out.clone() + &log), &atlas);
        assert_no_hidden_character(&log);
        out
    };
    let (table, json, _) = tokio::join!(run(&["check"]), run(&["check", "--output=json"]), run(&["--once"]));
    for report in [crate::preflight::unwrapped(&table), json] {
        for part in ["[REDACTED]", "202e", "from the file named-[REDACTED]"] {
            assert!(report.contains(part), "{part} is not in {report}");
        }
        assert_no_hidden_character(&report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoed_proxy_password_is_in_no_output() {
    let (atlas, authority) = (Arc::new(Atlas::default()), Authority::new());
    let server = start_proxy(&atlas).await;
    let secure = FaultProxy::start_at(&server.plain_url(), ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start_at(&server.plain_url(), ProxyMode::Tunnel).await;
    let encoded = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC);
    let address = proxy.plain_url().replace("http://", &format!("http://jane:{encoded}@"));
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret", SECRET);
    write(&folder, "key", KEY);
    write(&folder, "ca.pem", &authority.pem());
    let nothing = simulator(atlas_state([])).await;
    let builder = ExporterBuilder::new(&nothing)
        .base_url(&secure.url())
        .set("atlas.ca_file", "ca.pem")
        .flag("--log.level=debug")
        .flag("--log.format=json")
        .env("HTTPS_PROXY", address.clone());
    let project = project(0);
    let builder = configure(builder)
        .targets(format!("[[projects]]\nid = \"{project}\"\nclusters = [\"field-0\", \"field-1\"]\n"));
    let mut exporter = builder.start_in(folder).await;
    exporter.ready().await;
    atlas.state().echo(&[PASSWORD, SECRET]);
    let times = |index| atlas.state().answered.get(&index).copied().unwrap_or_default();
    until(&exporter, || times(0) > TIMES && times(1) > TIMES).await;
    pages(&exporter, &atlas).await;
    let texts = atlas.state().texts("");
    for (number, text) in texts.iter().enumerate() {
        let text = visible(text);
        let response = match number % 3 {
            0 => format!("HTTP/1.1 407 {text}\r\nproxy-authenticate: {text}\r\n\r\n{text}"),
            1 => format!("HTTP/1.1 502 {text}\r\n\r\n{text}"),
            _ => format!("{text}\r\n\r\n"),
        };
        proxy.set_mode(ProxyMode::Respond(vec![send(response)])).await;
        until(&exporter, || proxy.accepted() > 3).await;
        pages(&exporter, &atlas).await;
    }
    let mut check = command();
    check
        .current_dir(exporter.folder.path())
        .args(["check", "--log.level=debug"])
        .env("HTTPS_PROXY", address);
    let output = check.output().await.unwrap();
    exporter.signal("TERM");
    exporter.exit().await;
    let log = exporter.log();
    assert!(log.contains("[REDACTED]") && log.contains("\"error\":\"proxy 127.0.0.1:"), "{log}");
    for seen in
        [output.stdout, output.stderr].map(|seen| String::from_utf8(seen).unwrap()).iter().chain([&log])
    {
        assert_no_trace(seen, &atlas);
        assert_no_hidden_character(seen);
    }
}
