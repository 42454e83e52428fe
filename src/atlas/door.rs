//! The one way out: every wire request passes [`Door::send`], every body [`Door::body`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Request, RequestBuilder, Response, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use url::Url;

use super::Error;
use super::endpoint::Route;
use super::inflate::{gunzip, is_gzip};
use super::names::Names;
use super::pace::Pacer;
use super::sunset::SunsetWarnings;
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

/// A body beyond this is large. No page of Atlas's is, unless its jobs carry much `customData`.
const LARGE: usize = 512 * 1024;

/// Large bodies that are read at once; others wait for their turn, within the time of their poll. One that hangs keeps its memory, and as
/// many may hang as there are clusters.
const LARGE_AT_ONCE: usize = 4;

/// Memory of a body that is kept for the next one: of a page of 500 jobs, as a rule.
const LARGEST_ROOM: usize = 1024 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Door {
    client: Client,
    /// Empty, or the memory of a body that was read. To get it from the system for every page takes as long as to inflate one.
    room: Arc<Mutex<Vec<u8>>>,
    large: Arc<Semaphore>,
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
            .dns_resolver(Names::default())
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
        let large = Arc::new(Semaphore::new(LARGE_AT_ONCE));
        let sunsets = SunsetWarnings::default();
        Ok(Self { client, room: Arc::default(), large, pacer: Pacer::default(), sunsets, metrics })
    }

    /// Memory for a body.
    pub(super) fn room(&self) -> Vec<u8> {
        std::mem::take(&mut self.room.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the memory of a body that was read.
    pub(super) fn keep(&self, body: Vec<u8>) {
        if body.capacity() <= LARGEST_ROOM {
            *self.room.lock().unwrap_or_else(PoisonError::into_inner) = body;
        }
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

    /// The body of an answer that is a success, in the memory of `room`; any other answer is an error with what it says.
    pub(super) async fn body(&self, response: Response, room: Vec<u8>) -> Result<Vec<u8>, Error> {
        if response.status() == StatusCode::OK {
            return read(response, LARGEST_BODY, room, &self.large).await;
        }
        Err(refusal(response).await)
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

/// The error that an answer without success is. Its status decides; its body says more, if it comes soon and is short.
pub(super) async fn refusal(response: Response) -> Error {
    let (status, headers) = (response.status(), response.headers().clone());
    if status.is_redirection() {
        return Error::invalid(&format!("a redirect ({status}), which is not followed"));
    }
    // None of them is large.
    let nobody = Semaphore::new(0);
    let body = timeout(ERROR_BODY_TIMEOUT, read(response, LARGEST_ERROR_BODY, Vec::new(), &nobody)).await;
    Error::answer(status, &headers, &body.ok().and_then(Result::ok).unwrap_or_default())
}

async fn read(
    mut response: Response,
    most: usize,
    mut room: Vec<u8>,
    large: &Semaphore,
) -> Result<Vec<u8>, Error> {
    let mut turn = None;
    let zipped = is_gzip(response.headers())?;
    room.clear();
    let mut body = if zipped { Vec::new() } else { std::mem::take(&mut room) };
    while let Some(chunk) = response.chunk().await.map_err(Error::transport)? {
        if body.len() + chunk.len() > most {
            return Err(Error::TooLarge(format!("more than {most} bytes")));
        }
        if turn.is_none() && body.len() + chunk.len() > LARGE {
            turn = large.acquire().await.ok();
        }
        body.extend_from_slice(&chunk);
    }
    if zipped { gunzip(&body, most, room) } else { Ok(body) }
}
