//! Compression of what is worth it, for those who ask, as Atlas does.

use std::io::Write;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A shorter body would hardly become shorter.
const LEAST: u64 = 1024;

/// Compresses a body that is whole; one that is still being made stays as it is.
pub(crate) async fn negotiate(asked: &HeaderMap, response: Response) -> Response {
    let accepted = asked.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let asks = accepted.is_some_and(|accepted| accepted.split(',').any(|one| one.trim() == "gzip"));
    let length = response.body().size_hint().exact().unwrap_or_default();
    if !asks || length < LEAST || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(zipped(&body)))
}

pub(crate) fn zipped(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Memory takes everything.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}
