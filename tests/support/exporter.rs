//! Exporter process of a test.

use std::io::{BufRead, BufReader};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::atlas::{PRIVATE_KEY, SECRET};
use super::builder::ExporterBuilder;
use super::scrape::Scrape;

/// Maximum time until an expected state is reached.
pub(crate) const STATE_TIMEOUT: Duration = Duration::from_secs(20);

/// The exporter with an empty environment.
pub(crate) fn command() -> Command {
    command_of(env!("CARGO_BIN_EXE_atlas-backup-exporter"))
}

/// Another program with an empty environment, such as another build of the exporter. The width of
/// texts is that of a narrow terminal.
pub(crate) fn command_of(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("COLUMNS", "80").stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) struct Exporter {
    pub(crate) url: String,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Thread that ends at the end of the log.
    reader: Option<std::thread::JoinHandle<()>>,
    http: reqwest::Client,
    pub(crate) folder: TempDir,
}

impl Exporter {
    pub(crate) async fn spawn(mut command: Command, folder: TempDir) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap().into_owned_fd().unwrap();
        let lines = BufReader::new(std::fs::File::from(stderr)).lines();
        let (sender, address) = tokio::sync::oneshot::channel();
        let collected = log.clone();
        let reader = std::thread::spawn(move || {
            let mut sender = Some(sender);
            for line in lines.map_while(Result::ok) {
                if line.contains("listening")
                    && let Some(sender) = sender.take()
                {
                    let digits: Vec<_> = line.split("127.0.0.1:").skip(1).collect();
                    let port: String = digits[0].chars().take_while(char::is_ascii_digit).collect();
                    let _ = sender.send(format!("http://127.0.0.1:{port}"));
                }
                let mut log = collected.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(Ok(url)) = tokio::time::timeout(STATE_TIMEOUT, address).await else {
            panic!("the exporter does not listen: {}", log.lock().unwrap());
        };
        Self { url, child, log, reader: Some(reader), http: http(), folder }
    }

    /// Returns the log once it has stopped growing.
    ///
    /// The exporter logs asynchronously: a line may follow the scrape that shows the same change.
    pub(crate) fn log(&self) -> String {
        let (mut length, mut quiet) = (0, 0);
        for _ in 0..100 {
            let grown = self.log.lock().unwrap().len();
            quiet = if grown == length { quiet + 1 } else { 0 };
            if quiet == 5 {
                break;
            }
            length = grown;
            std::thread::sleep(Duration::from_millis(10));
        }
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// Returns the status page without `<bdi>` elements.
    pub(crate) async fn page(&self) -> String {
        let page = self.get("/").await.text().await.unwrap();
        page.replace("<bdi>", "").replace("</bdi>", "")
    }

    pub(crate) async fn get_with(&self, path: &str, header: &str, value: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).header(header, value).send().await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::parse(&self.get("/metrics").await.text().await.unwrap())
    }

    /// Scrapes until `done`, and returns that scrape.
    #[track_caller]
    pub(crate) fn until(&self, done: impl Fn(&Scrape) -> bool) -> impl Future<Output = Scrape> {
        let caller = std::panic::Location::caller();
        async move {
            let start = Instant::now();
            loop {
                let scrape = self.scrape().await;
                if done(&scrape) {
                    return scrape;
                }
                assert!(
                    start.elapsed() < STATE_TIMEOUT,
                    "{caller}: condition not reached; last scrape:\n{scrape:#?}\n{}",
                    self.log()
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Scrapes until every cluster has been polled once.
    #[track_caller]
    pub(crate) fn polled(&self) -> impl Future<Output = Scrape> {
        self.until(|scrape| {
            let polls = scrape.of("mongodbatlas_backup_export_polls_total");
            !polls.is_empty() && polls.iter().all(|(_, polls)| *polls >= 1.0)
        })
    }

    /// Scrapes once the exporter is ready.
    pub(crate) async fn ready(&self) -> Scrape {
        let start = Instant::now();
        while self.get("/-/ready").await.status() != 200 {
            assert!(start.elapsed() < STATE_TIMEOUT, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.scrape().await
    }

    /// Scrapes until every cluster has been polled `more` times more.
    pub(crate) async fn polled_again(&self, more: f64) -> Scrape {
        const POLLS: &str = "mongodbatlas_backup_export_polls_total";
        let before = self.polled().await;
        let polls_before = |labels: &str| before.0.get(&format!("{POLLS}{labels}")).copied().unwrap_or(0.0);
        self.until(|scrape| {
            scrape.of(POLLS).iter().all(|(labels, polls)| *polls >= more + polls_before(labels))
        })
        .await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the exporter runs")
    }

    /// Peak memory of the process so far, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success()
        );
    }

    /// Replaces the configuration and reloads it.
    pub(crate) fn reload(&self, builder: &ExporterBuilder) {
        builder.write(&self.folder);
        self.signal("HUP");
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let status =
            tokio::time::timeout(STATE_TIMEOUT, self.child.wait()).await.expect("the exporter ends").unwrap();
        // The log is complete once its pipe has been read to the end.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Asserts that no secret is in the log or a response.
    pub(crate) async fn assert_no_secret(&self) {
        let mut seen = self.log();
        for path in ["/", "/api/v1/clusters", "/metrics", "/-/ready"] {
            seen += &self.get(path).await.text().await.unwrap();
        }
        for secret in [SECRET, PRIVATE_KEY, "eyJ", "Bearer", "response="] {
            assert!(!seen.contains(secret), "{secret:?} is in:\n{seen}");
        }
    }
}

/// Returns a client without gzip, as such responses are cached, and without the certificates of the
/// system, which take long to load.
pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().no_gzip().tls_certs_only([]).build().unwrap()
}
