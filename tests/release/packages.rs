//! Debian and RPM packages, installed in roots that debootstrap makes. systemd does not run in them:
//! a program in its place records the commands of maintainer scripts.
//!
//! RPM packages are installed by Debian's rpm with a separate database, because Debian has no
//! packages of the dependencies. No test resolves them as a distribution does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use atlas_simulator::{Cluster, Simulator};
use tempfile::TempDir;

use crate::support::atlas::{SECRET, atlas_state, simulator};
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::{Exporter, command_of};
use crate::{VERSION, artifact, command_on, run};

const USER: &str = "atlas-backup-exporter";
const CONFIG: &str = "etc/atlas-backup-exporter/config.toml";
const SERVICE: &str = "usr/lib/systemd/system/atlas-backup-exporter.service";

fn deb(architecture: &str) -> PathBuf {
    artifact(&format!("atlas-backup-exporter_{VERSION}-1_{architecture}.deb"))
}

fn rpm(architecture: &str) -> PathBuf {
    artifact(&format!("atlas-backup-exporter-{VERSION}-1.{architecture}.rpm"))
}

/// Returns an installation of Debian with systemd's programs. All tests copy it.
fn debian() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let release = run(Command::new("sh").args(["-c", ". /etc/os-release && echo $VERSION_CODENAME"]));
        let release = release.trim();
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(release);
        if !root.exists() {
            let mut targets = Command::new("apt-get");
            targets.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
            let mirrors = run(targets.arg(format!("Codename: {release}")));
            let (mirror, new) = (mirrors.lines().next().expect("a mirror"), root.with_extension("new"));
            // An interrupted run leaves a part.
            let _ = fs::remove_dir_all(&new);
            let mut debootstrap = Command::new("debootstrap");
            debootstrap.args(["--variant=minbase", "--include=systemd,procps,ca-certificates", release]);
            run(debootstrap.arg(&new).arg(mirror));
            fs::rename(&new, &root).unwrap();
        }
        root
    })
}

struct Root(TempDir);

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        run(Command::new("cp")
            .args(["--archive", "--reflink=auto"])
            .arg(debian().join("."))
            .arg(folder.path()));
        // tempdir creates a folder that only root can read.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn chroot(&self, arguments: &[&str]) -> Command {
        let mut chroot = Command::new("chroot");
        chroot.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        chroot.arg(self.0.path()).args(arguments);
        chroot
    }

    fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.chroot(arguments))
    }

    fn dpkg(&self, arguments: &[&str], package: &Path) -> String {
        fs::copy(package, self.path("tmp/new.deb")).unwrap();
        self.run(&[&["dpkg"], arguments, &["--install", "/tmp/new.deb"]].concat())
    }

    fn rpm(&self, arguments: &[&str]) -> Command {
        let mut rpm = Command::new("rpm");
        rpm.arg("--root").arg(self.0.path()).args(["--dbpath", "/var/lib/rpm"]).args(arguments);
        rpm
    }

    /// Replaces systemctl by a program that records its arguments, as if systemd ran.
    fn record_systemctl(&self) {
        fs::create_dir_all(self.path("run/systemd/system")).unwrap();
        fs::write(self.path("usr/bin/systemctl"), "#!/bin/sh\necho \"$@\" >>/systemctl.log\n").unwrap();
    }

    fn systemctl_log(&self) -> String {
        let log = self.read("systemctl.log");
        fs::remove_file(self.path("systemctl.log")).unwrap();
        log
    }

    /// The command of the unit, as the service user.
    fn service(&self) -> tokio::process::Command {
        let unit = self.read(SERVICE);
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
        let defaults = self.read("etc/default/atlas-backup-exporter");
        let arguments = defaults.lines().find_map(|line| line.strip_prefix("ARGS=\"")?.strip_suffix('"'));
        let mut service = command_of("/usr/sbin/chroot");
        service.arg(format!("--userspec={USER}:{USER}")).arg(self.0.path());
        service.args(start.replace("$ARGS", arguments.unwrap()).split_whitespace());
        service
    }

    /// Sets the configuration as the documentation describes it.
    fn configure(&self, simulator: &Simulator) {
        let builder = ExporterBuilder::new(simulator).secret_file("client_secret");
        builder.write(self.path(CONFIG).parent().unwrap());
        fs::write(self.path("tmp/secret"), SECRET).unwrap();
        self.run(&["install", "-m", "640", "/tmp/secret", "/etc/atlas-backup-exporter/client_secret"]);
        let defaults = self.read("etc/default/atlas-backup-exporter");
        assert!(defaults.contains("ARGS=\"\""));
        let defaults = defaults.replace("ARGS=\"\"", "ARGS=\"--web.listen-address=127.0.0.1:0\"");
        fs::write(self.path("etc/default/atlas-backup-exporter"), defaults).unwrap();
    }

    /// Starts the service and waits for a poll of each cluster.
    async fn assert_service_polls(&self) {
        let exporter = Exporter::spawn(self.service(), tempfile::tempdir().unwrap()).await;
        assert_eq!(exporter.polled().await.up("prod"), Some(1.0));
        let status = fs::metadata(format!("/proc/{}", exporter.pid())).unwrap();
        let is_user = |line: &&str| line.split(':').nth(2) == Some(&status.uid().to_string());
        let passwd = self.read("etc/passwd");
        assert!(passwd.lines().find(is_user).unwrap().starts_with(USER), "{passwd}");
    }

    /// Asserts that user and modes are set, and that the service is not enabled.
    async fn assert_installed(&self) {
        let user = self.run(&["getent", "passwd", USER]);
        assert!(user.ends_with(":/usr/sbin/nologin\n"), "{user}");
        let owner = |path| {
            let owner = self.run(&["stat", "--format=%a %U:%G", path]);
            owner.trim().to_owned()
        };
        assert_eq!(owner("/etc/atlas-backup-exporter"), format!("2750 root:{USER}"));
        assert_eq!(owner("/etc/atlas-backup-exporter/config.toml"), format!("640 root:{USER}"));
        assert_eq!(owner("/etc/default/atlas-backup-exporter"), "640 root:root");
        let output = self
            .chroot(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat"])
            .arg(format!("/{CONFIG}"))
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
        for unit in ["atlas-backup-exporter.service", "atlas-backup-exporter.socket"] {
            let enabled = self.chroot(&["systemctl", "is-enabled", unit]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&enabled.stdout), "disabled\n");
        }
        run(Command::new("systemd-analyze")
            .args(["verify", "--root"])
            .arg(self.0.path())
            .arg("atlas-backup-exporter.service"));
        // Exit code 2: systemd does not restart the service.
        let output = self.service().output().await.unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && log.contains("client_secret"), "{log}");
    }
}

