//! The real Prometheus against the real binary. These tests need Debian's `prometheus`, which `tests/run` installs; a plain
//! `cargo test` skips them.

#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]

// The other half of the harness serves the other tests.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../it/harness.rs"]
mod harness;

use std::process::Stdio;
use std::time::{Duration, Instant};

use harness::{Exporter, command};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

async fn demo() -> Exporter {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = command();
    demo.current_dir(folder.path()).args(["demo", "--web.listen-address=127.0.0.1:0"]).stdout(Stdio::null());
    let demo = Exporter::spawn(demo, folder).await;
    demo.polled().await;
    demo
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; tests/run installs it"]
async fn promtool_finds_nothing_to_say() {
    let demo = demo().await;
    let text = demo.get("/metrics").await.text().await.unwrap();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    let output = promtool.wait_with_output().await.unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

struct Prometheus {
    url: String,
    http: reqwest::Client,
    _child: Child,
}

impl Prometheus {
    /// Scrapes `target` every second.
    fn scraping(target: &str, folder: &std::path::Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let target = target.strip_prefix("http://").unwrap();
        let config = format!(
            "scrape_configs:\n- job_name: atlas-backup-exporter\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  static_configs:\n  - targets: ['{target}']\n"
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let child = Command::new("prometheus")
            .current_dir(folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { url: format!("http://127.0.0.1:{port}"), http: reqwest::Client::new(), _child: child }
    }

    /// The value of an instant query with one result; `None` while there is none.
    async fn value(&self, query: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.url);
        let answer = self.http.get(url).query(&[("query", query)]).send().await.ok()?;
        let answer: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    async fn until(&self, query: &str, done: impl Fn(f64) -> bool) -> f64 {
        let start = Instant::now();
        loop {
            let value = self.value(query).await;
            if let Some(value) = value.filter(|value| done(*value)) {
                return value;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{query} is {value:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; tests/run installs it"]
async fn a_real_prometheus_stores_every_sample() {
    let demo = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::scraping(&demo.url, folder.path());
    prometheus.until("up{job=\"atlas-backup-exporter\"}", |up| up == 1.0).await;
    // One instant, one scrape: what was scraped is what is stored, and nothing stands twice.
    prometheus
        .until("scrape_samples_scraped - on() count({__name__=~\"mongodbatlas_.*\"})", |missing| {
            missing == 0.0
        })
        .await;
    assert!(
        prometheus.value("scrape_samples_scraped == scrape_samples_post_metric_relabeling").await.is_some()
    );
    assert_eq!(prometheus.value("count(mongodbatlas_backup_export_up == 1)").await, Some(7.0));
    assert_eq!(
        prometheus.value("sum(mongodbatlas_backup_export_jobs{cluster_name=\"sandbox\"})").await,
        Some(0.0)
    );
    assert_eq!(
        prometheus
            .value(
                "mongodbatlas_backup_export_progress_ratio{project=\"analytics\",cluster_name=\"warehouse\"}"
            )
            .await,
        Some(1.0)
    );
    // Three hours of standing still, seen from the first scrape on.
    let stalled =
        "time() - mongodbatlas_backup_export_last_progress_timestamp_seconds{cluster_name=\"warehouse\"}";
    let stalled = prometheus.value(stalled).await.unwrap();
    assert!((10_800.0..11_000.0).contains(&stalled), "{stalled}");
    prometheus
        .until("rate(mongodbatlas_backup_export_polls_total{cluster_name=\"prod-eu\"}[20s])", |rate| {
            rate > 0.2
        })
        .await;
}
