//! An Atlas that repeats every credential in every text of every answer, in every form: none is in
//! what the exporter says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atlas_client::redact::is_hidden;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::atlas::{atlas_state, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command};
use crate::support::fault_proxy::{FaultProxy, ProxyMode, Step};

/// No prefix or scheme gives these away.
const OLD_SECRET: &str = "Zq7x-old-K2m9_w4T";
const SECRET: &str = "Yp8v-new-J3n6_b5R";
const OTHER_SECRET: &str = "third&\"q<u>o\\te'%41";
const OLD_KEY: &str = "1f2e3d4c-old-key-5b6a";
const KEY: &str = "0a9b8c7d-new-key-6e5f";
const PASSWORD: &str = "pr%xy\"pass/word";

const ORGANIZATION: &str = "5f0e5a3b9c1d4e6f8a7b0000";

/// One of every kind of character that must not reach a terminal.
const HIDDEN: &str = "\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{200b}\u{2060}\u{feff}\u{ad}\u{180e}\u{e0041}\u{fe0f}\u{1b}\u{85}\u{7f}";

/// The forms in which a secret comes back.
fn forms(secret: &str) -> Vec<String> {
    let each = |write: &dyn Fn(char) -> String| secret.chars().map(write).collect::<String>();
    let json = Value::from(secret).to_string();
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let pair = |user: &str| format!("{user}:{secret}");
    vec![
        secret.to_owned(),
        format!("{secret:?}"),
        format!("Bearer\u{200b}{secret}"),
        percent.to_lowercase(),
        percent,
        each(&|c| format!("%{:02X}", u32::from(c))),
        json.clone(),
        Value::from(json).to_string(),
        each(&|c| format!("\\u{:04x}", u32::from(c))),
        each(&|c| format!("&#{};", u32::from(c))),
        each(&|c| format!("{c}\u{202e}")),
        STANDARD.encode(secret),
        STANDARD.encode(pair("mdb_sa_id_1")),
        URL_SAFE_NO_PAD.encode(pair("mdb_sa_id_12")),
        STANDARD.encode(pair("jane")),
    ]
}

/// What may be looked for: of no form is as much in any output.
fn traces(secret: &str) -> Vec<String> {
    let whole = forms(secret).into_iter().filter(|form| form.len() >= 12);
    // The head of what is cut, and what is left of a pair.
    let part = |form: String| form.chars().skip(form.chars().count().saturating_sub(14)).collect::<String>();
    let head: String = secret.chars().take(10).collect();
    whole.clone().chain(whole.map(part).filter(|part| part.len() == 14)).chain([head]).collect()
}

/// Whose answer a field is in. Those of clusters have a cluster each, others a project each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Exports,
    Schedule,
    Snapshots,
    Project,
    Clusters,
    Buckets,
    Events,
    Projects,
    /// Each has a service account of its own, whose sign-in is answered so from the beginning.
    Token,
}

/// An answer with a text in one of its fields.
type Field = (Of, fn(&str) -> Vec<u8>);

const NOW: &str = "2026-01-02T03:04:05Z";
const ID: &str = "65a1f0b2c3d4e5f60718293a";

