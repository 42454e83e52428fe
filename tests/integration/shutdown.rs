//! Shutdown.

use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Fault, FaultKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connections::with_clients_that_do_not_read;
use crate::support::atlas::{atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::certificates::Authority;
use crate::support::exporter::{Exporter, command};

#[tokio::test]
async fn signal_during_a_poll_stops_the_exporter() {
    for signal in ["TERM", "INT"] {
        let mut state = atlas_state([("hanging", Cluster::default()), ("good", Cluster::default())]);
        state.faults = vec![Fault::lasting("/hanging/", FaultKind::HANG)];
        let simulator = simulator(state).await;
        let mut exporter = ExporterBuilder::new(&simulator).start().await;
        // The connection of this scrape is kept alive.
        exporter.until(|scrape| scrape.up("good") == Some(1.0)).await;
        let start = Instant::now();
        exporter.signal(signal);
        assert_eq!(exporter.exit().await.code(), Some(0), "{signal}: {}", exporter.log());
        assert!(start.elapsed() < Duration::from_secs(3), "{signal}: {:?}", start.elapsed());
        assert!(exporter.log().contains("stopped"), "{signal}");
    }
}

/// Sends a request without its last line, and SIGTERM to the exporter.
async fn request_interrupted_by_sigterm(exporter: &Exporter) -> TcpStream {
    let mut client = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await.unwrap();
    client.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    exporter.signal("TERM");
    client
}

#[tokio::test]
async fn unfinished_request_does_not_prevent_exit() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let mut exporter = ExporterBuilder::new(&simulator).start().await;
    let _client = request_interrupted_by_sigterm(&exporter).await;
    let start = Instant::now();
    assert_eq!(exporter.exit().await.code(), Some(0), "{}", exporter.log());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[tokio::test]
async fn request_in_progress_is_answered_before_exit() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let mut exporter = ExporterBuilder::new(&simulator).start().await;
    let mut client = request_interrupted_by_sigterm(&exporter).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    client.write_all(b"\r\n").await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert_eq!(exporter.exit().await.code(), Some(0));
}

#[tokio::test]
async fn port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command().args(["demo", &format!("--web.listen-address={address}")]).output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains(&address) && log.contains("in use"), "{log}");
}

#[tokio::test]
async fn unwritable_stderr_does_not_stop_the_exporter() {
    for stderr in ["2>/dev/full", "2>&-", "2>/dev/full >&- <&-"] {
        assert_polls_continue(stderr).await;
    }
}

/// Polls while standard error is a full disk or closed.
async fn assert_polls_continue(stderr: &str) {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let builder = ExporterBuilder::new(&simulator);
    let folder = tempfile::tempdir().unwrap();
    builder.write(&folder);
    let binary = env!("CARGO_BIN_EXE_atlas-backup-exporter");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut child = tokio::process::Command::new("sh")
        .current_dir(folder.path())
        .arg("-c")
        .arg(format!("exec {binary} --log.level=debug --web.listen-address={address} {stderr}"))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let client = reqwest::Client::new();
    let mut polled = false;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(child.try_wait().unwrap().is_none(), "it has ended with {stderr}");
        let Ok(response) = client.get(format!("http://{address}/metrics")).send().await else { continue };
        polled = response.text().await.unwrap().contains("mongodbatlas_backup_export_up{");
        if polled {
            break;
        }
    }
    assert!(polled, "{stderr}");
}

/// Asserts that the exporter exits with 0 within five seconds after SIGTERM.
async fn assert_exits(mut exporter: Exporter, amid: &str) {
    let start = Instant::now();
    exporter.signal("TERM");
    assert_eq!(exporter.exit().await.code(), Some(0), "{amid}: {}", exporter.log());
    assert!(start.elapsed() < Duration::from_secs(8), "{amid}: {:?}", start.elapsed());
}

#[tokio::test]
async fn unread_responses_do_not_prevent_exit() {
    let (_simulator, exporter, _clients) = with_clients_that_do_not_read(&[]).await;
    assert_exits(exporter, "unread responses").await;
}

#[tokio::test]
async fn handshakes_do_not_prevent_exit() {
    // Verifying this password takes seconds.
    let slow = "basic_auth_users: {alice: $2b$14$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK}\n";
    let authority = Authority::new("ours");
    let tls = "tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n";
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let start = async |yaml: &str| {
        let folder = tempfile::tempdir().unwrap();
        authority.server().write(folder.path(), "server");
        std::fs::write(folder.path().join("web.yml"), yaml).unwrap();
        let builder = ExporterBuilder::new(&simulator).flag("--web.config.file=web.yml");
        builder.start_in(folder).await
    };

    let exporter = start(tls).await;
    let mut client = TcpStream::connect(exporter.url.strip_prefix("http://").unwrap()).await.unwrap();
    client.write_all(&[22, 3, 1]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_exits(exporter, "half a handshake").await;

    let exporter = start(slow).await;
    let url = format!("{}/metrics", exporter.url);
    let requested = tokio::spawn(reqwest::Client::new().get(url).basic_auth("alice", Some("x")).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!requested.is_finished());
    assert_exits(exporter, "a password that is being verified").await;

    let exporter = start("").await;
    for file in ["config.toml", "web.yml"] {
        let file = exporter.folder.path().join(file);
        std::fs::remove_file(&file).unwrap();
        // Reads block until another process writes.
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    }
    exporter.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_exits(exporter, "a reload that hangs").await;
}

/// Returns whether a process handles the signal `number`, by the mask in `/proc`.
fn handles(pid: u32, number: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (number - 1)) != 0
}

/// Writes to a named pipe once it is read.
async fn write(pipe: &std::path::Path, text: &str) {
    let (pipe, text) = (pipe.to_owned(), text.to_owned());
    tokio::task::spawn_blocking(move || std::fs::write(pipe, text)).await.unwrap().unwrap();
}

#[tokio::test]
async fn signals_are_handled_while_the_configuration_is_read() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let toml = ExporterBuilder::new(&simulator).toml();
    for (signal, number) in [("HUP", 1), ("INT", 2), ("TERM", 15)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        // Reads of the file block until it is written to.
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        let log = folder.path().join("log");
        let mut child = command()
            .current_dir(folder.path())
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let pid = child.id().unwrap();
        let start = Instant::now();
        while !handles(pid, number) {
            assert!(start.elapsed() < Duration::from_secs(10), "{signal} is not handled");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let kill =
            std::process::Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
        assert!(kill.unwrap().success());
        if signal == "HUP" {
            let logged = async |what: &str| {
                while !std::fs::read_to_string(&log).unwrap().contains(what) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let read = async {
                write(&file, &toml).await;
                logged("listening").await;
                // The pending signal causes a reload.
                write(&file, &toml).await;
                logged("reloaded configuration").await;
            };
            tokio::time::timeout(Duration::from_secs(10), read).await.expect("the exporter continues");
            assert!(child.try_wait().unwrap().is_none());
            child.kill().await.unwrap();
        } else {
            let ended = tokio::time::timeout(Duration::from_secs(5), child.wait()).await;
            assert_eq!(ended.expect("it ends").unwrap().code(), Some(0), "{signal}");
        }
    }
}
