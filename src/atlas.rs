//! The Atlas Administration API: the only URLs, JSON and HTTP requests of the exporter.
//!
//! Every request, token requests and digest challenges included, leaves through one door, `Door::send`.

mod auth;
mod detail;
mod dns;
mod door;
mod endpoint;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod inflate;
mod listing;
mod memory;
mod pace;
mod sunset;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::config::{Authorities, Credentials, Proxy};
use crate::model::{Budget, ListedCluster, OrganizationId, ProjectId, Schedule, Target};
use crate::self_metrics::SelfMetrics;
use auth::Auth;
use door::{Body, Door};
use endpoint::{Endpoint, Route};
pub use error::{Cause, ERROR_ANSWERS, Error, ErrorAnswer, Retry};
pub use listing::{Collect, Listing, MAX_ENTRIES, fold_page};

/// Tries of one request, unless someone says otherwise: the first and three more.
const RETRIES: usize = 3;

/// First pause between two tries, doubled each time and jittered.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The words under which requests are counted.
pub const ENDPOINTS: [&str; Endpoint::ALL.len()] = {
    let mut words = [""; Endpoint::ALL.len()];
    let mut i = 0;
    while i < words.len() {
        words[i] = Endpoint::ALL[i].as_str();
        i += 1;
    }
    words
};

/// One Atlas, asked with one set of credentials. Clones share the token or nonce, the connections and the pacer.
#[derive(Debug, Clone)]
pub struct Atlas {
    door: Door,
    auth: Arc<Auth>,
    base: Url,
    authorities: Authorities,
    /// Tries of a request after the first.
    retries: usize,
}

impl Atlas {
    /// Prepares a client; nothing is sent yet.
    pub fn new(
        base: &Url,
        authorities: &Authorities,
        proxy: Option<&Proxy>,
        credentials: &Credentials,
        metrics: Arc<SelfMetrics>,
    ) -> Result<Self, Error> {
        Ok(Self {
            door: Door::new(base, authorities, proxy, metrics)?,
            auth: Arc::new(Auth::new(base, credentials)),
            base: base.clone(),
            authorities: authorities.clone(),
            retries: RETRIES,
        })
    }