/// Every field of every answer that is read, or that might be repeated.
const FIELDS: &[Field] = &[
    (Of::Exports, |text| failed("errorCode", text)),
    (Of::Exports, |text| failed("message", text)),
    (Of::Exports, |text| list(json!({"id": text, "state": "Failed", "createdAt": recent()}))),
    (Of::Exports, |text| {
        list(json!({"id": ID, "snapshotId": text, "state": "Failed", "createdAt": recent()}))
    }),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": NOW, "finishedAt": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "createdAt": NOW, "state": text}))),
    (Of::Exports, |text| list(json!({"id": ID, "exportStatus": text}))),
    (Of::Exports, |text| ok(&json!({"results": text}))),
    (Of::Exports, |text| ok(&json!({"results": [], "totalCount": text}))),
    (Of::Exports, |text| ok(&json!({"results": [], text: [text], "links": [{"rel": text}]}))),
    (Of::Exports, |text| refused(&json!({"errorCode": text}))),
    (Of::Exports, |text| refused(&json!({"errorCode": "E", "detail": text, "parameters": [text]}))),
    (Of::Exports, |text| refused(&json!({"message": text}))),
    (Of::Exports, |text| refused(&json!({"reason": text}))),
    (Of::Exports, |text| refused(&json!({"error": text, "error_description": text}))),
    (Of::Exports, |text| raw("400 Bad Request", &[("x-error-code", text)], "")),
    (Of::Exports, |text| raw(&format!("400 {}", visible(text)), &[], text)),
    (Of::Exports, |text| raw(&format!("4x0 {}", visible(text)), &[], text)),
    (Of::Exports, |text| raw("302 Found", &[("location", text)], text)),
    (Of::Exports, |text| raw("401 Unauthorized", &[("www-authenticate", text)], text)),
    (Of::Exports, |text| {
        raw(
            "401 Unauthorized",
            &[(
                "www-authenticate",
                &format!(
                    "Digest realm=\"{}\", nonce=\"n\", algorithm=\"{}\"",
                    text.replace('"', ""),
                    text.replace('"', "")
                ),
            )],
            "",
        )
    }),
    (Of::Exports, |text| raw("429 Too Many Requests", &[("retry-after", text)], text)),
    (Of::Exports, |text| raw("200 OK", &[("content-encoding", text)], "{\"results\": []}")),
    (Of::Exports, |text| {
        raw("200 OK", &[("content-type", text), ("sunset", text), ("deprecation", text)], text)
    }),
    (Of::Exports, |text| {
        raw("200 OK", &[(&text.replace([':', '\r', '\n'], " "), text)], "{\"results\": []}")
    }),
    (Of::Schedule, |text| {
        ok(&json!({"autoExportEnabled": true, "export": {"frequencyType": text, "exportBucketId": ID}}))
    }),
    (Of::Schedule, |text| {
        ok(&json!({"autoExportEnabled": true, "export": {"frequencyType": "daily", "exportBucketId": text}}))
    }),
    (Of::Schedule, |text| ok(&json!({"autoExportEnabled": text}))),
    (Of::Schedule, |text| {
        ok(
            &json!({"autoExportEnabled": true, "export": {"frequencyType": "daily"}, "policies": [{"policyItems": [{"id": text, "frequencyType": text}]}]}),
        )
    }),
    (Of::Snapshots, |text| list(json!({"id": text, "createdAt": NOW, "status": "completed"}))),
    (Of::Snapshots, |text| list(json!({"id": ID, "createdAt": text, "status": "completed"}))),
    (Of::Snapshots, |text| {
        list(
            json!({"id": ID, "createdAt": NOW, "status": "completed", "frequencyType": text, "policyItems": [text]}),
        )
    }),
    (Of::Snapshots, |text| list(json!({"id": ID, "createdAt": NOW, "status": [text]}))),
    (Of::Project, |text| ok(&json!({"id": ID, "name": text}))),
    (Of::Project, |text| ok(&json!({"id": ID, "name": [text]}))),
    (Of::Clusters, |text| list(json!({"name": text, "backupEnabled": true}))),
    (Of::Clusters, |text| list(json!({"name": "other", "paused": text}))),
    (Of::Clusters, |text| {
        list(
            json!({"name": "other", "createDate": text, "clusterType": text, "stateName": text, "replicationSpecs": [{"regionConfigs": [{"providerName": text}]}]}),
        )
    }),
    (Of::Buckets, |text| list(json!({"_id": text, "bucketName": text, "cloudProvider": text}))),
    (Of::Buckets, |text| list(json!({"_id": ID, "bucketName": [text]}))),
    (Of::Events, |text| {
        list(
            json!({"id": text, "created": "2099-01-01T00:00:00Z", "eventTypeName": "CPS_AUTO_EXPORT_FAILED"}),
        )
    }),
    (Of::Events, |text| list(json!({"id": text, "created": text, "eventTypeName": text}))),
    (Of::Projects, |text| list(json!({"id": text, "name": text}))),
    (Of::Projects, |text| list(json!({"id": "5f0e5a3b9c1d4e6f8a7bffff", "name": text}))),
    (Of::Token, |text| {
        raw("401 Unauthorized", &[], &json!({"error": text, "error_description": text}).to_string())
    }),
    (Of::Token, |text| refused(&json!({"errorCode": "E", "detail": text}))),
    (Of::Token, |text| raw("403 Forbidden", &[("x-error-code", text)], text)),
    (Of::Token, |text| raw("200 OK", &[], text)),
    (Of::Token, |text| ok(&json!({"access_token": [text], "expires_in": text}))),
    (Of::Token, |text| ok(&json!({"access_token": text, "expires_in": 3600}))),
];

