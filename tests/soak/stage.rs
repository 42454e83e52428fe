//! The simulated Atlas, the exporter that watches it, and what is held against each other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use atlas_simulator::{AtlasState, Fault, FaultKind, Project, Simulator};
use fastrand::Rng;
use jiff::Timestamp;

use super::around::Footprint;
use super::oracle::{Figures, History, Job, figures, scraped};
use super::plan::{PER_PROJECT, POLL_TIMEOUT, Plan, project_id};
use super::{STORM, chaos};
use crate::support::atlas::{service_account, simulator};
use crate::support::exporter::{Exporter, command, command_of};

/// From one reload to the next.
const RELOAD_EVERY: Duration = Duration::from_secs(10);

/// Longest time that a scrape may take, beside all that runs on this machine: Prometheus gives up after as much, unless it is told
/// otherwise.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster as this test knows it.
pub(crate) struct Known {
    project: String,
    jobs: Vec<Job>,
    history: History,
}

/// What this test knows of every cluster, by name.
pub(crate) type Clusters = BTreeMap<String, Known>;

/// An Atlas of so many clusters, and what is known of them.
pub(crate) async fn atlas(plan: Plan) -> (Simulator, Clusters) {
    let mut rng = Rng::with_seed(plan.seed);
    let mut state = AtlasState { accounts: vec![service_account()], ..AtlasState::default() };
    let (mut clusters, began) = (BTreeMap::new(), Instant::now());
    for number in 0..plan.clusters {
        let (name, project) = (format!("c{number}"), project_id(number / PER_PROJECT));
        let jobs = chaos::past(&mut rng, Timestamp::now().as_second());
        let mut history = History::default();
        history.push(began, figures(&jobs));
        let mut cluster = chaos::cluster(&mut rng);
        cluster.jobs = jobs.iter().map(Job::entry).collect();
        let known = state.projects.entry(project.clone()).or_insert_with(|| unlimited(&project));
        known.clusters.insert(name.clone(), cluster);
        clusters.insert(name, Known { project, jobs, history });
    }
    (simulator(state).await, clusters)
}

