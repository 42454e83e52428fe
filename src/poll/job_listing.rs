//! Reads the export jobs of a cluster: all of them, or only the newest after a full listing.

use atlas_client::{AtlasClient, Error, MAX_PAGE_SIZE, Target};
use tokio::time::Instant;

use crate::config::PollConfig;
use crate::metrics::self_metrics::SelfMetrics;
use crate::model::{IncrementalListing, JobAccumulator, JobSummary, ListingCheckpoint, NEWEST_PAGE_SIZE};
use crate::poll::timing::with_jitter;

/// Reads the export jobs of a cluster, incrementally after the first full listing.
#[derive(Debug, Default)]
pub struct JobListing(Option<Box<LastFullListing>>);

#[derive(Debug)]
struct LastFullListing {
    checkpoint: ListingCheckpoint,
    at: Instant,
    /// Random number from 0 to 1 for the jitter of the next full listing.
    random: f64,
}

impl JobListing {
    /// Reads the export jobs of `target` before `deadline`. An incomplete listing is an error.
    pub async fn read(
        &mut self,
        atlas: &AtlasClient,
        metrics: &SelfMetrics,
        target: &Target,
        poll: &PollConfig,
        deadline: Instant,
    ) -> Result<JobSummary, Error> {
        let due = |last: &LastFullListing| {
            last.at.elapsed() >= with_jitter(poll.full_listing_interval, last.random)
        };
        self.0.take_if(|last| !poll.incremental || due(last));
        if let Some(last) = &self.0 {
            let mut listing = IncrementalListing::new(&last.checkpoint);
            let read = atlas.export_jobs(target, NEWEST_PAGE_SIZE, deadline, |page| {
                metrics.pages.inc();
                listing.add_page(page)
            });
            read.await?;
            if let Some(summary) = listing.finish() {
                return Ok(summary);
            }
            self.0 = None;
        }
        let at = Instant::now();
        let mut accumulator = JobAccumulator::default();
        let read = atlas.export_jobs(target, MAX_PAGE_SIZE, deadline, |page| {
            metrics.pages.inc();
            accumulator.add_page(page)
        });
        read.await?;
        metrics.full_listings.inc();
        let (summary, checkpoint) =
            if poll.incremental { accumulator.into_checkpoint() } else { (accumulator.finish(), None) };
        self.0 = checkpoint
            .map(|checkpoint| Box::new(LastFullListing { checkpoint, at, random: fastrand::f64() }));
        Ok(summary)
    }
}
