//! The static binary in an empty root, as in the image of `Dockerfile`.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use atlas_simulator::Cluster;
use tokio::process::Command;

use crate::servers::shipped;
use crate::support::atlas::{atlas_state, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::support::fault_proxy::{FaultProxy, ProxyMode};

/// Maximum size of the binary.
const MAX_SIZE: u64 = (8 << 20) - (1 << 18);

/// Address of the resolver on port 53, as the loopback has several addresses.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 53, 53, 53);

/// Answers DNS queries with the loopback address for A records, and without records for AAAA (RFC
/// 1035).
fn resolve() {
    let socket = UdpSocket::bind((RESOLVER, 53)).unwrap_or_else(|error| panic!("{RESOLVER}:53: {error}"));
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet) {
            // The name ends with a zero, followed by four bytes of type and class.
            let end = 12 + packet[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_ipv4 = packet[end - 4..end - 2] == [0, 1];
            let mut response = packet[..end].to_vec();
            // No error, one question, and at most one record.
            response[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
            if is_ipv4 {
                response.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&response, from);
        }
    });
}

/// Returns the path of the static binary, built by a separate cargo: its variables in tests would
/// change the build.
pub(crate) async fn built() -> String {
    if let Ok(binary) = std::env::var("STATIC_EXPORTER") {
        return binary;
    }
    let built = Command::new(shipped("deploy/static")).output().await.unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    String::from_utf8(built.stdout).unwrap().trim().to_owned()
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
#[ignore = "needs root, Debian's musl-tools and Rust's musl target; tests/run installs them"]
async fn static_binary_runs_in_an_empty_root() {
    let binary = built().await;
    let size = std::fs::metadata(&binary).unwrap().len();
    assert!(size < MAX_SIZE, "{size} bytes");

    let (simulator, authority) =
        (simulator(atlas_state([("a", Cluster::default())])).await, Authority::new());
    let proxy = FaultProxy::start(&simulator, ProxyMode::Tls(authority.wrong_name())).await;
    resolve();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    put(&root, "etc/resolv.conf", &format!("nameserver {RESOLVER}\n"));
    put(&root, "etc/ssl/certs/ca-certificates.crt", &authority.pem());
    let base_url = proxy.url().replace("localhost", "elsewhere.test");
    put(
        &root,
        "etc/atlas-backup-exporter/config.toml",
        &ExporterBuilder::new(&simulator).base_url(&base_url).toml(),
    );
    std::fs::copy(binary, root.join("atlas-backup-exporter")).unwrap();

    let mut chroot = command_of("/usr/sbin/chroot");
    chroot.arg("--userspec=65532:65532").arg(&root);
    chroot.args(["/atlas-backup-exporter", "--config.file=/etc/atlas-backup-exporter/config.toml"]);
    chroot.arg("--web.listen-address=127.0.0.1:0");
    let mut exporter = Exporter::spawn(chroot, folder).await;
    let scrape = exporter.ready().await;
    assert_eq!(scrape.up("a"), Some(1.0), "{}", exporter.log());
    assert!(proxy.accepted() > 0);
    exporter.signal("TERM");
    assert_eq!(exporter.exit().await.code(), Some(0), "{}", exporter.log());
}
