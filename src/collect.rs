//! One poll of one cluster: which calls, and what they fold into.

use atlas_client::{AtlasClient, Error, ExportJob, MAX_PAGE_SIZE, Page, Target};
use tokio::time::Instant;

use crate::config::PollConfig;
use crate::model::{ClusterReport, Fold, HEAD_PAGE, Head, Tail};
use crate::self_metrics::SelfMetrics;
use crate::settings::jittered;

/// What the next walk of a listing needs of the last full one.
#[derive(Debug, Default)]
pub struct Walk(Option<Box<Walked>>);

#[derive(Debug)]
struct Walked {
    tail: Tail,
    at: Instant,
    /// When it was, in parts of what passes until the next: clusters that began together do not stay so.
    random: f64,
}

impl Walk {
    /// Reads the listing of `target` before `deadline`: as much as has to be read to know the whole. Half a listing is no listing: it is an
    /// error.
    pub async fn cluster(
        &mut self,
        atlas: &AtlasClient,
        metrics: &SelfMetrics,
        target: &Target,
        poll: &PollConfig,
        deadline: Instant,
    ) -> Result<ClusterReport, Error> {
        let due =
            |walked: &Walked| walked.at.elapsed() >= jittered(poll.full_listing_interval, walked.random);
        self.0.take_if(|walked| !poll.incremental || due(walked));
        if let Some(walked) = &self.0 {
            let mut head = Head::new(&walked.tail);
            let on_page = |page: Page<ExportJob<'_>>| {
                metrics.count_page();
                head.add_page(page)
            };
            atlas.export_jobs(target, HEAD_PAGE, deadline, on_page).await?;
            if let Some(report) = head.finish() {
                return Ok(report);
            }
            self.0 = None;
        }
        let at = Instant::now();
        let mut fold = Fold::default();
        let on_page = |page: Page<ExportJob<'_>>| {
            metrics.count_page();
            fold.add_page(page)
        };
        atlas.export_jobs(target, MAX_PAGE_SIZE, deadline, on_page).await?;
        metrics.count_full_walk();
        let (report, tail) = if poll.incremental { fold.settle() } else { (fold.finish(), None) };
        self.0 = tail.map(|tail| Box::new(Walked { tail, at, random: fastrand::f64() }));
        Ok(report)
    }
}