fn recent() -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1)).strftime("%FT%TZ").to_string()
}

/// A job that failed a moment ago, a new one each time: each is logged once.
fn failed(field: &str, text: &str) -> Vec<u8> {
    let id = format!("65a1f0b2{:016x}", fastrand::u64(..));
    list(json!({"id": id, "state": "Failed", "createdAt": recent(), "stateReason": {field: text}}))
}

fn list(entry: Value) -> Vec<u8> {
    ok(&Value::Object([("results".to_owned(), Value::Array(vec![entry]))].into_iter().collect()))
}

fn ok(body: &Value) -> Vec<u8> {
    raw("200 OK", &[], &body.to_string())
}

fn refused(body: &Value) -> Vec<u8> {
    raw("400 Bad Request", &[], &body.to_string())
}

/// Without what ends a line of HTTP.
fn visible(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

fn raw(status: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{name}: {}\r\n", visible(value))).collect();
    let headers = headers.concat();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// How many fields of its kind are before a field.
fn number(index: usize) -> usize {
    FIELDS[..index].iter().filter(|(of, _)| *of == FIELDS[index].0).count()
}

/// The project of the fields with that number; the first is that of all clusters.
fn project(number: usize) -> String {
    format!("5f0e5a3b9c1d4e6f8a7b{number:04x}")
}

#[derive(Default)]
struct Atlas {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is repeated besides the credentials of the request itself; nothing while all is well.
    echoed: Vec<String>,
    /// Everything that signed a request.
    authorizations: Vec<String>,
    /// What must not be seen.
    traces: Vec<String>,
    /// How often each field was answered.
    answered: HashMap<usize, usize>,
    /// The next request of a token is refused.
    refuse: bool,
}

impl State {
    fn echo(&mut self, secrets: &[&str]) {
        self.echoed = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        self.traces.extend(secrets.iter().flat_map(|secret| traces(secret)));
    }

    /// Remembers what signed a request.
    fn hear(&mut self, authorization: &str) {
        if authorization.is_empty() || self.authorizations.iter().any(|known| known == authorization) {
            return;
        }
        self.authorizations.push(authorization.to_owned());
        match authorization.split_once(' ') {
            Some(("Bearer", token)) => self.traces.extend(traces(token)),
            Some(("Basic", pair)) => self.traces.push(pair.to_owned()),
            _ => self.traces.extend(response(authorization).map(str::to_owned)),
        }
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        self.authorizations.iter().filter_map(|header| header.strip_prefix("Bearer "))
    }

    /// Texts with every credential in every form, of as many letters as are looked at, and one with
    /// what is hidden.
    fn texts(&self, authorization: &str) -> Vec<String> {
        let is_sign_in = authorization.starts_with("Basic");
        let own = authorization.strip_prefix("Bearer ").or(is_sign_in.then_some(OTHER_SECRET));
        let secrets = self.echoed.iter().map(String::as_str).chain(own);
        // A digest's answer is for one request: what stands before it gives it away.
        let answer = response(authorization).map(|answer| format!("response=\"{answer}\" "));
        let each: Vec<_> = secrets.map(forms).collect();
        let (mut texts, mut text) = (Vec::new(), format!("a{HIDDEN}b {}", answer.unwrap_or_default()));
        for number in 0..each.first().map_or(0, Vec::len) {
            for form in each.iter().map(|forms| &forms[number]) {
                if text.len() + form.len() > 400 {
                    texts.push(std::mem::take(&mut text));
                }
                text.extend([form, " "]);
            }
        }
        texts.push(text);
        texts
    }
}

/// What answers the challenge of a digest.
fn response(authorization: &str) -> Option<&str> {
    authorization.split("response=\"").nth(1)?.split('"').next()
}

impl Atlas {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        let line = head.lines().next().unwrap_or_default();
        let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let header = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        let mut state = self.state();
        state.hear(header);
        if header.is_empty() && path != "/api/oauth/token" {
            let challenge = "Digest realm=\"r\", nonce=\"8a7b6c5d\", algorithm=MD5, qop=\"auth\"";
            return raw("401 Unauthorized", &[("www-authenticate", challenge)], "");
        }
        if header.starts_with("Bearer") && std::mem::take(&mut state.refuse) {
            return raw("401 Unauthorized", &[], "");
        }
        let (of, number, normal) = resource(path, header);
        let index = (0..FIELDS.len()).find(|index| FIELDS[*index].0 == of && self::number(*index) == number);
        let is_echoed = of == Of::Token || !state.echoed.is_empty();
        let Some(index) = index.filter(|_| is_echoed) else { return normal };
        let answered = state.answered.entry(index).or_default();
        *answered += 1;
        let nth = *answered + index;
        let texts = state.texts(header);
        (FIELDS[index].1)(&format!("{} {header}", texts[nth % texts.len()]))
    }

    /// Whether every field had so many texts.
    fn is_told(&self, times: usize) -> bool {
        let state = self.state();
        FIELDS.iter().enumerate().all(|(index, (of, _))| {
            // Sign-ins that fail are rare.
            let times = if *of == Of::Token { 1 } else { times };
            state.answered.get(&index).is_some_and(|answered| *answered >= times)
        })
    }
}

/// What is asked for, which field of its kind that is, and how it is answered when all is well.
fn resource(path: &str, header: &str) -> (Of, usize, Vec<u8>) {
    if path == "/api/oauth/token" {
        let pair = STANDARD.decode(header.trim_start_matches("Basic ")).unwrap();
        let number = str::from_utf8(&pair).unwrap().split(':').next().unwrap().trim_start_matches("sign-in-");
        let token = format!("opaque+Token/{:x}", fastrand::u64(..));
        let normal = ok(&json!({"access_token": token, "expires_in": 3600}));
        return (Of::Token, number.parse().unwrap_or(usize::MAX), normal);
    }
    let segments: Vec<_> = path.trim_start_matches("/api/atlas/v2/").split('/').collect();
    let of_project = |id: &str| usize::from_str_radix(&id[20..], 16).unwrap();
    let of_cluster = |name: &str| name.trim_start_matches("field-").parse().unwrap_or(usize::MAX);
    let list = |entries: &[Value]| ok(&json!({"results": entries}));
    match segments[..] {
        ["orgs", id, "groups"] => (Of::Projects, of_project(id), list(&[])),
        ["groups", id] => (Of::Project, of_project(id), ok(&json!({"id": id, "name": "payments"}))),
        ["groups", id, "clusters"] => {
            let number = of_project(id);
            let names = if number == 0 { clusters() } else { vec!["other".to_owned()] };
            let listed: Vec<_> =
                names.iter().map(|name| json!({"name": name, "backupEnabled": true})).collect();
            (Of::Clusters, number.wrapping_sub(1), list(&listed))
        }
        ["groups", id, "backup", "exportBuckets"] => {
            (Of::Buckets, of_project(id), list(&[json!({"_id": ID, "bucketName": "b"})]))
        }
        ["groups", id, "events"] => (Of::Events, of_project(id), list(&[])),
        ["groups", _, "clusters", name, "backup", "exports"] => (Of::Exports, of_cluster(name), list(&[])),
        // From the last cluster on, so that most have snapshots that are read.
        ["groups", _, "clusters", name, "backup", "schedule"] => {
            let export = json!({"frequencyType": "daily", "exportBucketId": ID});
            let normal = ok(&json!({"autoExportEnabled": true, "export": export}));
            (Of::Schedule, clusters().len().wrapping_sub(1).wrapping_sub(of_cluster(name)), normal)
        }
        ["groups", _, "clusters", name, "backup", "snapshots"] => {
            (Of::Snapshots, of_cluster(name), list(&[]))
        }
        _ => panic!("{path} is asked for"),
    }
}

fn clusters() -> Vec<String> {
    let exports = FIELDS.iter().filter(|(of, _)| *of == Of::Exports).count();
    (0..exports).map(|number| format!("field-{number}")).collect()
}

/// Every credential of two kinds: files that are rotated, and texts of the configuration.
fn configure(setup: ExporterBuilder) -> ExporterBuilder {
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
        // A path is nothing that is redacted where it enters: only the finished line of the log, or
        // of a report, is.
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
    setup
        .secret_file("secret")
        .targets(projects.chain(sign_ins).chain(organizations).collect::<String>())
        .set("poll.interval", "150ms")
        .set("discovery.interval", "150ms")
        .set("collectors.interval", "150ms")
}

async fn serving(atlas: &Arc<Atlas>) -> FaultProxy {
    let nothing = simulator(atlas_state([])).await;
    let server = FaultProxy::start(&nothing, ProxyMode::Plain).await;
    let atlas = atlas.clone();
    server.respond(" ", Some(Arc::new(move |head| vec![Step::Send(atlas.answer(head))])));
    server
}

/// None of what was repeated is in `seen`.
#[track_caller]
fn holds_nothing(seen: &str, atlas: &Atlas) {
    for trace in &atlas.state().traces {
        if let Some(at) = seen.find(trace) {
            let line = seen[..at].rfind('\n').map_or(0, |start| start + 1);
            let line: String = seen[line..].lines().next().unwrap_or_default().chars().take(2000).collect();
            panic!("{trace:?} is in: {line}");
        }
    }
}

#[track_caller]
fn hides_nothing(seen: &str) {
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
        assert!(start.elapsed() < Duration::from_mins(1), "it does not come true: {}", exporter.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn pages(exporter: &Exporter, atlas: &Atlas) {
    for path in ["/", "/api/v1/clusters", "/metrics"] {
        let seen = exporter.get(path).await.text().await.unwrap();
        holds_nothing(&seen, atlas);
        if path == "/" {
            hides_nothing(&seen);
        }
    }
}

/// The credentials change places from text to text, so that a few have each of them in each field.
const TIMES: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoed_credentials_are_in_no_output() {
    let atlas = Arc::new(Atlas::default());
    let server = serving(&atlas).await;
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret", OLD_SECRET);
    write(&folder, "key", OLD_KEY);
    write(&folder, &format!("named-{SECRET}"), SECRET);
    let nothing = simulator(atlas_state([])).await;
    let setup = ExporterBuilder::new(&nothing).base_url(&server.plain_url()).flag("--log.level=debug");
    let setup = configure(setup);
    let mut exporter = setup.start_in(folder).await;
    exporter.ready().await;

    // Rotation: a refused token makes the exporter read the new secret; a key is read for every
    // request.
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
    while !atlas.is_told(TIMES) {
        pages(&exporter, &atlas).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(start.elapsed() < Duration::from_mins(1), "{:?}", atlas.state().answered);
    }
    assert!(exporter.get("/").await.text().await.unwrap().contains("<bdi>a\\u{202e}b0</bdi>"));
    exporter.signal("TERM");
    exporter.exit().await;
    let log = exporter.log();
    holds_nothing(&log, &atlas);
    hides_nothing(&log);
    assert!(log.matches("[REDACTED]").count() > 100, "nothing was repeated: {log}");
    assert!(log.contains("from the file named-[REDACTED]"), "{log}");

    // These have never read the old ones.
    atlas.state().echo(&[SECRET, OTHER_SECRET, KEY]);
    let run = async |arguments: &[&str]| {
        let mut command = command();
        command.current_dir(exporter.folder.path()).args(["--log.level=debug", "--log.format=json"]);
        let output = command.args(arguments).output().await.unwrap();
        let [out, log] = [output.stdout, output.stderr].map(|seen| String::from_utf8(seen).unwrap());
        holds_nothing(&(out.clone() + &log), &atlas);
        hides_nothing(&log);
        out
    };
    let (table, json, _) = tokio::join!(run(&["check"]), run(&["check", "--output=json"]), run(&["--once"]));
    for report in [table, json] {
        for part in ["[REDACTED]", "202e", "from the file named-[REDACTED]"] {
            assert!(report.contains(part), "{part} is not in {report}");
        }
        hides_nothing(&report);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn echoed_proxy_password_is_in_no_output() {
    let (atlas, authority) = (Arc::new(Atlas::default()), Authority::new());
    let server = serving(&atlas).await;
    let secure = FaultProxy::start_at(&server.plain_url(), ProxyMode::Tls(authority.valid())).await;
    let proxy = FaultProxy::start_at(&server.plain_url(), ProxyMode::Tunnel).await;
    let encoded = utf8_percent_encode(PASSWORD, NON_ALPHANUMERIC);
    let address = proxy.plain_url().replace("http://", &format!("http://jane:{encoded}@"));
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "secret", SECRET);
    write(&folder, "key", KEY);
    write(&folder, "ca.pem", &authority.pem());
    let nothing = simulator(atlas_state([])).await;
    let setup = ExporterBuilder::new(&nothing)
        .base_url(&secure.url())
        .set("atlas.ca_file", "ca.pem")
        .flag("--log.level=debug")
        .flag("--log.format=json")
        .env("HTTPS_PROXY", address.clone());
    let project = project(0);
    let setup = configure(setup)
        .targets(format!("[[projects]]\nid = \"{project}\"\nclusters = [\"field-0\", \"field-1\"]\n"));
    let mut exporter = setup.start_in(folder).await;
    exporter.ready().await;
    atlas.state().echo(&[PASSWORD, SECRET]);
    let times = |index| atlas.state().answered.get(&index).copied().unwrap_or_default();
    until(&exporter, || times(0) > TIMES && times(1) > TIMES).await;
    pages(&exporter, &atlas).await;
    let texts = atlas.state().texts("");
    for (number, text) in texts.iter().enumerate() {
        let text = visible(text);
        let answer = match number % 3 {
            0 => format!("HTTP/1.1 407 {text}\r\nproxy-authenticate: {text}\r\n\r\n{text}"),
            1 => format!("HTTP/1.1 502 {text}\r\n\r\n{text}"),
            _ => format!("{text}\r\n\r\n"),
        };
        proxy.set_mode(ProxyMode::Respond(vec![Step::Send(answer.into_bytes())])).await;
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
    assert!(log.contains("[REDACTED]") && log.contains("proxy of the environment"), "{log}");
    for seen in
        [output.stdout, output.stderr].map(|seen| String::from_utf8(seen).unwrap()).iter().chain([&log])
    {
        holds_nothing(seen, &atlas);
        hides_nothing(seen);
    }
}
