//! Archives with a binary and all files of an installation.

use std::process::{Command, Stdio};

use crate::support::exporter::Exporter;
use crate::{VERSION, artifact, command_on, run};

/// Files that the documents mention, in addition to the binary.
const FILES: [&str; 11] = [
    "CHANGELOG.md",
    "LICENSE",
    "THIRD-PARTY-LICENSES.txt",
    "alerts/RUNBOOKS.md",
    "alerts/alertmanager.example.yml",
    "alerts/atlas-backup-export.rules.yml",
    "alerts/atlas-backup-export.tmpl",
    "completions/_atlas-backup-exporter",
    "config.example.toml",
    "dashboards/overview.json",
    "systemd/atlas-backup-exporter.service",
];

/// Unpacks the archive for a processor, and scrapes its demo.
async fn run_demo(machine: &str) {
    let name = format!("atlas-backup-exporter-{VERSION}-{machine}-unknown-linux-musl");
    let folder = tempfile::tempdir().unwrap();
    let archive = artifact(&format!("{name}.tar.gz"));
    run(Command::new("tar").arg("--extract").arg("--file").arg(archive).current_dir(&folder));
    let root = folder.path().join(&name);
    for file in FILES {
        let length = root.join(file).metadata().unwrap_or_else(|error| panic!("{file}: {error}")).len();
        assert!(length > 0, "{file} is empty");
    }
    let manual = std::fs::read_to_string(root.join("atlas-backup-exporter.1")).unwrap();
    assert!(manual.contains(&format!("\"atlas-backup-exporter {VERSION}\"")), "{manual}");

    let mut demo = command_on(machine, &root.join("atlas-backup-exporter"));
    demo.args(["demo", "--web.listen-address=127.0.0.1:0"]).stdout(Stdio::null());
    let exporter = Exporter::spawn(demo, folder).await;
    exporter.ready().await;
    let text = exporter.get("/metrics").await.text().await.unwrap();
    assert!(text.contains(&format!("version=\"{VERSION}\"")), "{text}");
    assert!(text.contains("mongodbatlas_backup_export_jobs{"), "{text}");
}

#[tokio::test]
#[ignore = "needs the artifacts of deploy/release"]
async fn archive_for_this_machine_runs_the_demo() {
    run_demo(std::env::consts::ARCH).await;
}

#[tokio::test]
#[ignore = "needs the artifacts of deploy/release, and qemu-user-static"]
async fn archive_for_the_other_processor_runs_the_demo() {
    let other = if std::env::consts::ARCH == "x86_64" { "aarch64" } else { "x86_64" };
    run_demo(other).await;
}
