//! Private functions that the invariants in `fuzz/` check.

use hyper::header::HeaderValue;

use crate::config::{Config, ConfigError, Source};
use crate::http::negotiate;
use crate::metrics::Format;

pub fn parse_config(
    source: &Source,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    Config::parse(source, text, environment)
}

#[must_use]
pub fn accepted_format(accept: &[HeaderValue]) -> Format {
    negotiate::format(accept)
}

#[must_use]
pub fn accepts_gzip(accept_encoding: &[HeaderValue]) -> bool {
    negotiate::gzip(accept_encoding)
}
