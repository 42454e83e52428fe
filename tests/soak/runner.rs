//! Simulated Atlas, the exporter that polls it, and their comparison.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlas_simulator::{AtlasState, Fault, FaultKind, Project, Simulator};
use fastrand::Rng;
use jiff::Timestamp;

use super::footprint::Footprint;
use super::options::{Options, PER_PROJECT, POLL_TIMEOUT, project_id};
use super::oracle::{History, Job, Metrics, metrics, scraped};
use super::{FAULTS_DURATION, chaos};
use crate::support::atlas::{service_account, simulator};
use crate::support::exporter::{Exporter, command, command_of};

const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Maximum time of a scrape, which is the default of Prometheus.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// Cluster with its expected metrics.
pub(crate) struct ExpectedCluster {
    project: String,
    jobs: Vec<Job>,
    history: History,
}

pub(crate) type Clusters = BTreeMap<String, ExpectedCluster>;

/// Starts a simulator with random clusters.
pub(crate) async fn atlas(options: Options) -> (Simulator, Clusters) {
    let mut rng = Rng::with_seed(options.seed);
    let mut state = AtlasState { accounts: vec![service_account()], ..AtlasState::default() };
    let (mut clusters, began) = (BTreeMap::new(), Instant::now());
    for number in 0..options.clusters {
        let (name, project) = (format!("c{number}"), project_id(number / PER_PROJECT));
        let jobs = chaos::past_jobs(&mut rng, Timestamp::now().as_second());
        let mut history = History::default();
        history.push(began, metrics(&jobs));
        let mut cluster = chaos::cluster(&mut rng);
        cluster.jobs = jobs.iter().map(Job::entry).collect();
        let known = state.projects.entry(project.clone()).or_insert_with(|| unlimited(&project));
        known.clusters.insert(name.clone(), cluster);
        clusters.insert(name, ExpectedCluster { project, jobs, history });
    }
    (simulator(state).await, clusters)
}

pub(crate) struct Runner {
    pub(crate) options: Options,
    rng: Rng,
    simulator: Simulator,
    pub(crate) exporter: Exporter,
    clusters: Clusters,
    reloaded: Instant,
    scrapes: u64,
    slowest: Duration,
    compared: u64,
    withdrawn: u64,
    reloads: u64,
    changes: u64,
}

