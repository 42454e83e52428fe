//! The parser of web configurations, for the invariants in `fuzz/`.

use std::path::Path;
use std::time::Duration;

use hyper::HeaderMap;

use crate::ConfigError;
use crate::basic_auth::PasswordVerifier;
use crate::config::WebConfig;
use crate::files::Files;

#[derive(Debug, PartialEq)]
pub struct Parsed {
    /// The configuration as `Debug` formats it in a log.
    pub debug: String,
    pub headers: HeaderMap,
    pub has_users: bool,
    pub has_tls: bool,
    /// Interval and burst of the rate limit.
    pub rate_limit: Option<(Duration, u32)>,
}

pub fn parse(file: &Path, text: &str) -> Result<Parsed, ConfigError> {
    let config = WebConfig::parse(file, text, &mut Files::default(), &PasswordVerifier::default())?;
    Ok(Parsed {
        debug: format!("{config:?}"),
        has_users: config.basic_auth.is_some(),
        has_tls: config.tls.is_some(),
        rate_limit: config.rate_limit.map(|limit| (limit.interval, limit.burst)),
        headers: config.headers,
    })
}
