//! The image of both architectures, in a chroot, because containers need more privileges.

use std::path::PathBuf;
use std::process::Command;

use atlas_simulator::Cluster;
use serde_json::Value;

use crate::support::atlas::{atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::{VERSION, artifact, emulator, run};

/// Working container of buildah, which is removed at the end.
struct Container(String);

impl Container {
    fn of(architecture: &str) -> Self {
        let archive = artifact(&format!("atlas-backup-exporter-{VERSION}-image.tar"));
        let archive = format!("oci-archive:{}", archive.display());
        let name = format!("release-test-{architecture}-{}", std::process::id());
        run(buildah(&["from", "--quiet", "--name", &name, "--arch", architecture]).arg(archive));
        Self(name)
    }

    fn config(&self) -> Value {
        let inspected: Value = serde_json::from_str(&run(&mut buildah(&["inspect", &self.0]))).unwrap();
        inspected["OCIv1"].clone()
    }

    fn root(&self) -> PathBuf {
        PathBuf::from(run(&mut buildah(&["mount", &self.0])).trim())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = buildah(&["rm", &self.0]).output();
    }
}

fn buildah(arguments: &[&str]) -> Command {
    let mut command = Command::new("buildah");
    command.args(arguments);
    command
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs root, the artifacts of deploy/release, and qemu-user-static"]
async fn image_of_each_architecture_polls() {
    for (machine, architecture) in [("x86_64", "amd64"), ("aarch64", "arm64")] {
        let container = Container::of(architecture);
        let image = container.config();
        assert_eq!(image["architecture"], architecture);
        let config = &image["config"];
        assert_eq!(config["Labels"]["org.opencontainers.image.version"], VERSION);
        assert_eq!(config["Labels"]["org.opencontainers.image.revision"].as_str().unwrap().len(), 12);
        let root = container.root();
        for file in
            ["LICENSE", "THIRD-PARTY-LICENSES.txt", &format!("atlas-backup-exporter-{VERSION}.cdx.json")]
        {
            assert!(root.join("usr/share/doc/atlas-backup-exporter").join(file).exists(), "{file}");
        }

        // Other authorities of the machine, such as that of a proxy, are not in the image.
        let authorities = std::fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
        let of_debian = std::fs::read_dir("/usr/share/ca-certificates/mozilla").unwrap().count();
        assert_eq!(authorities.matches("BEGIN CERTIFICATE").count(), of_debian);

        let simulator = simulator(atlas_state([("a", Cluster::default())])).await;
        let mut exporter = command_of("/usr/sbin/chroot");
        exporter.arg(format!("--userspec={}", config["User"].as_str().unwrap())).arg(&root);
        if let Some(emulator) = emulator(machine) {
            std::fs::copy(&emulator, root.join("emulator")).unwrap();
            exporter.arg("/emulator");
        }
        exporter.args(texts(&config["Entrypoint"])).args(texts(&config["Cmd"]));
        std::fs::create_dir(root.join("etc/atlas-backup-exporter")).unwrap();
        std::fs::write(
            root.join("etc/atlas-backup-exporter/config.toml"),
            ExporterBuilder::new(&simulator).toml(),
        )
        .unwrap();
        exporter.arg("--web.listen-address=127.0.0.1:0");
        let exporter = Exporter::spawn(exporter, tempfile::tempdir().unwrap()).await;
        let scrape = exporter.ready().await;
        assert_eq!(scrape.up("a"), Some(1.0), "{architecture}: {}", exporter.log());
    }
}
