//! The transport of all requests, including those for tokens and digest challenges.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Request, RequestBuilder, Response, StatusCode};
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::dns::CoalescingResolver;
use crate::endpoint::{RequestContext, authority};
use crate::error::Error;
use crate::inflate::decompressor;
use crate::memory::{MemoryBudget, Reservation};
use crate::proxy::Proxy;
use crate::rate_limit::RateLimiter;
use crate::sunset::SunsetWarnings;
use crate::types::shorten;

/// Maximum size of a body in bytes, after decompression: forty pages of 500 jobs. Jobs can have
/// much `customData`.
const MAX_BODY: usize = 16 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits for the body of an error response, which is optional.
const MAX_ERROR_BODY: usize = 64 * 1024;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Memory of a body without a reservation in bytes, enough for most. The number of requests in
/// flight bounds the total.
const SMALL_BODY: usize = 64 * 1024;

/// First reservation for a longer body in bytes, enough for a page of 500 jobs; it doubles from
/// there.
const FIRST_RESERVATION: usize = 512 * 1024;

/// Maximum number of idle connections. There could be hundreds after Atlas has hung.
const MAX_IDLE_CONNECTIONS: usize = 32;

/// Observer of completed requests, for counters.
pub trait RequestObserver: fmt::Debug + Send + Sync {
    /// Observes a request to one of [`ENDPOINTS`](crate::ENDPOINTS). The status is `None` if there
    /// was no response, for example because the request was cancelled.
    fn observe(&self, endpoint: &'static str, status: Option<u16>, elapsed: Duration);
}

/// An observer that ignores all requests.
impl RequestObserver for () {
    fn observe(&self, _: &'static str, _: Option<u16>, _: Duration) {}
}

/// Certificates of authorities, in DER.
pub type CaBundle = Arc<[CertificateDer<'static>]>;

/// Connection options of an [`AtlasClient`](crate::AtlasClient).
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Root of the API, with a path that ends with a slash.
    pub base_url: Url,
    /// Value of the `User-Agent` header, such as `example/1.0`.
    pub user_agent: String,
    /// Certificate authorities in addition to those of the system.
    pub ca_bundle: CaBundle,
    /// Proxy of https requests; `None` for direct connections.
    pub proxy: Option<Proxy>,
    /// Observer of all requests, including those for tokens.
    pub observer: Arc<dyn RequestObserver>,
}

/// Sends requests. Clones share connections, limits and observer.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    client: Client,
    proxy: Option<Proxy>,
    pub(crate) memory: MemoryBudget,
    pub(crate) rate_limiter: RateLimiter,
    sunsets: SunsetWarnings,
    observer: Arc<dyn RequestObserver>,
}

impl Transport {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, Error> {
        // Fails if the process has installed a provider before, which is used then.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(&options.user_agent)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .dns_resolver(CoalescingResolver::default())
            // Bodies are decompressed here, within the memory budget.
            .no_gzip()
            // Atlas does not redirect, and a redirect could send the credentials to another host.
            .redirect(Policy::none())
            // reqwest would read the environment by other rules, and ignore an unusable proxy.
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            client =
                client.proxy(reqwest::Proxy::all(proxy.url.clone()).map_err(|error| Error::setup(&error))?);
        }
        if options.base_url.scheme() == "http" {
            // Plain http is for this machine, and needs no certificate authority.
            client = client.tls_certs_only([]);
        } else {
            let certificates = options.ca_bundle.iter().map(|der| Certificate::from_der(der));
            let certificates: Vec<_> =
                certificates.collect::<Result<_, _>>().map_err(|error| Error::setup(&error))?;
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|error| Error::setup(&error))?;
        Ok(Self {
            client,
            proxy: options.proxy.clone(),
            memory: MemoryBudget::default(),
            rate_limiter: RateLimiter::default(),
            sunsets: SunsetWarnings::default(),
            observer: options.observer.clone(),
        })
    }