/// The mode and path of each file of both packages.
const FILES: &str = "\
-rw-r--r-- /usr/lib/systemd/system/atlas-backup-exporter.service
-rw-r--r-- /usr/lib/systemd/system/atlas-backup-exporter.socket
-rw-r--r-- /usr/lib/sysusers.d/atlas-backup-exporter.conf
-rw-r--r-- /usr/share/atlas-backup-exporter/alerts/alertmanager.example.yml
-rw-r--r-- /usr/share/atlas-backup-exporter/alerts/atlas-backup-export.rules.yml
-rw-r--r-- /usr/share/atlas-backup-exporter/alerts/atlas-backup-export.tmpl
-rw-r--r-- /usr/share/atlas-backup-exporter/dashboards/cluster.json
-rw-r--r-- /usr/share/atlas-backup-exporter/dashboards/overview.json
-rw-r--r-- /usr/share/bash-completion/completions/atlas-backup-exporter
-rw-r--r-- /usr/share/doc/atlas-backup-exporter/LICENSE
-rw-r--r-- /usr/share/doc/atlas-backup-exporter/THIRD-PARTY-LICENSES.txt
-rw-r--r-- /usr/share/fish/vendor_completions.d/atlas-backup-exporter.fish
-rw-r--r-- /usr/share/man/man1/atlas-backup-exporter.1.gz
-rw-r----- /etc/atlas-backup-exporter/config.toml
-rw-r----- /etc/default/atlas-backup-exporter
-rwxr-xr-x /usr/bin/atlas-backup-exporter";

