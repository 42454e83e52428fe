//! Duration and size of the soak test, and the configuration of the exporter.

use std::time::Duration;

use crate::support::builder::ExporterBuilder;

pub(crate) const PER_PROJECT: usize = 100;

pub(crate) const POLL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) length: Duration,
    pub(crate) clusters: usize,
    pub(crate) seed: u64,
}

impl Options {
    pub(crate) fn from_env() -> Self {
        let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
        let minutes = number("SOAK_MINUTES").unwrap_or(1);
        let clusters = number("SOAK_CLUSTERS").unwrap_or(if minutes < 10 { 100 } else { 1000 });
        Self {
            length: Duration::from_mins(minutes),
            clusters: usize::try_from(clusters).unwrap(),
            seed: number("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..)),
        }
    }

    /// Returns true if there is time for faults that take a minute to recover from.
    pub(crate) fn is_long(self) -> bool {
        self.length >= Duration::from_mins(10)
    }

    pub(crate) fn interval(self) -> Duration {
        Duration::from_secs(if self.is_long() { 10 } else { 1 })
    }

    pub(crate) fn stale_after(self) -> Duration {
        self.interval() * 6
    }

    /// Returns the maximum time until every metric is right after the last fault.
    pub(crate) fn recovery_timeout(self) -> Duration {
        Duration::from_secs(if self.is_long() { 240 } else { 60 })
    }

    pub(crate) fn config(self, base_url: &str, concurrency: u8) -> ExporterBuilder {
        let seconds = |time: Duration| format!("{}s", time.as_secs());
        let projects = 0..self.clusters.div_ceil(PER_PROJECT);
        let projects = projects.map(|number| format!("[[projects]]\nid = \"{}\"\n", project_id(number)));
        ExporterBuilder::at(base_url)
            .set("poll.interval", seconds(self.interval()))
            .set("poll.timeout", seconds(POLL_TIMEOUT))
            .set("poll.stale_after", seconds(self.stale_after()))
            .set("poll.concurrency", concurrency)
            .set("poll.full_listing_interval", "1m")
            .set("discovery.interval", seconds(self.interval() * 3))
            .set("collectors.interval", seconds(self.interval() * 3))
            .targets(projects.collect::<String>())
    }
}

pub(crate) fn project_id(number: usize) -> String {
    format!("{number:024x}")
}
