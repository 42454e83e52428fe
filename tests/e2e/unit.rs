//! systemd units, without a running systemd.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use crate::servers::{eventually, shipped};
use crate::support::port::free_port;

const EXPORTER: &str = env!("CARGO_BIN_EXE_atlas-backup-exporter");

/// Maximum exposure of ten; the remainder is the network.
const MAX_EXPOSURE: f64 = 1.5;

#[tokio::test]
#[ignore = "needs Debian's systemd; tests/run installs it"]
async fn systemd_unit_is_hardened() {
    let mut analyze = Command::new("systemd-analyze");
    analyze
        .args(["security", "--offline=true", "--no-pager"])
        .arg(shipped("deploy/systemd/atlas-backup-exporter.service"));
    let output = analyze.output().await.unwrap();
    let output =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let level = output
        .split("Overall exposure level for")
        .nth(1)
        .and_then(|rest| rest.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    assert!(level.is_some_and(|level: f64| level < MAX_EXPOSURE), "{output}");
    // No unknown settings.
    assert!(!output.contains("Unknown") && !output.contains("ignoring"), "{output}");
}

#[tokio::test]
#[ignore = "needs Debian's systemd; tests/run installs it"]
async fn systemd_units_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut analyze = Command::new("systemd-analyze");
    analyze.arg("verify");
    for unit in ["atlas-backup-exporter.service", "atlas-backup-exporter.socket"] {
        let text = std::fs::read_to_string(shipped("deploy/systemd").join(unit)).unwrap();
        // systemd-analyze checks that the program exists.
        let text = text.replace("/usr/bin/atlas-backup-exporter", EXPORTER);
        std::fs::write(folder.path().join(unit), text).unwrap();
        analyze.arg(folder.path().join(unit));
    }
    let output = analyze.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}

#[tokio::test]
#[ignore = "needs Debian's systemd; tests/run installs it"]
async fn systemd_socket_is_served() {
    let address = format!("127.0.0.1:{}", free_port());
    let folder = tempfile::tempdir().unwrap();
    let mut systemd = Command::new("systemd-socket-activate");
    systemd.current_dir(folder.path()).args(["-l", &address, EXPORTER, "demo", "--web.systemd-socket"]);
    // Starts the exporter at the first connection.
    let _systemd = systemd.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let request = async || {
        let (mut stream, mut response) = (TcpStream::connect(&address).await.ok()?, String::new());
        stream.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").await.ok()?;
        stream.read_to_string(&mut response).await.ok().map(|_| response)
    };
    // No response counts as none.
    let answer =
        eventually("an answer", || async { timeout(Duration::from_secs(5), request()).await.ok()? }).await;
    assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
}
