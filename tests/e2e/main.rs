//! Tests with Prometheus, Alertmanager and other programs, which `tests/run` installs; a plain
//! `cargo test` skips them.

#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]

// Each test binary uses a part of the helpers.
#[allow(dead_code, clippy::cast_precision_loss)]
#[path = "../support/mod.rs"]
mod support;

mod alerting;
mod chart;
mod dashboards;
mod deployed;
mod image;
mod mail;
mod memory;
mod missing_export;
mod notifications;
mod page;
mod proxy;
mod scraping;
mod servers;
mod terminal;
mod terraform;
mod unit;
mod web;
mod workflows;

use std::process::Stdio;

use servers::Prometheus;
use support::exporter::{Exporter, command};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

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
async fn metrics_pass_promtool() {
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
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.is_empty(), "{text}");
}

#[tokio::test]
#[ignore = "needs Debian's prometheus; tests/run installs it"]
async fn prometheus_stores_every_sample() {
    let demo = demo().await;
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&demo.url, None, folder.path());
    prometheus.until("up{job=\"atlas-backup-exporter\"}", |up| up == 1.0).await;
    // All samples of one scrape are stored once.
    prometheus
        .until("scrape_samples_scraped - on() count({__name__=~\"mongodbatlas_.*|process_.*\"})", |missing| {
            missing == 0.0
        })
        .await;
    assert!(
        prometheus.value("scrape_samples_scraped == scrape_samples_post_metric_relabeling").await.is_some()
    );
    assert_eq!(prometheus.value("count(mongodbatlas_backup_export_up == 1)").await, Some(8.0));
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
    // A stall of three hours, visible from the first scrape on.
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