impl Runner {
    pub(crate) async fn start(options: Options, simulator: Simulator, clusters: Clusters) -> Self {
        let folder = tempfile::tempdir().unwrap();
        options.config(simulator.url(), 8).write(&folder);
        let mut command =
            std::env::var("SOAK_EXPORTER").map_or_else(|_| command(), |other| command_of(&other));
        command.current_dir(folder.path()).arg("--web.listen-address=127.0.0.1:0");
        // glibc raises this threshold at runtime and then keeps large blocks after they are freed.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        Self {
            options,
            rng: Rng::with_seed(!options.seed),
            simulator,
            exporter: Exporter::spawn(command, folder).await,
            clusters,
            reloaded: Instant::now(),
            scrapes: 0,
            slowest: Duration::ZERO,
            compared: 0,
            withdrawn: 0,
            reloads: 0,
            changes: 0,
        }
    }

    /// Hangs every listing until polls time out, which is the peak of concurrent requests.
    pub(crate) async fn hang_listings(&mut self) {
        let silent = Fault { path: "/backup/exports$".to_owned(), kind: FaultKind::HANG, times: None };
        self.simulator.state().faults.push(silent);
        tokio::time::sleep(self.options.interval() + POLL_TIMEOUT).await;
        self.simulator.state().faults.clear();
    }

    /// Injects faults, changes jobs and reloads for a while; all exposed metrics must be recent.
    pub(crate) async fn inject_faults(&mut self) {
        let (begin, mut turn) = (Instant::now(), 0_u32);
        while begin.elapsed() < FAULTS_DURATION {
            if turn.is_multiple_of(4) {
                let faults = chaos::faults(&mut self.rng, self.options.clusters, self.options.is_long());
                self.simulator.state().faults = faults;
            }
            if self.reloaded.elapsed() > RELOAD_INTERVAL {
                self.reload();
            }
            self.change();
            let scraped_at = Instant::now();
            let text = self.scrape().await;
            self.check_recent(&text, scraped_at);
            tokio::time::sleep(Duration::from_millis(300)).await;
            turn += 1;
        }
        self.simulator.state().faults.clear();
    }

    /// Waits without faults and changes until every metric is right.
    pub(crate) async fn recover(&mut self) -> Footprint {
        let begin = Instant::now();
        self.write_configuration(8);
        self.exporter.signal("HUP");
        // Requests that hung may still fail, so metrics must stay right for the time of a poll.
        let mut right_since = None;
        loop {
            let text = self.scrape().await;
            match self.check_current(&text) {
                Ok(()) if right_since.get_or_insert_with(Instant::now).elapsed() > POLL_TIMEOUT => break,
                Ok(()) => {}
                Err(difference) => {
                    right_since = None;
                    assert!(
                        begin.elapsed() < self.options.recovery_timeout(),
                        "SOAK_SEED={}: not recovered: {difference}",
                        self.options.seed
                    );
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let log = self.exporter.log();
        assert!(!log.contains("panic") && !log.contains("please report this bug"), "{log}");
        Footprint::of(self.exporter.pid(), begin.elapsed())
    }

    /// Changes the jobs of some clusters.
    fn change(&mut self) {
        for _ in 0..self.options.clusters / 20 {
            let name = format!("c{}", self.rng.usize(0..self.options.clusters));
            let known = self.clusters.get_mut(&name).unwrap();
            chaos::advance(&mut self.rng, &mut known.jobs, Timestamp::now().as_second());
            let (entries, since) = (known.jobs.iter().map(Job::entry).collect(), Instant::now());
            let mut state = self.simulator.state();
            state.projects.get_mut(&known.project).unwrap().clusters.get_mut(&name).unwrap().jobs = entries;
            drop(state);
            known.history.push(since, metrics(&known.jobs));
            self.changes += 1;
        }
    }

    /// Reloads the configuration, which is invalid now and then.
    fn reload(&mut self) {
        if self.rng.u8(0..4) == 0 {
            std::fs::write(self.exporter.folder.path().join("config.toml"), "[poll\n").unwrap();
        } else {
            let concurrency = self.rng.u8(4..16);
            self.write_configuration(concurrency);
        }
        self.exporter.signal("HUP");
        self.reloaded = Instant::now();
        self.reloads += 1;
    }

    fn write_configuration(&self, concurrency: u8) {
        self.options.config(self.simulator.url(), concurrency).write(&self.exporter.folder);
    }

    async fn scrape(&mut self) -> String {
        self.scrapes += 1;
        let begin = Instant::now();
        let scrape = async {
            let response = self.exporter.get("/metrics").await;
            assert_eq!(response.status(), 200);
            response.text().await.unwrap()
        };
        let text = tokio::time::timeout(SCRAPE_TIMEOUT, scrape).await.expect("a scrape in time");
        self.slowest = self.slowest.max(begin.elapsed());
        text
    }

    /// Asserts that the metrics of each cluster are absent, or those of one recent listing.
    fn check_recent(&mut self, text: &str, scraped_at: Instant) {
        let oldest = scraped_at.checked_sub(self.options.stale_after() + POLL_TIMEOUT).unwrap_or(scraped_at);
        for (name, (metrics, up)) in scraped(text) {
            assert!(matches!(up, None | Some(0.0 | 1.0)), "{name}: up is {up:?}");
            let known = self.clusters.get_mut(name).unwrap_or_else(|| panic!("there is no {name}"));
            if metrics.is_empty() {
                self.withdrawn += 1;
                continue;
            }
            self.compared += 1;
            assert!(
                known.history.contains_since(&metrics, oldest),
                "SOAK_SEED={}: {name} has {metrics:#?}; expected one of {:#?}",
                self.options.seed,
                known.history
            );
        }
    }

    /// Checks that all metrics are the current ones; returns the first difference.
    fn check_current(&self, text: &str) -> Result<(), String> {
        let scraped = scraped(text);
        for (name, known) in &self.clusters {
            let (metrics, up) = scraped.get(name.as_str()).ok_or_else(|| format!("{name} is not there"))?;
            if *up != Some(1.0) {
                return Err(format!("up of {name} is {up:?}"));
            }
            if metrics != known.history.now() {
                return Err(format!("{name}: {}", difference(metrics, known.history.now())));
            }
        }
        let expected = [
            "backup_exporter_config_last_reload_successful 1",
            &format!("backup_exporter_targets {}", self.options.clusters),
        ];
        if let Some(missing) = expected.iter().find(|line| !text.contains(&format!("mongodbatlas_{line}\n")))
        {
            return Err(format!("{missing} is not there"));
        }
        let failing = text.lines().find(|line| line.contains("discovery_success{") && line.ends_with(" 0"));
        failing.map_or(Ok(()), |line| Err(line.to_owned()))
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} scrapes of {:.1?} at most, {} clusters compared during faults, {} withdrawn, {} changes, \
             {} reloads, {} requests of Atlas",
            self.scrapes,
            self.slowest,
            self.compared,
            self.withdrawn,
            self.changes,
            self.reloads,
            self.simulator.state().request_count
        )
    }
}

fn difference(seen: &Metrics, expected: &Metrics) -> String {
    let of = |one: &Metrics, other: &Metrics| {
        let news = one.iter().filter(|(name, value)| other.get(*name) != Some(*value));
        news.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    format!("exposed: {}; expected: {}", of(seen, expected), of(expected, seen))
}

/// Returns a project without rate limits.
fn unlimited(name: &str) -> Project {
    let mut project = Project::new(name);
    for budget in [&mut project.budget, &mut project.clusters_budget, &mut project.events_budget] {
        *budget = atlas_simulator::TokenBucket::new(1_000_000, 60_000_000);
    }
    project
}
