//! Slow, many, and misbehaving clients.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use atlas_simulator::{Cluster, Job, JobOutcome, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::process::Command;

use crate::support::atlas::{atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command};
use crate::support::scrape::Scrape;

fn address(exporter: &Exporter) -> &str {
    exporter.url.strip_prefix("http://").unwrap()
}

pub(crate) async fn connect(exporter: &Exporter) -> TcpStream {
    TcpStream::connect(address(exporter)).await.unwrap()
}

/// Reads until the server closes the connection.
pub(crate) async fn rest(client: &mut TcpStream) -> String {
    let mut response = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), client.read_to_end(&mut response)).await;
    // A reset ends the connection, too.
    let _ = read.expect("the connection stays open");
    String::from_utf8(response).unwrap()
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let start = Instant::now();
    let (mut silent, mut slow) = (connect(&exporter).await, connect(&exporter).await);
    let drip = async {
        slow.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        while slow.write_all(b"X-A: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    let (response, ()) = tokio::join!(rest(&mut silent), drip);
    assert_eq!(response, "");
    let waited = start.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(19)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn many_idle_connections_do_not_block_requests() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    exporter.polled().await;
    let mut crowd = Vec::new();
    for _ in 0..700 {
        crowd.push(connect(&exporter).await);
    }
    let start = Instant::now();
    for _ in 0..20 {
        let mut client = connect(&exporter).await;
        client.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut client).await.starts_with("HTTP/1.1 200 OK"));
    }
    // Well before any timeout.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.up("prod"), Some(1.0));
}

#[tokio::test]
async fn many_connections_leave_descriptors_for_atlas() {
    let folder = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited
        .env_clear()
        .current_dir(folder.path())
        .args(["-c", "ulimit -n 128; exec \"$0\" demo --web.listen-address=127.0.0.1:0"])
        .arg(env!("CARGO_BIN_EXE_atlas-backup-exporter"))
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let exporter = Exporter::spawn(limited, folder).await;
    let mut crowd = Vec::new();
    for _ in 0..200 {
        let mut client = connect(&exporter).await;
        client.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        crowd.push(client);
    }
    // Polls and scrapes continue.
    let polls = |scrape: &Scrape| -> f64 {
        scrape.of("mongodbatlas_backup_export_polls_total").iter().map(|(_, value)| value).sum()
    };
    let before = polls(&exporter.scrape().await);
    let after = exporter.until(|scrape| polls(scrape) > before + 10.0).await;
    let failures = after.of("mongodbatlas_backup_export_last_poll_error_info");
    assert!(failures.iter().all(|(labels, _)| !labels.contains("reason=\"connect\"")), "{failures:?}");
    assert!(!exporter.log().contains("cannot accept"), "{}", exporter.log());
}

#[tokio::test]
async fn malformed_requests_are_rejected() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let exporter = ExporterBuilder::new(&simulator).start().await;
    let long = "x".repeat(20_000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(200)), "431"),
        ("GARBAGE\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(), "400"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("GET /-/nothing HTTP/1.0\r\n\r\n".to_owned(), "404"),
        ("HEAD /-/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "404"),
        // A body that is not read.
        (
            "POST /-/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
                .to_owned(),
            "403",
        ),
    ] {
        let mut client = connect(&exporter).await;
        client.write_all(request.as_bytes()).await.unwrap();
        let response = rest(&mut client).await;
        let line = response.lines().next().unwrap_or_default();
        assert_eq!(line.split(' ').nth(1), Some(status), "{}: {line}", &request[..request.len().min(60)]);
    }
    // The beginning of a TLS handshake on a plain HTTP port.
    let mut client = connect(&exporter).await;
    client.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 400"));
    assert_eq!(exporter.polled().await.up("prod"), Some(1.0));
}

/// Starts an exporter whose responses exceed the socket buffers, with two clients that do not read
/// theirs.
pub(crate) async fn with_clients_that_do_not_read(flags: &[&str]) -> (Simulator, Exporter, Vec<TcpStream>) {
    let one_success = || Cluster::with([Job::ended(Duration::from_secs(9999), JobOutcome::Successful)]);
    let mut state = atlas_state([("prod", one_success())]);
    let project = state.projects.values_mut().next().unwrap();
    project.clusters.extend((0..1000).map(|number| (format!("cluster-{number}"), one_success())));
    project.budget.per_minute = 100_000;
    let simulator = simulator(state).await;
    let exporter = flags
        .iter()
        .fold(ExporterBuilder::new(&simulator), |builder, flag| builder.flag(flag))
        .set("poll.interval", "60s")
        .set("poll.timeout", "30s")
        .set("poll.concurrency", 64)
        .start()
        .await;
    exporter.polled().await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let mut client = socket.connect(address(&exporter).parse().unwrap()).await.unwrap();
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        // The response has started.
        client.read_exact(&mut [0; 100]).await.unwrap();
        clients.push(client);
    }
    (simulator, exporter, clients)
}

#[tokio::test]
async fn excess_scrapes_get_503() {
    let (_simulator, exporter, mut slow) = with_clients_that_do_not_read(&["--web.max-requests=2"]).await;
    for path in ["/metrics", "/"] {
        let refused = exporter.get(path).await;
        assert_eq!(refused.status(), 503);
        let text = refused.text().await.unwrap();
        assert_eq!(text, "Limit of concurrent requests reached (2), try again later.\n");
    }
    assert_eq!(exporter.get("/-/healthy").await.status(), 200);
    slow.pop();
    for _ in 0..100 {
        if exporter.get("/metrics").await.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the closed connection still counts");
}

#[tokio::test]
async fn systemd_sockets_are_served() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // As started by systemd: the socket is descriptor 3, and `LISTEN_PID` is the process.
    let script =
        "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" demo --web.systemd-socket";
    let folder = tempfile::tempdir().unwrap();
    let mut activated = Command::new("sh");
    activated
        .env_clear()
        .current_dir(folder.path())
        .args(["-c", script, env!("CARGO_BIN_EXE_atlas-backup-exporter")])
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let exporter = Exporter::spawn(activated, folder).await;
    assert_eq!(exporter.url, format!("http://{address}"));
    assert_eq!(exporter.get("/-/healthy").await.status(), 200);

    let output = command().args(["demo", "--web.systemd-socket"]).output().await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains("systemd passed no socket"), "{log}");
}
