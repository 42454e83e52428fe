//! The Atlas Administration API: the only URLs, JSON and HTTP requests of the exporter.
//!
//! Every request, token requests and digest challenges included, leaves through one door, `Door::send`.

mod auth;
mod door;
mod error;
mod wire;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::config::AtlasConfig;
use crate::model::{ExportJob, ProjectId, Sighting, Target};
use auth::Auth;
use door::Door;
pub use error::Error;

/// The dated media type of each resource: Atlas answers 406 without one, and resolves a later date to the newest
/// version before it.
const EXPORTS_VERSION: &str = "application/vnd.atlas.2024-05-30+json";
const PROJECT_VERSION: &str = "application/vnd.atlas.2023-01-01+json";

/// Jobs a page: the most that Atlas allows.
const PAGE_SIZE: usize = 500;

/// No listing is longer: half a million jobs are daily exports for thirteen centuries. Without an end, a server that
/// always promises one more page would be read for ever.
const MOST_PAGES: usize = 1000;

/// Pages in a row that bring nothing new although more are promised. Jobs that appear while a listing is read shift
/// it, which can repeat a page or two; three are a circle.
const MOST_REPEATED_PAGES: usize = 3;

/// Tries of one request: the first and three more.
const RETRIES: usize = 3;

/// First pause between two tries, doubled each time and jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// One Atlas, asked with one set of credentials.
#[derive(Debug)]
pub struct Atlas {
    door: Door,
    auth: Auth,
    base: Url,
}

impl Atlas {
    /// Prepares a client; nothing is sent yet.
    pub fn new(config: &AtlasConfig) -> Result<Self, Error> {
        Ok(Self {
            door: Door::new(&config.base_url)?,
            auth: Auth::new(config),
            base: config.base_url.clone(),
        })
    }

    /// Hands every job of a cluster's listing to `each`, page by page, before `deadline`.
    ///
    /// Whether more pages follow is told by the `next` link and by full pages; `totalCount` is an estimate and is not
    /// read. The link's address is not used: it could lead elsewhere, with our credentials.
    pub async fn export_jobs(
        &self,
        target: &Target,
        deadline: Instant,
        mut each: impl FnMut(ExportJob) -> Sighting,
    ) -> Result<(), Error> {
        let mut url = self.url(&[
            "groups",
            target.project_id.as_str(),
            "clusters",
            &target.cluster_name,
            "backup",
            "exports",
        ])?;
        let mut repeated = 0;
        for number in 1..=MOST_PAGES {
            url.set_query(Some(&format!("itemsPerPage={PAGE_SIZE}&pageNum={number}")));
            let page: wire::ExportsPage = self.get(&url, EXPORTS_VERSION, deadline).await?;
            let more = page.promises_more() || page.results.len() >= PAGE_SIZE;
            let mut fresh = false;
            for job in page.results {
                fresh |= each(ExportJob::try_from(job)?) == Sighting::First;
            }
            if !more {
                return Ok(());
            }
            repeated = if fresh { 0 } else { repeated + 1 };
            if repeated == MOST_REPEATED_PAGES {
                return Err(Error::invalid(&format!(
                    "the listing goes round in circles: page {number} is the third in a row without a new job, and another is promised"
                )));
            }
        }
        Err(Error::TooLarge(format!("the listing has more than {MOST_PAGES} pages")))
    }

    /// A project's name.
    pub async fn project_name(&self, id: &ProjectId, deadline: Instant) -> Result<String, Error> {
        let url = self.url(&["groups", id.as_str()])?;
        let project: wire::Project = self.get(&url, PROJECT_VERSION, deadline).await?;
        Ok(project.name)
    }

    /// The address of a resource; each segment is escaped.
    fn url(&self, segments: &[&str]) -> Result<Url, Error> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Error::invalid("the base URL cannot have a path"))?
            .pop_if_empty()
            .extend(["api", "atlas", "v2"])
            .extend(segments);
        Ok(url)
    }

    /// Asks until an answer is final, the tries are used up, or `deadline` comes.
    async fn get<T: DeserializeOwned>(
        &self,
        url: &Url,
        accept: &'static str,
        deadline: Instant,
    ) -> Result<T, Error> {
        retry(|| self.once(url, accept), deadline).await
    }

    async fn once<T: DeserializeOwned>(&self, url: &Url, accept: &'static str) -> Result<T, Error> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
        let response = self.auth.send(&self.door, &request).await?;
        wire::decode(&door::body(response).await?)
    }
}

/// Repeats `once` while its error may pass: at most [`RETRIES`] times more, each after at least what Atlas asks for,
/// and not at all where that lies beyond `deadline`.
///
/// The error returned is the last thing that was heard; [`Error::Timeout`] only if nothing was.
async fn retry<T, F>(once: impl Fn() -> F, deadline: Instant) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut heard = None;
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(RETRIES)
        .with_jitter()
        .build();
    loop {
        let Ok(outcome) = timeout_at(deadline, once()).await else {
            return Err(heard.unwrap_or(Error::Timeout));
        };
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) if error.may_pass() => error,
            Err(error) => return Err(error),
        };
        let Some(pause) = pauses.next() else { return Err(error) };
        // The pause on top of the wait keeps those who share a budget from coming back all at once.
        let pause = pause.saturating_add(error.retry_after().unwrap_or_default());
        // Atlas asks for a wait that this poll does not have: the next poll will try.
        if Instant::now().checked_add(pause).is_none_or(|at| at >= deadline) {
            return Err(error);
        }
        tracing::debug!(error = %error, pause_seconds = pause.as_secs_f64(), "asking Atlas again");
        heard = Some(error);
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
