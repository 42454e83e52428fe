//! The client: requests to one Atlas with one set of credentials.

use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request};
use tokio::time::Instant;
use url::Url;

use crate::auth::Auth;
use crate::credentials::Credentials;
use crate::endpoint::{ApiRequest, Endpoint, RequestContext, api_url, authority};
use crate::error::Error;
use crate::rate_limit::{Quota, interval_multiplier};
use crate::retry::{MAX_RETRIES, retry};
use crate::transport::{Body, CaBundle, ClientOptions, Transport};
use crate::types::{ProjectId, Target};

/// Client of one Atlas with one set of credentials.
///
/// Clones share connections, rate limits, and the access token or the digest nonce.
#[derive(Debug, Clone)]
pub struct AtlasClient {
    pub(crate) transport: Transport,
    auth: Arc<Auth>,
    base_url: Url,
    ca_bundle: CaBundle,
    retries: u32,
}

impl AtlasClient {
    /// Creates a client without sending a request.
    pub fn new(options: &ClientOptions, credentials: &Credentials) -> Result<Self, Error> {
        let transport = Transport::new(options)?;
        Ok(Self {
            auth: Arc::new(Auth::new(&transport, &options.base_url, credentials)),
            transport,
            base_url: options.base_url.clone(),
            ca_bundle: options.ca_bundle.clone(),
            retries: MAX_RETRIES,
        })
    }

    /// Returns a client of the same Atlas that does not retry requests.
    #[must_use]
    pub fn without_retries(&self) -> Self {
        Self { retries: 0, ..self.clone() }
    }

    /// Returns a client of the same Atlas with other credentials, which shares connections and rate
    /// limits.
    #[must_use]
    pub fn with_credentials(&self, credentials: &Credentials) -> Self {
        Self { auth: Arc::new(Auth::new(&self.transport, &self.base_url, credentials)), ..self.clone() }
    }

    /// Returns true if both clients use the same token or nonce.
    #[must_use]
    pub fn shares_auth(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.auth, &other.auth)
    }

    /// Returns true if the client has the base URL and the CA bundle of `options`.
    #[must_use]
    pub fn fits(&self, options: &ClientOptions) -> bool {
        self.base_url == options.base_url && self.ca_bundle == options.ca_bundle
    }

    /// Returns the quota of a project for Cloud Backups, as of the last response that reported it.
    #[must_use]
    pub fn quota(&self, project: &ProjectId) -> Option<Quota> {
        self.transport.rate_limiter.quota(project)
    }

    /// Returns the factor, 1 to 10, by which to extend the poll interval of a project.
    ///
    /// It grows as the quota runs out, which other clients of the project share.
    #[must_use]
    pub fn interval_multiplier(&self, project: &ProjectId) -> f64 {
        interval_multiplier(self.quota(project))
    }

    /// Creates a request for a resource below `backup` of a cluster.
    pub(crate) fn backup_request(
        &self,
        endpoint: Endpoint,
        target: &Target,
        resource: &[&str],
    ) -> Result<ApiRequest, Error> {
        let resource = [&["clusters", &target.cluster_name, "backup"], resource].concat();
        self.project_request(endpoint, &target.project_id, &resource)
    }

    /// Creates a request for a resource of a project, which Atlas calls a group.
    pub(crate) fn project_request(
        &self,
        endpoint: Endpoint,
        id: &ProjectId,
        resource: &[&str],
    ) -> Result<ApiRequest, Error> {
        self.request(endpoint, ["groups", id.as_str()], resource)
    }

    pub(crate) fn request(
        &self,
        endpoint: Endpoint,
        owner: [&str; 2],
        resource: &[&str],
    ) -> Result<ApiRequest, Error> {
        let context = RequestContext { endpoint, owner: Some(owner[1].to_owned()) };
        Ok(ApiRequest { context, url: api_url(&self.base_url, &[&owner, resource].concat())? })
    }

    /// Sends a request, with retries, and returns the body of the response.
    pub(crate) async fn body(&self, request: &ApiRequest, deadline: Instant) -> Result<Body, Error> {
        retry(|| self.send_once(request), &authority(&request.url), self.retries, deadline).await
    }

    async fn send_once(&self, ApiRequest { context, url }: &ApiRequest) -> Result<Body, Error> {
        let mut request = Request::new(Method::GET, url.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(context.endpoint.media_type));
        let response = self.auth.send(context, &request).await?;
        self.transport.body(response).await
    }
}