pub(crate) struct Stage {
    pub(crate) plan: Plan,
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

impl Stage {
    pub(crate) async fn begin(plan: Plan, simulator: Simulator, clusters: Clusters) -> Self {
        let folder = tempfile::tempdir().unwrap();
        plan.config(simulator.url(), 8).write(&folder);
        let mut command =
            std::env::var("SOAK_EXPORTER").map_or_else(|_| command(), |other| command_of(&other));
        command.current_dir(folder.path()).arg("--web.listen-address=127.0.0.1:0");
        // glibc keeps what it once got in large pieces, unless it is told from which size on to give it back; the musl of what is shipped
        // always does. What should be seen here is what the exporter keeps.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        Self {
            plan,
            rng: Rng::with_seed(!plan.seed),
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

    /// No listing is answered for as long as polls may take: there will never be more requests at once.
    pub(crate) async fn silence(&mut self) {
        let silent = Fault { path: "/backup/exports$".to_owned(), kind: FaultKind::Hang, times: None };
        self.simulator.state().faults.push(silent);
        tokio::time::sleep(self.plan.interval() + POLL_TIMEOUT).await;
        self.simulator.state().faults.clear();
    }

    /// Everything at once for a while. Whatever is exposed was true not long ago.
    pub(crate) async fn storm(&mut self) {
        let (begin, mut turn) = (Instant::now(), 0_u32);
        while begin.elapsed() < STORM {
            if turn.is_multiple_of(4) {
                let faults = chaos::faults(&mut self.rng, self.plan.clusters, self.plan.is_long());
                self.simulator.state().faults = faults;
            }
            if self.reloaded.elapsed() > RELOAD_EVERY {
                self.reload();
            }
            self.change();
            let scraped_at = Instant::now();
            let text = self.scrape().await;
            self.was_true(&text, scraped_at);
            tokio::time::sleep(Duration::from_millis(300)).await;
            turn += 1;
        }
        self.simulator.state().faults.clear();
    }

    /// Nothing goes wrong and nothing changes any longer: soon all is well, and every figure is true.
    pub(crate) async fn settle(&mut self) -> Footprint {
        let begin = Instant::now();
        self.write_configuration(8);
        self.exporter.signal("HUP");
        // What hung in the storm may still end, and badly: well is what stays so for as long as a poll may take.
        let mut well_since = None;
        loop {
            let text = self.scrape().await;
            match self.is_true(&text) {
                Ok(()) if well_since.get_or_insert_with(Instant::now).elapsed() > POLL_TIMEOUT => break,
                Ok(()) => {}
                Err(difference) => {
                    well_since = None;
                    assert!(
                        begin.elapsed() < self.plan.patience(),
                        "SOAK_SEED={}: not well again: {difference}",
                        self.plan.seed
                    );
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let log = self.exporter.log();
        assert!(!log.contains("panic") && !log.contains("a bug: please report it"), "{log}");
        Footprint::of(self.exporter.pid(), begin.elapsed())
    }

    /// Some clusters are not what they were.
    fn change(&mut self) {
        for _ in 0..self.plan.clusters / 20 {
            let name = format!("c{}", self.rng.usize(0..self.plan.clusters));
            let known = self.clusters.get_mut(&name).unwrap();
            chaos::goes_on(&mut self.rng, &mut known.jobs, Timestamp::now().as_second());
            let (entries, since) = (known.jobs.iter().map(Job::entry).collect(), Instant::now());
            let mut state = self.simulator.state();
            state.projects.get_mut(&known.project).unwrap().clusters.get_mut(&name).unwrap().jobs = entries;
            drop(state);
            known.history.push(since, figures(&known.jobs));
            self.changes += 1;
        }
    }

    /// Reads the configuration anew, which is broken now and then.
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
        self.plan.config(self.simulator.url(), concurrency).write(&self.exporter.folder);
    }

    async fn scrape(&mut self) -> String {
        self.scrapes += 1;
        let begin = Instant::now();
        let scrape = async {
            let answer = self.exporter.get("/metrics").await;
            assert_eq!(answer.status(), 200);
            answer.text().await.unwrap()
        };
        let text = tokio::time::timeout(SCRAPE_TIMEOUT, scrape).await.expect("a scrape in time");
        self.slowest = self.slowest.max(begin.elapsed());
        text
    }

    /// The figures of each cluster are those of one listing that there was no longer ago than they may be old, or none.
    fn was_true(&mut self, text: &str, scraped_at: Instant) {
        let oldest = scraped_at.checked_sub(self.plan.stale_after() + POLL_TIMEOUT).unwrap_or(scraped_at);
        for (name, (figures, up)) in scraped(text) {
            assert!(matches!(up, None | Some(0.0 | 1.0)), "{name}: up is {up:?}");
            let known = self.clusters.get_mut(name).unwrap_or_else(|| panic!("there is no {name}"));
            if figures.is_empty() {
                self.withdrawn += 1;
                continue;
            }
            self.compared += 1;
            assert!(
                known.history.was_true(&figures, oldest),
                "SOAK_SEED={}: {name} never was {figures:#?}; it is {:#?}",
                self.plan.seed,
                known.history
            );
        }
    }

    /// All is well, and the figures of every cluster are what its jobs are now; or what is not.
    fn is_true(&self, text: &str) -> Result<(), String> {
        let scraped = scraped(text);
        for (name, known) in &self.clusters {
            let (figures, up) = scraped.get(name.as_str()).ok_or_else(|| format!("{name} is not there"))?;
            if *up != Some(1.0) {
                return Err(format!("up of {name} is {up:?}"));
            }
            if figures != known.history.now() {
                return Err(format!("{name}: {}", difference(figures, known.history.now())));
            }
        }
        let well = [
            "backup_exporter_config_last_reload_successful 1",
            &format!("backup_exporter_targets {}", self.plan.clusters),
        ];
        if let Some(missing) = well.iter().find(|line| !text.contains(&format!("mongodbatlas_{line}\n"))) {
            return Err(format!("{missing} is not there"));
        }
        let failing = text.lines().find(|line| line.contains("discovery_success{") && line.ends_with(" 0"));
        failing.map_or(Ok(()), |line| Err(line.to_owned()))
    }

    pub(crate) fn tally(&self) -> String {
        format!(
            "{} scrapes of {:.1?} at most, {} clusters compared in storms, {} withdrawn, {} changes, {} reloads, {} requests of Atlas",
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

fn difference(seen: &Figures, truth: &Figures) -> String {
    let of = |one: &Figures, other: &Figures| {
        let news = one.iter().filter(|(name, value)| other.get(*name) != Some(*value));
        news.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
    };
    format!("exposed is {}; true is {}", of(seen, truth), of(truth, seen))
}

/// A project whose budgets are no part of the story.
fn unlimited(name: &str) -> Project {
    let mut project = Project::new(name);
    for budget in [&mut project.budget, &mut project.clusters_budget, &mut project.events_budget] {
        *budget = atlas_simulator::TokenBucket::new(1_000_000, 60_000_000);
    }
    project
}
