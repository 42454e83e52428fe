//! Authentication of requests: OAuth for service accounts, HTTP Digest for API keys.

pub(crate) mod digest;
mod oauth;
mod signing;

use reqwest::{Request, Response};
use url::Url;

use crate::credentials::{CredentialKind, Credentials};
use crate::endpoint::RequestContext;
use crate::error::Error;
use crate::transport::Transport;
use digest::DigestAuth;
use oauth::OAuthClient;

#[derive(Debug)]
pub(crate) enum Auth {
    OAuth(OAuthClient),
    Digest(Box<DigestAuth>),
}

impl Auth {
    pub(crate) fn new(transport: &Transport, base_url: &Url, credentials: &Credentials) -> Self {
        credentials.redact();
        let transport = transport.clone();
        let credentials = credentials.clone();
        match credentials.kind {
            CredentialKind::ServiceAccount => Self::OAuth(OAuthClient::new(transport, base_url, credentials)),
            CredentialKind::ApiKey => Self::Digest(Box::new(DigestAuth::new(transport, credentials))),
        }
    }

    /// Signs and sends a request without a body; signs it again if Atlas refuses the token or
    /// nonce.
    pub(crate) async fn send(&self, context: &RequestContext, request: &Request) -> Result<Response, Error> {
        match self {
            Self::OAuth(oauth) => oauth.send(context, request).await,
            Self::Digest(digest) => digest.send(context, request).await,
        }
    }
}
