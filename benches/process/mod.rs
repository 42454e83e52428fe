//! Starts and measures processes for benchmarks.

// Each benchmark uses a part of the helpers.
#![allow(dead_code)]

#[path = "../../tests/support/port.rs"]
mod port;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;

/// Starts the exporter, and returns the process and its URL.
///
/// The environment variable `EXPORTER` replaces the binary built by cargo. `tables` is TOML after
/// the table `[atlas]`. CA certificates for Atlas can be in `ca.pem` in `folder`.
pub(crate) fn start(folder: &Path, atlas: &str, tables: &str) -> (Running, String) {
    let account = "client_id = \"bench\"\nclient_secret = \"bench\"";
    let config = format!("[atlas]\nbase_url = \"{atlas}\"\n[atlas.service_account]\n{account}\n{tables}");
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let built = || env!("CARGO_BIN_EXE_atlas-backup-exporter").into();
    let port = port::free_port();
    let mut exporter = Command::new(std::env::var_os("EXPORTER").unwrap_or_else(built));
    exporter.current_dir(folder);
    exporter.args([&format!("--web.listen-address=127.0.0.1:{port}"), "--log.level=warn"]);
    let certificates = folder.join("ca.pem");
    if certificates.exists() {
        exporter.env("SSL_CERT_FILE", certificates);
    }
    (Running(exporter.spawn().unwrap()), format!("http://127.0.0.1:{port}"))
}

/// Runs this benchmark as the bare client, and returns the CPU seconds that it prints.
pub(crate) fn peer_cpu(arguments: &[&str]) -> f64 {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// A process that is killed on drop.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns the CPU seconds of the process so far.
    pub(crate) fn cpu(&self) -> f64 {
        cpu(self.pid())
    }

    pub(crate) fn resident_mebibytes(&self) -> f64 {
        self.mebibytes("VmRSS:")
    }

    pub(crate) fn peak_mebibytes(&self) -> f64 {
        self.mebibytes("VmHWM:")
    }

    fn mebibytes(&self, key: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the CPU seconds of a process so far, including threads that have ended.
pub(crate) fn cpu(pid: u32) -> f64 {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).unwrap())).unwrap();
    Duration::from(clock.now().unwrap()).as_secs_f64()
}

/// Scrapes an exporter at `url`, and returns the samples.
pub(crate) async fn scrape(url: &str) -> BTreeMap<String, f64> {
    let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
        .collect()
}

/// Returns the samples of a family by labels.
pub(crate) fn of<'a>(
    scrape: &'a BTreeMap<String, f64>,
    name: &'a str,
) -> impl Iterator<Item = (&'a str, f64)> {
    scrape.iter().filter_map(move |(series, value)| Some((series.strip_prefix(name)?, *value)))
}

/// Returns the number of finished polls by cluster.
pub(crate) fn polls(scrape: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let polls = of(scrape, "mongodbatlas_backup_export_polls_total");
    polls.map(|(labels, polls)| (labels.to_owned(), polls)).collect()
}

/// Returns the number of polls between two scrapes of the cluster with the fewest.
pub(crate) fn fewest_polls(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> f64 {
    let before = polls(before);
    let after = polls(after);
    let more = after.iter().map(|(labels, polls)| polls - before.get(labels).unwrap_or(&0.0));
    more.fold(f64::MAX, f64::min)
}

pub(crate) fn failed_polls(scrape: &BTreeMap<String, f64>) -> f64 {
    let failed = of(scrape, "mongodbatlas_backup_export_poll_failures_total");
    failed.fold(0.0, |sum, (_, polls)| sum + polls)
}

/// Waits until an exporter at `url` is ready, and returns the duration.
pub(crate) async fn get_ready(url: &str) -> Duration {
    let began = Instant::now();
    let url = format!("{url}/-/ready");
    while !reqwest::get(&url).await.is_ok_and(|response| response.status().is_success()) {
        assert!(began.elapsed() < Duration::from_mins(5), "the exporter is not ready");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    began.elapsed()
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
