//! An Atlas with faults that come and go: each on a cluster with a healthy one in the same project.

use std::path::{Path, PathBuf};

use atlas_simulator::{AtlasState, Cluster, Entry, Fault as Play, ORGANIZATION, Project, Simulator};
use tempfile::TempDir;

use super::jobs;
use super::scenario::{Fault, How, Signs};
use crate::support::atlas::{PRIVATE_KEY, SECRET, api_key, service_account, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::fault_proxy::{FaultProxy, Way};

/// Figures of clusters that cannot be polled are withdrawn after this time.
pub(super) const STALE_AFTER: f64 = 12.0;

/// A cluster of a project with which no fault has anything to do.
pub(super) const ELSEWHERE: &str = "elsewhere";

/// Secrets after they were rotated.
pub(super) const ROTATED: &str = "mdb_sa_sk_rotated_never_to_be_seen";

/// What is added to the clock of the process under test, in a file of its folder.
const CLOCK: &str = "clock";

/// The library that stands between a process and its clock, of Debian's package `libfaketime`.
fn faketime() -> String {
    let path = |architecture: &str| format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1");
    let found = ["x86_64", "aarch64"].map(path).into_iter().find(|path| Path::new(path).exists());
    found.expect("Debian's libfaketime is installed")
}

/// A fault, and the clusters that it is about.
pub(super) struct Case {
    pub(super) fault: Fault,
    pub(super) project: String,
    pub(super) faulty: String,
    pub(super) healthy: String,
}

impl Case {
    /// The path of the export jobs that it is about.
    pub(super) fn path(&self) -> String {
        format!("/clusters/{}/backup/exports", self.faulty)
    }

    /// A path of the case, from one with places for it.
    fn fill(&self, path: &str) -> String {
        path.replace("{project}", &self.project).replace("{cluster}", &self.faulty)
    }
}

pub(super) struct Env {
    pub(super) simulator: Simulator,
    front: FaultProxy,
    proxy: FaultProxy,
    authority: Authority,
    base_url: String,
    builder: ExporterBuilder,
    folder: PathBuf,
}

pub(super) fn project(index: usize) -> String {
    format!("32b6e34b3d91647abb{index:06x}")
}

fn listed() -> Cluster {
    Cluster { jobs: jobs::plain().into_iter().map(Entry::Raw).collect(), ..Cluster::default() }
}

fn atlas_state(cases: &[Case]) -> AtlasState {
    let mut state = AtlasState { accounts: vec![service_account(), api_key()], ..AtlasState::default() };
    for case in cases {
        let clusters = Project::new("payments").with(&case.faulty, listed()).with(&case.healthy, listed());
        state.projects.insert(case.project.clone(), clusters);
    }
    state.projects.insert(project(cases.len()), Project::new("elsewhere").with(ELSEWHERE, listed()));
    state
}

impl Env {
    /// Where every fault that is not late is in force. All must be of the same kind, if there are several.
    pub(super) async fn new(cases: &[Case], folder: &TempDir) -> Self {
        let first = &cases[0].fault;
        let state = atlas_state(cases);
        let targets = state.projects.iter().map(|(id, project)| {
            let clusters: Vec<_> = project.clusters.keys().collect();
            format!("[[projects]]\nid = \"{id}\"\nclusters = {clusters:?}\n")
        });
        let targets: String = targets.collect();
        let simulator = simulator(state).await;
        let authority = Authority::new();
        let secure = matches!(first.how, How::Way(_) | How::Proxy(_) | How::Address(_));
        let way = if secure { Way::Tls(authority.good()) } else { Way::Plain };
        let front = FaultProxy::before(&simulator, way).await;
        let proxy = FaultProxy::before(&simulator, Way::Tunnel).await;
        let base_url = if secure { front.url() } else { front.plain_url() };
        let builder = ExporterBuilder::at(&base_url)
            .set("atlas.ca_file", "ca.pem")
            .set("poll.interval", "2s")
            .set("poll.stale_after", format!("{STALE_AFTER}s"))
            .targets(targets)
            .flag("--log.level=trace");
        let builder = match first.signs {
            Signs::Account => builder,
            Signs::AccountByFile => builder.secret_file("secret"),
            Signs::Key => builder.api_key(),
            Signs::KeyByFile => builder.private_key_file("secret"),
        };
        let builder = match first.how {
            How::Listing(..) => builder.append(&format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n")),
            _ => builder.without_collectors(&["snapshots", "events", "buckets"]),
        };
        let builder = match first.how {
            How::Proxy(_) => builder.env("HTTPS_PROXY", proxy.plain_url()),
            How::Clock(_) => builder
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME_TIMESTAMP_FILE", folder.path().join(CLOCK).display().to_string())
                .env("FAKETIME_NO_CACHE", "1")
                // The monotonic clock goes on when the wall clock is set.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            _ => builder,
        };
        let env =
            Self { simulator, front, proxy, authority, base_url, builder, folder: folder.path().to_owned() };
        env.write("ca.pem", &env.authority.pem());
        env.write("secret", secret(first.signs));
        env.write(CLOCK, "+0");
        env.configure(&env.base_url);
        for case in cases.iter().filter(|case| !case.fault.late) {
            env.apply(case, None).await;
        }
        env
    }

    pub(super) async fn start(&self, folder: TempDir) -> Exporter {
        let mut command = self.builder.command(&self.folder);
        command.arg("--web.listen-address=127.0.0.1:0");
        Exporter::spawn(command, folder).await
    }

    pub(super) async fn apply(&self, case: &Case, exporter: Option<&Exporter>) {
        match &case.fault.how {
            How::Script(script) => self.front.answer(&case.path(), Some(script.clone())),
            How::Listing(path, script) => self.front.answer(&case.fill(path), Some(script.clone())),
            How::Simulated(what) => {
                self.simulator.state().faults.push(Play::lasting(&case.path(), what.clone()));
            }
            How::Way(way) => self.front.set(way(&self.authority)).await,
            How::Proxy(way) => self.proxy.set(way()).await,
            How::World(apply, _) => apply(&mut self.simulator.state()),
            How::Secret(secret) => {
                match secret {
                    Some(secret) => self.write("secret", secret),
                    None => std::fs::remove_file(self.folder.join("secret")).unwrap(),
                }
                self.simulator.state().sessions.revoke_tokens();
            }
            How::Rotation => self.rotate(ROTATED),
            How::Address(address) => self.configure_again(address, exporter),
            How::Clock(seconds) => self.write(CLOCK, &format!("{seconds:+}")),
        }
    }

    pub(super) async fn lift(&self, case: &Case, exporter: &Exporter) {
        match &case.fault.how {
            How::Script(_) => self.front.answer(&case.path(), None),
            How::Listing(path, _) => self.front.answer(&case.fill(path), None),
            How::Simulated(_) => {
                self.simulator.state().faults.retain(|fault| fault.path != case.path());
            }
            How::Way(_) => self.front.set(Way::Tls(self.authority.good())).await,
            How::Proxy(_) => self.proxy.set(Way::Tunnel).await,
            How::World(_, lift) => lift(&mut self.simulator.state()),
            How::Secret(_) => self.write("secret", secret(case.fault.signs)),
            // It is none that has to end.
            How::Rotation => {}
            How::Address(_) => self.configure_again(&self.base_url, Some(exporter)),
            How::Clock(_) => self.write(CLOCK, "+0"),
        }
    }

    /// The new secret is on disk before the old one ends.
    fn rotate(&self, secret: &str) {
        self.write("secret", secret);
        let mut state = self.simulator.state();
        state.accounts.iter_mut().for_each(|account| secret.clone_into(&mut account.secret));
        state.sessions.revoke_tokens();
        state.sessions.expire_nonces();
    }

    fn configure_again(&self, base_url: &str, exporter: Option<&Exporter>) {
        self.configure(base_url);
        if let Some(exporter) = exporter {
            exporter.signal("HUP");
        }
    }

    fn configure(&self, base_url: &str) {
        self.write("config.toml", &self.builder.clone().base_url(base_url).toml());
    }

    /// Nobody reads half a file.
    fn write(&self, name: &str, text: &str) {
        let next = self.folder.join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.folder.join(name)).unwrap();
    }
}

/// What stands in the file of the secret.
fn secret(signs: Signs) -> &'static str {
    if signs == Signs::KeyByFile { PRIVATE_KEY } else { SECRET }
}
