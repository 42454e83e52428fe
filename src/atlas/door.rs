//! The one way out: every wire request passes [`Door::send`], every body [`Door::body`].

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Request, RequestBuilder, Response, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;

use super::Error;
use super::dns::CoalescingResolver;
use super::endpoint::Route;
use super::inflate::decompressor;
use super::memory::{MemoryBudget, Reservation};
use super::pace::Pacer;
use super::sunset::SunsetWarnings;
use super::wire::shorten;
use crate::config::{Authorities, Proxy};
use crate::self_metrics::SelfMetrics;

/// Largest body that is read, after decompression. A page of 500 jobs takes about 400 KB; forty times that leaves
/// room for much `customData`, while a body without an end, or a small one that inflates, stops here.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Connections that do not come about in this time do not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most that is read of an answer that is an error, and for how long: the status has been heard by then.
const LARGEST_ERROR_BODY: usize = 64 * 1024;
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Memory that every body may use without a reservation: enough for most. The number of requests in flight bounds it.
const SMALL: usize = 64 * 1024;

/// Memory that is reserved for a longer body: enough for a page of 500 jobs. From there on it doubles.
const FIRST_RESERVATION: usize = 512 * 1024;

/// Idle connections that are kept for the next requests. After a moment in which Atlas hung, there would be hundreds.
const MAX_IDLE_CONNECTIONS: usize = 32;

#[derive(Debug, Clone)]
pub(super) struct Door {
    client: Client,
    pub(super) memory: MemoryBudget,
    pub(super) pacer: Pacer,
    sunsets: SunsetWarnings,
    pub(super) metrics: Arc<SelfMetrics>,
}

impl Door {
    pub(super) fn new(
        base: &Url,
        authorities: &Authorities,
        proxy: Option<&Proxy>,
        metrics: Arc<SelfMetrics>,
    ) -> Result<Self, Error> {
        // The first to choose a provider wins; another choice of the same process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .user_agent(concat!("atlas-backup-exporter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            .dns_resolver(CoalescingResolver::default())
            // Bodies are inflated here, as a whole.
            .no_gzip()
            // No API of Atlas redirects, and a redirect would carry our credentials wherever it likes.
            .redirect(Policy::none())
            // The library would read the environment by different rules, and bypass a proxy that it cannot read.
            .no_proxy();
        if let Some(proxy) = proxy {
            client = client.proxy(reqwest::Proxy::all(proxy.url().clone()).map_err(Error::transport)?);
        }
        if base.scheme() == "http" {
            // That is this machine: no certificate authority is needed.
            client = client.tls_certs_only([]);
        } else {
            // Only the certificates: that every server must prove itself by one is the library's default, and stays.
            let certificates = authorities.iter().map(|der| Certificate::from_der(der));
            let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(Error::transport)?;
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(Error::transport)?;
        Ok(Self {
            client,
            memory: MemoryBudget::default(),
            pacer: Pacer::default(),
            sunsets: SunsetWarnings::default(),
            metrics,
        })
    }

    /// Begins a POST; [`Door::send`] sends it.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends one request, unless Atlas asked to wait; any answer is `Ok`, whatever its status.
    pub(super) async fn send(&self, route: &Route, mut request: Request) -> Result<Response, Error> {
        self.pacer.admit(route, Instant::now())?;
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut count = Count { metrics: &self.metrics, route, began: Instant::now(), status: None };
        let response = self.client.execute(request).await.map_err(Error::transport)?;
        count.status = Some(response.status());
        self.pacer.observe(route, response.status(), response.headers(), Instant::now());
        if response.status().is_success() {
            self.sunsets.observe(route.endpoint, response.headers());
        }
        Ok(response)
    }

    /// Reads the body of a successful response; any other response is an error with what it says.
    pub(super) async fn body(&self, response: Response) -> Result<Body, Error> {
        if response.status() == StatusCode::OK {
            let mut body = read(response, LARGEST_BODY, self.memory.reserve()).await?;
            shorten(&mut body.bytes)?;
            return Ok(body);
        }
        Err(self.refusal(response).await)
    }

    /// The error that an answer without success is. Its status decides; its body says more, if it comes soon and is short.
    pub(super) async fn refusal(&self, response: Response) -> Error {
        let (status, headers) = (response.status(), response.headers().clone());
        if status.is_redirection() {
            return Error::invalid(&format!("a redirect ({status}), which is not followed"));
        }
        let body = read(response, LARGEST_ERROR_BODY, self.memory.reserve());
        let body = timeout(ERROR_BODY_TIMEOUT, body).await.ok().and_then(Result::ok);
        Error::answer(status, &headers, body.as_deref().unwrap_or_default())
    }
}

/// A body that was read as a whole, with the memory that is reserved for it.
#[derive(Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts a request when it is over, one that was given up included.
struct Count<'a> {
    metrics: &'a SelfMetrics,
    route: &'a Route,
    began: Instant,
    status: Option<StatusCode>,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        let status = self.status.map(|status| status.as_u16());
        self.metrics.count_request(self.route.endpoint.as_str(), status, self.began.elapsed());
    }
}

/// Reads a body of at most `max` bytes, compressed and decompressed.
async fn read(mut response: Response, max: usize, mut reservation: Reservation) -> Result<Body, Error> {
    let mut gzip = decompressor(response.headers())?;
    let (mut bytes, mut received) = (Vec::with_capacity(SMALL), 0);
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk.map_err(Error::transport)?,
            () = reservation.revoked() => return Err(Error::Timeout),
        };
        let Some(chunk) = chunk else { break };
        received += chunk.len();
        // A compressed body can be without an end and decompress to nothing.
        if received > max {
            return Err(Error::TooLarge(format!("more than {max} bytes")));
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            if bytes.len() == bytes.capacity() {
                // One byte more than may be used: the end of a compressed body of `max` bytes is not output.
                let capacity = (bytes.len() * 2).max(FIRST_RESERVATION).min(max + 1);
                reservation.grow(capacity).await?;
                bytes.reserve_exact(capacity - bytes.len());
            }
            rest = if let Some(gzip) = &mut gzip {
                gzip.write(rest, &mut bytes)?
            } else {
                let (now, later) = rest.split_at(rest.len().min(bytes.capacity() - bytes.len()));
                bytes.extend_from_slice(now);
                later
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
        // A gzip header, and blocks without a byte.
        let blocks = |count| {
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff][..], &[0, 0, 0, 0xff, 0xff].repeat(count)].concat()
        };
        for (count, expected) in [(10, "invalid_response"), (200, "too_large")] {
            let response = axum::http::Response::builder()
                .header("content-encoding", "gzip")
                .body(blocks(count))
                .unwrap();
            let reservation = MemoryBudget::default().reserve();
            let error = read(response.into(), 1000, reservation).await.unwrap_err();
            assert_eq!(error.reason().as_str(), expected, "{error}");
        }
    }
}
