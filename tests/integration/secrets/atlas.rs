//! Atlas that repeats secrets in its responses.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::OTHER_SECRET;
use super::fields::{FIELDS, ID, Of, clusters, number, ok, raw};

/// One of each kind of character that must not reach a terminal.
const HIDDEN: &str = "\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{200b}\u{2060}\u{feff}\
                      \u{ad}\u{180e}\u{e0041}\u{fe0f}\u{1b}\u{85}\u{7f}";

/// Returns encodings of a secret.
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

/// Returns the parts of the encodings that must not be in any output.
fn traces(secret: &str) -> Vec<String> {
    let whole = forms(secret).into_iter().filter(|form| form.len() >= 12);
    // The beginning of truncated secrets, and the end of pairs.
    let part = |form: String| form.chars().skip(form.chars().count().saturating_sub(14)).collect::<String>();
    let head: String = secret.chars().take(10).collect();
    whole.clone().chain(whole.map(part).filter(|part| part.len() == 14)).chain([head]).collect()
}

#[derive(Default)]
pub(super) struct Atlas {
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Secrets that are repeated in addition to the credentials of the request; empty at first.
    pub(super) echoed: Vec<String>,
    /// Values of all `Authorization` headers.
    pub(super) authorizations: Vec<String>,
    /// Texts that must not be in any output.
    pub(super) traces: Vec<String>,
    /// Number of responses for each field.
    pub(super) answered: HashMap<usize, usize>,
    /// True if the next request with a token is refused.
    pub(super) refuse: bool,
}

impl State {
    pub(super) fn echo(&mut self, secrets: &[&str]) {
        self.echoed = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        self.traces.extend(secrets.iter().flat_map(|secret| traces(secret)));
    }

    /// Records the `Authorization` header of a request.
    fn record(&mut self, authorization: &str) {
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

    pub(super) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.authorizations.iter().filter_map(|header| header.strip_prefix("Bearer "))
    }

    /// Returns texts with every secret in every encoding, as long as errors may be, with hidden
    /// characters.
    pub(super) fn texts(&self, authorization: &str) -> Vec<String> {
        let is_sign_in = authorization.starts_with("Basic");
        let own = authorization.strip_prefix("Bearer ").or(is_sign_in.then_some(OTHER_SECRET));
        let secrets = self.echoed.iter().map(String::as_str).chain(own);
        // The response of a digest is redacted by the key before it.
        let digest = response(authorization).map(|digest| format!("response=\"{digest}\" "));
        let each: Vec<_> = secrets.map(forms).collect();
        let (mut texts, mut text) = (Vec::new(), format!("a{HIDDEN}b {}", digest.unwrap_or_default()));
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

/// Returns the response of an HTTP Digest header.
pub(super) fn response(authorization: &str) -> Option<&str> {
    authorization.split("response=\"").nth(1)?.split('"').next()
}

impl Atlas {
    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn respond(&self, head: &str) -> Vec<u8> {
        let line = head.lines().next().unwrap_or_default();
        let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let header = head.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or_default();
        let mut state = self.state();
        state.record(header);
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

    /// Returns true if every field was repeated `times` times.
    pub(super) fn is_answered(&self, times: usize) -> bool {
        let state = self.state();
        FIELDS.iter().enumerate().all(|(index, (of, _))| {
            // Failing token requests are rare.
            let times = if *of == Of::Token { 1 } else { times };
            state.answered.get(&index).is_some_and(|answered| *answered >= times)
        })
    }
}

/// Returns the resource of a request, the number of its field, and the normal response.
pub(super) fn resource(path: &str, header: &str) -> (Of, usize, Vec<u8>) {
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
        // From the last cluster on, so that most snapshots are read.
        ["groups", _, "clusters", name, "backup", "schedule"] => {
            let export = json!({"frequencyType": "daily", "exportBucketId": ID});
            let normal = ok(&json!({"autoExportEnabled": true, "export": export}));
            (Of::Schedule, clusters().len().wrapping_sub(1).wrapping_sub(of_cluster(name)), normal)
        }
        ["groups", _, "clusters", name, "backup", "snapshots"] => {
            (Of::Snapshots, of_cluster(name), list(&[]))
        }
        _ => panic!("unexpected request for {path}"),
    }
}
