//! Compression of larger bodies for clients that accept gzip, as Atlas does.

use std::io::Write;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::response::value;

/// Smaller bodies are not compressed.
const MIN_LENGTH: u64 = 1024;

/// Compresses a body of known length; a streamed one stays as it is.
pub(crate) async fn negotiate(request: &HeaderMap, response: Response) -> Response {
    let accepted = value(request, header::ACCEPT_ENCODING);
    let accepts = accepted.split(',').any(|one| one.trim() == "gzip");
    let length = response.body().size_hint().exact().unwrap_or_default();
    if !accepts || length < MIN_LENGTH || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(&body);
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(encoder.finish().unwrap_or_default()))
}
