//! One poll of one cluster: which calls, and what they fold into.

use tokio::time::Instant;

use crate::atlas::{Atlas, Collect, Error};
use crate::config::PollConfig;
use crate::model::{ClusterReport, ExportJob, Fold, HEAD_PAGE, Head, Sighting, Tail, Target};
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
        atlas: &Atlas,
        target: &Target,
        poll: &PollConfig,
        deadline: Instant,
    ) -> Result<ClusterReport, Error> {
        let due =
            |walked: &Walked| walked.at.elapsed() >= jittered(poll.full_listing_interval, walked.random);
        self.0.take_if(|walked| !poll.incremental || due(walked));
        if let Some(walked) = &self.0 {
            let mut head = Head::new(&walked.tail);
            atlas.export_jobs(target, deadline, &mut head).await?;
            if let Some(report) = head.finish() {
                return Ok(report);
            }
            self.0 = None;
        }
        let at = Instant::now();
        let mut fold = Fold::default();
        atlas.export_jobs(target, deadline, &mut fold).await?;
        atlas.metrics().count_full_walk();
        let (report, tail) = if poll.incremental { fold.settle() } else { (fold.finish(), None) };
        self.0 = tail.map(|tail| Box::new(Walked { tail, at, random: fastrand::f64() }));
        Ok(report)
    }
}

impl<'a> Collect<ExportJob<'a>> for Fold {
    fn begin_page(&mut self, jobs: usize, promised: u64) {
        self.reserve(jobs);
        self.promise(promised);
    }

    fn add(&mut self, job: ExportJob<'a>) -> Sighting {
        self.add(job)
    }

    fn entries(&self) -> usize {
        usize::try_from(self.jobs()).unwrap_or(usize::MAX)
    }

    fn kept_bytes(&self) -> usize {
        self.kept_bytes()
    }
}

impl<'a> Collect<ExportJob<'a>> for Head<'_> {
    const PAGE_SIZE: usize = HEAD_PAGE;

    fn begin_page(&mut self, jobs: usize, promised: u64) {
        self.reserve(jobs);
        self.promise(promised);
    }

    fn add(&mut self, job: ExportJob<'a>) -> Sighting {
        self.add(job)
    }

    fn entries(&self) -> usize {
        self.fold().entries()
    }

    fn kept_bytes(&self) -> usize {
        self.fold().kept_bytes()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}
