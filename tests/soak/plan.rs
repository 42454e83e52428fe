//! How long the soak is, and what the exporter is told.

use std::time::Duration;

use crate::support::harness::by_service_account;

/// Clusters of a project.
pub(crate) const PER_PROJECT: usize = 100;

/// One poll, and what else there is between an answer of Atlas and its figures.
pub(crate) const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long, with how many clusters, and by which chance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) length: Duration,
    pub(crate) clusters: usize,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
        let minutes = number("SOAK_MINUTES").unwrap_or(1);
        let clusters = number("SOAK_CLUSTERS").unwrap_or(if minutes < 10 { 100 } else { 1000 });
        Self {
            length: Duration::from_mins(minutes),
            clusters: usize::try_from(clusters).unwrap(),
            seed: number("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..)),
        }
    }

    /// Whether there is time for what takes a minute to recover from.
    pub(crate) fn is_long(self) -> bool {
        self.length >= Duration::from_mins(10)
    }

    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(if self.is_long() { 10 } else { 1 })
    }

    pub(crate) fn stale_after(self) -> Duration {
        self.interval() * 6
    }

    /// How long it may take until all is well again, once nothing goes wrong any longer.
    pub(crate) fn patience(self) -> Duration {
        Duration::from_secs(if self.is_long() { 240 } else { 60 })
    }

    pub(crate) fn toml(self, base_url: &str, concurrency: u8) -> String {
        let (interval, others) = (self.interval().as_secs(), self.interval().as_secs() * 3);
        let projects = 0..self.clusters.div_ceil(PER_PROJECT);
        let projects = projects.map(|number| format!("[[projects]]\nid = \"{}\"\n", project_id(number)));
        format!(
            "[atlas]\nbase_url = \"{base_url}\"\n{}\n[poll]\ninterval = \"{interval}s\"\ntimeout = \"{}s\"\nstale_after = \"{}s\"\n\
             concurrency = {concurrency}\nfull_listing_interval = \"1m\"\n[discovery]\ninterval = \"{others}s\"\n[collectors]\ninterval = \"{others}s\"\n{}",
            by_service_account(),
            POLL_TIMEOUT.as_secs(),
            self.stale_after().as_secs(),
            projects.collect::<Vec<_>>().concat(),
        )
    }
}

pub(crate) fn project_id(number: usize) -> String {
    format!("{number:024x}")
}