    /// The same, but each request is tried once. What failed a moment ago is asked for no more often than when all is well.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { retries: 0, ..self.clone() }
    }

    /// The same Atlas, asked with other credentials.
    #[must_use]
    pub fn with(&self, credentials: &Credentials) -> Self {
        Self { auth: Arc::new(Auth::new(&self.base, credentials)), ..self.clone() }
    }

    /// Whether both ask the same Atlas with the same token or nonce.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.auth, &other.auth)
    }

    /// Whether it asks at `base`, and `authorities` may vouch for that.
    #[must_use]
    pub fn trusts(&self, base: &Url, authorities: &Authorities) -> bool {
        self.base == *base && self.authorities == *authorities
    }

    /// Returns the counters of requests and pages.
    #[must_use]
    pub fn metrics(&self) -> &SelfMetrics {
        &self.door.metrics
    }

    /// What is left of a project's budget for Cloud Backups, as of the last answer that told.
    #[must_use]
    pub fn budget(&self, project: &ProjectId) -> Option<Budget> {
        self.door.pacer.budget(project)
    }

    /// How much longer than configured to wait between two polls of a project, from 1 to 10.
    #[must_use]
    pub fn stretch(&self, project: &ProjectId) -> f64 {
        pace::stretch(self.budget(project))
    }

    /// Asks for one job of a cluster's listing, to see whether it may be listed at all.
    pub async fn try_export_jobs(&self, target: &Target, deadline: Instant) -> Result<(), Error> {
        let mut call = self.backup(Endpoint::Exports, target, &["exports"])?;
        call.url.set_query(Some("itemsPerPage=1&pageNum=1"));
        let body = self.body(&call, deadline).await?;
        wire::decode::<wire::Page<wire::Job<'_>>>(&body).map(drop)
    }

    /// A cluster's backup schedule.
    pub async fn schedule(&self, target: &Target, deadline: Instant) -> Result<Schedule, Error> {
        let call = self.backup(Endpoint::Schedule, target, &["schedule"])?;
        let schedule: wire::Schedule = self.get(&call, deadline).await?;
        Ok(schedule.into())
    }

    /// A project's name.
    pub async fn project_name(&self, id: &ProjectId, deadline: Instant) -> Result<String, Error> {
        let call = self.call(Endpoint::Project, id.as_str(), &["groups", id.as_str()])?;
        let project: wire::Project = self.get(&call, deadline).await?;
        Ok(project.name.0)
    }

    /// Every cluster of a project, those that cannot be exported included.
    pub async fn clusters(&self, id: &ProjectId, deadline: Instant) -> Result<Listing<ListedCluster>, Error> {
        let call = self.call(Endpoint::Clusters, id.as_str(), &["groups", id.as_str(), "clusters"])?;
        self.listing(call, MAX_ENTRIES, deadline, wire::Cluster::read).await
    }

    /// Every project of an organization that the credentials may see, with its name where that can be read.
    pub async fn projects(
        &self,
        id: &OrganizationId,
        deadline: Instant,
    ) -> Result<Listing<(ProjectId, Option<String>)>, Error> {
        let call =
            self.call(Endpoint::OrganizationProjects, id.as_str(), &["orgs", id.as_str(), "groups"])?;
        self.listing(call, MAX_ENTRIES, deadline, wire::ListedProject::read).await
    }

    /// A resource below a cluster's `backup`.
    fn backup(&self, endpoint: Endpoint, target: &Target, resource: &[&str]) -> Result<Call, Error> {
        let project = target.project_id.as_str();
        let segments = [&["groups", project, "clusters", &target.cluster_name, "backup"], resource].concat();
        self.call(endpoint, project, &segments)
    }

    /// A resource of the project or organization `owner`.
    fn call(&self, endpoint: Endpoint, owner: &str, segments: &[&str]) -> Result<Call, Error> {
        Ok(Call { route: Route { endpoint, owner: Some(owner.to_owned()) }, url: url(&self.base, segments)? })
    }

    /// Asks until an answer is final, the tries are used up, or `deadline` comes.
    async fn get<T: DeserializeOwned>(&self, call: &Call, deadline: Instant) -> Result<T, Error> {
        wire::decode(&self.body(call, deadline).await?)
    }

    /// The same, before it is read: what is in it may stay where it is. What cannot be read is not asked for again.
    async fn body(&self, call: &Call, deadline: Instant) -> Result<Body, Error> {
        retry(|| self.once(call), self.retries, deadline).await
    }

    async fn once(&self, call: &Call) -> Result<Body, Error> {
        let mut request = Request::new(Method::GET, call.url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(call.route.endpoint.media_type()));
        let response = self.auth.send(&self.door, &call.route, &request).await?;
        self.door.body(response).await
    }
}

/// The address of a resource of the Atlas at `base`; each segment is escaped.
fn url(base: &Url, segments: &[&str]) -> Result<Url, Error> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::invalid("the base URL cannot have a path"))?
        .pop_if_empty()
        .extend(["api", "atlas", "v2"])
        .extend(segments);
    Ok(url)
}

/// One resource, and on whose budget it is read.
struct Call {
    route: Route,
    url: Url,
}

/// Repeats `once` while its error may pass: at most `retries` times more, each after at least what Atlas asks for,
/// and not at all where that lies beyond `deadline`.
///
/// The error returned is the last thing that was heard; [`Error::Timeout`] only if nothing was.
async fn retry<T, F>(once: impl Fn() -> F, retries: usize, deadline: Instant) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut heard = None;
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_times(retries)
        .with_jitter()
        // Without a seed all would draw the same.
        .with_jitter_seed(fastrand::u64(..))
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
        let pause = match &error {
            // Nothing was sent, so it was no try.
            Error::Paced { .. } => Some(FIRST_PAUSE.mul_f64(1.0 + fastrand::f64())),
            _ => pauses.next(),
        };
        let Some(pause) = pause else { return Err(error) };
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
