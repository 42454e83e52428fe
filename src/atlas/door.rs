//! The one way out: every wire request passes [`Door::send`], every body [`body`].

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Request, RequestBuilder, Response, StatusCode};
use url::Url;

use super::Error;

/// Largest body that is read, after decompression. A page of 500 jobs takes about 400 KB; forty times that leaves
/// room for much `customData`, while a body without an end, or a small one that inflates, stops here.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Connections that do not come about in this time do not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Door {
    client: Client,
}

impl Door {
    pub(super) fn new() -> Result<Self, Error> {
        // The first to choose a provider wins; another choice of the same process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("atlas-backup-exporter/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // No API of Atlas redirects, and a redirect would carry our credentials wherever it likes.
            .redirect(Policy::none())
            .build()
            .map_err(Error::transport)?;
        Ok(Self { client })
    }

    /// Begins a POST; [`Door::send`] sends it.
    pub(super) fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// Sends one request; any answer is `Ok`, whatever its status.
    pub(super) async fn send(&self, request: Request) -> Result<Response, Error> {
        self.client.execute(request).await.map_err(Error::transport)
    }
}

/// The body of an answer that is a success; any other answer is an error with what it says.
pub(super) async fn body(response: Response) -> Result<Vec<u8>, Error> {
    let status = response.status();
    let headers = response.headers().clone();
    if status == StatusCode::OK {
        warn_of_sunset(&headers);
        return read(response).await;
    }
    // An error is an error even where its body cannot be read.
    let body = read(response).await.unwrap_or_default();
    if status.is_redirection() {
        return Err(Error::Invalid(format!("a redirect ({status}), which is not followed")));
    }
    Err(Error::answer(status, &headers, &body))
}

async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::transport)? {
        if body.len() + chunk.len() > LARGEST_BODY {
            return Err(Error::TooLarge(format!("more than {LARGEST_BODY} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Atlas announces the end of a resource version in headers, long before it answers 410.
fn warn_of_sunset(headers: &reqwest::header::HeaderMap) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if let Some(sunset) = headers.get("sunset").or_else(|| headers.get("deprecation")) {
        ONCE.call_once(|| {
            tracing::warn!(sunset = ?sunset, "Atlas will retire a version of its API that this exporter uses; look for a newer release");
        });
    }
}
