//! Prometheus, Alertmanager, and a receiver of notifications.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::mail::{self, Mail};
use crate::support::exporter::http;
use crate::support::port::free_port;

/// Maximum time until an expected state is reached.
const STATE_TIMEOUT: Duration = Duration::from_secs(40);

/// Returns the path of a file of the repository.
pub(crate) fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Starts a server with files and log in `folder`; returns its URL.
pub(crate) fn serve(program: &str, folder: &Path, arguments: &[&str]) -> (String, Child) {
    let port = free_port();
    let log = std::fs::File::create(folder.join(format!("{program}.log"))).unwrap();
    let child = Command::new(program)
        .current_dir(folder)
        .args(arguments)
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    (format!("http://127.0.0.1:{port}"), child)
}

/// Repeats a request until there is a result.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(response) = ask().await {
            return response;
        }
        assert!(start.elapsed() < STATE_TIMEOUT, "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn get(http: &reqwest::Client, url: &str, query: &[(&str, &str)]) -> Option<Value> {
    let response = http.get(url).query(query).send().await.ok()?;
    serde_json::from_slice(&response.bytes().await.ok()?).ok()
}

/// Prometheus with the shipped configuration that scrapes and evaluates every second.
pub(crate) struct Prometheus {
    pub(crate) url: String,
    http: reqwest::Client,
    _child: Child,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes `target` and sends alerts to `alertmanager`.
    pub(crate) fn start(target: &str, alertmanager: Option<&Alertmanager>, folder: &Path) -> Self {
        let host = |url: &str| format!("'{}'", url.strip_prefix("http://").unwrap());
        let alertmanagers: Vec<_> = alertmanager.iter().map(|known| host(&known.url)).collect();
        // The `for` of one evaluation lasts a second here.
        let rules = std::fs::read_to_string(shipped("alerts/atlas-backup-export.rules.yml")).unwrap();
        std::fs::write(folder.join("rules.yml"), rules.replace("for: 1m\n", "for: 1s\n")).unwrap();
        let mut config = std::fs::read_to_string(shipped("dashboards/provisioning/prometheus.yml")).unwrap();
        // A target label that the exporter uses as well, as with Google Managed Prometheus.
        let targets = format!("[{}]\n        labels: {{project_id: of-the-target}}", host(target));
        for (old, new) in [
            ("_interval: 30s", "_interval: 1s"),
            ("../../alerts/atlas-backup-export.rules.yml", "rules.yml"),
            ("[\"127.0.0.1:9093\"]", &format!("[{}]", alertmanagers.join(", "))),
            ("[\"127.0.0.1:10027\"]", &targets),
        ] {
            assert!(config.contains(old), "the shipped configuration has no {old}");
            config = config.replace(old, new);
        }
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=prometheus"];
        let (url, child) = serve("prometheus", folder, &arguments);
        Self { url, http: http(), _child: child }
    }

    /// Returns the response of an endpoint; `None` if there is none.
    pub(crate) async fn api(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        get(&self.http, &format!("{}/api/v1/{path}", self.url), query).await
    }

