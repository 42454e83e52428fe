//! Standard output and standard error that are never read, or closed.

use std::process::Stdio;
use std::time::Duration;

use atlas_simulator::{Cluster, Simulator};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::atlas::{atlas_state, exports, requests, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::http;
use crate::support::scrape::Scrape;

/// Maximum time until an expected state is reached.
const STATE_TIMEOUT: Duration = Duration::from_secs(20);

/// Process with its pipes and its folder.
struct Piped {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

const FILL_ERROR: &str = "head -c 65536 /dev/zero >&2;";
const FILL_BOTH: &str = "head -c 65536 /dev/zero; head -c 65536 /dev/zero >&2;";

/// Starts the exporter from a shell that runs `first`, with pipes.
fn start(simulator: &Simulator, first: &str, arguments: &[&str]) -> Piped {
    let folder = tempfile::tempdir().unwrap();
    ExporterBuilder::new(simulator).write(&folder);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let child = Command::new("sh")
        .env_clear()
        .current_dir(folder.path())
        .arg("-c")
        .arg(format!("{first} exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_atlas-backup-exporter"))
        .arg(format!("--web.listen-address={address}"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Piped { child, address, folder }
}

impl Piped {
    async fn until(&mut self, done: impl Fn(&Scrape) -> bool) {
        let url = format!("http://{}/metrics", self.address);
        let client = http();
        let scraped = async {
            loop {
                assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
                if let Ok(response) = client.get(&url).send().await
                    && done(&Scrape::parse(&response.text().await.unwrap()))
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(STATE_TIMEOUT, scraped).await.expect("it is scraped");
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let kill = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// Returns the exit code, well before the grace period of systemd or Kubernetes.
    async fn exit(&mut self) -> Option<i32> {
        timeout(Duration::from_secs(10), self.child.wait()).await.expect("it ends").unwrap().code()
    }
}

fn polls(scrape: &Scrape) -> f64 {
    scrape.value("polls_total", "prod", "").unwrap_or_default()
}

#[tokio::test]
async fn unread_log_does_not_block_the_exporter() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let mut exporter = start(&simulator, FILL_ERROR, &["--log.level=debug"]);
    exporter.until(|scrape| polls(scrape) >= 3.0).await;
    exporter.signal("TERM");
    assert_eq!(exporter.exit().await, Some(0));

    let mut exporter = start(&simulator, FILL_ERROR, &["--config.file=nowhere.toml"]);
    assert_eq!(exporter.exit().await, Some(2));
}

#[tokio::test]
async fn lines_of_a_closed_log_are_counted_as_dropped() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let mut exporter = start(&simulator, "", &["--log.level=debug"]);
    exporter.child.stderr.take();
    let dropped = |scrape: &Scrape| scrape.0["mongodbatlas_backup_exporter_log_lines_dropped_total"];
    exporter.until(|scrape| polls(scrape) >= 3.0 && dropped(scrape) >= 1.0).await;
    exporter.signal("TERM");
    assert_eq!(exporter.exit().await, Some(0));
}

#[tokio::test]
async fn unread_output_does_not_prevent_exit() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    for (arguments, code) in [(&["--once"][..], 1), (&["check"], 1), (&["check", "--output=json"], 1)] {
        for signal in ["TERM", "INT"] {
            let before = requests(&simulator, &exports("prod"));
            let mut exporter = start(&simulator, FILL_BOTH, arguments);
            let requested = async {
                while requests(&simulator, &exports("prod")) == before {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(STATE_TIMEOUT, requested).await.unwrap();
            // Writing starts soon after the last response.
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(exporter.child.try_wait().unwrap(), None, "{arguments:?}: nothing was written");
            exporter.signal(signal);
            assert_eq!(exporter.exit().await, Some(code), "{arguments:?} {signal}");
        }
    }
    let mut demo = start(&simulator, FILL_BOTH, &["demo"]);
    demo.until(|scrape| scrape.of("mongodbatlas_backup_export_polls_total").len() > 1).await;
    demo.signal("TERM");
    assert_eq!(demo.exit().await, Some(0));
    assert!(demo.folder.path().exists());
}