    /// Creates a POST request for [`Transport::send`].
    pub(crate) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends a request, unless Atlas requested a pause. A response with any status is `Ok`.
    pub(crate) async fn send(
        &self,
        context: &RequestContext,
        mut request: Request,
    ) -> Result<Response, Error> {
        self.rate_limiter.try_acquire(context, Instant::now())?;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut observation = Observation { transport: self, context, start: Instant::now(), status: None };
        let host = authority(request.url());
        let response = self.client.execute(request).await.map_err(|error| self.error(&error, &host))?;
        let (status, headers) = (response.status(), response.headers());
        observation.status = Some(status.as_u16());
        self.rate_limiter.update_from_headers(context, status, headers, Instant::now());
        if status.is_success() {
            self.sunsets.observe(context.endpoint, headers);
        }
        Ok(response)
    }

    fn error(&self, error: &reqwest::Error, host: &str) -> Error {
        Error::transport(error, host, self.proxy.as_ref(), CONNECT_TIMEOUT)
    }

    /// Reads the body of a response with status 200; any other response is an error.
    pub(crate) async fn body(&self, response: Response) -> Result<Body, Error> {
        if response.status() != StatusCode::OK {
            return Err(self.error_response(response).await);
        }
        let mut body = self.read(response, MAX_BODY).await?;
        shorten(&mut body.bytes)?;
        Ok(body)
    }

    async fn read(&self, response: Response, max: usize) -> Result<Body, Error> {
        let host = authority(response.url());
        read(response, max, self.memory.reserve(), |error| self.error(&error, &host)).await
    }

    /// Returns the error for an error response. It includes the body if that is short and arrives
    /// soon.
    pub(crate) async fn error_response(&self, response: Response) -> Error {
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Error::invalid(&format!("redirects are not followed ({status})"));
        }
        let body = self.read(response, MAX_ERROR_BODY);
        let body = timeout(ERROR_BODY_TIMEOUT, body).await.ok().and_then(Result::ok);
        Error::response(status, &headers, body.as_deref().unwrap_or_default())
    }
}

/// A body with its memory reservation.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request in flight, which is observed on drop, also if it is cancelled.
struct Observation<'a> {
    transport: &'a Transport,
    context: &'a RequestContext,
    start: Instant,
    status: Option<u16>,
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        let endpoint = self.context.endpoint.name;
        self.transport.observer.observe(endpoint, self.status, self.start.elapsed());
    }
}

/// Reads a body of at most `max` bytes, both before and after decompression.
async fn read(
    mut response: Response,
    max: usize,
    mut reservation: Reservation,
    failed: impl Fn(reqwest::Error) -> Error,
) -> Result<Body, Error> {
    let mut gzip = decompressor(response.headers())?;
    let (mut bytes, mut received) = (Vec::with_capacity(SMALL_BODY), 0);
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk.map_err(&failed)?,
            () = reservation.revoked() => return Err(Error::revoked()),
        };
        let Some(chunk) = chunk else { break };
        received += chunk.len();
        // An endless compressed body can decompress to nothing.
        if received > max {
            return Err(Error::TooLarge(format!("more than {max} bytes")));
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if bytes.len() == bytes.capacity() {
                // One byte more than the maximum, to read the end of a compressed body of `max`
                // bytes.
                let capacity = (bytes.len() * 2).max(FIRST_RESERVATION).min(max + 1);
                reservation.grow(capacity).await?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            rest = if let Some(gzip) = &mut gzip {
                gzip.write(rest, &mut bytes)?
            } else {
                let (fitting, rest) = rest.split_at(rest.len().min(bytes.capacity() - bytes.len()));
                bytes.extend_from_slice(fitting);
                rest
            };
            if bytes.len() > max {
                return Err(Error::TooLarge(format!("more than {max} bytes")));
            }
        }
    }
    if let Some(gzip) = gzip {
        gzip.finish()?;
    }
    Ok(Body { bytes, _reservation: reservation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn compressed_body_has_a_maximum_size() {
        // A gzip header, and empty blocks.
        let blocks = |count| {
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..], &[0, 0, 0, 0xff, 0xff].repeat(count)].concat()
        };
        for (count, expected) in [(10, "invalid_response"), (200, "too_large")] {
            let response =
                http::Response::builder().header("content-encoding", "gzip").body(blocks(count)).unwrap();
            let reservation = MemoryBudget::default().reserve();
            let failed = |error| Error::invalid(&format!("{error}"));
            let error = read(response.into(), 1000, reservation, failed).await.unwrap_err();
            assert_eq!(error.reason().as_str(), expected, "{error}");
        }
    }
}
