//! Helpers of both kinds of authentication.

use std::time::Duration;

use reqwest::Request;
use reqwest::header::HeaderValue;
use secrecy::SecretString;
use tokio::time::timeout;

use crate::credentials::SecretSource;
use crate::error::Error;
use crate::redact;

/// Timeout of reading a secret file, which can be a pipe without a writer.
const SECRET_TIMEOUT: Duration = Duration::from_secs(5);

/// Copies a request without a body.
pub(super) fn copy(request: &Request) -> Result<Request, Error> {
    request.try_clone().ok_or_else(|| Error::invalid("request with a body cannot be copied"))
}

/// Returns the current secret. Files are read on a thread of their own, because a file system can
/// hang.
pub(super) async fn secret(source: &SecretSource) -> Result<SecretString, Error> {
    if let SecretSource::Inline { secret, .. } = source {
        return Ok(secret.clone());
    }
    let file = source.clone();
    let read = tokio::task::spawn_blocking(move || file.read());
    match timeout(SECRET_TIMEOUT, read).await {
        Ok(Ok(read)) => read.map_err(|error| Error::Secret(redact::line(&error))),
        Ok(Err(error)) => Err(Error::Secret(error.to_string())),
        Err(_) => Err(Error::Secret(format!("no data {source} within {SECRET_TIMEOUT:?}"))),
    }
}

/// Creates a header value that `Debug` hides.
pub(super) fn sensitive(text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::invalid("credentials are not valid in an HTTP header"))?;
    value.set_sensitive(true);
    Ok(value)
}
