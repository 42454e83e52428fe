//! Simulated Atlas in which faults are injected, each with a healthy cluster in the same project.

use std::path::{Path, PathBuf};

use atlas_simulator::{AtlasState, Cluster, Entry, ORGANIZATION, Project, Simulator};
use tempfile::TempDir;

use super::jobs;
use super::scenario::{Auth, Fault, Injection};
use crate::support::atlas::{PRIVATE_KEY, SECRET, api_key, service_account, simulator};
use crate::support::authority::Authority;
use crate::support::builder::ExporterBuilder;
use crate::support::exporter::Exporter;
use crate::support::fault_proxy::{FaultProxy, ProxyMode};

/// Time after which metrics of failing clusters are withdrawn, in seconds.
pub(super) const STALE_AFTER: f64 = 12.0;

/// Cluster of a project without faults.
pub(super) const ELSEWHERE: &str = "elsewhere";

pub(super) const ROTATED: &str = "mdb_sa_sk_rotated_never_to_be_seen";

/// File with the offset of the clock.
const CLOCK: &str = "clock";

/// Returns the path of the library of Debian's package `libfaketime`.
fn faketime() -> String {
    let path = |architecture: &str| format!("/usr/lib/{architecture}-linux-gnu/faketime/libfaketimeMT.so.1");
    let found = ["x86_64", "aarch64"].map(path).into_iter().find(|path| Path::new(path).exists());
    found.expect("Debian's libfaketime is installed")
}

/// Fault with its faulty cluster and a healthy one.
pub(super) struct Case {
    pub(super) fault: Fault,
    pub(super) project: String,
    pub(super) faulty: String,
    pub(super) healthy: String,
}

impl Case {
    /// Returns the path of the export jobs of the faulty cluster.
    pub(super) fn path(&self) -> String {
        format!("/clusters/{}/backup/exports", self.faulty)
    }

    /// Replaces the placeholders of a path.
    fn fill(&self, path: &str) -> String {
        path.replace("{project}", &self.project).replace("{cluster}", &self.faulty)
    }
}

pub(super) struct Env {
    pub(super) simulator: Simulator,
    server: FaultProxy,
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
    /// Injects the faults, except those for after a successful poll.
    ///
    /// Several faults must be of the same kind.
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
        let secure =
            matches!(first.injection, Injection::Connection(_) | Injection::Proxy(_) | Injection::BaseUrl(_));
        let way = if secure { ProxyMode::Tls(authority.valid()) } else { ProxyMode::Plain };
        let server = FaultProxy::start(&simulator, way).await;
        let proxy = FaultProxy::start(&simulator, ProxyMode::Tunnel).await;
        let base_url = if secure { server.url() } else { server.plain_url() };
        let builder = ExporterBuilder::at(&base_url)
            .set("atlas.ca_file", "ca.pem")
            .set("poll.interval", "2s")
            .set("poll.stale_after", format!("{STALE_AFTER}s"))
            .targets(targets)
            .flag("--log.level=trace");
        let builder = match first.auth {
            Auth::ServiceAccount => builder,
            Auth::ServiceAccountFile => builder.secret_file("secret"),
            Auth::ApiKey => builder.api_key(),
            Auth::ApiKeyFile => builder.private_key_file("secret"),
        };
        let builder = match first.injection {
            Injection::Listing(..) => {
                builder.append(&format!("[[organizations]]\nid = \"{ORGANIZATION}\"\n"))
            }
            _ => builder.without_collectors(&["snapshots", "events", "buckets"]),
        };
        let builder = match first.injection {
            Injection::Proxy(_) => builder.env("HTTPS_PROXY", proxy.plain_url()),
            Injection::Clock(_) => builder
                .env("LD_PRELOAD", faketime())
                .env("FAKETIME_TIMESTAMP_FILE", folder.path().join(CLOCK).display().to_string())
                .env("FAKETIME_NO_CACHE", "1")
                // The monotonic clock continues when the wall clock is set.
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            _ => builder,
        };
        let env =
            Self { simulator, server, proxy, authority, base_url, builder, folder: folder.path().to_owned() };
        env.write("ca.pem", &env.authority.pem());
        env.write("secret", secret(first.auth));
        env.write(CLOCK, "+0");
        env.configure(&env.base_url);
        for case in cases.iter().filter(|case| !case.fault.after_successful_poll) {
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
        match &case.fault.injection {
            Injection::Script(script) => self.server.respond(&case.path(), Some(script.clone())),
            Injection::Listing(path, script) => self.server.respond(&case.fill(path), Some(script.clone())),
            Injection::Connection(way) => self.server.set_mode(way(&self.authority)).await,
            Injection::Proxy(way) => self.proxy.set_mode(way()).await,
            Injection::State(apply, _) => apply(&mut self.simulator.state()),
            Injection::Secret(secret) => {
                match secret {
                    Some(secret) => self.write("secret", secret),
                    None => std::fs::remove_file(self.folder.join("secret")).unwrap(),
                }
                self.simulator.state().sessions.revoke_tokens();
            }
            Injection::Rotation => self.rotate(ROTATED),
            Injection::BaseUrl(address) => self.reconfigure(address, exporter),
            Injection::Clock(seconds) => self.write(CLOCK, &format!("{seconds:+}")),
        }
    }

    pub(super) async fn revert(&self, case: &Case, exporter: &Exporter) {
        match &case.fault.injection {
            Injection::Script(_) => self.server.respond(&case.path(), None),
            Injection::Listing(path, _) => self.server.respond(&case.fill(path), None),
            Injection::Connection(_) => self.server.set_mode(ProxyMode::Tls(self.authority.valid())).await,
            Injection::Proxy(_) => self.proxy.set_mode(ProxyMode::Tunnel).await,
            Injection::State(_, revert) => revert(&mut self.simulator.state()),
            Injection::Secret(_) => self.write("secret", secret(case.fault.auth)),
            Injection::Rotation => {}
            Injection::BaseUrl(_) => self.reconfigure(&self.base_url, Some(exporter)),
            Injection::Clock(_) => self.write(CLOCK, "+0"),
        }
    }

    /// Writes the new secret before the old one is revoked.
    fn rotate(&self, secret: &str) {
        self.write("secret", secret);
        let mut state = self.simulator.state();
        state.accounts.iter_mut().for_each(|account| secret.clone_into(&mut account.secret));
        state.sessions.revoke_tokens();
        state.sessions.expire_nonces();
    }

    fn reconfigure(&self, base_url: &str, exporter: Option<&Exporter>) {
        self.configure(base_url);
        if let Some(exporter) = exporter {
            exporter.signal("HUP");
        }
    }

    fn configure(&self, base_url: &str) {
        self.write("config.toml", &self.builder.clone().base_url(base_url).toml());
    }

    /// Replaces a file in the folder of the exporter atomically.
    fn write(&self, name: &str, text: &str) {
        let next = self.folder.join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.folder.join(name)).unwrap();
    }
}

/// Returns the content of the secret file.
fn secret(auth: Auth) -> &'static str {
    if auth == Auth::ApiKeyFile { PRIVATE_KEY } else { SECRET }
}
