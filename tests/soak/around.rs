//! What is around the exporter: two Prometheus servers and wrk, which scrape, and the machine.

use std::fmt::{self, Display};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::exporter::Exporter;

/// wrk takes a breath between two requests, or nothing else would run on a small machine; every other one wants no gzip.
const SCRIPT: &str = r#"
local turn = 0
function delay() return 100 end
function request()
  turn = turn + 1
  if turn % 2 == 0 then return wrk.format("GET", nil, {["Accept-Encoding"] = "gzip"}) end
  return wrk.format("GET", nil, {["Accept"] = "application/openmetrics-text;version=1.0.0"})
end
"#;

/// Longest time that wrk would run.
const LONGEST: Duration = Duration::from_hours(3);

pub(crate) struct Around {
    folder: TempDir,
    servers: Vec<(Server, String)>,
    wrk: Server,
    http: reqwest::Client,
}

impl Around {
    pub(crate) fn begin(exporter: &Exporter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let servers = ["one", "other"].map(|name| prometheus(&folder.path().join(name), &exporter.url));
        let script = folder.path().join("wrk.lua");
        std::fs::write(&script, SCRIPT).unwrap();
        let seconds = format!("-d{}s", LONGEST.as_secs());
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c4", &seconds, "-s"]).arg(script).arg(format!("{}/metrics", exporter.url));
        let wrk = Server::start(wrk.stdout(std::fs::File::create(folder.path().join("wrk.txt")).unwrap()));
        Self { folder, servers: servers.into(), wrk, http: reqwest::Client::new() }
    }

    /// Nobody ever missed a scrape.
    pub(crate) async fn end(mut self, exporter: &Exporter) {
        self.wrk.interrupt();
        let said = std::fs::read_to_string(self.folder.path().join("wrk.txt")).unwrap();
        println!("{said}");
        assert!(said.contains("requests in") && !said.contains("Non-2xx"), "{said}");
        let clusters = exporter.scrape().await.of("mongodbatlas_backup_export_up").len() as f64;
        for (_, url) in &self.servers {
            assert_eq!(
                self.value(url, "min_over_time(up{job=\"soak\"}[3h])").await,
                1.0,
                "a scrape was missed"
            );
            // What is stored is up to a scrape older than what is exposed.
            let begin = Instant::now();
            while self.value(url, "count(mongodbatlas_backup_export_up == 1)").await != clusters {
                assert!(begin.elapsed() < Duration::from_secs(30), "not every cluster is stored");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }

    /// The value of an instant query with one result.
    async fn value(&self, url: &str, query: &str) -> f64 {
        let answer =
            self.http.get(format!("{url}/api/v1/query")).query(&[("query", query)]).send().await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let value = answer["data"]["result"][0]["value"][1].as_str();
        value.unwrap_or_else(|| panic!("{query}: {answer}")).parse().unwrap()
    }
}

/// A Prometheus that scrapes every ten seconds, and its address.
fn prometheus(folder: &Path, target: &str) -> (Server, String) {
    std::fs::create_dir(folder).unwrap();
    let host = target.strip_prefix("http://").unwrap();
    let config = format!(
        "global: {{scrape_interval: 10s, scrape_timeout: 10s}}\n\
         scrape_configs:\n- job_name: soak\n  static_configs: [{{targets: ['{host}']}}]\n"
    );
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut prometheus = Command::new("prometheus");
    prometheus
        .current_dir(folder)
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null());
    (Server::start(&mut prometheus), format!("http://127.0.0.1:{port}"))
}

/// A process that ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    /// Asks it to end, and waits until it has.
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

/// What the exporter takes of the machine.
#[derive(Debug)]
pub(crate) struct Footprint {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: u64,
    /// How long it took until all was well.
    settled_in: Duration,
}

impl Footprint {
    pub(crate) fn of(pid: u32, settled_in: Duration) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64,
            settled_in,
        }
    }
}

impl Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident_kib, descriptors, settled_in } = self;
        write!(f, "{resident_kib} KiB, {descriptors} descriptors, settled in {settled_in:.1?}")
    }
}
