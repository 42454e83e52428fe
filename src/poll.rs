//! Polls of clusters: when they run, how many at once, and which pages of a listing they read.

mod job_listing;
pub(crate) mod limiter;
pub(crate) mod timing;
mod worker;

pub use job_listing::JobListing;
pub use limiter::PollLimiter;
pub(crate) use worker::PollWorker;
