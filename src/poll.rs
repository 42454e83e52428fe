//! Polls of the export jobs of clusters: schedule, concurrency, and incremental listings.

mod job_listing;
pub(crate) mod limiter;
pub(crate) mod timing;
mod worker;

pub use job_listing::JobListing;
pub use limiter::PollLimiter;
pub(crate) use worker::PollWorker;