#[test]
#[ignore = "needs the artifacts of deploy/release"]
fn packages_have_the_expected_files() {
    let lines = |text: &str, more: &[&str]| {
        let mut lines: Vec<_> = text.lines().chain(more.iter().copied()).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    for architecture in ["amd64", "arm64"] {
        let listed = run(Command::new("dpkg-deb").arg("--contents").arg(deb(architecture)));
        let files = listed.lines().filter(|line| !line.starts_with('d')).map(|line| {
            let (mode, owner, path) = (
                &line[..10],
                line.split_whitespace().nth(1).unwrap(),
                line.split_whitespace().nth(5).unwrap(),
            );
            assert_eq!(owner, "0/0", "{line}");
            format!("{mode} {}", &path[1..])
        });
        let expected = lines(
            FILES,
            &[
                "-rw-r--r-- /usr/share/doc/atlas-backup-exporter/changelog.Debian.gz",
                "-rw-r--r-- /usr/share/doc/atlas-backup-exporter/changelog.gz",
                "-rw-r--r-- /usr/share/doc/atlas-backup-exporter/copyright",
                "-rw-r--r-- /usr/share/lintian/overrides/atlas-backup-exporter",
                "-rw-r--r-- /usr/share/zsh/vendor-completions/_atlas-backup-exporter",
            ],
        );
        assert_eq!(lines(&files.collect::<Vec<_>>().join("\n"), &[]), expected);
    }
    for architecture in ["x86_64", "aarch64"] {
        let format = "--queryformat=[%{FILEMODES:perms} %{FILENAMES}\n]";
        let listed = run(Command::new("rpm").args(["--query", "--package", format]).arg(rpm(architecture)));
        let expected = lines(
            FILES,
            &[
                "-rw-r--r-- /usr/share/doc/atlas-backup-exporter/CHANGELOG.md",
                "-rw-r--r-- /usr/share/zsh/site-functions/_atlas-backup-exporter",
            ],
        );
        assert_eq!(lines(&listed, &[]), expected);
        let mut query = Command::new("rpm");
        query.args(["--query", "--package", "--configfiles"]).arg(rpm(architecture));
        assert_eq!(run(&mut query), format!("/{CONFIG}\n/etc/default/atlas-backup-exporter\n"));
        let scripts =
            run(Command::new("rpm").args(["--query", "--package", "--scripts"]).arg(rpm(architecture)));
        let sysusers = include_str!("../../deploy/systemd/atlas-backup-exporter.sysusers");
        assert!(scripts.contains(sysusers), "{scripts}");
    }
}

#[test]
#[ignore = "needs Debian's lintian and the artifacts of deploy/release"]
fn lintian_finds_no_errors_or_warnings() {
    for architecture in ["amd64", "arm64"] {
        run(Command::new("lintian").args(["--fail-on", "error,warning"]).arg(deb(architecture)));
    }
}

#[tokio::test]
#[ignore = "needs Debian's qemu-user-static and the artifacts of deploy/release"]
async fn packages_for_arm64_run() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    run(Command::new("dpkg-deb").arg("--extract").arg(deb("arm64")).arg(folders[0].path()));
    let mut install = Command::new("rpm");
    install.arg("--root").arg(folders[1].path()).args(["--dbpath", "/rpm", "--ignorearch", "--nodeps"]);
    run(install.args(["--noscripts", "--install"]).arg(rpm("aarch64")));
    for folder in folders {
        let program = folder.path().join("usr/bin/atlas-backup-exporter");
        let mut demo = command_on("aarch64", &program);
        demo.args(["demo", "--web.listen-address=127.0.0.1:0"]).stdout(std::process::Stdio::null());
        Exporter::spawn(demo, folder).await.polled().await;
    }
}

/// Returns the package with a higher version, another program and another configuration.
fn newer_deb(folder: &Path) -> PathBuf {
    let (tree, package) = (folder.join("tree"), folder.join("newer.deb"));
    run(Command::new("dpkg-deb").arg("--raw-extract").arg(deb("amd64")).arg(&tree));
    let control = fs::read_to_string(tree.join("DEBIAN/control")).unwrap();
    let newer = control.replace(&format!("Version: {VERSION}-1\n"), &format!("Version: {VERSION}-2\n"));
    assert_ne!(control, newer);
    fs::write(tree.join("DEBIAN/control"), newer).unwrap();
    append(&tree.join(CONFIG), "# newer\n");
    append(&tree.join("usr/bin/atlas-backup-exporter"), "newer");
    run(Command::new("dpkg-deb").args(["--root-owner-group", "--build"]).arg(&tree).arg(&package));
    package
}

fn append(path: &Path, text: &str) {
    let mut content = fs::read(path).unwrap();
    content.extend(text.as_bytes());
    fs::write(path, content).unwrap();
}

#[tokio::test]
#[ignore = "needs root, Debian's debootstrap and the artifacts of deploy/release"]
async fn deb_is_installed_upgraded_and_removed() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let (root, folder) = (Root::new(), tempfile::tempdir().unwrap());
    root.dpkg(&[], &deb("amd64"));
    root.assert_installed().await;
    root.configure(&simulator);
    root.assert_service_polls().await;

    root.record_systemctl();
    let edited = root.read(CONFIG);
    root.dpkg(&["--force-confold"], &newer_deb(folder.path()));
    let log = root.systemctl_log();
    assert!(log.contains("try-restart atlas-backup-exporter.service"), "{log}");
    assert!(!log.contains(" start ") && !log.contains("stop"), "{log}");
    assert_eq!(root.read(CONFIG), edited);
    assert!(root.read(&format!("{CONFIG}.dpkg-dist")).ends_with("# newer\n"));
    let program = fs::read(root.path("usr/bin/atlas-backup-exporter")).unwrap();
    assert!(program.ends_with(b"newer"));
    root.assert_service_polls().await;

    root.run(&["dpkg", "--remove", USER]);
    let log = root.systemctl_log();
    assert!(log.contains("stop atlas-backup-exporter.service"), "{log}");
    assert!(!root.path("usr/bin/atlas-backup-exporter").exists() && !root.path(SERVICE).exists());
    assert_eq!(root.read(CONFIG), edited);
    root.run(&["dpkg", "--purge", USER]);
    assert!(!root.path(CONFIG).exists() && !root.path("etc/default/atlas-backup-exporter").exists());
    // Files of the administrator are kept, and so is the user.
    assert_eq!(root.read("etc/atlas-backup-exporter/client_secret"), SECRET);
    root.run(&["getent", "passwd", USER]);
    let units = root.run(&["find", "/etc/systemd", "-name", "atlas-backup-exporter*"]);
    assert_eq!(units, "", "links of systemd remain");
}

