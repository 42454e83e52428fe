//! Two Prometheus servers and wrk, which scrape the exporter.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::exporter::{Exporter, http};
use crate::support::port::free_port;

/// Pauses between requests, as wrk would saturate a small machine; every other one is without gzip.
const SCRIPT: &str = r#"
local turn = 0
function delay() return 100 end
function request()
  turn = turn + 1
  if turn % 2 == 0 then return wrk.format("GET", nil, {["Accept-Encoding"] = "gzip"}) end
  return wrk.format("GET", nil, {["Accept"] = "application/openmetrics-text;version=1.0.0"})
end
"#;

const MAX_DURATION: Duration = Duration::from_hours(3);

pub(crate) struct Scrapers {
    folder: TempDir,
    servers: Vec<(Server, String)>,
    wrk: Server,
    http: reqwest::Client,
}

impl Scrapers {
    pub(crate) fn start(exporter: &Exporter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = ["one", "other"].map(|name| prometheus(&folder.path().join(name), &exporter.url));
        let script = folder.path().join("wrk.lua");
        std::fs::write(&script, SCRIPT).unwrap();
        let seconds = format!("-d{}s", MAX_DURATION.as_secs());
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c4", &seconds, "-s"]).arg(script).arg(format!("{}/metrics", exporter.url));
        let wrk = Server::start(wrk.stdout(std::fs::File::create(folder.path().join("wrk.txt")).unwrap()));
        Self { folder, servers: servers.into(), wrk, http: http() }
    }

    /// Asserts that no scrape failed.
    pub(crate) async fn end(mut self, exporter: &Exporter) {
        self.wrk.interrupt();
        let output = std::fs::read_to_string(self.folder.path().join("wrk.txt")).unwrap();
        println!("{output}");
        assert!(output.contains("requests in") && !output.contains("Non-2xx"), "{output}");
        let clusters = exporter.scrape().await.of("mongodbatlas_backup_export_up").len() as f64;
        for (_, url) in &self.servers {
            let lowest = self.value(url, "min_over_time(up{job=\"soak\"}[3h])").await;
            assert_eq!(lowest, Some(1.0), "a scrape was missed");
            // Stored samples can be one scrape interval old, when all polls may have failed.
            let begin = Instant::now();
            while self.value(url, "count(mongodbatlas_backup_export_up == 1)").await != Some(clusters) {
                assert!(begin.elapsed() < Duration::from_secs(30), "not every cluster is stored");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// Returns the value of an instant query with at most one result.
    async fn value(&self, url: &str, query: &str) -> Option<f64> {
        let response =
            self.http.get(format!("{url}/api/v1/query")).query(&[("query", query)]).send().await.unwrap();
        let response: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(response["status"], "success", "{query}: {response}");
        let value = response["data"]["result"][0]["value"][1].as_str();
        value.map(|value| value.parse().unwrap())
    }
}

/// Starts a Prometheus that scrapes every ten seconds; returns it with its URL.
fn prometheus(folder: &Path, target: &str) -> (Server, String) {
    std::fs::create_dir(folder).unwrap();
    let host = target.strip_prefix("http://").unwrap();
    let config = format!(
        "global: {{scrape_interval: 10s, scrape_timeout: 10s}}\n\
         scrape_configs:\n- job_name: soak\n  static_configs: [{{targets: ['{host}']}}]\n"
    );
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let port = free_port();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .current_dir(folder)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null());
    (Server::start(&mut prometheus), format!("http://127.0.0.1:{port}"))
}

/// Process that is killed on drop.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    /// Interrupts the process and waits for its end.
    fn interrupt(&mut self) {
        let status = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
