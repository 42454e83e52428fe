//! A simulator and an exporter of its own for each test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atlas_simulator::{Account, AtlasState, Cluster, Project, Scheme, Simulator};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// The project of most tests.
pub(crate) const PROJECT: &str = "32b6e34b3d91647abb20e7b8";
pub(crate) const SECRET: &str = "mdb_sa_sk_never_to_be_seen";
pub(crate) const PRIVATE_KEY: &str = "5ec4e7-never-to-be-seen";

/// How long anything may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn service_account() -> Account {
    Account::new(Scheme::ServiceAccount, "mdb_sa_id_1", SECRET)
}

pub(crate) fn api_key() -> Account {
    Account::new(Scheme::ApiKey, "pubkey", PRIVATE_KEY)
}

/// One project, both accounts.
pub(crate) fn world(clusters: impl IntoIterator<Item = (&'static str, Cluster)>) -> AtlasState {
    let mut project = Project::new("payments");
    for (name, cluster) in clusters {
        project = project.with(name, cluster);
    }
    AtlasState {
        accounts: vec![service_account(), api_key()],
        projects: [(PROJECT.to_owned(), project)].into(),
        ..AtlasState::default()
    }
}

pub(crate) async fn simulator(world: AtlasState) -> Simulator {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::start(listener, world).unwrap()
}

/// Adds a cluster to [`PROJECT`].
pub(crate) fn add(simulator: &Simulator, name: &str, cluster: Cluster) {
    let mut world = simulator.state();
    let project = world.projects.get_mut(PROJECT).unwrap();
    project.clusters.insert(name.to_owned(), cluster);
}

/// The credentials of [`service_account`], as TOML.
pub(crate) fn by_service_account() -> String {
    format!("[atlas.service_account]\nclient_id = \"mdb_sa_id_1\"\nclient_secret = \"{SECRET}\"\n")
}

/// The credentials of [`api_key`], as TOML.
pub(crate) fn by_api_key() -> String {
    format!("[atlas.api_key]\npublic_key = \"pubkey\"\nprivate_key = \"{PRIVATE_KEY}\"\n")
}

/// A configuration that polls five times a second.
pub(crate) struct Setup {
    pub(crate) base_url: String,
    /// Further keys of `[atlas]`.
    pub(crate) atlas: String,
    pub(crate) credentials: String,
    pub(crate) poll: String,
    pub(crate) discovery: String,
    pub(crate) clusters: Vec<String>,
    /// `[[projects]]` and all that follows, instead of [`PROJECT`] with `clusters`.
    pub(crate) watched: Option<String>,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) environment: Vec<(&'static str, String)>,
}

impl Setup {
    pub(crate) fn new(simulator: &Simulator) -> Self {
        let clusters = simulator.state().projects[PROJECT].clusters.keys().cloned().collect();
        Self { clusters, ..Self::of(simulator.url()) }
    }

    /// The same without clusters.
    pub(crate) fn of(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            atlas: String::new(),
            credentials: by_service_account(),
            poll: "interval = \"200ms\"\ntimeout = \"5s\"\n".to_owned(),
            discovery: "interval = \"10m\"\n".to_owned(),
            clusters: Vec::new(),
            watched: None,
            flags: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn toml(&self) -> String {
        let of_project = || format!("[[projects]]\nid = \"{PROJECT}\"\nclusters = {:?}\n", self.clusters);
        format!(
            "[atlas]\nbase_url = \"{}\"\n{}\n{}\n[poll]\n{}\n[discovery]\n{}\n{}",
            self.base_url,
            self.atlas,
            self.credentials,
            self.poll,
            self.discovery,
            self.watched.clone().unwrap_or_else(of_project)
        )
    }

    pub(crate) async fn start(self) -> Exporter {
        let folder = tempfile::tempdir().unwrap();
        self.start_in(folder).await
    }

    pub(crate) async fn start_in(self, folder: TempDir) -> Exporter {
        std::fs::write(folder.path().join("config.toml"), self.toml()).unwrap();
        let mut command = command();
        command.current_dir(folder.path()).args(["--web.listen-address=127.0.0.1:0"]).args(&self.flags);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Exporter::spawn(command, folder).await
    }
}

/// The binary with nothing of this machine's environment that could change what it does.
pub(crate) fn command() -> Command {
    command_of(env!("CARGO_BIN_EXE_atlas-backup-exporter"))
}

/// Another build of the exporter, with nothing of our environment.
pub(crate) fn command_of(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) struct Exporter {
    pub(crate) url: String,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Ends with the log.
    reader: Option<std::thread::JoinHandle<()>>,
    http: reqwest::Client,
    pub(crate) folder: TempDir,
}

impl Exporter {
    pub(crate) async fn spawn(mut command: Command, folder: TempDir) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap().into_owned_fd().unwrap();
        let lines = BufReader::new(std::fs::File::from(stderr)).lines();
        let (sender, address) = tokio::sync::oneshot::channel();
        let collected = log.clone();
        let reader = std::thread::spawn(move || {
            let mut sender = Some(sender);
            for line in lines.map_while(Result::ok) {
                if line.contains("listening")
                    && let Some(sender) = sender.take()
                {
                    let digits: Vec<_> = line.split("127.0.0.1:").skip(1).collect();
                    let port: String = digits[0].chars().take_while(char::is_ascii_digit).collect();
                    let _ = sender.send(format!("http://127.0.0.1:{port}"));
                }
                let mut log = collected.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let Ok(Ok(url)) = tokio::time::timeout(PATIENCE, address).await else {
            panic!("the exporter does not listen: {}", log.lock().unwrap());
        };
        Self { url, child, log, reader: Some(reader), http: http(), folder }
    }

    /// The log once it has stopped growing. The exporter writes it beside its work, so that a line may come
    /// after the scrape that shows what it is about.
    pub(crate) fn log(&self) -> String {
        let (mut length, mut quiet) = (0, 0);
        for _ in 0..100 {
            let grown = self.log.lock().unwrap().len();
            quiet = if grown == length { quiet + 1 } else { 0 };
            if quiet == 5 {
                break;
            }
            length = grown;
            std::thread::sleep(Duration::from_millis(10));
        }
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    /// The status page without the marks that isolate texts of others.
    pub(crate) async fn page(&self) -> String {
        let page = self.get("/").await.text().await.unwrap();
        page.replace("<bdi>", "").replace("</bdi>", "")
    }

    pub(crate) async fn get_with(&self, path: &str, header: &str, value: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).header(header, value).send().await.unwrap()
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        Scrape::parse(&self.get("/metrics").await.text().await.unwrap())
    }

    /// Scrapes until `done`, and returns that scrape.
    #[track_caller]
    pub(crate) fn until(&self, done: impl Fn(&Scrape) -> bool) -> impl Future<Output = Scrape> {
        let caller = std::panic::Location::caller();
        async move {
            let start = Instant::now();
            loop {
                let scrape = self.scrape().await;
                if done(&scrape) {
                    return scrape;
                }
                assert!(
                    start.elapsed() < PATIENCE,
                    "{caller}: it does not come true; last seen:\n{scrape:#?}\n{}",
                    self.log()
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Scrapes until every cluster was polled once.
    #[track_caller]
    pub(crate) fn polled(&self) -> impl Future<Output = Scrape> {
        self.until(|scrape| {
            let polls = scrape.of("mongodbatlas_backup_export_polls_total");
            !polls.is_empty() && polls.iter().all(|(_, polls)| *polls >= 1.0)
        })
    }

    /// Scrapes once everything was asked for.
    pub(crate) async fn ready(&self) -> Scrape {
        let start = Instant::now();
        while self.get("/-/ready").await.status() != 200 {
            assert!(start.elapsed() < PATIENCE, "it does not get ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.scrape().await
    }

    /// Scrapes until every cluster was polled `more` times more.
    pub(crate) async fn polled_again(&self, more: f64) -> Scrape {
        let before = self.polled().await;
        self.until(|scrape| {
            let polls = scrape.of("mongodbatlas_backup_export_polls_total");
            polls.iter().all(|(labels, polls)| {
                *polls
                    >= more
                        + before
                            .0
                            .get(&format!("mongodbatlas_backup_export_polls_total{labels}"))
                            .unwrap_or(&0.0)
            })
        })
        .await
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the exporter runs")
    }

    /// Peak memory of the process so far, in MiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(
            std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success()
        );
    }

    pub(crate) async fn exit(&mut self) -> ExitStatus {
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the exporter ends").unwrap();
        // The log is whole only when its pipe has been read to the end.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// Nothing secret is in the log or on any page.
    pub(crate) async fn assert_no_secret(&self) {
        let mut seen = self.log();
        for path in ["/", "/api/v1/clusters", "/metrics", "/-/ready"] {
            seen += &self.get(path).await.text().await.unwrap();
        }
        for secret in [SECRET, PRIVATE_KEY, "eyJ", "Bearer", "response="] {
            assert!(!seen.contains(secret), "{secret:?} is in:\n{seen}");
        }
    }
}

/// Scrapes without gzip, which is cached: each one shows the figures of now. To load the system's certificates
/// takes long, and nothing here needs them.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().no_gzip().tls_certs_only([]).build().unwrap()
}

/// Series and their values.
#[derive(Debug)]
pub(crate) struct Scrape(pub(crate) BTreeMap<String, f64>);

impl Scrape {
    pub(crate) fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        Self(series.collect())
    }

    /// The series of a family, by labels.
    pub(crate) fn of(&self, name: &str) -> Vec<(&str, f64)> {
        let of_family = |(series, value): (&'_ String, &f64)| -> Option<(usize, f64)> {
            series
                .strip_prefix(name)
                .filter(|rest| rest.is_empty() || rest.starts_with('{'))
                .map(|rest| (rest.len(), *value))
        };
        self.0
            .iter()
            .filter_map(|(series, value)| {
                let (length, value) = of_family((series, value))?;
                Some((&series[series.len() - length..], value))
            })
            .collect()
    }

    /// A figure of a cluster: `value("jobs", "prod", "state=\"Failed\"")`; `None` where there is no such series.
    pub(crate) fn value(&self, name: &str, cluster: &str, label: &str) -> Option<f64> {
        let cluster = format!("cluster_name=\"{cluster}\"");
        let found: Vec<_> = self
            .of(&format!("mongodbatlas_backup_export_{name}"))
            .into_iter()
            .filter(|(labels, _)| labels.contains(&cluster) && labels.contains(label))
            .collect();
        assert!(found.len() < 2, "more than one series: {found:?}");
        found.first().map(|(_, value)| *value)
    }

    pub(crate) fn up(&self, cluster: &str) -> Option<f64> {
        self.value("up", cluster, "")
    }

    /// The states that a cluster's newest job is said to be in.
    pub(crate) fn latest_state(&self, cluster: &str) -> Option<&str> {
        let cluster = format!("cluster_name=\"{cluster}\"");
        let of_family = self.of("mongodbatlas_backup_export_latest_job_state");
        let set: Vec<_> = of_family
            .into_iter()
            .filter(|(labels, value)| labels.contains(&cluster) && *value == 1.0)
            .collect();
        assert!(set.len() < 2, "more than one state: {set:?}");
        set.first().and_then(|(labels, _)| labels.split("state=\"").nth(1)?.split('"').next())
    }

    /// Whether any figure of a cluster's jobs is there.
    pub(crate) fn has_figures(&self, cluster: &str) -> bool {
        self.value("failures_since_last_success", cluster, "").is_some()
            || self.value("jobs", cluster, "state=\"Failed\"").is_some()
    }
}

/// The end of the path of a cluster's export jobs.
pub(crate) fn exports(cluster: &str) -> String {
    format!("/{cluster}/backup/exports")
}

/// The requests a simulator has seen whose line contains `part`.
pub(crate) fn requests(simulator: &Simulator, part: &str) -> usize {
    simulator.state().requests.iter().filter(|seen| seen.line.contains(part)).count()
}