/// Builds the package with a higher release and another configuration.
fn newer_rpm(folder: &Path) -> PathBuf {
    let (project, package) = (Path::new(env!("CARGO_MANIFEST_DIR")), folder.join("newer.rpm"));
    // cargo-generate-rpm looks for files here first, and then beside the manifest.
    std::os::unix::fs::symlink(project.join("Cargo.toml"), folder.join("Cargo.toml")).unwrap();
    fs::copy(project.join("config.example.toml"), folder.join("config.example.toml")).unwrap();
    append(&folder.join("config.example.toml"), "# newer\n");
    let mut build = Command::new("cargo");
    build.current_dir(folder).args(["generate-rpm", "--target=x86_64-unknown-linux-musl"]);
    run(build.args(["--set-metadata=release = \"2\"", "--output"]).arg(&package));
    package
}

/// A package manager creates the folder again, but starts the scripts of an upgrade.
#[test]
#[ignore = "needs root, Debian's debootstrap and rpm, and the artifacts of deploy/release"]
fn secrets_in_a_folder_that_was_deleted_stay_private() {
    let install: [fn(&Root); 2] = [
        |root| drop(root.dpkg(&["--force-confmiss"], &deb("amd64"))),
        |root| drop(run(root.rpm(&["--nodeps", "--upgrade", "--force"]).arg(rpm("x86_64")))),
    ];
    for install in install {
        let root = Root::new();
        install(&root);
        fs::remove_dir_all(root.path("etc/atlas-backup-exporter")).unwrap();
        install(&root);
        let modes =
            root.run(&["stat", "--format=%a %U:%G", "/etc/atlas-backup-exporter", &format!("/{CONFIG}")]);
        assert_eq!(modes, format!("2750 root:{USER}\n640 root:{USER}\n"));
    }
}

#[tokio::test]
#[ignore = "needs root, Debian's debootstrap and rpm, and the artifacts of deploy/release"]
async fn rpm_is_installed_upgraded_and_removed() {
    let simulator = simulator(atlas_state([("prod", Cluster::default())])).await;
    let (root, folder) = (Root::new(), tempfile::tempdir().unwrap());
    run(root.rpm(&["--nodeps", "--install"]).arg(rpm("x86_64")));
    root.assert_installed().await;
    let verify = || root.rpm(&["--verify", "--nodeps", USER]).output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&verify()), "");
    root.configure(&simulator);
    root.assert_service_polls().await;
    let changed = String::from_utf8_lossy(&verify()).into_owned();
    // Sizes, digests and times of configuration files.
    assert!(changed.lines().count() == 2 && changed.lines().all(|line| line.starts_with("S.5....T.  c ")));

    root.record_systemctl();
    let edited = root.read(CONFIG);
    run(root.rpm(&["--nodeps", "--upgrade"]).arg(newer_rpm(folder.path())));
    let log = root.systemctl_log();
    assert!(log.contains("try-restart atlas-backup-exporter.service"), "{log}");
    assert!(!log.contains("disable"), "{log}");
    assert_eq!(root.read(CONFIG), edited);
    assert!(root.read(&format!("{CONFIG}.rpmnew")).ends_with("# newer\n"));
    assert_eq!(run(&mut root.rpm(&["--query", "--queryformat=%{RELEASE}", USER])), "2");
    root.assert_service_polls().await;

    run(&mut root.rpm(&["--erase", USER]));
    let log = root.systemctl_log();
    assert!(log.contains("disable --now atlas-backup-exporter.service"), "{log}");
    assert!(!root.path("usr/bin/atlas-backup-exporter").exists() && !root.path(SERVICE).exists());
    assert!(!root.path("usr/share/atlas-backup-exporter").exists());
    assert_eq!(root.read(&format!("{CONFIG}.rpmsave")), edited);
    assert_eq!(root.read("etc/atlas-backup-exporter/client_secret"), SECRET);
}
