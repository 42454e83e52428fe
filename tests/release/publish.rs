//! Commands of `.github/workflows/release.yml` that push image and chart, with a registry of this
//! machine that has TLS and a password.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{certificates, port};
use crate::{VERSION, artifact, run};

/// The bcrypt hash of the password `secret`.
const HASH: &str = "$2b$04$4w..fTWQhehDbk/0uOFnh.RSee4piGRxeQ5lTrVAj/MCwf6GhFqmK";

/// Debian's registry; ends with the test.
struct Registry {
    address: String,
    child: Child,
}

impl Registry {
    fn start(folder: &Path) -> Self {
        let authority = certificates::Authority::new("ours");
        std::fs::write(folder.join("ca.pem"), &authority.certificate).unwrap();
        authority.server().write(folder, "server");
        std::fs::write(folder.join("users"), format!("publisher:{HASH}\n")).unwrap();
        let address = format!("127.0.0.1:{}", port::free_port());
        let config = format!(
            "version: 0.1\n\
             log: {{level: error}}\n\
             storage: {{filesystem: {{rootdirectory: storage}}}}\n\
             http: {{addr: '{address}', tls: {{certificate: server.pem, key: server-key.pem}}}}\n\
             auth: {{htpasswd: {{realm: registry, path: users}}}}\n"
        );
        std::fs::write(folder.join("registry.yml"), config).unwrap();
        let mut registry = Command::new("docker-registry");
        registry
            .current_dir(folder)
            .args(["serve", "registry.yml"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = registry.spawn().unwrap();
        let start = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(10), "the registry does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        // What `docker login` writes: the password is `secret`.
        let login = format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"cHVibGlzaGVyOnNlY3JldA==\"}}}}}}");
        std::fs::create_dir(folder.join(".docker")).unwrap();
        std::fs::write(folder.join(".docker/config.json"), login).unwrap();
        Self { address, child }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a step of the job `publish`.
fn step(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/release.yml");
    let workflow: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let steps = workflow["jobs"]["publish"]["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step["name"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {steps:?}")).clone()
}

#[test]
#[ignore = "needs the artifacts of deploy/release, Debian's docker-registry and skopeo, and helm"]
fn release_workflow_pushes_image_and_chart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sums = artifact("SHA256SUMS");
    std::os::unix::fs::symlink(sums.parent().unwrap().canonicalize().unwrap(), folder.join("dist")).unwrap();
    let registry = Registry::start(folder);
    let image = format!("{}/atlas-backup-exporter", registry.address);
    let command = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(folder).env("HOME", folder).env("SSL_CERT_FILE", folder.join("ca.pem"));
        command.env_remove("XDG_RUNTIME_DIR");
        command
    };
    for name in ["Verify the checksums", "Push image and chart"] {
        let step = step(name);
        let mut bash = command("bash");
        bash.current_dir(folder.join(step["working-directory"].as_str().unwrap_or_default()));
        bash.env("IMAGE", &image).env("GITHUB_REF_NAME", format!("v{VERSION}"));
        bash.env("GITHUB_OUTPUT", folder.join("output"));
        run(bash.args(["-e", "-c", step["run"].as_str().unwrap()]));
    }

    let digest = std::fs::read_to_string(folder.join("output")).unwrap();
    let digest = digest.trim().strip_prefix("digest=").unwrap();
    // By the digest, which the attestation names.
    let index = run(command("skopeo").args(["inspect", "--raw", &format!("docker://{image}@{digest}")]));
    let index: Value = serde_json::from_str(&index).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    let mut platforms: Vec<_> =
        manifests.iter().map(|one| one["platform"]["architecture"].as_str().unwrap()).collect();
    platforms.sort_unstable();
    assert_eq!(platforms, ["amd64", "arm64"]);
    // By the tag, which users name.
    let tagged = run(command("skopeo").args(["inspect", "--raw", &format!("docker://{image}:{VERSION}")]));
    assert_eq!(serde_json::from_str::<Value>(&tagged).unwrap(), index);

    let chart = format!("oci://{}/charts/atlas-backup-exporter", registry.address);
    run(command("helm").args(["pull", &chart, "--version", VERSION]));
    let name = format!("atlas-backup-exporter-{VERSION}.tgz");
    let pulled = std::fs::read(folder.join(&name)).unwrap();
    assert!(pulled == std::fs::read(artifact(&name)).unwrap(), "{name} differs");
}