    /// Returns the value of an instant query with one result.
    pub(crate) async fn value(&self, query: &str) -> Option<f64> {
        let response = self.api("query", &[("query", query)]).await?;
        response["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    pub(crate) async fn until(&self, query: &str, done: impl Fn(f64) -> bool) -> f64 {
        let value = || async { self.value(query).await.filter(|value| done(*value)) };
        eventually(query, value).await
    }
}

/// Alertmanager with the shipped example and its templates, and short intervals.
pub(crate) struct Alertmanager {
    pub(crate) url: String,
    http: reqwest::Client,
    _child: Child,
}

impl Alertmanager {
    /// Starts an Alertmanager that notifies `receiver` instead of PagerDuty, Slack and the mail server,
    /// and its webhooks `/pager` and `/chat`.
    pub(crate) fn start(receiver: &Receiver, folder: &Path) -> Self {
        let mut config = std::fs::read_to_string(shipped("alerts/alertmanager.example.yml")).unwrap();
        let pagerduty = format!("global:\n  pagerduty_url: {}/pagerduty\n", receiver.url);
        let smarthost = format!("{}\n  smtp_require_tls: false", receiver.smtp);
        let webhook =
            |name: &str| format!("- name: {name}\n  webhook_configs:\n  - url: {}/{name}\n", receiver.url);
        for (old, new) in [
            ("global:\n", pagerduty.as_str()),
            ("smtp.example.com:587", &smarthost),
            ("/etc/alertmanager/", &format!("{}/", folder.display())),
            ("- name: pager\n", &webhook("pager")),
            ("- name: chat\n", &webhook("chat")),
            ("group_wait: 30s", "group_wait: 1s"),
            ("group_interval: 5m", "group_interval: 1s"),
            ("group_interval: 1h", "group_interval: 1s"),
        ] {
            assert!(config.contains(old), "the example has no {old}");
            config = config.replace(old, new);
        }
        for (name, secret) in [
            ("slack-webhook-url", format!("{}/slack\n", receiver.url)),
            ("pagerduty-routing-key", "key-of-pagerduty\n".to_owned()),
            ("smtp-password", "password\n".to_owned()),
        ] {
            std::fs::write(folder.join(name), secret).unwrap();
        }
        let templates = "atlas-backup-export.tmpl";
        std::fs::copy(shipped("alerts").join(templates), folder.join(templates)).unwrap();
        std::fs::write(folder.join("alertmanager.yml"), config).unwrap();
        let arguments =
            ["--config.file=alertmanager.yml", "--storage.path=alertmanager", "--cluster.listen-address="];
        let (url, child) = serve("prometheus-alertmanager", folder, &arguments);
        Self { url, http: http(), _child: child }
    }

    /// Sends alerts as Prometheus does.
    pub(crate) async fn post(&self, alerts: &Value) {
        let url = format!("{}/api/v2/alerts", self.url);
        let body = alerts.to_string();
        let posted = || async {
            let request = self.http.post(&url).header("content-type", "application/json").body(body.clone());
            request.send().await.ok().filter(|response| response.status() == 200)
        };
        eventually("posting alerts", posted).await;
    }

    /// Returns the alerts with their status.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        let url = format!("{}/api/v2/alerts", self.url);
        get(&self.http, &url, &[]).await.and_then(|alerts| alerts.as_array().cloned()).unwrap_or_default()
    }
}

/// Web and mail server that receives the notifications of Alertmanager.
pub(crate) struct Receiver {
    pub(crate) url: String,
    /// Host and port of the mail server.
    smtp: String,
    taken: Taken,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// Received messages with the paths of their requests.
type Taken = Arc<Mutex<Vec<(String, Value)>>>;

impl Receiver {
    pub(crate) async fn start() -> Self {
        let taken = Taken::default();
        let take = |State(taken): State<Taken>, uri: Uri, body: Bytes| async move {
            let message = serde_json::from_slice(&body).unwrap();
            taken.lock().unwrap().push((uri.path().to_owned(), message));
            // The answer of Slack.
            "ok"
        };
        let router = Router::new().fallback(take).with_state(Arc::clone(&taken));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (smtp, mails) = mail::receive().await;
        Self { url, smtp, taken, mails }
    }

    /// Returns the messages for a path.
    pub(crate) fn messages(&self, path: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        taken.iter().filter(|(at, _)| at == path).map(|(_, message)| message.clone()).collect()
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    /// Returns every alert of the webhooks with its receiver and status.
    pub(crate) fn alerts(&self) -> Vec<(String, String, Value)> {
        let taken = self.taken.lock().unwrap();
        let mut alerts = Vec::new();
        for (path, message) in taken.iter() {
            for alert in message["alerts"].as_array().into_iter().flatten() {
                let status = alert["status"].as_str().unwrap().to_owned();
                alerts.push((path.clone(), status, alert.clone()));
            }
        }
        alerts
    }
}
